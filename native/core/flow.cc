// Flow control; see flow.h. As sender: credit, messages held back, wants of the peer answered. As receiver: what is given
// free, and wants for receives that nothing has matched.
#include "engine.h"

namespace carillon {

static_assert(board::words <= board_words);

namespace {
constexpr uint32_t kConsidered = 512;  // posted receives or held messages looked at before somebody else's turn

uint64_t key_of(uint32_t context, int32_t tag) { return uint64_t{context} << 32 | static_cast<uint32_t>(tag); }
uint32_t context_of(uint64_t key) { return static_cast<uint32_t>(key >> 32); }
int32_t tag_of(uint64_t key) { return static_cast<int32_t>(static_cast<uint32_t>(key)); }

bool answers(uint64_t key, const Request* send) {
  return context_of(key) == send->context && (tag_of(key) == any_tag || tag_of(key) == send->tag);
}
}  // namespace

// ---- as sender ------------------------------------------------------------------------------------------------------

// Reads what the peer has given free.
void Engine::refresh_credit(Peer& p) {
  for (uint32_t b = 0; b < buckets && !p.port->broken; ++b) {
    if (p.credit.sent_envelopes[b] == p.credit.freed_envelopes[b] && p.credit.sent_bytes[b] == p.credit.freed_bytes[b]) continue;
    uint64_t bytes = p.driver->read(p.port, board::free_bytes + b);
    uint64_t envelopes = p.driver->read(p.port, board::free_envelopes + b);
    if (!p.credit.note(b, bytes, envelopes)) p.port->broken = true;  // gave free what was never sent
  }
}

// May this leave now, and how? A body that does not get credit for its bytes becomes an offer, unless it is so short that
// pulling it would cost more than waiting.
Engine::Leave Engine::may_leave(const Peer& p, uint32_t bucket, uint64_t bytes, bool synchronous) const {
  if (!p.credit.has_envelope(bucket)) return Leave::not_now;
  bool fits_packet = !synchronous && bytes <= limits_.eager_bytes;
  uint64_t charge = charge_of(bytes);
  if (fits_packet && p.credit.has_bytes(bucket, charge)) return Leave::eager;
  if (fits_packet && bytes <= limits_.wait_bytes && charge <= p.credit.quota_bytes) return Leave::not_now;
  uint32_t most = p.driver->capabilities.bodies - wants;
  return p.open_offers < most && p.bucket_offers[bucket] < most - p.open_offers ? Leave::offer : Leave::not_now;
}

// What a want lets pass, beyond every share: the peer bounds how many it asks for, and so do we.
Engine::Leave Engine::may_pass(const Peer& p, uint64_t bytes, bool synchronous) const {
  if (p.credit.out_envelopes >= p.credit.quota_envelopes + wants) return Leave::not_now;
  uint64_t most = p.credit.quota_bytes + wants * charge_of(limits_.eager_bytes);
  if (!synchronous && bytes <= limits_.eager_bytes && p.credit.out_bytes + charge_of(bytes) <= most) return Leave::eager;
  return p.open_offers < p.driver->capabilities.bodies ? Leave::offer : Leave::not_now;
}

// Tells the peer that messages wait here for credit, so that it says what it wants.
void Engine::tell_held(Peer& p) {
  p.driver->post(p.port, board::held, ++p.held_version);
  p.driver->notice(p.port);
  p.told = true;
}

void Engine::hold_back(Peer& p) {
  if (p.holding) return;
  p.holding = p.unanswered = true;
  tell_held(p);
}

void Engine::hold_nothing(Peer& p) {
  if (!p.holding) return;
  p.holding = false;
  p.driver->post(p.port, board::held, 0);
}

// A message that has just joined a line that waits for credit: does a receive wait for it?
void Engine::offer_to_wants(Peer& p, const Request* r) {
  if (!p.holding) return;
  if (p.driver->read(p.port, board::partial) != 0) tell_held(p);  // a receive that has no slot may
  if (p.unanswered) return;                                       // those that have one are about to be looked at anyway
  for (uint32_t slot = 0; slot < wants && !p.unanswered; ++slot) {
    uint64_t generation = p.driver->read(p.port, board::want + slot);
    if (generation == 0 || generation == p.answered[slot]) continue;
    p.unanswered = answers(p.driver->read(p.port, board::want_key + slot), r);  // the first in line that fits will go
  }
}

Request* Engine::first_held(Peer& p, uint64_t key) {
  const Key asked = {context_of(key), 0, tag_of(key)};
  return asked.tag == any_tag ? p.waiting_in.first(asked) : p.waiting_as.first(asked);
}

// Lets pass what the peer's receives wait for. What finds no room in the ring is tried again when there is some.
void Engine::answer_wants(Peer& p) {
  uint64_t version = p.driver->read(p.port, board::want_version);
  for (uint32_t slot = 0; slot < wants; ++slot) {
    uint64_t generation = p.driver->read(p.port, board::want + slot);
    if (generation == 0 || generation == p.answered[slot]) continue;
    uint64_t key = p.driver->read(p.port, board::want_key + slot);
    if (p.driver->read(p.port, board::want + slot) != generation) continue;  // changed meanwhile: a notice follows
    Request* r = first_held(p, key);
    if (!r) continue;
    Leave how = may_pass(p, r->bytes, r->synchronous);
    if (how == Leave::not_now || !put(p, r, how, slot + 1)) return;
    p.answered[slot] = generation;
  }
  p.unanswered = false;
  if (p.driver->read(p.port, board::partial) == 0) return;
  p.driver->post(p.port, board::checked, version);
  p.driver->notice(p.port);
  p.touched = true;
}

// ---- as receiver ----------------------------------------------------------------------------------------------------

void Engine::credit(Peer& p, uint32_t bucket, uint64_t bytes, uint64_t envelopes) {
  p.held_bytes -= bytes;
  p.held_envelopes -= envelopes;
  if (bytes) p.driver->post(p.port, board::free_bytes + bucket, p.given_bytes[bucket] += bytes);
  if (envelopes) p.driver->post(p.port, board::free_envelopes + bucket, p.given_envelopes[bucket] += envelopes);
}

// The peer has changed its board: as sender to us it holds messages back or has looked for what we want; as receiver it
// wants something.
void Engine::hear_notice(Peer& p) {
  if (p.holding) p.unanswered = true;
  uint64_t held = p.driver->read(p.port, board::held);
  if (held == 0) return forget_wants(p);
  bool news = held != p.held_seen;
  p.held_seen = held;
  if (!p.held) {
    p.held = true;
    ++holding_peers_;
    start_wants(p);
  } else if (p.partial && news) {
    start_wants(p);
  } else if (p.partial && p.next_want && p.driver->read(p.port, board::checked) == p.want_version) {
    clear_wants(p);  // what it has been asked for is not there: ask for the next
    fill_wants(p);
  }
}

void Engine::start_wants(Peer& p) {
  clear_wants(p);
  p.next_want = matcher_.first_posted();
  p.partial = false;
  fill_wants(p);
}

// Asks for as many of the posted receives as there are slots, from next_want on.
void Engine::fill_wants(Peer& p) {
  bool changed = false;
  uint32_t slot = 0, looked = 0;
  for (p.filling = false; p.next_want; ++looked) {
    Request* r = p.next_want;
    if (looked == kConsidered) {
      p.filling = retry_ = true;  // progress goes on
      break;
    }
    const bool full = r->takes == Takes::stream && r->taker->behind != Behind::no;
    if (may_come_from(r, p) && !full && !wanted_from(p, r)) {
      while (slot < wants && p.wanted[slot]) ++slot;
      if (slot == wants) {
        p.partial = true;
        break;
      }
      put_want(p, slot, r);
      changed = true;
    }
    p.next_want = matcher_.next_posted(r);
  }
  publish_wants(p, changed);
}

void Engine::put_want(Peer& p, uint32_t slot, Request* r) {
  p.wanted[slot] = r;
  ++r->wants;
  p.driver->post(p.port, board::want_key + slot, key_of(r->context, r->tag));
  p.driver->post(p.port, board::want + slot, ++p.want_generation);
}

void Engine::publish_wants(Peer& p, bool changed) {
  p.driver->post(p.port, board::partial, p.partial);
  if (!changed) return;
  p.driver->post(p.port, board::want_version, ++p.want_version);
  p.driver->notice(p.port);
  p.touched = true;
}

bool Engine::wanted_from(const Peer& p, const Request* r) const {
  for (uint32_t slot = 0; r->wants && slot < wants; ++slot)
    if (p.wanted[slot] == r) return true;
  return false;
}

void Engine::clear_want(Peer& p, uint32_t slot) {
  if (!p.wanted[slot]) return;
  --p.wanted[slot]->wants;
  p.wanted[slot] = nullptr;
  p.driver->post(p.port, board::want + slot, 0);
}

void Engine::clear_wants(Peer& p) {
  for (uint32_t slot = 0; slot < wants; ++slot) clear_want(p, slot);
}

void Engine::forget_wants(Peer& p) {
  if (!p.held) return;
  clear_wants(p);
  p.held = p.partial = p.filling = false;
  p.next_want = nullptr;
  --holding_peers_;
}

bool Engine::may_come_from(const Request* r, const Peer& p) const {
  return r->peer == any_source || r->peer == static_cast<int32_t>(p.rank);
}

// A receive was posted: peers that hold messages back shall know.
void Engine::want(Request* r) {
  for (uint32_t i = 0; i < size_; ++i) {
    Peer& p = peers_[i];
    if (!p.held || !may_come_from(r, p)) continue;
    if (p.driver->read(p.port, board::held) == 0) {
      forget_wants(p);
      continue;
    }
    if (!p.next_want || r->sequence < p.next_want->sequence) p.next_want = r;
    fill_wants(p);
  }
}

// A receive leaves the line of the posted.
void Engine::withdraw(Request* r) {
  if (r == sought_) sought_ = nullptr;
  if (holding_peers_ > 0) {
    for (uint32_t i = 0; i < size_; ++i)
      if (peers_[i].held && peers_[i].next_want == r) peers_[i].next_want = matcher_.next_posted(r);
    drop_wants(r);
  }
  matcher_.withdraw(r);
  if (r->takes == Takes::stream) end_taking(r);
}

void Engine::drop_wants(Request* r) {
  for (uint32_t i = 0; r->wants && i < size_; ++i)
    for (uint32_t slot = 0; r->wants && slot < wants; ++slot)
      if (peers_[i].wanted[slot] == r) clear_want(peers_[i], slot);
}

// A message has come that a want let pass. If another receive took it, the want is still one.
void Engine::want_again(Peer& p, uint32_t slot) {
  if (slot >= wants || !p.held || !p.wanted[slot]) return;
  p.driver->post(p.port, board::want + slot, ++p.want_generation);
  publish_wants(p, true);
}

}  // namespace carillon
