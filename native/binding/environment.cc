// One JavaScript thread's life in its event loop; see environment.h.
#include "environment.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <new>

#include "../doorbell/system_call.h"

namespace carillon {
namespace {

// The adaptive wait: how long a thread looks before its loop blocks, and when it gives up.
constexpr uint64_t kLook = 50'000;           // ns without a completion
constexpr uint64_t kLookAround = 5'000;      // ns between looks at the loop's other descriptors, a system call
constexpr uint64_t kTurn = 1'000'000;        // ns in one turn of the loop, so that its timers and sockets get theirs
constexpr uint64_t kLull = 10'000'000;       // ns without a completion that end a conversation
constexpr uint32_t kLosses = 3;              // in a row, then back off
constexpr uint64_t kBackOffFirst = 1'000'000, kBackOffMost = 64'000'000;
constexpr uint64_t kShortCopy = 256 * 1024;  // bytes a JavaScript thread copies by itself

std::atomic<uint32_t>& word(Environment* e, uint32_t index) {
  return *reinterpret_cast<std::atomic<uint32_t>*>(e->queue.words + index);
}

bool has_records(Environment* e) {
  return word(e, 0).load(std::memory_order_acquire) != word(e, 16).load(std::memory_order_relaxed);
}

void drain_counter(int descriptor) {
  uint64_t count;
  (void)!read(descriptor, &count, sizeof count);
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  asm volatile("yield");
#endif
}

// Frees what JavaScript has drained, by whatever way, and has the room filled with what waits for it. Are there records?
bool bring_records(Environment* e) {
  reap(e);
  if (!e->rank) return has_records(e);
  Engine& engine = e->rank->engine;
  if (e->queue.waits.load(std::memory_order_relaxed) > 0) {
    enter_waiting(engine);
    engine.refill(&e->queue);
    engine.leave(&e->queue);
    after_leave(e);
  }
  if (engine.pool().any_returned()) {
    engine.poll(&e->queue);  // blocks go back, and credit with them
    after_leave(e);
  }
  return has_records(e);
}

// One call into JavaScript settles everything in the queue; promise reactions run before it returns.
void call_drain(Environment* e) {
  for (int turn = 0; turn < 4 && !e->ending && bring_records(e); ++turn) {
    e->conversing = e->talked = true;
    show_records(e);
    napi_handle_scope scope;
    if (napi_open_handle_scope(e->env, &scope) != napi_ok) return;
    napi_value receiver, function, result;
    napi_get_global(e->env, &receiver);
    napi_get_reference_value(e->env, e->drain, &function);
    napi_status status = napi_make_callback(e->env, e->context, receiver, function, 0, nullptr, &result);
    if (status == napi_pending_exception) {
      napi_value error;
      if (napi_get_and_clear_last_exception(e->env, &error) == napi_ok) napi_fatal_exception(e->env, error);
    }
    napi_close_handle_scope(e->env, scope);
    if (status != napi_ok && status != napi_pending_exception) return;  // the thread is being terminated
    if (!e->rank) return;
  }
  if (bring_records(e)) signal_descriptor(e->notify_descriptor);  // the loop's other callbacks first
}

void on_notify(uv_poll_t* handle, int, int) {
  auto* e = static_cast<Environment*>(handle->data);
  drain_counter(e->notify_descriptor);
  e->queue.signalled.exchange(0, std::memory_order_seq_cst);  // then look at the records; pairs with notify in rank.cc
  ++e->wakes;
  call_drain(e);
}

void on_bell(uv_poll_t* handle, int, int) {
  auto* e = static_cast<Environment*>(handle->data);
  if (!e->rank) return;
  ++e->wakes;
  e->rank->engine.poll(&e->queue);
  after_leave(e);
  call_drain(e);
}

bool peer_shares_processor(Environment* e) {
  Engine& engine = e->rank->engine;
  const Port* port = engine.peer(engine.last_peer()).port;
  return port && port->processor->load(std::memory_order_relaxed) == static_cast<uint32_t>(sched_getcpu()) + 1;
}

// Looks at the rings until something for this thread completes. Ends early when any other descriptor of the loop
// becomes ready. Returns whether it paid.
bool look_for_a_while(Environment* e, uint64_t deadline) {
  Engine& engine = e->rank->engine;
  if (!engine.try_enter()) return false;
  bool won = false;
  uint64_t look_around_at = now_ns() + kLookAround;
  engine.step(&e->queue);
  for (uint32_t spins = 1;; ++spins) {
    if (has_records(e)) {
      won = true;
      break;
    }
    if (e->copies_wait) break;
    if (engine.pending() || engine.look()) {
      engine.step(&e->queue);
      continue;
    }
    if (spins % 64) continue;
    relax();
    uint64_t now = now_ns();
    if (now > deadline || peer_shares_processor(e)) break;
    if (now > look_around_at) {
      look_around_at = now + kLookAround;
      pollfd others = {uv_backend_fd(e->loop), POLLIN, 0};
      if (poll(&others, 1, 0) > 0) break;
    }
  }
  engine.leave(&e->queue);
  after_leave(e);
  return won || has_records(e);
}

void adaptive_wait(Environment* e) {
  uint64_t start = now_ns();
  if (start < e->wait_again_at || peer_shares_processor(e)) return;
  for (;;) {
    int timeout = uv_backend_timeout(e->loop);
    if (timeout == 0) return;  // the loop would not block anyway
    uint64_t begin = now_ns();
    if (begin - start > kTurn) {
      uv_idle_start(e->idle, [](uv_idle_t* idle) { uv_idle_stop(idle); });  // one turn that does not block
      return;
    }
    if (!look_for_a_while(e, begin + kLook)) {
      ++e->waits_lost;
      if (++e->losses >= kLosses) {
        e->back_off = e->back_off ? e->back_off * 2 : kBackOffFirst;
        if (e->back_off > kBackOffMost) e->back_off = kBackOffMost;
        e->wait_again_at = now_ns() + e->back_off;
      }
      return;
    }
    ++e->waits_won;
    e->losses = 0;
    e->back_off = 0;
    call_drain(e);
    if (e->ending || !e->rank || e->outstanding == 0) return;
  }
}

void set_timer(int timer, uint64_t ns) {
  const itimerspec once = {{0, 0}, {0, static_cast<long>(ns)}};
  timerfd_settime(timer, 0, &once, nullptr);
}

// After a completion the next one is often near. One wait of libuv is two system calls and a turn of the loop; waiting
// here first saves both, until nothing came for a while. Nothing is taken from the loop: its epoll set is nested in this
// one, and when anything in it becomes ready the loop goes on as ever. A timer that is set once for many waits ends it:
// a time-out for each wait would reprogram the processor's timer each time, 15 µs in a virtual machine.
void converse(Environment* e) {
  uint64_t start = now_ns();
  for (uint32_t turns = 1; e->conversing; ++turns) {
    int timeout = uv_backend_timeout(e->loop);
    if (timeout == 0) return;
    if (!e->lull_set) set_timer(e->lull, kLull);
    e->lull_set = true;
    bool limited = timeout > 0 && static_cast<uint64_t>(timeout) * 1'000'000 < kLull;
    epoll_event events[3];
    int count = epoll_wait(e->conversation, events, 3, limited ? timeout : -1);
    bool rang = false, loop_ready = count <= 0;
    for (int i = 0; i < count; ++i) {
      if (events[i].data.fd == e->rank->bell) {
        rang = true;
      } else if (events[i].data.fd == e->lull) {
        drain_counter(e->lull);
        e->lull_set = false;
        e->conversing = e->talked;
        e->talked = false;
      } else {
        loop_ready = true;
      }
    }
    if (rang) {  // or rang while we waited in libuv, and this set still tells of it
      ++e->wakes;
      e->rank->engine.poll(&e->queue);
      after_leave(e);
      call_drain(e);
    }
    if (loop_ready || e->ending || !e->rank || e->outstanding == 0) return;
    if (turns % 16 == 0 && now_ns() - start > kTurn) return;
  }
}

// libuv has added the bell to its epoll set by now: replace its entry by one with EPOLLEXCLUSIVE. The mask is never
// changed afterwards, so libuv never modifies the entry, which the kernel would refuse. Edge-triggered: every ring wakes
// once and nobody has to read the counter.
void make_bell_exclusive(Environment* e) {
  int backend = uv_backend_fd(e->loop);
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLET;
  event.data.fd = e->rank->bell;
  // The kernel asks in order of arrival who sleeps: the conversation, the loop, other loops, the progress thread. The
  // conversation before the loop, else a ring that reaches it would make the loop's set ready too.
  bool added = epoll_ctl(backend, EPOLL_CTL_DEL, e->rank->bell, nullptr) == 0;
  e->conversation = epoll_create1(EPOLL_CLOEXEC);
  e->lull = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  epoll_ctl(e->conversation, EPOLL_CTL_ADD, e->rank->bell, &event);
  if (added) epoll_ctl(backend, EPOLL_CTL_ADD, e->rank->bell, &event);
  event.events = EPOLLIN;
  for (int descriptor : {backend, e->lull}) {
    event.data.fd = descriptor;
    epoll_ctl(e->conversation, EPOLL_CTL_ADD, descriptor, &event);
  }
  register_bell_last(e->rank);
  e->bell_place = Environment::BellPlace::exclusive;
}

void on_prepare(uv_prepare_t* handle) {
  auto* e = static_cast<Environment*>(handle->data);
  call_drain(e);
  if (!e->rank) return;
  if (e->bell_place == Environment::BellPlace::asked) {
    // The first turn after watch_bell adds it, the second finds it added.
    e->bell_place = Environment::BellPlace::none;
  } else if (e->bell_place == Environment::BellPlace::none && e->bell) {
    make_bell_exclusive(e);
  }
  if (e->outstanding == 0 || e->rank->size == 1 || e->rank->state.load() != Rank::State::joined) return;
  if (e->adaptive) adaptive_wait(e);
  if (e->rank && !e->ending && e->conversation >= 0 && e->outstanding > 0) converse(e);
}

template <typename Handle>
void close_handle(Environment* e, Handle*& handle) {
  if (!handle) return;
  ++e->closing_handles;
  uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t* closed) {
    auto* environment = static_cast<Environment*>(closed->data);
    delete reinterpret_cast<Handle*>(closed);
    if (--environment->closing_handles == 0 && environment->ending) {
      close(environment->notify_descriptor);
      napi_remove_async_cleanup_hook(environment->cleanup);
      for (uint32_t i = 0; i < environment->chunk_count; ++i) delete[] environment->chunks[i];
      free(environment->chunks);
      delete environment;
    }
  });
  handle = nullptr;
}

// The thread ends, orderly or by terminate: nothing of ours may touch its memory from here on.
void on_cleanup(napi_async_cleanup_hook_handle, void* argument) {
  auto* e = static_cast<Environment*>(argument);
  e->ending = true;
  detach_from_rank(e);
  napi_set_instance_data(e->env, nullptr, nullptr, nullptr);
  close_handle(e, e->notify);
  close_handle(e, e->prepare);
  close_handle(e, e->idle);
}

}  // namespace

uint64_t now_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

Environment* environment_of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return static_cast<Environment*>(data);
}

napi_status attach_environment(napi_env env, napi_value queue, napi_value drain, bool adaptive) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  napi_status status = napi_get_typedarray_info(env, queue, &type, &length, &data, nullptr, nullptr);
  if (status != napi_ok) return status;
  auto* e = new (std::nothrow) Environment;
  if (!e) return napi_generic_failure;
  e->env = env;
  e->adaptive = adaptive;
  e->queue.words = static_cast<uint32_t*>(data);
  e->queue.owner = e;
  e->notify_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (e->notify_descriptor < 0 || napi_get_uv_event_loop(env, &e->loop) != napi_ok) {
    delete e;
    return napi_generic_failure;
  }
  napi_create_reference(env, queue, 1, &e->queue_reference);
  napi_create_reference(env, drain, 1, &e->drain);
  napi_value name;
  napi_create_string_utf8(env, "carillon", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, nullptr, name, &e->context);
  e->notify = new uv_poll_t;
  e->prepare = new uv_prepare_t;
  e->idle = new uv_idle_t;
  uv_poll_init(e->loop, e->notify, e->notify_descriptor);
  uv_prepare_init(e->loop, e->prepare);
  uv_idle_init(e->loop, e->idle);
  e->notify->data = e->prepare->data = e->idle->data = e;
  uv_poll_start(e->notify, UV_READABLE, on_notify);
  uv_prepare_start(e->prepare, on_prepare);
  for (uv_handle_t* h : {reinterpret_cast<uv_handle_t*>(e->notify), reinterpret_cast<uv_handle_t*>(e->prepare),
                         reinterpret_cast<uv_handle_t*>(e->idle)})
    uv_unref(h);
  napi_add_async_cleanup_hook(env, on_cleanup, e, &e->cleanup);
  return napi_set_instance_data(env, e, nullptr, nullptr);
}

void watch_bell(Environment* e) {
  e->bell = new uv_poll_t;
  uv_poll_init(e->loop, e->bell, e->rank->bell);
  e->bell->data = e;
  // Never read: until the entry is edge-triggered a bell that has rung makes the loop look at once, which is right.
  uv_poll_start(e->bell, UV_READABLE, on_bell);
  uv_unref(reinterpret_cast<uv_handle_t*>(e->bell));
  e->bell_place = Environment::BellPlace::asked;
}

void after_leave(Environment* e) {
  while (e->copies_wait) {
    e->copies_wait = false;
    if (!copy_one(e->rank, kShortCopy, &e->queue)) {
      nudge_progress(e->rank);
      e->copies_wait = false;
    }
  }
}

namespace {

// All requests have ended: JavaScript hears of each, however many there are. False: it cannot any more.
bool drain_completely(Environment* e) {
  while (!e->ending && bring_records(e)) {
    show_records(e);
    napi_value receiver, function, result;
    napi_get_global(e->env, &receiver);
    napi_get_reference_value(e->env, e->drain, &function);
    if (napi_call_function(e->env, receiver, function, 0, nullptr, &result) != napi_ok) return false;
  }
  return !e->ending;
}

// The thread goes without looking: its messages are lost with it, their memory and their credit are not.
void forget_requests(Environment* e) {
  for (uint32_t i = 0; i < e->chunk_count * Environment::kChunk; ++i) {
    Request* r = request_at(e, i);
    if (r->state != RequestState::idle) free_request(e, r);
  }
  e->queue.waiting = {};
  e->queue.waits.store(0, std::memory_order_relaxed);
  e->queue.reaped.store(e->queue.head, std::memory_order_relaxed);
  e->outstanding = e->keeping_alive = 0;
  e->rank->engine.poll(&e->queue);
  if (!e->ending) update_reference(e);
}

}  // namespace

void detach_from_rank(Environment* e) {
  if (!e->rank) return;
  Rank* rank = e->rank;
  bool done = false;
  while (!done) {
    enter_waiting(rank->engine);
    for (Request *r = rank->joiners.first(), *next; r; r = next) {
      next = RequestList::next(r);
      if (r->queue != &e->queue) continue;
      rank->joiners.remove(r);
      rank->engine.complete(r, Status::closed);
    }
    done = rank->engine.detach(&e->queue);
    rank->engine.leave(&e->queue);
    if (!done) sched_yield();  // for a chunk of a copy into this thread's memory
  }
  // While the pool still stands: bodies that JavaScript has not seen lie in it.
  if (!drain_completely(e)) forget_requests(e);
  e->rank = nullptr;
  close_handle(e, e->bell);
  if (e->conversation >= 0) close(e->conversation);
  if (e->lull >= 0) close(e->lull);
  e->conversation = e->lull = -1;
  e->lull_set = false;
  e->bell_place = Environment::BellPlace::none;
  e->copies_wait = false;
  nudge_progress(rank);  // bodies of other threads' requests may wait to be copied
  release_rank(rank);
}

// ---- requests -------------------------------------------------------------------------------------------------------

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
  return r;
}

void free_request(Environment* e, Request* r) {
  if (r->owned) free(r->owned);
  if (r->stage) free(r->stage);
  if (r->parcel) free(r->parcel);
  if (r->block && e->rank) e->rank->engine.pool().give_back(r->block);
  r->owned = r->memory = r->stage = nullptr;
  r->parcel = nullptr;
  r->block = nullptr;
  r->storage = Storage::none;
  r->state = RequestState::idle;
  r->synchronous = false;
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
  word(e, 17).store(word(e, 0).load(std::memory_order_acquire), std::memory_order_relaxed);
}

void reap(Environment* e) {
  uint32_t head = word(e, 0).load(std::memory_order_acquire);
  uint32_t tail = word(e, 16).load(std::memory_order_relaxed);
  uint32_t reaped = e->queue.reaped.load(std::memory_order_relaxed);
  if (tail - reaped > head - reaped) return;  // JavaScript claims more than there was
  while (reaped != tail) {
    Request* r = e->queue.emitted[reaped % 512];
    --e->outstanding;
    if (r->keeps_alive) --e->keeping_alive;
    free_request(e, r);
    ++reaped;
  }
  e->queue.reaped.store(reaped, std::memory_order_release);  // pairs with has_record
  update_reference(e);
}

}  // namespace carillon
