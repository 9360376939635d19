// The requests of a JavaScript thread: a slab of its own, and what they do to the life of its event loop; see environment.h.
#include <stdlib.h>

#include <new>

#include "../core/taker.h"
#include "environment.h"
#include "stages.h"

namespace carillon {

Request* allocate_request(Environment* e) {
  reap(e);
  if (!e->free_requests) {
    auto** chunks = static_cast<Request**>(realloc(e->chunks, (e->chunk_count + 1) * sizeof(Request*)));
    if (!chunks) return nullptr;
    e->chunks = chunks;
    auto* chunk = new (std::nothrow) Request[Environment::kChunk];
    if (!chunk) return nullptr;
    e->chunks[e->chunk_count] = chunk;
    for (uint32_t i = Environment::kChunk; i-- > 0;) {
      chunk[i].index = e->chunk_count * Environment::kChunk + i;
      chunk[i].queue = &e->queue;
      chunk[i].next_submission = e->free_requests;
      e->free_requests = &chunk[i];
    }
    ++e->chunk_count;
  }
  Request* r = e->free_requests;
  e->free_requests = static_cast<Request*>(r->next_submission);
  r->state = RequestState::submitted;
  r->keeps_alive = true;
  ++e->requests;
  return r;
}

void free_request(Environment* e, Request* r) {
  --e->requests;
  settle_pages(r);
  if (r->owned) give_stage(static_cast<unsigned char*>(r->owned), r->owned_bytes);
  if (r->stage) give_stage(r->stage, r->stage_bytes);
  if (r->parcel) free_parcel(r->parcel);
  if (r->taker) delete r->taker->courier;
  delete r->taker;
  if (r->block && e->rank) e->rank->engine.pool().give_back(r->block);
  r->owned = r->memory = r->stage = nullptr;
  r->parcel = nullptr;
  r->taker = nullptr;
  r->block = nullptr;
  r->storage = Storage::none;
  r->owned_bytes = 0;
  r->state = RequestState::idle;
  r->synchronous = false;
  r->takes = Takes::message;
  r->list = false;
  r->abandon.store(false, std::memory_order_relaxed);
  r->next_submission = e->free_requests;
  e->free_requests = r;
}

Request* request_at(Environment* e, uint32_t index) {
  if (index / Environment::kChunk >= e->chunk_count) return nullptr;
  return &e->chunks[index / Environment::kChunk][index % Environment::kChunk];
}

void count_outstanding(Environment* e, Request* r) {
  ++e->outstanding;
  if (r->keeps_alive) ++e->keeping_alive;
  update_reference(e);
}

void keep_alive(Environment* e, Request* r, bool keeps) {
  if (r->keeps_alive == keeps) return;
  r->keeps_alive = keeps;
  e->keeping_alive += keeps ? 1 : -1u;
  update_reference(e);
}

void update_reference(Environment* e) {
  bool wanted = e->may_keep_alive && e->keeping_alive > 0;
  if (wanted == e->referenced) return;
  e->referenced = wanted;
  if (!e->notify) return;
  auto* handle = reinterpret_cast<uv_handle_t*>(e->notify);
  wanted ? uv_ref(handle) : uv_unref(handle);
}

void show_records(Environment* e) {
  queue_word(e, 17).store(queue_word(e, 0).load(std::memory_order_acquire), std::memory_order_relaxed);
}

void free_held(Environment* e) {
  for (uint32_t i = 0; i < e->chunk_count * Environment::kChunk; ++i)
    if (Request* r = request_at(e, i); r->state == RequestState::held) free_request(e, r);
}

void reap(Environment* e) {
  uint32_t head = queue_word(e, 0).load(std::memory_order_acquire);
  uint32_t tail = queue_word(e, 16).load(std::memory_order_relaxed);
  uint32_t reaped = e->queue.reaped.load(std::memory_order_relaxed);
  if (tail - reaped > head - reaped) return;  // JavaScript claims more than there was
  while (reaped != tail) {
    Request* r = e->queue.emitted[reaped % 512];
    --e->outstanding;
    if (r->keeps_alive) --e->keeping_alive;
    if (r->takes == Takes::envelope && r->status == Status::ok) r->state = RequestState::held;
    else free_request(e, r);
    ++reaped;
  }
  e->queue.reaped.store(reaped, std::memory_order_release);  // pairs with has_record
  update_reference(e);
}

}  // namespace carillon
