// A thread that does what a JavaScript thread does, in the same order: see native/binding/waiting.cc and messages.cc.
#include "member.h"

#include "../../../native/binding/stages.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace kill_test {
namespace {

constexpr uint64_t short_copy = 256 * 1024;  // as waiting.cc
constexpr size_t queue_words = queue_layout::records + queue_layout::capacity * queue_layout::record_words;

Body body_of(const Operation* o, const uint32_t* record) {
  const Request& r = *o;
  if (r.status != Status::ok || r.is_send) return {nullptr, 0};
  switch (r.storage) {
    case Storage::in_record:
      return {reinterpret_cast<const unsigned char*>(record + queue_layout::inlined), r.got_bytes};
    case Storage::block: return {r.parcel ? r.parcel->body() : r.block->body(), r.got_bytes};
    case Storage::stage: return {r.stage, r.got_bytes};
    default: return {r.memory, r.got_bytes};
  }
}

void watch(int set, int descriptor, uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.fd = descriptor;
  if (epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event) != 0) abort();
}

}  // namespace

bool Member::join(const char* address, uint32_t rank, uint32_t size) {
  bootstrap::Refusal refusal = bootstrap::Refusal::none;
  Settings settings;
  settings.reads_peers = rank % 3 != 2;  // every third has bodies sent in packets
  environment_ = new Environment;
  environment_->queue.words = static_cast<uint32_t*>(calloc(queue_words, sizeof(uint32_t)));
  environment_->queue.owner = static_cast<Waker*>(environment_);
  environment_->notify_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  waits_ = epoll_create1(EPOLL_CLOEXEC);
  rank_ = environment_->rank = acquire_rank(address, rank, size, settings, &refusal);
  if (!rank_) return false;
  watch(waits_, environment_->notify_descriptor, EPOLLIN);
  watch(waits_, rank_->bell, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET);
  register_bell_last(rank_);

  Request joining;
  joining.queue = &environment_->queue;
  enter_waiting(rank_->engine);
  environment_->queue.known.append(&joining);
  const bool at_once = rank_->state.load() == Rank::State::joined;
  if (at_once) rank_->engine.complete(&joining, Status::ok);
  else if (rank_->state.load() == Rank::State::joining) rank_->joiners.append(&joining);
  else rank_->engine.complete(&joining, Status::refused);
  rank_->engine.leave(&environment_->queue);
  CompletionQueue& queue = environment_->queue;
  while (queue_word(environment_, queue_layout::head).load(std::memory_order_acquire) == 0) wait(-1);
  queue.reaped.store(1, std::memory_order_release);
  return joining.status == Status::ok;
}

void Member::leave() {
  for (bool done = false; !done;) {
    enter_waiting(rank_->engine);
    done = rank_->engine.detach(&environment_->queue);
    rank_->engine.leave(&environment_->queue);
    if (!done) sched_yield();
  }
  while (drain()) continue;
  nudge_progress(rank_);
  release_rank(rank_);
  close(environment_->notify_descriptor);
  close(waits_);
  free(environment_->queue.words);
  delete environment_;
  rank_ = nullptr;
}

bool Member::send(Operation* o, int32_t dest, int32_t tag, bool synchronous, uint32_t count) {
  Engine& engine = rank_->engine;
  Request& r = *o;
  const uint64_t bytes = o->body.bytes;
  r.is_send = true;
  r.synchronous = synchronous;
  r.peer = dest;
  r.tag = tag;
  r.memory = o->body.data.get();
  r.bytes = bytes;
  r.submission_kind = SubmissionKind::send;
  if (!synchronous && bytes <= engine.limits().eager_bytes && engine.try_enter()) {
    Part parts[8];
    for (uint32_t i = 0; i < count; ++i) {
      const uint64_t begin = bytes * i / count, end = bytes * (i + 1) / count;
      parts[i] = {r.memory + begin, end - begin};
    }
    Status failure = Status::ok;
    const Sent sent = engine.send_now(dest, tag, 0, 0, parts, count, &failure);
    engine.leave(&environment_->queue);
    copy_what_waits();
    r.status = failure;
    if (sent != Sent::later) return true;
  }
  post(o);
  return false;
}

void Member::receive(Operation* o, int32_t source, int32_t tag, uint64_t capacity) {
  Request& r = *o;
  r.peer = source;
  r.tag = tag;
  r.memory = o->body.data.get();
  r.bytes = r.memory ? o->body.bytes : capacity;
  r.submission_kind = SubmissionKind::receive;
  post(o);
}

void Member::post(Operation* o) {
  o->queue = &environment_->queue;
  o->state = RequestState::submitted;
  ++outstanding_;
  rank_->engine.submit(o, &environment_->queue);
  copy_what_waits();
}

bool Member::cancel(Operation* o) {
  enter_waiting(rank_->engine);
  const bool cancelled = rank_->engine.cancel(o);
  rank_->engine.leave(&environment_->queue);
  copy_what_waits();
  return cancelled;
}

void Member::copy_what_waits() {
  while (environment_->copies_wait) {
    environment_->copies_wait = false;
    if (copy_one(rank_, short_copy, &environment_->queue, false)) continue;
    nudge_progress(rank_);
    environment_->copies_wait = false;
  }
}

bool Member::settle_records() {
  CompletionQueue& queue = environment_->queue;
  const uint32_t head = queue_word(environment_, queue_layout::head).load(std::memory_order_acquire);
  uint32_t next = queue.reaped.load(std::memory_order_relaxed);
  if (next == head) return false;
  for (; next != head; queue.reaped.store(++next, std::memory_order_release)) {
    Request* r = queue.emitted[next % queue_layout::capacity];
    const uint32_t* record =
        queue.words + queue_layout::records + next % queue_layout::capacity * queue_layout::record_words;
    auto* o = static_cast<Operation*>(r);
    --outstanding_;
    o->listener->settled(o, body_of(o, record));
    if (r->block) rank_->engine.pool().give_back(r->block);
    free(r->parcel);
    if (r->stage) give_stage(r->stage, r->stage_bytes);
    delete o;
  }
  return true;
}

bool Member::drain() {
  Engine& engine = rank_->engine;
  copy_what_waits();
  const bool any = settle_records();
  if (environment_->queue.waits.load(std::memory_order_relaxed) > 0) {
    enter_waiting(engine);
    engine.refill(&environment_->queue);
    engine.leave(&environment_->queue);
    copy_what_waits();
    return true;
  }
  if (engine.pool().any_returned()) {
    engine.poll(&environment_->queue);
    copy_what_waits();
  }
  return any;
}

void Member::wait(int descriptor) {
  if (descriptor != watched_) {
    if (watched_ >= 0) epoll_ctl(waits_, EPOLL_CTL_DEL, watched_, nullptr);
    if (descriptor >= 0) watch(waits_, descriptor, EPOLLIN);
    watched_ = descriptor;
  }
  epoll_event events[4];
  const int count = epoll_wait(waits_, events, 4, -1);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.fd == environment_->notify_descriptor) {
      uint64_t rings;
      (void)!read(environment_->notify_descriptor, &rings, sizeof rings);
      environment_->queue.signalled.exchange(0, std::memory_order_seq_cst);
    } else if (events[i].data.fd == rank_->bell) {
      rank_->engine.poll(&environment_->queue);
      copy_what_waits();
    }
  }
}

}  // namespace kill_test
