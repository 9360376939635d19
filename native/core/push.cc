// Bodies that are pushed: the receiver of an offer has its sender copy the body, part by part, to cells of the sender's, or to packets
// of the ring when the cells are all in use. Two processors copy at once, through memory that stays in their caches. So it is done where both
// are awake, and where this process may not read its peers' memory. The parts need no credit: the memory they go to is
// there before the first. A receiver that finds its sender asleep pulls the rest by itself, if it may.
#include "bytes.h"
#include "engine.h"

namespace carillon {

namespace {
constexpr uint64_t kTurn = 256 << 10;        // bytes pushed to one peer before somebody else's turn
constexpr uint64_t kBodyTurn = 1 << 20;      // bytes of one body before the next one's turn
}

// ---- as sender ------------------------------------------------------------------------------------------------------

// Its receiver has the first `done` bytes already.
void Engine::start_push(Peer& p, Request* r, uint64_t done) {
  r->state = RequestState::pushing;
  ++counters_.pushed;
  r->pulled = done;
  p.pushes.append(r);
  if (!handler_) push(p);  // else progress has it done
}

// As much as there is room for; several bodies take turns.
void Engine::push(Peer& p) {
  for (uint64_t pushed = 0; Request* r = p.pushes.first();) {
    if (pushed >= kTurn) {
      retry_ = true;
      return;
    }
    const uint64_t begin = trace::begin();
    uint64_t bytes = push_part(p, r);
    if (bytes == 0) {
      if (p.port->broken) retry_ = true;
      return;
    }
    if (begin)
      trace::record(trace::Kind::push, begin, {.how = trace::How::pushed, .peer = r->peer, .tag = r->tag, .bytes = bytes, .number = r->traced});
    pushed += bytes;
    counters_.bytes_pushed += bytes;
    p.told = true;
    r->pulled += bytes;
    if (r->pulled == r->bytes) {
      p.pushes.remove(r);
      r->state = RequestState::offered;  // the receiver's answer ends it
    } else if (r->pulled / kBodyTurn != (r->pulled - bytes) / kBodyTurn) {
      p.pushes.remove(r);
      p.pushes.append(r);
    }
  }
  stop_asking(p);
}

// The next part, in a cell or in a packet. 0: no room.
uint64_t Engine::push_part(Peer& p, Request* r) {
  uint64_t rest = r->bytes - r->pulled, bytes = rest;
  const unsigned char* body = r->memory + r->pulled;
  PacketHeader header = {0, r->pulled, r->tag, r->context, r->encoding, r->generation, r->slot, PacketKind::cell, 0, 0};
  if (rest > limits_.most_eager_bytes) {
    auto* packet = static_cast<unsigned char*>(p.driver->claim(p.port, sizeof(PacketHeader)));
    if (!packet) return 0;
    uint32_t number = 0;
    if (unsigned char* cell = p.driver->claim_cell(p.port, &number, &bytes)) {
      header.bytes = bytes;
      header.cell = static_cast<uint8_t>(number);
      *reinterpret_cast<PacketHeader*>(packet) = header;
      copy_bytes(cell, body, bytes);
      p.driver->commit(p.port);
      return bytes;
    }
    if (bytes != 0) return 0;
    bytes = limits_.most_eager_bytes;
  }
  auto* packet = static_cast<unsigned char*>(p.driver->claim(p.port, static_cast<uint32_t>(sizeof(PacketHeader) + bytes)));
  if (!packet) return 0;
  header.bytes = bytes;
  header.kind = PacketKind::part;
  *reinterpret_cast<PacketHeader*>(packet) = header;
  copy_bytes(packet + sizeof(PacketHeader), body, bytes);
  p.driver->commit(p.port);
  return bytes;
}

// ---- as receiver ----------------------------------------------------------------------------------------------------

// A part for a receive that has gone meanwhile, or that is pulled now, is dropped. False: no peer sends such a part.
bool Engine::take_part(Peer& p, const PacketHeader& h, const unsigned char* body) {
  if (!body) return false;
  for (Request* r = p.incoming.first(); r; r = RequestList::next(r)) {
    if (r->slot != h.slot || r->generation != h.generation) continue;
    if (h.address != r->pulled || h.bytes == 0 || h.bytes > r->got_bytes - r->pulled) return false;
    const uint64_t begin = trace::begin();
    copy_bytes(r->landing + r->pulled, body, h.bytes);
    if (begin)
      trace::record(trace::Kind::part, begin,
                    {.how = trace::How::pushed, .peer = r->from, .tag = r->got_tag, .bytes = h.bytes, .number = r->traced, .key = r->sequence});
    r->pulled += h.bytes;
    counters_.bytes_parted += h.bytes;
    if (r->pulled == r->got_bytes) {
      p.incoming.remove(r);
      pulled(r, Pull::complete);
    }
    return true;
  }
  return true;
}

// Is the rest of a body worth pushing, and can it be told where to begin?
bool Engine::may_be_pushed(const Request* r) const {
  return r->got_bytes - r->pulled >= limits_.pushed_least && !r->taken_over && r->pulled <= most_parts * pull_part &&
         r->pulled % pull_part == 0 && peers_[r->from].port->readable.load(std::memory_order_relaxed);
}

// And is its sender there to do it?
bool Engine::better_pushed(const Request* r) const {
  if (!may_be_pushed(r)) return false;
  const uint64_t rest = r->got_bytes - r->pulled;
  const uint64_t attention = peers_[r->from].port->attention->load(std::memory_order_relaxed);
  if (Attention::idle(attention)) return rest >= limits_.pushed_ringing;
  return Attention::lingers(attention) && (rest <= limits_.pushed_running || !Attention::asleep(attention));
}

// Or may it be soon: does it run JavaScript, perhaps only as far as to its next wait?
bool Engine::soon_better_pushed(const Request* r) const {
  if (!may_be_pushed(r) || r->got_bytes - r->pulled <= limits_.pushed_running) return false;
  const uint64_t attention = peers_[r->from].port->attention->load(std::memory_order_relaxed);
  return Attention::lingers(attention) && Attention::asleep(attention);
}

// Does the peer sleep over bodies that could be pulled, too?
bool Engine::stalls(const Peer& p, bool late) const {
  if (p.incoming.empty() || !p.port->readable.load(std::memory_order_relaxed)) return false;
  const uint64_t attention = p.port->attention->load(std::memory_order_seq_cst);
  return Attention::asleep(attention) && (late || !Attention::idle(attention)) && !p.driver->look(p.port, packets_of(p));
}

bool Engine::parts_stall() const {
  for (uint32_t i = 0; i < size_; ++i)
    if (stalls(peers_[i], false)) return true;
  return false;
}

uint64_t Engine::being_pulled(bool by_sleepers) const {
  uint64_t longest = 0;
  for (uint32_t i = 0; i < size_; ++i) {
    const Peer& p = peers_[i];
    if (p.open_offers == 0 || p.ended) continue;
    if (by_sleepers && !Attention::asleep(p.port->attention->load(std::memory_order_relaxed))) continue;
    for (uint16_t slot = 0; slot < max_slots; ++slot)
      if (const Request* r = p.offers[slot]; r && r->state == RequestState::offered && r->bytes > longest &&
                                             p.driver->claimed(p.port, {slot, r->generation}))
        longest = r->bytes;
  }
  return longest;
}

// Bodies that nobody pushes now: the rest of them is pulled, if that may be done. What is pushed of them later is dropped.
bool Engine::take_over(bool late) {
  bool any = false;
  for (uint32_t i = 0; i < size_; ++i) {
    Peer& p = peers_[i];
    if (!stalls(p, late)) continue;
    any = true;
    pull_rest(p);
  }
  return any;
}

void Engine::pull_rest(Peer& p) {
  if (!p.port->readable.load(std::memory_order_relaxed)) return;
  while (Request* r = p.incoming.pop()) {
    r->state = RequestState::pulling;
    r->taken_over = true;
    pulls_.append(r);
  }
}

// Senders that have taken their bodies back in the middle.
void Engine::look_at_incoming(Peer& p) {
  for (Request *r = p.incoming.first(), *next; r; r = next) {
    next = RequestList::next(r);
    if (p.driver->stands(p.port, {r->slot, r->generation})) continue;
    p.incoming.remove(r);
    pulled(r, Pull::revoked);
  }
}

bool Engine::incoming_revoked(const Peer& p) const {
  for (Request* r = p.incoming.first(); r; r = RequestList::next(r))
    if (!p.driver->stands(p.port, {r->slot, r->generation})) return true;
  return false;
}

}  // namespace carillon
