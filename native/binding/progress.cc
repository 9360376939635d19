// The progress thread: sleeps in epoll on bell, escalation, nudge, timer and hub; makes progress when it is woken, copies
// long bodies, hears of peers that leave or die. Also the one routine by which any thread copies a body.
// Not responsible for what progress is (core/engine.cc).
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bell_targets.h"
#include "lease.h"
#include "placing.h"
#include "rank.h"
#include "stages.h"
#include "scatter.h"
#include "trace_buffer.h"
#include "../core/relax.h"
#include "../doorbell/system_call.h"

namespace carillon {
namespace {

constexpr uint64_t kLongCopy = 1 << 20;  // bytes: from here on changing the processor takes less time than the copy from JavaScript

enum Source : uint32_t { bell, escalation, nudge, timer, hub };

bool watch(Rank* r, int descriptor, uint32_t events, Source source) {
  epoll_event event = {};
  event.events = events;
  event.data.u32 = source;
  return epoll_ctl(r->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void drain_counter(int descriptor) {
  uint64_t count;
  (void)!read(descriptor, &count, sizeof count);
}

void connect_peers(Rank* r) {
  for (uint32_t i = 0; i < r->size; ++i) {
    if (i == r->rank) continue;
    bootstrap::PeerDescriptors& d = r->descriptors[i];
    shm::ShmPort* port = &r->ports[i];
    r->mapped[i] = bootstrap::segment_map_peer(d.segment, r->segment.bytes, &r->mapped_bytes[i]);
    if (d.segment >= 0) close(d.segment);
    d.segment = -1;
    port->pid = d.pid;
    port->process = d.process;
    port->copy = copy_from_process;
    port->reads.store(r->settings.reads_peers, std::memory_order_relaxed);
    BellTarget& bell = r->peers[i].bell;
    if (r->mapped[i] && shm::connect(port, r->segment.base, r->mapped[i], r->mapped_bytes[i], i, &r->cells) &&
        target_of(d, shm::header(r->mapped[i])->bell, shm::header(r->mapped[i])->signal, &bell)) {
      r->leases->connect(i, d.process, port);
      r->engine.connect(i, &shm::driver, port, bell);
    } else {
      r->engine.refuse_peer(i);
    }
  }
}

void settle_joiners(Rank* r, Status status) {
  while (Request* request = r->joiners.pop()) {
    request->from = static_cast<int32_t>(r->refusal.rank);
    request->detail = static_cast<int32_t>(r->refusal.refusal);
    request->code = r->refusal.code;
    request->signal = r->refusal.signal;
    r->engine.complete(request, status);
  }
}

// The launcher has ended and so do its ranks: SIGTERM, so that the program may still say something, then SIGKILL.
void end_with_launcher(Rank* r) {
  if (r->leaving.load()) return;
  kill(getpid(), SIGTERM);
  epoll_event unused;
  int only_time = epoll_create1(EPOLL_CLOEXEC);
  epoll_wait(only_time, &unused, 1, 1500);
  close(only_time);
  if (!r->leaving.load() && !r->stop.load()) kill(getpid(), SIGKILL);
}

void hear_hub(Rank* r) {
  for (;;) {
    bootstrap::Event event = bootstrap::client_next(r->client);
    if (event.kind == bootstrap::EventKind::again) return;
    if (event.kind == bootstrap::EventKind::aborted) _exit(event.code);  // whatever JavaScript does meanwhile
    if (event.kind == bootstrap::EventKind::peer) {
      r->descriptors[event.rank] = event.peer;
      continue;
    }
    bool gone = event.kind == bootstrap::EventKind::hub_gone || event.kind == bootstrap::EventKind::refused;
    if (gone) epoll_ctl(r->epoll, EPOLL_CTL_DEL, bootstrap::client_descriptor(r->client), nullptr);
    bool launcher_ended = gone && r->state.load() == Rank::State::joined;

    enter_waiting(r->engine);
    switch (event.kind) {
      case bootstrap::EventKind::joined:
        begin_trace(r);
        trace::name_thread("progress");
        connect_peers(r);
        r->state.store(Rank::State::joined);
        settle_joiners(r, Status::ok);
        break;
      case bootstrap::EventKind::peer_left:
        r->engine.end_peer(event.rank, Ending::closed);
        break;
      case bootstrap::EventKind::peer_lost:
        r->engine.end_peer(event.rank, Ending::lost);
        break;
      default:
        if (launcher_ended) break;
        r->refusal = event;
        if (event.kind == bootstrap::EventKind::hub_gone) r->refusal.refusal = bootstrap::Refusal::hub_gone;
        r->state.store(Rank::State::refused);
        settle_joiners(r, Status::refused);
    }
    r->engine.leave(nullptr);
    if (event.kind == bootstrap::EventKind::peer_left || event.kind == bootstrap::EventKind::peer_lost)
      r->leases->end_peer(event.rank);
    if (launcher_ended) end_with_launcher(r);
    if (gone) return;
  }
}

// A short time slice: woken on a processor where JavaScript computes, this thread runs at once instead of after the
// other's slice (about 3 ms). It works for microseconds at a time, so nobody loses by it. Kernels before 6.12 ignore it.
void ask_for_short_slice() {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = {};
  static_assert(sizeof attributes == 48);
  constexpr uint32_t size = sizeof attributes;
  if (system_call(SYS_sched_getattr, 0, reinterpret_cast<long>(&attributes), size) != 0 || attributes.policy != 0) return;
  attributes.size = size;
  attributes.flags = 0;
  attributes.runtime = 100'000;
  system_call(SYS_sched_setattr, 0, reinterpret_cast<long>(&attributes));
}

// Interrupts that are configured to be handled here go on to here.
void hear_interrupts(Rank* r) {
  if (!r->bells.interrupts || !r->bells.on_progress_thread || r->bells.signal == 0) return;
  sigset_t ours;
  sigemptyset(&ours);
  sigaddset(&ours, r->bells.signal);
  pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
  forward_interrupts(gettid());
}

// The poll doorbell: looks at the rings for a while. For how long epoll may wait then: not at all.
int look_on(Rank* r) {
  constexpr int kLooks = 64;
  for (int i = 0; i < kLooks && !r->stop.load(std::memory_order_relaxed); ++i) {
    if (r->engine.try_enter()) {
      r->engine.step(nullptr);
      r->engine.leave(nullptr);
    }
    for (int j = 0; j < 8; ++j) relax();
  }
  sched_yield();  // to whom it shares its processor with, if any
  return 0;
}

// A sender that runs JavaScript may be on its way to its next wait, where it pushes the body.
void await_sender(const Engine& engine, const Request* request) {
  constexpr uint64_t kComes = 20'000;  // ns
  for (uint64_t until = now_ns() + kComes; engine.soon_better_pushed(request) && now_ns() < until;) relax();
}

void* run(void* argument) {
  auto* r = static_cast<Rank*>(argument);
  ask_for_short_slice();
  hear_interrupts(r);
  trace::name_thread("progress");
  const bool polls = r->bells.kind == BellKind::poll;
  r->engine.set_polled(polls);
  while (!r->stop.load(std::memory_order_acquire)) {
    epoll_event events[8];
    int count = epoll_wait(r->epoll, events, 8, polls ? look_on(r) : -1);
    const uint64_t begin = count > 0 ? trace::begin() : 0;
    uint32_t reasons = 0;
    for (int i = 0; i < count; ++i) {
      reasons |= 1u << events[i].data.u32;
      switch (events[i].data.u32) {
        case bell:  // edge-triggered, like its entries in the loops: every ring wakes once, nobody reads it
          r->engine.set_running(false);
          break;
        case escalation: drain_counter(r->escalation); break;
        case nudge: drain_counter(r->nudge); break;
        case timer:
          drain_counter(r->timer);
          enter_waiting(r->engine);
          r->engine.timer_fired();
          r->engine.leave(nullptr);
          break;
        case hub: hear_hub(r); break;
      }
    }
    r->engine.poll(nullptr);
    free_spent(r);
    // The bell is not heard while a body is copied, so look after each part.
    std::optional<BesideComputation> beside;
    while (!r->stop.load(std::memory_order_acquire) && copy_one(r, UINT64_MAX, nullptr, false, &beside)) r->engine.poll(nullptr);
    if (begin) trace::record(trace::Kind::progress, begin, {.detail = reasons});
  }
  r->engine.set_polled(false);
  r->engine.poll(nullptr);
  return nullptr;
}

}  // namespace

uint64_t now_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

bool land_in_stage(Request* r) {
  if (r->landing) return true;
  if (r->stage) give_stage(r->stage, r->stage_bytes);  // for a message that was taken back
  r->stage = r->landing = take_stage(r->got_bytes, &r->stage_bytes);
  r->scattered = false;
  return r->landing != nullptr;
}

bool copy_one(Rank* r, uint64_t most, CompletionQueue* own, bool waits, std::optional<BesideComputation>* beside) {
  // If somebody else holds the guard, it hears of what waits when it leaves.
  if (!r->engine.try_enter()) return false;
  Request* request = r->engine.next_pull(most);
  if (own && request) r->engine.leave_to_copy(own);
  else r->engine.leave(own);
  if (!request) return false;
  if (beside && !*beside && request->got_bytes > kLongCopy) beside->emplace(r);
  Scatter* scatter = request->list && !request->landing ? static_cast<Scatter*>(request->owned) : nullptr;
  if (waits && request->pulled == 0 && !request->lent && !scatter) await_sender(r->engine, request);
  const uint64_t begin = trace::begin();
  const uint64_t before = request->pulled;
  const bool lent = request->lent;
  Pull result;
  if (request->lent) result = map_body(r, request);
  else if (scatter) result = pull_scattered(r->engine, request, scatter);
  else if (!land_in_stage(request)) result = Pull::unreadable;
  else result = own && r->engine.better_pushed(request) ? Pull::pushed : r->engine.pull(request);
  if (result == Pull::forbidden && !land_in_stage(request)) result = Pull::unreadable;  // packets know no list of views
  if (begin && (request->pulled != before || lent))
    trace::record(trace::Kind::copy, begin,
                  {.how = lent ? trace::How::leased : trace::How::pulled,
                   .peer = request->from,
                   .tag = request->got_tag,
                   .bytes = request->pulled - before,
                   .number = request->traced,
                   .key = request->sequence});
  request->submission_kind = SubmissionKind::pulled;
  request->pull_result = static_cast<uint8_t>(result);
  r->engine.submit(request, own);
  return true;
}

void nudge_progress(Rank* r) { signal_descriptor(r->nudge); }

void register_bell_last(Rank* r) {
  pthread_mutex_lock(&r->bell_order);
  epoll_ctl(r->epoll, EPOLL_CTL_DEL, r->bell, nullptr);
  watch(r, r->bell, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET, bell);
  pthread_mutex_unlock(&r->bell_order);
}

bool start_progress(Rank* r) {
  bool watched = watch(r, r->bell, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET, bell) && watch(r, r->escalation, EPOLLIN, escalation) &&
                 watch(r, r->nudge, EPOLLIN, nudge) && watch(r, r->timer, EPOLLIN, timer);
  if (watched && r->client) watched = watch(r, bootstrap::client_descriptor(r->client), EPOLLIN, hub);
  if (!watched) return false;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are JavaScript's
  r->thread_runs = pthread_create(&r->thread, nullptr, run, r) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (r->thread_runs) pthread_setname_np(r->thread, "carillon");
  return r->thread_runs;
}

void stop_progress(Rank* r) {
  if (!r->thread_runs) return;
  r->stop.store(true, std::memory_order_release);
  nudge_progress(r);
  pthread_join(r->thread, nullptr);
  r->thread_runs = false;
}

}  // namespace carillon
