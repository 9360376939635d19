// Who runs next: every CARILLON_STEP and every step of the model comes here. Injections, timers and departures fire here,
// and here it is noticed that nobody can run any more. Same seed, same schedule, same trace.
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "world.h"

extern "C" void carillon_sim_step(const char* name) { sim::step(name); }

namespace sim {


World* world = nullptr;

namespace {

struct Trace {
  uint64_t step;
  int thread;
  int handler;
  const char* name;
};
constexpr uint64_t kept = 200;
Trace trace[kept];
uint64_t traced = 0;

void record(Thread* t, const char* name) {
  uint64_t h = world->hash ^ static_cast<uint64_t>(t->id * 2 + (t->in_handler ? 1 : 0));
  for (const char* c = name; *c; ++c) h = (h ^ static_cast<unsigned char>(*c)) * 0x100000001b3ull;
  world->hash = h;
  trace[traced++ % kept] = {world->steps, t->id, t->in_handler, name};
  if (world->options.trace)
    printf("%8lu  p%d.%d%s  %s\n", world->steps, t->id / 3, t->id % 3, t->in_handler ? " handler" : "", name);
}

bool can_run(const Thread& t) {
  return t.exists && !t.ended && !t.sleeping && (!t.stuck || t.interrupt || t.in_handler) && t.process->stopped_until == 0 &&
         (t.process->runs() || &t == &world->hostile_thread);
}

template <typename Visit>
void each_thread(Visit visit) {
  for (int p = 0; p < world->size; ++p)
    for (Thread& t : world->processes[p].threads) visit(t);
  if (world->hostile_thread.exists) visit(world->hostile_thread);
}

Thread* pick(Thread* except) {
  Thread* ready[3 * max_processes + 1];
  uint32_t count = 0;
  each_thread([&](Thread& t) {
    if (can_run(t) && &t != except) ready[count++] = &t;
  });
  if (count == 0) return except && can_run(*except) ? except : nullptr;
  if (world->priorities) {
    Thread* best = ready[0];
    for (uint32_t i = 1; i < count; ++i)
      if (ready[i]->priority > best->priority) best = ready[i];
    return best;
  }
  return ready[world->random.below(count)];
}

void draw_quantum() {
  World& w = *world;
  w.quantum = w.quantum_mean <= 1 ? 1 : 1 + w.random.below(2 * w.quantum_mean);
}

void run_next(Thread* except) {
  World& w = *world;
  Thread* before = w.current;
  Thread* next = pick(except);
  draw_quantum();
  if (next == before) return;
  w.current = next;
  switch_fiber(before ? &before->fiber : &w.main, next ? &next->fiber : &w.main);
}

void inject(const Planned& plan) {
  World& w = *world;
  Process& p = w.processes[plan.process];
  if (!p.runs() || p.closing) return;
  switch (plan.what) {
    case Injection::kill:
      p.killed = true;
      p.stopped_until = 0;
      plan_departure(p, Ending::lost);
      break;
    case Injection::stop:
      p.stopped_until = w.steps + 200 + w.random.below(4000);
      break;
    case Injection::teardown:
      p.threads[w.random.below(2)].want_teardown = true;
      break;
    case Injection::close:
      p.closing = true;
      for (int i = 0; i < 2; ++i) {
        p.threads[i].timeout = true;
        wake(p.threads[i]);
      }
      break;
    case Injection::hostile:
      if (w.hostile_thread.exists) return;
      p.hostile = true;
      p.stopped_until = 0;
      w.hostile_thread.exists = true;
      w.hostile_thread.process = &p;
      w.hostile_thread.id = 3 * max_processes;
      prepare(&w.hostile_thread.fiber, run_hostile, &w.hostile_thread);
      break;
    default: return;
  }
  if (w.options.trace) printf("%8lu  ---- injection %d at process %d\n", w.steps, static_cast<int>(plan.what), p.rank);
  ++w.injected[static_cast<int>(plan.what)];
}

// Everything that is due now.
void fire_due() {
  World& w = *world;
  while (!w.plan.empty() && w.plan.back().step <= w.steps) {
    Planned plan = w.plan.back();
    w.plan.pop_back();
    inject(plan);
  }
  for (int i = 0; i < w.size; ++i) {
    Process& p = w.processes[i];
    if (p.stopped_until && p.stopped_until <= w.steps) p.stopped_until = 0;
    if (p.timer_armed && p.timer_due <= w.steps) {
      p.timer_armed = false;
      p.timer_ready = true;
      wake(p.progress());
    }
    for (Departure& d : p.departures)
      if (d.due <= w.steps) wake(p.progress());
    for (int k = 0; k < 2; ++k) {
      Thread& t = p.threads[k];
      if (t.wake_at && t.wake_at <= w.steps) {
        t.wake_at = 0;
        t.timeout = true;
        wake(t);
      }
    }
  }
  recompute_due();
}

// On top of whatever the current fiber does, as an interrupt would.
void handle(Thread& t, Injection why) {
  ++world->injected[static_cast<int>(why)];
  ++t.in_handler;
  t.process->engine->interrupted();
  --t.in_handler;
}

// One that nobody sent, on any thread.
void inject_handler() {
  World& w = *world;
  Thread& t = *w.current;
  if (t.in_handler < 2 && &t != &w.hostile_thread) handle(t, Injection::handler);
}

// One that was sent to this thread, unless it handles one.
void take_interrupt(Thread& t) {
  if (!t.interrupt || t.in_handler) return;
  t.interrupt = false;
  handle(t, Injection::interrupt);
}

// Steps in the middle of a system call, at whose end interrupts are taken.
bool in_kernel(const char* name) {
  return !strcmp(name, "copy") || !strcmp(name, "notify.write") || !strcmp(name, "map");
}

}  // namespace

void recompute_due() {
  World& w = *world;
  uint64_t due = w.plan.empty() ? UINT64_MAX : w.plan.back().step;
  auto consider = [&](uint64_t at) {
    if (at && at < due) due = at;
  };
  for (int i = 0; i < w.size; ++i) {
    Process& p = w.processes[i];
    if (!p.runs()) continue;
    consider(p.stopped_until);
    if (p.timer_armed) consider(p.timer_due);
    for (Departure& d : p.departures)
      if (d.due > w.steps) consider(d.due);
    for (int k = 0; k < 2; ++k)
      if (!p.threads[k].ended) consider(p.threads[k].wake_at);
  }
  w.next_due = due;
}

void step(const char* name) {
  World* w = world;
  if (!w || !w->current) return;
  ++w->steps;
  record(w->current, name);
  if (w->steps > w->bound) fail("no end after %lu steps", w->bound);
  if (w->steps >= w->next_due) fire_due();
  if (w->current->interrupt && !in_kernel(name) && w->random.chance(w->promptness)) take_interrupt(*w->current);
  if (w->steps == w->options.handler_at) inject_handler();
  if (w->handler_chance && w->random.below(100000) < w->handler_chance) inject_handler();
  if (w->priorities) {
    if (w->random.below(400) == 0) w->current->priority = w->random.below(1000);
    if (w->random.below(4000) == 0)  // nobody starves
      w->processes[w->random.below(w->size)].threads[w->random.below(3)].priority = 1000;
    run_next(nullptr);
    return;
  }
  if (--w->quantum == 0 || !can_run(*w->current)) run_next(nullptr);
}

void spin(const char* name) {
  step(name);
  world->current->priority = world->lowest--;  // last of all, so that those who wait take turns
  run_next(world->current);
}

void wake(Thread& t) { t.sleeping = false; }

namespace {
bool readable(Thread& t) {
  Process& p = *t.process;
  if (t.ready) return true;
  if (t.number >= 0) return t.notify > 0 || t.timeout;
  if (p.escalation || p.nudge || p.timer_ready) return true;
  for (Departure& d : p.departures)
    if (d.due <= world->steps) return true;
  return false;
}
}  // namespace

void sleep_in_epoll(Thread& t) {
  step("epoll.wait");
  const bool signals = t.process->bell == Bell::signal;
  while (!readable(t) && !(signals && t.interrupt)) {
    t.sleeping = true;
    run_next(nullptr);
  }
  take_interrupt(t);  // as the system call ends
}

// JavaScript that computes and computes: everybody else's work must get done meanwhile, its process's too.
void compute_long(Thread& t) {
  step("compute.long");
  t.stuck = true;
  do {
    run_next(nullptr);
    take_interrupt(t);
  } while (t.stuck);
}

// EPOLLEXCLUSIVE | EPOLLET: the loops are asked in order; each notes the ring for its next wait, the first that really
// sleeps ends it. Nobody reads the counter.
void ring_bell(Process& p) {
  for (Thread& t : p.threads) {
    if (!t.exists || t.ended) continue;
    t.ready = true;
    if (t.sleeping) {
      wake(t);
      return;
    }
  }
}

bool send_interrupt(Process& p) {
  Thread& t = p.threads[0];
  if (t.ended) return p.bell == Bell::uintr;  // lost: nobody is told
  if (p.bell == Bell::signal && world->random.chance(50)) return false;  // its queue of signals is full
  t.interrupt = true;
  if (p.bell == Bell::signal) wake(t);
  return true;
}

void plan_departure(Process& of, Ending ending) {
  World& w = *world;
  for (int i = 0; i < w.size; ++i) {
    if (i == of.rank) continue;
    uint64_t due = w.steps + 1 + w.random.below(3000);
    for (const Departure& d : w.processes[i].departures)
      if (d.peer == of.rank && d.due > due) due = d.due;  // not before it arrives
    w.processes[i].departures.push_back({due, of.rank, ending});
  }
  recompute_due();
}

void fail(const char* format, ...) {
  World& w = *world;
  va_list arguments;
  va_start(arguments, format);
  if (!w.failed) vsnprintf(w.failure, sizeof w.failure, format, arguments);
  va_end(arguments);
  w.failed = true;
  Thread* t = w.current;
  w.current = nullptr;
  if (t) switch_fiber(&t->fiber, &w.main);
}

namespace {

// Runs until nobody can. Main context.
bool run_until_idle() {
  World& w = *world;
  for (;;) {
    Thread* next = pick(nullptr);
    if (next) {
      w.current = next;
      draw_quantum();
      switch_fiber(&w.main, &next->fiber);
      w.current = nullptr;
      if (w.failed) return false;
      continue;
    }
    check_idle();
    if (w.failed) return false;
    recompute_due();
    if (w.next_due == UINT64_MAX) {
      bool stuck = false;
      each_thread([&](Thread& t) {
        stuck |= t.stuck && t.process->runs();
        t.stuck = false;
      });
      if (stuck) continue;
      return true;
    }
    if (w.next_due > w.steps) w.steps = w.next_due;
    fire_due();
  }
}

void next_phase(World::Phase phase) {
  world->phase = phase;
  for (int i = 0; i < world->size; ++i)
    for (int k = 0; k < 2; ++k) {
      Thread& t = world->processes[i].threads[k];
      t.timeout = true;
      wake(t);
    }
}

}  // namespace

bool run_world(uint64_t seed, const Options& options, uint64_t* hash, uint64_t* steps, uint64_t* injected) {
  World w;
  world = &w;
  traced = 0;
  w.seed = seed;
  w.options = options;
  w.random.state = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
  for (int i = 0; i < 8; ++i) w.random.next();
  build_world();
  bool sound = run_until_idle();
  if (sound) {
    next_phase(World::Phase::drain);
    sound = run_until_idle();
  }
  if (sound) {
    next_phase(World::Phase::cancel);
    sound = run_until_idle();
  }
  if (sound) {
    check_end();
    sound = !w.failed;
  }
  *hash = w.hash;
  *steps = w.steps;
  for (int i = 0; i < static_cast<int>(Injection::count); ++i) injected[i] += w.injected[i];
  if (!sound && !options.quiet) {
    if (!options.trace)
      for (uint64_t i = traced > kept ? traced - kept : 0; i < traced; ++i) {
        const Trace& t = trace[i % kept];
        printf("%8lu  p%d.%d%s  %s\n", t.step, t.thread / 3, t.thread % 3, t.handler ? " handler" : "", t.name);
      }
    print_state();
    printf("FAIL %s\n     reproduce: sim --seed %lu --handler-at %lu --trace\n", w.failure, seed, options.handler_at);
    fflush(stdout);
  }
  destroy_world();
  world = nullptr;
  return sound;
}

}  // namespace sim
