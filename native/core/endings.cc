// How things end before they are done: peers that leave or die, requests that are taken back, threads and ranks that go.
// What was committed is delivered first; then what can no longer complete is told so, once.
#include "engine.h"

namespace carillon {

Status Engine::status_of(const Peer& p) const {
  switch (p.ending) {
    case Ending::lost: return Status::peer_lost;
    case Ending::protocol: return Status::peer_protocol;
    default: return Status::peer_closed;
  }
}

void Engine::end_peer(uint32_t rank, Ending ending) {
  Peer& p = peers_[rank];
  if (!p.driver || p.ended || p.ending != Ending::none) return;
  p.ending = ending;
  progress();
}

// Nothing waits for room any more, so nobody asks for it: look() would see it come for ever.
void Engine::end_line(Peer& p, Status status) {
  while (Request* r = p.line.pop()) complete(r, status);
  p.driver->block(p.port, false);
}

// The peer has answered all it ever will, though packets of it may still wait for room: end what was meant for it, and drop
// the offers whose bodies can come no more (nobody was promised them, and their blocks may be the room that is missing).
void Engine::abandon(Peer& p) {
  Status status = status_of(p);
  end_line(p, status);
  for (Request*& r : p.offers)
    if (r) {
      complete(r, status);
      r = nullptr;
    }
  matcher_.each_unexpected([&](Block* b) {
    if (!b->offer || b->source != static_cast<int32_t>(p.rank)) return;
    matcher_.remove_unexpected(b);
    free_block(b);
  });
}

// Everything the peer had committed is delivered: now end what only it could have completed.
void Engine::finalize(Peer& p) {
  if (p.ended) return;
  p.ended = true;
  ++ended_;
  if (p.ending != Ending::closed) any_lost_ = true;
  abandon(p);
  end_receives(static_cast<int32_t>(p.rank), status_of(p));
  if (alone()) end_receives(any_source, any_lost_ ? Status::peer_lost : Status::peer_closed);
}

void Engine::end_receives(int32_t source, Status status) {
  matcher_.each_posted([&](Request* r) {
    if (r->peer != source) return;
    matcher_.withdraw(r);
    r->from = source;
    complete(r, status);
  });
}

void Engine::set_handles(uint32_t count) {
  handles_ = count;
  if (alone()) end_receives(any_source, any_lost_ ? Status::peer_lost : Status::peer_closed);
}

// A send that leaves the line may have been what the others waited for.
void Engine::flush_lines() {
  for (uint32_t i = 0; i < size_; ++i)
    if (!peers_[i].line.empty() && peers_[i].ending == Ending::none) flush(peers_[i]);
}

bool Engine::cancel(Request* r, Status how) {
  bool queued = r->state == RequestState::queued;
  if (!take_back(r, how)) return false;
  if (queued) flush_lines();
  return true;
}

bool Engine::take_back(Request* r, Status how) {
  switch (r->state) {
    case RequestState::posted:
      matcher_.withdraw(r);
      break;
    case RequestState::queued: {
      Peer& p = peers_[r->peer];
      p.line.remove(r);
      if (p.line.empty()) p.driver->block(p.port, false);
      break;
    }
    case RequestState::offered: {
      Peer& p = peers_[r->peer];
      // Who cancels what is matched already comes too late, and must not break the copy off. Who goes must.
      if (how == Status::cancelled && p.driver->claimed(p.port, {r->slot, r->generation})) return false;
      if (!p.driver->revoke(p.port, {r->slot, r->generation})) {
        r->state = RequestState::revoking;
        return false;
      }
      p.offers[r->slot] = nullptr;
      break;
    }
    case RequestState::handed:
      matcher_.remove_unexpected(&r->parcel->envelope);  // the parcel is freed with the request
      r->parcel->sender = nullptr;
      break;
    default:
      return false;
  }
  complete(r, how);
  return true;
}

bool Engine::detach(CompletionQueue* queue) {
  bool all = true;
  for (Request *r = queue->known.first(), *next; r; r = next) {
    next = QueueRequests::next(r);
    if (r->state == RequestState::pulling) {
      r->abandon.store(true, std::memory_order_relaxed);
      if (r->running) {
        all = false;
        continue;
      }
      pulls_.remove(r);
      Peer& p = peers_[r->from];
      p.driver->finish(p.port, {r->slot, r->generation}, Outcome::pulled);
      credit(p, 0, 1);
      p.driver->publish(p.port);
      p.touched = true;
    } else if (r->state == RequestState::revoking) {
      peers_[r->peer].offers[r->slot] = nullptr;
    } else if (take_back(r, Status::closed)) {
      continue;
    } else if (r->state == RequestState::revoking) {
      peers_[r->peer].offers[r->slot] = nullptr;
    }
    complete(r, Status::closed);
  }
  flush_lines();
  return all;
}

void Engine::revoke_all() {
  for (uint32_t i = 0; i < size_; ++i) {
    Peer& p = peers_[i];
    if (!p.driver || p.ended) continue;
    for (Request*& r : p.offers)
      if (r) {
        p.driver->revoke(p.port, {r->slot, r->generation});
        complete(r, Status::closed);
        r = nullptr;
      }
    end_line(p, Status::closed);
  }
}

}  // namespace carillon
