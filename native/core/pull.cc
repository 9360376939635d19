// Bodies that are pulled: an offer goes to a receive, somebody copies the body outside the guard, and what became of it is told its sender.
// Not responsible for bodies that come in parts (push.cc) nor for who copies (binding/progress.cc).
#include "bytes.h"
#include "engine.h"

namespace carillon {

// An offer that is in no list goes to a receive that is in none either. False: its sender has taken it back.
bool Engine::pull_block(Request* r, Block* b) {
  Peer& p = peers_[b->source];
  const Offered offered = *reinterpret_cast<const Offered*>(b->body());
  PacketHeader h = {b->bytes, offered.remote, b->tag, b->context, b->encoding, b->generation, b->slot,
                    b->lent ? PacketKind::lease : PacketKind::offer, 0, 0};
  const uint64_t begin = trace::begin();
  if (p.driver->accept(p.port, {b->slot, b->generation}) != Accept::accepted) return false;
  if (begin) trace_match(begin, b, r->sequence);
  free_block(b);
  start_pull(r, static_cast<int32_t>(p.rank), h, reinterpret_cast<const unsigned char*>(&offered.loan));
  return true;
}

void Engine::start_pull(Request* r, int32_t source, const PacketHeader& h, const unsigned char* loan, bool here) {
  describe(r, source, h.tag, h.encoding, h.bytes);
  r->remote = h.address;
  r->slot = h.slot;
  r->generation = h.generation;
  r->pulled = 0;
  r->running = r->scattered = r->taken_over = false;
  r->state = RequestState::pulling;
  r->landing = r->memory ? r->memory : h.bytes <= inline_bytes ? r->inlined : nullptr;
  r->lent = h.kind == PacketKind::lease && !r->list;
  if (r->lent) copy_bytes(&r->loan, loan, sizeof r->loan);
  if (h.bytes == 0 || here) {
    if (here) copy_bytes(r->landing, loan, h.bytes);
    r->pulled = h.bytes;
    r->running = true;
    pulled(r, Pull::complete);
  } else {
    if (any_stalled_) retry_ = true;  // the next in its line may need no block
    pulls_.append(r);
  }
}

Request* Engine::next_pull(uint64_t most) {
  for (Request* r = pulls_.first(); r; r = RequestList::next(r)) {
    bool kept = r->lent && !r->landing && !r->loan.read_only;  // mapping costs the same at any size
    if (r->got_bytes > most && !kept && !better_pushed(r)) continue;
    pulls_.remove(r);
    r->running = true;
    return r;
  }
  return nullptr;
}

void Engine::pulled(Request* r, Pull result) {
  Peer& p = peers_[r->from];
  Ticket ticket = {r->slot, r->generation};
  r->running = false;
  bool abandoned = r->abandon.load(std::memory_order_relaxed);
  bool pushed = result == Pull::forbidden || result == Pull::pushed;
  if (pushed && r->taken_over) result = Pull::unreadable;  // it could be read a moment ago; what it has pushed is gone
  else if (pushed && p.ended) result = p.driver->stands(p.port, ticket) ? Pull::lost : Pull::revoked;
  if (result == Pull::pushed && p.stalled) {  // what is in its ring has to wait
    result = Pull::more;
    r->taken_over = true;
  }
  if (result == Pull::more && !abandoned) {
    pulls_.append(r);  // the next one's turn
    return;
  }
  if (abandoned) {
    // Its thread has gone; for the sender that is as good as delivered. One that took it back meanwhile waits for an answer.
    p.driver->finish(p.port, ticket, result == Pull::revoked ? Outcome::refused : r->mapped ? Outcome::mapped : Outcome::pulled, 0);
    credit(p, bucket_of(r->context, r->got_tag), 0, 1);
    p.driver->publish(p.port);
    p.touched = true;
    return complete(r, Status::closed);
  }
  uint32_t bucket = bucket_of(r->context, r->got_tag);
  switch (result) {
    case Pull::forbidden:
    case Pull::pushed:
      r->state = RequestState::incoming;
      if (result == Pull::forbidden) r->pulled = 0;
      p.incoming.append(r);
      p.left = false;
      p.driver->finish(p.port, ticket, Outcome::push, static_cast<uint32_t>(r->pulled / pull_part));
      (result == Pull::pushed ? p.told : p.touched) = true;
      return;
    case Pull::complete:
      r->storage = r->memory || r->scattered || r->got_bytes == 0 ? Storage::none
                   : r->mapped                    ? Storage::lease
                   : r->got_bytes <= inline_bytes ? Storage::in_record
                                                  : Storage::stage;
      p.driver->finish(p.port, ticket, r->mapped ? Outcome::mapped : Outcome::pulled, 0);
      ++counters_.received;
      ++counters_.bodies;
      counters_.bytes_received += r->got_bytes;
      complete(r, Status::ok);
      break;
    case Pull::revoked:
      // The sender took it back in the middle: the receive returns to its place in line, unless it wanted this one.
      p.driver->finish(p.port, ticket, Outcome::refused, 0);
      if (takes_one(r)) complete(r, Status::taken_back);
      else match_or_post(r);
      break;
    case Pull::lost:
      // Whoever it came from, another may still answer a receive from any source: back to its place in line.
      if (r->peer == any_source && !takes_one(r)) match_or_post(r);
      else complete(r, Status::peer_lost);
      break;
    default:
      p.driver->finish(p.port, ticket, Outcome::failed, 0);
      complete(r, Status::unreadable);
  }
  credit(p, bucket, 0, 1);
  p.driver->publish(p.port);
  (result == Pull::complete ? p.told : p.touched) = true;
}

}  // namespace carillon
