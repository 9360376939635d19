// Builds and takes down a simulated world: the random parameters of a schedule, the processes' memory and platforms.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "world.h"

namespace carillon {
bool EngineAccess::guard_free(Engine& e) {
  if (!e.guard_.try_enter()) return false;
  return e.guard_.try_leave();
}
}  // namespace carillon

namespace sim {
namespace {

Process& process_of(void* self) { return *static_cast<Process*>(self); }

void notify(void*, CompletionQueue* queue) {
  step("notify");
  if (queue->signalled.exchange(1) != 0) return;
  auto* t = static_cast<Thread*>(queue->owner);
  step("notify.write");
  ++t->notify;
  wake(*t);
}

void start_timer(void* self) {
  Process& p = process_of(self);
  p.timer_armed = true;
  p.timer_due = world->steps + 20 + world->random.below(600);
  recompute_due();
}

void more(void* self) {
  Process& p = process_of(self);
  ++p.nudge;
  wake(p.progress());
}

void copies(void*, CompletionQueue* own) { static_cast<Thread*>(own->owner)->copies_wait = true; }

// Each thread reads the shared rings that it began, when it is told.
void queues(void* self) {
  step("queues");
  for (Thread& t : process_of(self).threads) {
    if (t.number < 0 || !t.exists || t.ended) continue;
    t.told = true;
    ++t.notify;
    wake(t);
  }
}

void build_process(Process& p, int rank) {
  World& w = *world;
  p.rank = rank;
  if (w.interrupts) p.bell = static_cast<Bell>(w.random.below(3));
  size_t bytes = shm::segment_bytes(static_cast<uint32_t>(w.size), w.ring_bytes);
  p.segment = static_cast<unsigned char*>(aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
  memset(p.segment, 0, bytes);
  shm::format(p.segment, static_cast<uint32_t>(rank), static_cast<uint32_t>(w.size), w.ring_bytes, w.limits.quota_bytes,
              w.limits.quota_envelopes);
  p.peers = new Peer[w.size];
  p.ports = new shm::ShmPort[w.size];
  constexpr uint32_t each = Matcher::least_bins;  // few, so that chains grow too
  p.bins = {static_cast<void**>(calloc(Matcher::tables * each, sizeof(void*))), each};
  // One for all schedules: most of it is only reserved, and asking for it again and again costs more than the schedule.
  static unsigned char* pools[max_processes];
  if (!pools[rank]) pools[rank] = static_cast<unsigned char*>(aligned_alloc(64, most_pool_bytes));
  if (w.pool_bytes > most_pool_bytes) fail("the pool needs %zu bytes", w.pool_bytes);
  p.pool = pools[rank] + (most_pool_bytes - w.pool_bytes) / 64 * 64;  // what is written beyond its end is beyond all
  static unsigned char* arenas[max_processes];
  if (!arenas[rank]) arenas[rank] = static_cast<unsigned char*>(malloc(arena_bytes));
  p.arena = arenas[rank];
  p.engine = new Engine;
  p.engine->init(static_cast<uint32_t>(rank), static_cast<uint32_t>(w.size), p.peers, p.bins, p.pool, w.pool_bytes,
                 &shm::header(p.segment)->attention,
                 {.self = &p, .notify = notify, .start_timer = start_timer, .more = more, .copies = copies, .queues = queues},
                 w.limits);
}

void build_thread(Process& p, int number) {
  World& w = *world;
  Thread& t = p.threads[number];
  t.process = &p;
  t.number = number < 2 ? number : -1;
  t.id = p.rank * 3 + number;
  if (number == 1 && w.one_thread) {
    t.ended = true;
    return;
  }
  t.exists = true;
  t.priority = 1 + w.random.below(1000);
  if (number < 2) {
    t.queue = new CompletionQueue;
    t.queue->owner = &t;
    t.words = static_cast<uint32_t*>(calloc(queue_layout::records + queue_layout::capacity * queue_layout::record_words, 4));
    t.queue->words = t.words;
    t.lag = w.random.chance(300) ? 508 + w.random.below(4) : 0;  // as if so many records were never reaped
    t.queue->reaped.store(0 - t.lag);
    t.script = 3 + static_cast<int>(w.random.below(25));
  }
  prepare(&t.fiber, number < 2 ? run_javascript : run_progress, &t);
}

void choose_parameters() {
  World& w = *world;
  Random& r = w.random;
  w.size = r.chance(250) ? 3 : 2;
  constexpr uint32_t means[] = {1, 2, 4, 10, 40, 200, 1500};
  w.quantum_mean = means[r.below(7)];
  w.priorities = r.chance(300);
  w.handler_chance = r.chance(500) ? 0 : 50u << r.below(7);
  w.interrupts = r.chance(600);
  w.promptness = r.chance(500) ? 1000 : 20 + r.below(400);
  w.bound = 3'000'000;
  w.adaptive = r.chance(300);
  w.small_pool = r.chance(300);
  w.streams = r.chance(500);
  w.one_thread = r.chance(300);
  w.forbidden = !w.small_pool && r.chance(300);  // a stalled ring would hold the parts up
  w.limits.eager_bytes = w.small_pool ? 128 : r.chance(500) ? 900 : 128;
  w.ring_bytes = w.limits.eager_bytes > 128 ? 2048u << r.below(3) : 512u << r.below(4);
  w.limits.most_eager_bytes = w.limits.eager_bytes;
  w.limits.wait_bytes = r.below(3) * 200;
  w.limits.quota_bytes = charge_of(w.limits.eager_bytes) * (1 + r.below(8));
  w.limits.quota_envelopes = 1 + r.below(12);
  w.limits.pushed_least = r.chance(500) ? 1 : UINT64_MAX;
  w.limits.pushed_ringing = 1 + r.below(3000);
  w.limits.max_message = 1 << 20;
  w.limits.handler_packets = r.chance(500) ? 1 + r.below(3) : 16;
  uint64_t allowed = w.size * (w.limits.quota_bytes + wants * charge_of(w.limits.eager_bytes) +
                               Pool::smallest * (w.limits.quota_envelopes + wants));
  w.pool_bytes = w.small_pool ? (Pool::smallest + 1) * (2 + r.below(5))  // one of the largest, at least
                              : Pool::reservation(allowed);
  w.largest = r.chance(20) ? 600'000 : r.chance(300) ? 20'000 : 2'000;
  if (r.chance(350)) {
    uint32_t count = 1 + r.below(3);
    // A small pool may be filled for good by what a hostile process sent, where nobody can ask for it.
    bool hostile = r.chance(250) && !w.small_pool;
    for (uint32_t i = 0; i < count; ++i) {
      constexpr Injection kinds[] = {Injection::kill, Injection::stop, Injection::teardown, Injection::close};
      w.plan.push_back({r.below(r.chance(500) ? 1500 : 12000), kinds[r.below(4)], static_cast<int>(r.below(w.size))});
    }
    if (hostile) w.plan.push_back({r.below(4000), Injection::hostile, static_cast<int>(r.below(w.size))});
    for (size_t i = 1; i < w.plan.size(); ++i)
      for (size_t k = i; k > 0 && w.plan[k].step > w.plan[k - 1].step; --k) std::swap(w.plan[k], w.plan[k - 1]);
  }
}

}  // namespace

const Doorbell doorbell = {
    .name = "simulated",
    .ring =
        [](const BellTarget* target, bool runs) {
          Process& p = world->processes[target->bell];
          if (runs && p.bell != Bell::eventfd && send_interrupt(p)) return true;
          ring_bell(p);
          return false;
        },
    .escalate =
        [](const BellTarget* target) {
          Process& p = world->processes[target->escalation];
          ++p.escalation;
          wake(p.progress());
        },
};

CopyResult copy(int pid, int, uint64_t remote, unsigned char* local, uint64_t bytes) {
  Process& p = world->processes[pid];
  auto from = reinterpret_cast<unsigned char*>(remote);
  bool there = from >= p.arena && from <= p.arena + arena_bytes && bytes <= static_cast<size_t>(p.arena + arena_bytes - from);
  uint64_t half = bytes / 2;
  if (there) memcpy(local, from, half);
  step("copy");
  if (there) memcpy(local + half, from + half, bytes - half);
  step("copy.end");
  if (p.killed || p.closed) return CopyResult::lost;
  return there ? CopyResult::ok : CopyResult::unreadable;
}

void build_world() {
  World& w = *world;
  choose_parameters();
  for (int i = 0; i < w.size; ++i) build_process(w.processes[i], i);
  for (int i = 0; i < w.size; ++i) {
    Process& p = w.processes[i];
    for (int k = 0; k < w.size; ++k) {
      if (k == i) continue;
      p.ports[k].pid = k;
      p.ports[k].copy = copy;
      p.ports[k].reads = !w.forbidden;
      p.departures.push_back({w.random.below(w.random.chance(700) ? 3 : 600), k, Ending::none});
    }
    for (int k = 0; k < 3; ++k) build_thread(p, k);
  }
  if (w.options.trace)
    printf("seed %lu: %d processes, eager %u, ring %u, quota %lu bytes %lu envelopes, pool %zu, quantum %u%s%s\n", w.seed,
           w.size, w.limits.eager_bytes, w.ring_bytes, w.limits.quota_bytes, w.limits.quota_envelopes, w.pool_bytes,
           w.quantum_mean, w.priorities ? ", priorities" : "", w.adaptive ? ", adaptive" : "");
  recompute_due();
}

void destroy_world() {
  World& w = *world;
  for (int i = 0; i < w.size; ++i) {
    Process& p = w.processes[i];
    if (!w.failed)
      EngineAccess::matcher(*p.engine).each_unexpected([&](Block* b) {
        EngineAccess::matcher(*p.engine).remove_unexpected(b);
        if (b->parcel && !b->parcel->sender) free(b->parcel);
      });
    for (Thread& t : p.threads) {
      discard(&t.fiber);
      for (Operation* o : t.operations)
        if (o) {
          if (!o->message) free(o->body);
          if (o->request.stage) free(o->request.stage);
          if (o->request.parcel) free(o->request.parcel);
          delete o;
        }
      for (Operation* o : t.offers) delete o;
      delete t.queue;
      free(t.words);
    }
    delete p.engine;
    delete[] p.peers;
    delete[] p.ports;
    free(p.bins.memory);
    free(p.segment);
  }
  if (w.hostile_thread.exists) discard(&w.hostile_thread.fiber);
  for (Message* m : w.messages) delete m;
}

}  // namespace sim
