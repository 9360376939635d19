// How a JavaScript thread waits and wakes: its bell, its completions, the adaptive wait, the conversation.
// Responsible for never losing a record and never holding up the rest of the loop; not for progress itself (core).
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "../core/relax.h"
#include "../doorbell/system_call.h"
#include "environment.h"
#include "tracing.h"

namespace carillon {
namespace {

// The adaptive wait: how long a thread looks before its loop blocks, and when it gives up.
constexpr uint64_t kLook = 50'000;           // ns without a completion
constexpr uint64_t kLookForBodies = 150'000;  // the same where long bodies come and go, which take their time
constexpr uint64_t kLongBody = 2 << 20;      // bytes: while a peer pulls one of more this thread sleeps
constexpr uint64_t kLookMost = 1'000'000;    // ns, while a peer copies a body of ours, which may want the next part pushed
constexpr uint64_t kLookAround = 5'000;      // ns between looks at the loop's other descriptors, a system call
constexpr int kTurns = 8;                    // of JavaScript in one turn of the loop, before it polls
constexpr int kRest = 200;                   // about 5 µs
constexpr uint64_t kStall = 15'000;          // ns before a body that its sender does not push is pulled
constexpr uint64_t kRing = 20'000;           // ns before a peer that does not look is rung, by a thread that goes on looking itself
constexpr uint64_t kTurn = 1'000'000;        // ns in one turn of the loop, so that its timers and sockets get theirs
constexpr uint64_t kLull = 10'000'000;       // ns without a completion that end a conversation
constexpr uint32_t kLosses = 3;              // in a row, then back off
constexpr uint64_t kBackOffFirst = 1'000'000, kBackOffMost = 64'000'000;
constexpr uint64_t kShortCopy = 1 << 20;     // bytes a JavaScript thread copies by itself: waking another costs as much

// Or something in the rings of its takers, or other news.
bool has_records(Environment* e) {
  if (queue_word(e, queue_layout::taken).load(std::memory_order_acquire)) return true;
  if (queue_word(e, queue_layout::news).load(std::memory_order_acquire)) return true;
  return queue_word(e, 0).load(std::memory_order_acquire) != queue_word(e, 16).load(std::memory_order_relaxed);
}

// For who has something long to copy (placing.h): this thread needs no processor until something comes.
void say_waiting(Environment* e) { e->rank->waiter.store(e->thread, std::memory_order_relaxed); }

void say_awake(Environment* e) {
  if (e->rank->waiter.load(std::memory_order_relaxed) == e->thread) e->rank->waiter.store(-1, std::memory_order_relaxed);
}

void drain_counter(int descriptor) {
  uint64_t count;
  (void)!read(descriptor, &count, sizeof count);
}

// One call into JavaScript settles everything in the queue; promise reactions run before it returns.
void call_drain(Environment* e) {
  for (int turn = 0; turn < 4 && !e->ending && bring_records(e); ++turn) {
    e->conversing = e->talked = true;
    e->streams = queue_word(e, queue_layout::taken).load(std::memory_order_relaxed) != 0;
    say_running(e, true);
    show_records(e);
    napi_handle_scope scope;
    if (napi_open_handle_scope(e->env, &scope) != napi_ok) return;
    napi_value receiver, function, result;
    napi_get_global(e->env, &receiver);
    napi_get_reference_value(e->env, e->drain, &function);
    const uint64_t begin = trace::begin();
    napi_status status = napi_make_callback(e->env, e->context, receiver, function, 0, nullptr, &result);
    if (begin) trace::record(trace::Kind::drain, begin, {});
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

// Is any other descriptor of the loop ready? The bell may have rung before its ringer saw that we look: that is answered here, and
// since its entry is edge-triggered, and all of libuv's are not, asking takes nothing else from the loop.
bool others_ready(Environment* e) {
  epoll_event events[4];
  long count = system_call(SYS_epoll_pwait, uv_backend_fd(e->loop), reinterpret_cast<long>(events), 4, 0);
  for (long i = 0; i < count; ++i)
    if (events[i].data.fd != e->rank->bell) return true;
  return false;
}

// Short bodies; a thread that would only wait copies any, part by part, until its loop or JavaScript has something else to do, and leaves the rest to
// the progress thread. False: that has been asked.
bool copy_bodies(Environment* e, bool waits) {
  bool all = true;
  uint64_t end = UINT64_MAX;
  if (const int timeout = e->copies_wait && waits ? uv_backend_timeout(e->loop) : -1; timeout >= 0)
    end = now_ns() + static_cast<uint64_t>(timeout) * 1'000'000;
  for (bool copied = false; e->copies_wait; copied = true) {
    e->copies_wait = false;
    if (waits && copied) waits = !has_records(e) && now_ns() < end && !others_ready(e);
    if (copy_one(e->rank, waits ? UINT64_MAX : kShortCopy, &e->queue, waits)) continue;
    if (waits) say_waiting(e);  // before the other thread wakes, on this processor perhaps
    nudge_progress(e->rank);
    e->copies_wait = all = false;
  }
  return all;
}

// The same where JavaScript has nothing to do but to wait.
void after_idle_leave(Environment* e) { copy_bodies(e, !has_records(e)); }

void on_bell(uv_poll_t* handle, int, int) {
  auto* e = static_cast<Environment*>(handle->data);
  if (!e->rank) return;
  ++e->wakes;
  if (e->trace_check) trace_awake(e, Woken::bell);
  e->queue.drains = true;
  e->rank->engine.poll(&e->queue);
  after_idle_leave(e);
  call_drain(e);
}

bool peer_shares_processor(Environment* e) {
  Engine& engine = e->rank->engine;
  const Port* port = engine.peer(engine.last_peer()).port;
  return port && port->processor->load(std::memory_order_relaxed) == static_cast<uint32_t>(sched_getcpu()) + 1;
}

uint64_t bytes_moved(const Engine& engine) {
  return engine.counters().bytes_pushed + engine.counters().bytes_parted;
}

// How a look at the rings ended: it paid; it did not; or the thread shall sleep, for what it waits for needs its processor perhaps.
enum class Look : uint8_t { won, lost, stand_aside };

// Looks at the rings until something for this thread completes. Ends early when any other descriptor of the loop
// becomes ready.
Look look_for_a_while(Environment* e, uint64_t deadline) {
  Engine& engine = e->rank->engine;
  // In a stream: each look costs its sender a cache line, and many at a time cost less than one by one.
  for (int i = 0; e->streams && i < kRest; ++i) relax();
  if (!engine.try_enter()) return Look::lost;
  engine.set_idle(false);
  say_waiting(e);
  e->queue.drains = true;
  bool won = false, aside = false;
  uint64_t begin = now_ns(), look_around_at = begin + kLookAround, ring_at = begin + kRing;
  uint64_t stalled_at = 0;  // since then nobody pushes what comes in parts
  int by_sleepers = 0;      // looks that saw a body pulled by a peer's progress thread
  const uint64_t moved_before = bytes_moved(engine);
  uint64_t moved = moved_before;
  engine.step(&e->queue, false);
  for (uint32_t spins = 1;; ++spins) {
    if (has_records(e) || e->copies_wait) {
      won = true;
      break;
    }
    if (engine.pending() || engine.look()) {
      engine.step(&e->queue, false);
      continue;
    }
    if (spins % 64) continue;
    relax();
    uint64_t now = now_ns();
    if (uint64_t now_moved = bytes_moved(engine); now_moved != moved) {
      moved = now_moved;
      deadline = now + kLook;
      stalled_at = 0;
    }
    const bool being_pulled = engine.being_pulled() != 0;
    if ((now > deadline && (now > begin + kLookMost || !being_pulled)) || peer_shares_processor(e)) {
      engine.take_over(true);
      aside = being_pulled;  // a long body takes its time: that says nothing of the next
      break;
    }
    if (now > look_around_at) {
      look_around_at = now + kLookAround;
      engine.step(&e->queue, now > ring_at);
      if (now > ring_at) ring_at = now + kRing;
      if (!engine.parts_stall()) stalled_at = 0;
      else if (stalled_at == 0) stalled_at = now;
      else if (now - stalled_at > kStall && engine.take_over()) break;
      if (others_ready(e)) break;
      by_sleepers = engine.being_pulled(true) > kLongBody ? by_sleepers + 1 : 0;
      if (by_sleepers == 2) {  // not just between two parts
        aside = true;
        break;
      }
    }
  }
  say_running(e, has_records(e));
  engine.set_idle(true);  // unless it goes on with JavaScript, which says so
  engine.leave(&e->queue);
  say_awake(e);
  aside |= !copy_bodies(e, true);
  if (has_records(e)) return Look::won;
  return aside ? Look::stand_aside : won || moved != moved_before ? Look::won : Look::lost;
}

void adaptive_wait(Environment* e) {
  uint64_t start = now_ns();
  bool lingers = start >= e->wait_again_at && !peer_shares_processor(e);
  e->rank->engine.set_lingering(lingers);
  e->rank->engine.set_idle(!lingers);
  if (!lingers) return;
  for (;;) {
    int timeout = uv_backend_timeout(e->loop);
    if (timeout == 0) return;  // the loop would not block anyway
    uint64_t begin = now_ns();
    if (begin - start > kTurn) {
      uv_idle_start(e->idle, [](uv_idle_t* idle) { uv_idle_stop(idle); });  // one turn that does not block
      return;
    }
    const Counters& counters = e->rank->engine.counters();
    uint64_t bodies = counters.offers_sent + counters.bodies;
    uint64_t look = bodies == e->bodies ? kLook : kLookForBodies;
    e->bodies = bodies;
    const uint64_t looked_from = trace::begin();
    const Look looked = look_for_a_while(e, begin + look);
    if (looked_from) trace::record(trace::Kind::look, looked_from, {.detail = looked == Look::won});
    if (looked == Look::stand_aside) return;
    if (looked == Look::lost) {
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

// If the loop is going to block, JavaScript runs no more, and whoever has something shall ring. Else it was perhaps not rung: look.
void before_poll(Environment* e) {
  for (int turn = 0; e->rank && !e->ending && (e->rank->engine.running() || (e->interrupted && e->rank->engine.interruptible())); ++turn) {
    const bool blocks = uv_backend_timeout(e->loop) != 0;
    if (blocks) say_running(e, false);
    e->queue.drains = true;
    e->rank->engine.poll(&e->queue);
    if (blocks) after_idle_leave(e);
    else after_leave(e);
    if (turn == kTurns) {  // the loop's other callbacks first
      if (bring_records(e)) signal_descriptor(e->notify_descriptor);
      return;
    }
    call_drain(e);  // after which JavaScript may have run
    if (!blocks && uv_backend_timeout(e->loop) == 0) return;
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
    before_poll(e);
    if (e->ending || !e->rank || e->outstanding == 0) return;
    if (!e->lull_set) set_timer(e->lull, kLull);
    e->lull_set = true;
    bool limited = timeout > 0 && static_cast<uint64_t>(timeout) * 1'000'000 < kLull;
    epoll_event events[3];
    say_waiting(e);
    // The raw call: this is no cancellation point, and marking one costs as much as anything else here.
    const uint64_t asleep_from = trace::begin();
    long count = system_call(SYS_epoll_pwait, e->conversation, reinterpret_cast<long>(events), 3, limited ? timeout : -1);
    say_awake(e);
    if (asleep_from) trace::record(trace::Kind::sleep, asleep_from, {});
    bool rang = false, loop_ready = count <= 0;
    for (long i = 0; i < count; ++i) {
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
    if (rang && asleep_from) trace::record(trace::Kind::wake, 0, {.detail = static_cast<uint32_t>(Woken::bell)});
    if (rang) {  // or rang while we waited in libuv, and this set still tells of it
      ++e->wakes;
      e->queue.drains = true;
      e->rank->engine.poll(&e->queue);
      after_idle_leave(e);
      call_drain(e);
      // Whoever rang is awake, and so are we: what it does next may come sooner than another ring would.
      if (e->adaptive && !loop_ready && !e->ending && e->rank && e->outstanding > 0) adaptive_wait(e);
    }
    if (loop_ready || e->ending || !e->rank || e->outstanding == 0) return;
    // With timers running, after every wait: the loop's time stands still here.
    if ((timeout > 0 || turns % 16 == 0) && now_ns() - start > kTurn) return;
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

// All that is done before libuv's own wait, perhaps instead of it.
void wait_first(Environment* e) {
  if (e->rank) say_awake(e);
  call_drain(e);
  if (!e->rank) return;
  if (e->bell_place == Environment::BellPlace::asked) {
    // The first turn after watch_bell adds it, the second finds it added.
    e->bell_place = Environment::BellPlace::none;
  } else if (e->bell_place == Environment::BellPlace::none && e->bell) {
    make_bell_exclusive(e);
  }
  if (e->outstanding > 0 && e->rank->size > 1 && e->rank->state.load() == Rank::State::joined && e->adaptive) adaptive_wait(e);
  if (e->rank) before_poll(e);
  if (!e->rank || e->outstanding == 0 || e->rank->size == 1 || e->rank->state.load() != Rank::State::joined) return;
  if (e->rank && !e->ending && e->conversation >= 0 && e->outstanding > 0) converse(e);
  if (e->rank && !e->ending) before_poll(e);  // JavaScript may have run there, and nothing looked since
}

}  // namespace

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

void on_notify(uv_poll_t* handle, int, int) {
  auto* e = static_cast<Environment*>(handle->data);
  drain_counter(e->notify_descriptor);
  e->queue.signalled.exchange(0, std::memory_order_seq_cst);  // then look at the records; pairs with notify in rank.cc
  ++e->wakes;
  if (e->trace_check) trace_awake(e, Woken::notify);
  call_drain(e);
}

void on_prepare(uv_prepare_t* handle) {
  auto* e = static_cast<Environment*>(handle->data);
  wait_first(e);
  if (e->rank && uv_backend_timeout(e->loop) != 0) say_waiting(e);
  if (e->trace_check) trace_sleeps(e);
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

void say_running(Environment* e, bool runs) {
  Engine& engine = e->rank->engine;
  if (runs) say_awake(e);
  if (runs) e->queue.drains = false;
  if (runs) engine.set_idle(false);
  const bool told = engine.interruptible();
  if (e->interrupted) {
    engine.set_interruptible(runs);
    const Bells& bells = e->rank->bells;
    if (bells.machine && bells.machine->look) bells.machine->look();  // what came in a system call
  }
  engine.set_running(runs);
  if (!e->interrupted || !runs || told) return;
  engine.poll(&e->queue);  // which says so to who may ring
  after_leave(e);
}

void after_leave(Environment* e) {
  free_spent(e->rank);
  copy_bodies(e, false);
}

}  // namespace carillon
