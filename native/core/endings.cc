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

void Engine::hear_of_ends(CompletionQueue* queue) {
  queue->next_hearer = hearers_;
  hearers_ = queue;
}

void Engine::tell_of_end() {
  for (CompletionQueue* queue = hearers_; queue; queue = queue->next_hearer) tell_news(queue);
}

void Engine::end_lines(Peer& p, Status status) {
  for (RequestList& line : p.line)
    while (Request* r = line.first()) {
      leave_line(p, r);
      complete(r, status);
    }
  while (p.pushes.pop()) continue;  // they are among the offers
  stop_asking(p);
}

void Engine::end_offers(Peer& p, Status status, bool revoke) {
  for (uint32_t slot = 0; slot < max_slots; ++slot) {
    if (p.offer_generation[slot] == 0) continue;
    if (revoke) p.driver->revoke(p.port, {static_cast<uint16_t>(slot), p.offer_generation[slot]});
    if (Request* r = close_offer(p, static_cast<uint16_t>(slot))) complete(r, status);
  }
}

// The peer has answered all it ever will, though packets of it may still wait for room: end what was meant for it, and drop
// the offers whose bodies can come no more (nobody was promised them, and their blocks may be the room that is missing).
void Engine::abandon(Peer& p) {
  Status status = status_of(p);
  end_lines(p, status);
  end_offers(p, status, false);
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
  forget_wants(p);
  p.driver->end(p.port);
  while (Request* r = p.incoming.pop()) {
    if (r->peer == any_source && !takes_one(r)) match_or_post(r);
    else complete(r, status_of(p));
  }
  end_receives(static_cast<int32_t>(p.rank), status_of(p));
  if (alone()) end_receives(any_source, any_lost_ ? Status::peer_lost : Status::peer_closed);
  tell_of_end();
}

void Engine::end_receives(int32_t source, Status status) {
  matcher_.each_posted([&](Request* r) {
    if (r->peer != source) return;
    if (r->takes == Takes::stream && r->taker->behind != Behind::no) return;  // when it has taken what is here
    withdraw(r);
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
    if (peers_[i].lines && peers_[i].ending == Ending::none) flush(peers_[i]);
}

bool Engine::cancel(Request* r, Status how) {
  bool queued = r->state == RequestState::queued;
  if (r->state == RequestState::offered) {
    // What is being copied already is not disturbed: revoking would make the receiver refuse it in the middle.
    Peer& p = peers_[r->peer];
    if (p.driver->claimed(p.port, {r->slot, r->generation})) return false;
  }
  if (!take_back(r, how)) return false;
  if (queued) flush_lines();
  return true;
}

bool Engine::take_back(Request* r, Status how) {
  switch (r->state) {
    case RequestState::posted:
      withdraw(r);
      if (r->takes == Takes::stream && r->taker->carrying) {
        r->state = RequestState::ending;
        r->status = how;
        return true;
      }
      break;
    case RequestState::queued:
      leave_line(peers_[r->peer], r);
      stop_asking(peers_[r->peer]);
      break;
    case RequestState::offered: {
      Peer& p = peers_[r->peer];
      if (!p.driver->revoke(p.port, {r->slot, r->generation})) {
        r->state = RequestState::revoking;
        p.touched = true;  // it may wait for parts by now
        return false;
      }
      close_offer(p, r->slot);
      break;
    }
    case RequestState::handed:
      // The parcel is freed with the request.
      if (r->parcel->holder) r->parcel->holder->block = nullptr;
      else matcher_.remove_unexpected(&r->parcel->envelope);
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
  for (CompletionQueue** at = &hearers_; *at; at = &(*at)->next_hearer)
    if (*at == queue) {
      *at = queue->next_hearer;
      break;
    }
  for (Request *r = queue->known.first(), *next; r; r = next) {
    next = QueueRequests::next(r);
    if (r->state == RequestState::ending) continue;  // with its courier
    if (r->takes == Takes::courier && next == r->taker->stream) next = QueueRequests::next(next);
    if (r->state == RequestState::pulling || r->state == RequestState::incoming) {
      r->abandon.store(true, std::memory_order_relaxed);
      if (r->running) {
        all = false;
        continue;
      }
      Peer& p = peers_[r->from];
      if (r->state == RequestState::pulling) pulls_.remove(r);
      else p.incoming.remove(r);
      p.driver->finish(p.port, {r->slot, r->generation}, Outcome::pulled, 0);
      credit(p, bucket_of(r->context, r->got_tag), 0, 1);
      p.driver->publish(p.port);
      p.touched = true;
    } else if (r->state == RequestState::pushing) {
      // Its receiver looks whether the offer still stands while it waits for parts.
      Peer& p = peers_[r->peer];
      p.pushes.remove(r);
      stop_asking(p);
      p.driver->revoke(p.port, {r->slot, r->generation});
      p.offers[r->slot] = nullptr;
      p.touched = true;
    } else if (r->state == RequestState::revoking) {
      peers_[r->peer].offers[r->slot] = nullptr;
    } else if (take_back(r, Status::closed)) {
      continue;
    } else if (r->state == RequestState::revoking) {
      peers_[r->peer].offers[r->slot] = nullptr;
      peers_[r->peer].touched = true;
    }
    complete(r, Status::closed);
  }
  while (Request* r = queue->held.pop()) put_back(r);  // for the other threads: all that this one waited for has ended
  flush_lines();
  return all;
}

void Engine::revoke_all() {
  for (uint32_t i = 0; i < size_; ++i) {
    Peer& p = peers_[i];
    if (!p.driver || p.ended) continue;
    end_lines(p, Status::closed);
    end_offers(p, Status::closed, true);
  }
}

}  // namespace carillon
