// Matched probes: a message that a probe took is in no list; its probe's request holds it until it is received or given back.
// Eager bodies and parcels stay in their block, larger ones stay at their sender, unclaimed: the sender may still take them back.
#include "engine.h"

namespace carillon {

bool Engine::stands(const Block* b) const {
  if (!b->offer) return true;
  const Peer& p = peers_[b->source];
  return p.ending == Ending::none && p.driver->stands(p.port, {b->slot, b->generation});
}

// An offer that is in no list and that nobody can take any more.
void Engine::drop(Block* b) {
  Peer& p = peers_[b->source];
  credit(p, bucket_of(b->context, b->tag), 0, 1);
  free_block(b);
  p.driver->publish(p.port);
  p.touched = true;
}

void Engine::bind(Request* r, Block* b) {
  describe(r, b->source, b->tag, b->encoding, b->bytes);
  r->block = b;
  r->storage = Storage::none;
  if (b->parcel) b->parcel->holder = r;
}

// The message is in no list (any more), nor is the probe.
void Engine::hold(Request* r, Block* b) {
  bind(r, b);
  complete(r, Status::ok);
  r->queue->held.append(r);
}

Block* Engine::find_standing(const Request* r) {
  while (Block* b = matcher_.find_unexpected(r->context, r->peer, r->tag)) {
    if (stands(b)) return b;
    matcher_.remove_unexpected(b);
    drop(b);
  }
  return nullptr;
}

bool Engine::probe_now(Request* r) {
  Block* b = find_standing(r);
  if (!b) {
    probing_ = true;
    progress();
    probing_ = false;
    b = find_standing(r);
  }
  if (!b) return false;
  matcher_.remove_unexpected(b);
  r->sequence = matcher_.next_sequence();
  bind(r, b);
  r->status = Status::ok;
  r->queue->held.append(r);
  return true;
}

void Engine::claim(Request* r) {
  r->queue->held.remove(r);
  r->queue->known.append(r);
  Block* b = r->block;
  r->block = nullptr;
  if (!b) return complete(r, Status::taken_back);
  if (b->parcel) b->parcel->holder = nullptr;
  if (!b->offer) return take_waiting(r, b);
  Peer& p = peers_[b->source];
  bool gone = p.ending != Ending::none;  // its body can come no more
  if (!gone && pull_block(r, b)) return;
  drop(b);
  complete(r, gone ? status_of(p) : Status::taken_back);
}

void Engine::give_back(Request* r) {
  r->queue->held.remove(r);
  put_back(r);
}

void Engine::put_back(Request* r) {
  Block* b = r->block;
  r->block = nullptr;
  if (!b) return;
  if (b->parcel) b->parcel->holder = nullptr;
  if (stands(b)) line_up(b);
  else drop(b);
}

// A message that is here and in no list: to the first in line that it fits, else to its place among the unexpected.
void Engine::line_up(Block* b) {
  while (Request* r = matcher_.find_posted(b->context, b->source, b->tag)) {
    if (r->takes == Takes::stream) {
      Behind why = r->taker->behind;
      if (why == Behind::no) why = give(r, b->source, b->tag, b->encoding, body_for(r, b), b->bytes, b->arrival);
      if (why == Behind::no) return given(b);
      matcher_.add_unexpected(b);
      return put_behind(r, b, why);
    }
    withdraw(r);
    if (b->offer && r->takes == Takes::message && fits(r, b->bytes, b->encoding)) {
      if (pull_block(r, b)) return;
      drop(b);
      return match_or_post(r);  // back to its place in line
    }
    if (r->takes == Takes::envelope) return hold(r, b);
    if (fits(r, b->bytes, b->encoding)) return take_waiting(r, b);
    describe(r, b->source, b->tag, b->encoding, b->bytes);
    complete(r, Status::truncated);
  }
  matcher_.add_unexpected(b);
}

}  // namespace carillon
