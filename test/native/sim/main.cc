// sim: runs schedules of the simulated engine until time is up, or one of them again.
//   sim --seconds S [--from N] [--sweep]      sim --seed N [--handler-at STEP] [--trace]
// The last fifth of the time, or with --sweep all of it, goes to short schedules that are run once for each of their steps, with a
// handler injected in that step.
// Prints what was run; the last line is "N passed, M failed", the exit code 1 when M > 0.
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "world.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
extern "C" const char* __asan_default_options() { return "detect_leaks=0:detect_stack_use_after_return=0"; }
#endif

namespace {

uint64_t running = 0, running_at = 0;

void say_seed() {
  char text[128];
  int length = snprintf(text, sizeof text, "FAIL crashed or hung\n     reproduce: sim --seed %lu --handler-at %lu --trace\n", running, running_at);
  (void)!write(1, text, static_cast<size_t>(length));
}

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

}  // namespace

int main(int count, char** arguments) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  double seconds = 10;
  uint64_t from = 1, only = 0;
  bool all_sweeps = false;
  sim::Options options;
  for (int i = 1; i < count; ++i) {
    if (!strcmp(arguments[i], "--seconds") && i + 1 < count) seconds = atof(arguments[++i]);
    else if (!strcmp(arguments[i], "--from") && i + 1 < count) from = strtoull(arguments[++i], nullptr, 10);
    else if (!strcmp(arguments[i], "--seed") && i + 1 < count) only = strtoull(arguments[++i], nullptr, 10);
    else if (!strcmp(arguments[i], "--handler-at") && i + 1 < count) options.handler_at = strtoull(arguments[++i], nullptr, 10);
    else if (!strcmp(arguments[i], "--sweep")) all_sweeps = true;
    else if (!strcmp(arguments[i], "--trace")) options.trace = true;
    else {
      fprintf(stderr, "usage: sim --seconds S [--from N] [--sweep] | sim --seed N [--handler-at STEP] [--trace]\n");
      return 2;
    }
  }
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(say_seed);
#endif
  signal(SIGALRM, [](int) {
    say_seed();
    _exit(1);
  });

  uint64_t hash, steps, injected[static_cast<int>(sim::Injection::count)] = {}, total = 0, passed = 0, failed = 0;
  if (only) {
    running = only;
    running_at = options.handler_at;
    alarm(60);
    bool sound = sim::run_world(only, options, &hash, &steps, injected);
    printf("seed %lu: %lu steps, trace %016lx\n%d passed, %d failed\n", only, steps, hash, sound, !sound);
    return sound ? 0 : 1;
  }

  // Same seed, same trace, or nothing here can be reproduced.
  sim::Options quiet = options;
  quiet.quiet = true;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    uint64_t again;
    running = seed;
    alarm(30);
    sim::run_world(seed, quiet, &hash, &steps, injected);
    sim::run_world(seed, quiet, &again, &steps, injected);
    if (hash != again) {
      printf("FAIL seed %lu gives two traces\n0 passed, 1 failed\n", seed);
      return 1;
    }
  }

  memset(injected, 0, sizeof injected);
  double begin = now();
  uint64_t seed = from;
  for (; failed < 3 && !all_sweeps; ++seed) {
    running = seed;
    if (seed % 64 == 0 && now() - begin > seconds * 4 / 5) break;
    alarm(30);
    bool sound = sim::run_world(seed, options, &hash, &steps, injected);
    total += steps;
    ++(sound ? passed : failed);
  }
  uint64_t swept = 0, handlers = 0;
  for (; failed < 3 && now() - begin < seconds; ++seed) {
    constexpr uint64_t short_schedule = 2500;
    running = seed;
    running_at = 0;
    alarm(30);
    bool base = sim::run_world(seed, options, &hash, &steps, injected);
    total += steps;
    ++(base ? passed : failed);
    if (!base || steps > short_schedule) continue;
    ++swept;
    sim::Options at = options;
    for (at.handler_at = 1; at.handler_at < steps && failed < 3 && now() - begin < seconds; ++at.handler_at, ++handlers) {
      uint64_t longer;
      running_at = at.handler_at;
      alarm(30);
      bool sound = sim::run_world(seed, at, &hash, &longer, injected);
      total += longer;
      ++(sound ? passed : failed);
    }
  }
  alarm(0);
  double took = now() - begin;
  printf("%lu schedules, %lu steps, %.0f schedules/s\n", passed + failed, total, static_cast<double>(passed + failed) / took);
  constexpr int kinds = static_cast<int>(sim::Injection::count);
  printf("of them %lu schedules with a handler in each of their %lu steps\n", swept, handlers);
  const char* names[kinds] = {"kill", "stop", "teardown", "close", "hostile", "handler", "interrupt"};
  for (int i = 0; i < kinds; ++i) printf("%s %lu%s", names[i], injected[i], i + 1 < kinds ? ", " : "\n");
  printf("%lu passed, %lu failed\n", passed, failed);
  return failed ? 1 : 0;
}
