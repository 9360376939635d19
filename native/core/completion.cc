// Completion records: how the end of a request reaches its JavaScript thread. Layout: Queue in src/native.ts.
#include "bytes.h"
#include "engine.h"

namespace carillon {

namespace {

using namespace queue_layout;

std::atomic<uint32_t>& word(uint32_t* words, uint32_t index) {
  return *reinterpret_cast<std::atomic<uint32_t>*>(words + index);
}

}  // namespace

bool Engine::has_record(const CompletionQueue* queue) const {
  return queue->head - queue->reaped.load(std::memory_order_acquire) < capacity;
}

void Engine::complete(Request* r, Status status) {
  if (trace::on()) trace_complete(r, status);
  r->state = RequestState::completed;
  r->status = status;
  r->queue->known.remove(r);
  if (any_stalled_) retry_ = true;  // the next in its line may need no block
  if (r->takes == Takes::courier) return brought(r);
  if (r->takes == Takes::stream && r->taker->shared) {
    r->taker->close(static_cast<uint32_t>(status), r->from);
    tell_taken(r);
  }
  if (!r->at_once) emit(r);
}

void Engine::emit(Request* r) {
  CompletionQueue* queue = r->queue;
  if (!queue->waiting.empty() || !has_record(queue)) {
    queue->waiting.append(r);
    queue->waits.store(queue->waits.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  } else {
    write_record(r);
  }
  make_dirty(queue);
}

void Engine::make_dirty(CompletionQueue* queue) {
  if (queue->dirty) return;
  queue->dirty = true;
  queue->next_dirty = dirty_;
  dirty_ = queue;
}

// Something else than a record: a peer has ended, or sends came to wait or wait no more.
void Engine::tell_news(CompletionQueue* queue) {
  CARILLON_STEP("completion.news");
  word(queue->words, news).store(1, std::memory_order_seq_cst);  // pairs with the thread, which clears it before it looks
  make_dirty(queue);
}

void Engine::refill(CompletionQueue* queue) {
  while (!queue->waiting.empty() && has_record(queue)) {
    write_record(queue->waiting.pop());
    queue->waits.store(queue->waits.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  }
}

void fill_record(uint32_t* record, const Request* r) {
  record[0] = r->index;
  record[1] = static_cast<uint32_t>(r->status);
  record[2] = static_cast<uint32_t>(r->from);
  record[3] = static_cast<uint32_t>(r->got_tag);
  record[4] = r->got_encoding;
  record[5] = static_cast<uint32_t>(r->storage);
  record[6] = static_cast<uint32_t>(r->got_bytes);
  record[7] = static_cast<uint32_t>(r->got_bytes >> 32);
  record[8] = static_cast<uint32_t>(r->detail);
  record[9] = static_cast<uint32_t>(r->code);
  record[10] = static_cast<uint32_t>(r->signal);
  if (r->storage == Storage::in_record) copy_bytes(record + queue_layout::inlined, r->inlined, r->got_bytes);
}

void Engine::write_record(Request* r) {
  CompletionQueue* queue = r->queue;
  fill_record(queue->words + records + queue->head % capacity * record_words, r);
  queue->emitted[queue->head % capacity] = r;
  CARILLON_STEP("completion.publish");
  word(queue->words, queue_layout::head).store(++queue->head, std::memory_order_seq_cst);  // pairs with the thread's acquiring load
}

}  // namespace carillon
