// Standing takers: receives that stay posted, behind all others (match.h), and put what they take into their rings. What finds no
// room waits among the unexpected, held back by flow control as ever, and in the backlog of its taker, until that is resumed. When one
// stops, what nobody has read goes back to its place in line, as parcels: its sender has its credit back already.
#include "taker.h"

#include "engine.h"

namespace carillon {

namespace {
constexpr uint32_t kFed = 256;  // messages before somebody else's turn
}

// Its thread shall look at the rings of its takers; of a shared one, whoever wakes its readers.
void Engine::tell_taken(Request* r) {
  if (r->taker->shared) {
    if (!r->taker->wakes()) return;
    news_of_ = queue_news_ && news_of_ != r->queue ? nullptr : r->queue;
    queue_news_ = true;
    return;
  }
  show_taken(r->queue);
  make_dirty(r->queue);
}

void Engine::show_taken(CompletionQueue* queue) {
  auto& taken = *reinterpret_cast<std::atomic<uint32_t>*>(queue->words + queue_layout::taken);
  if (taken.load(std::memory_order_seq_cst) == 0) taken.store(1, std::memory_order_seq_cst);
}

// `body` null: it is not here. Otherwise than `no`: it did not get into the ring, and why.
Behind Engine::give(Request* r, int32_t source, int32_t tag, uint32_t encoding, const unsigned char* body, uint64_t bytes,
                    uint64_t arrival) {
  Taker* t = r->taker;
  if (!t->can_hold(bytes) || (!body && !t->shared)) return Behind::alone;
  if (!body) return t->reserve(bytes) ? Behind::bring : Behind::room;
  if (!t->put(source, tag, encoding, body, bytes, arrival)) return Behind::room;
  ++counters_.received;
  counters_.bytes_received += bytes;
  tell_taken(r);
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
  Taker* t = r->taker;
  if (t->shared && why == Behind::alone) t->describe_unfit(t->backlog.first());
  t->set_behind(why);
  drop_wants(r);
  if (why == Behind::bring) bring(r);
  else tell_taken(r);
}

// The next one's body, to where there is room for it in the ring.
void Engine::bring(Request* r) {
  Taker* t = r->taker;
  Block* b = t->backlog.first();
  Request* courier = t->courier;
  unsigned char* place = t->reserve(b->bytes);
  if (!place) return t->set_behind(Behind::room);  // a reader wrote nonsense where it says how far it has read
  matcher_.remove_unexpected(b);
  courier->takes = Takes::courier;
  courier->queue = r->queue;
  courier->peer = b->source;
  courier->tag = b->tag;
  courier->context = b->context;
  courier->memory = place;
  courier->bytes = b->bytes;
  t->carrying = true;
  t->carried = b->arrival;
  r->queue->known.append(courier);
  if (pull_block(courier, b)) return;
  drop(b);
  r->queue->known.remove(courier);
  t->carrying = false;
  retry_ = true;
}

// The courier has ended, somehow. What it could not bring comes no more, or is nobody's: it was taken back.
void Engine::brought(Request* courier) {
  Taker* t = courier->taker;
  t->carrying = false;
  if (courier->status == Status::ok) t->publish(courier->from, courier->got_tag, courier->got_encoding, courier->got_bytes, t->carried);
  courier->abandon.store(false, std::memory_order_relaxed);
  if (t->stream->state == RequestState::ending) return complete(t->stream, t->stream->status);
  tell_taken(t->stream);
  retry_ = true;  // the next one
}

bool Engine::queues_ready() const {
  for (const Request* r = matcher_.last_posted(); r && r->takes == Takes::stream; r = Matcher::previous_posted(r))
    if (r->taker->ready()) return true;
  return false;
}

// Shared rings whose readers have made room, or what could not go there has gone elsewhere.
void Engine::feed_queues() {
  for (Request *r = matcher_.last_posted(), *before; r && r->takes == Takes::stream; r = before) {
    before = Matcher::previous_posted(r);
    if (r->taker->ready()) resume(r);
  }
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
    if (fed++ < kFed) why = give(r, b->source, b->tag, b->encoding, body_for(r, b), b->bytes, b->arrival);
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

// What can be copied into its ring here and now; null: it has to be received in another way.
const unsigned char* Engine::body_for(const Request* r, Block* b) const {
  if (b->offer) return nullptr;
  if (!b->parcel) return b->body();
  return r->taker->shared ? b->parcel->body() : nullptr;  // else its thread takes the memory itself
}

// A block whose body is in the ring now.
void Engine::given(Block* b) {
  if (trace::on()) trace_match(0, b, 0);
  if (Parcel* parcel = b->parcel) {
    if (Request* sender = parcel->sender) {
      parcel->sender = nullptr;
      sender->parcel = nullptr;
      complete(sender, Status::ok);
    }
    spent_.push(parcel);
    return;
  }
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
