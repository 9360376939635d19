// Standing takers: receives that stay posted, behind all others (match.h), and put what they take into their rings. What finds no
// room waits among the unexpected, held back by flow control as ever, and in the backlog of its taker, until that is resumed. When one
// stops, what nobody has read goes back to its place in line, as parcels: its sender has its credit back already.
#include "taker.h"

#include "engine.h"

namespace carillon {

namespace {
constexpr uint32_t kFed = 256;  // messages before somebody else's turn
}

// Its thread shall look at the rings of its takers.
void Engine::tell_taken(CompletionQueue* queue) {
  auto& taken = *reinterpret_cast<std::atomic<uint32_t>*>(queue->words + queue_layout::taken);
  if (taken.load(std::memory_order_seq_cst) == 0) taken.store(1, std::memory_order_seq_cst);
  make_dirty(queue);
}

// `body` null: it is not here. Otherwise than `no`: it did not get into the ring, and why.
Behind Engine::give(Request* r, int32_t source, int32_t tag, uint32_t encoding, const unsigned char* body, uint64_t bytes,
                    uint64_t arrival) {
  Taker* t = r->taker;
  if (!body || !t->can_hold(bytes)) return Behind::alone;
  if (!t->put(source, tag, encoding, body, bytes, arrival)) return Behind::room;
  ++counters_.received;
  counters_.bytes_received += bytes;
  tell_taken(r->queue);
  return Behind::no;
}

// An unexpected message waits for this taker.
void Engine::put_behind(Request* r, Block* b, Behind why) {
  b->taker = r;
  r->taker->backlog.insert_in_order<&Block::arrival>(b);
  if (r->taker->behind == Behind::no) fall_behind(r, why);
}

// Nor is it wanted any more that senders let pass what would wait here, too.
void Engine::fall_behind(Request* r, Behind why) {
  r->taker->set_behind(why);
  drop_wants(r);
  tell_taken(r->queue);
}

// What is unexpected is its own from now on, unless it is an earlier taker's: each message is looked at.
void Engine::begin_taking(Request* r) {
  r->state = RequestState::posted;
  matcher_.post(r);
  matcher_.each_unexpected([&](Block* b) {
    if (!b->taker && Matcher::wants(r, b)) put_behind(r, b, Behind::room);
  });
  resume(r);
}

// What it leaves behind is for those that began later, if any.
void Engine::end_taking(Request* r) {
  while (Block* b = r->taker->backlog.pop()) {
    b->taker = nullptr;
    if (Request* other = matcher_.find_posted(b->context, b->source, b->tag)) put_behind(other, b, Behind::room);
  }
}

void Engine::halt_taking(Request* r) {
  if (r->state != RequestState::posted) return;
  r->taker->set_behind(Behind::room);
  drop_wants(r);
}

void Engine::stop_taking(Request* r, Parcel* first) {
  if (r && r->state == RequestState::posted) {
    withdraw(r);
    complete(r, Status::cancelled);
  }
  for (Parcel* p = first; p;) {
    auto* next = static_cast<Parcel*>(p->next_submission);  // it may be taken, and freed by its taker
    line_up(&p->envelope);
    p = next;
  }
}

void Engine::resume(Request* r) {
  if (r->state != RequestState::posted) return;
  for (uint32_t fed = 0; Block* b = r->taker->backlog.first();) {
    if (!stands(b)) {
      matcher_.remove_unexpected(b);
      drop(b);
      continue;
    }
    Behind why = Behind::room;
    if (fed++ < kFed) why = give(r, b->source, b->tag, b->encoding, b->offer || b->parcel ? nullptr : b->body(), b->bytes, b->arrival);
    if (why != Behind::no) return fall_behind(r, why);
    matcher_.remove_unexpected(b);
    given(b);
  }
  r->taker->set_behind(Behind::no);
  const bool one = r->peer != any_source;
  if (one ? peers_[r->peer].ended : alone()) {
    withdraw(r);
    r->from = r->peer;
    return complete(r, one ? status_of(peers_[r->peer]) : any_lost_ ? Status::peer_lost : Status::peer_closed);
  }
  if (holding_peers_ > 0) want(r);
}

// A block whose body is in the ring now.
void Engine::given(Block* b) {
  Peer& p = peers_[b->source];
  credit(p, bucket_of(b->context, b->tag), 0, 1);
  const uint64_t bytes = b->bytes;
  free_block(b);
  taken_from(p, bytes);
}

void Engine::take_next(Request* stream, Request* r) {
  r->queue->known.append(r);
  while (Block* b = stream->state == RequestState::posted ? stream->taker->backlog.first() : nullptr) {
    matcher_.remove_unexpected(b);
    copy_bytes(stream->taker->words + ring_layout::alone, &b->arrival, sizeof b->arrival);
    if (!b->offer) return take_waiting(r, b);
    if (pull_block(r, b)) return;
    drop(b);
  }
  complete(r, Status::taken_back);
}

}  // namespace carillon
