// What the C programs of the benchmark share: the line protocol (see ../harness/session.ts), the clock, pinning.
// Each program is two processes, the initiator and a child it forks; the initiator answers on stdout.
#pragma once
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void fail(const char* what) {
  perror(what);
  exit(1);
}

// "-" leaves the process where the scheduler likes. The initiator was pinned before it started.
static inline void pin_child(const char* cpu) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (strcmp(cpu, "-") == 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(atoi(cpu), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) fail("sched_setaffinity");
}

// Answers commands until stdin ends. `pass` does one pass; begin and end of a batch may be NULL.
static inline void serve(pid_t child, void (*pass)(void), void (*begin)(void), void (*end)(void)) {
  if (child > 0) printf("ready %d\n", (int)child);
  else printf("ready\n");
  fflush(stdout);
  char mode[16], workload[16];
  unsigned long count;
  while (scanf("%15s %15s %lu", mode, workload, &count) == 3) {
    int each = strcmp(mode, "each") == 0;
    uint64_t* times = each ? malloc(count * sizeof *times) : NULL;
    if (each && !times) fail("malloc");
    if (begin) begin();
    uint64_t started = now_ns();
    for (unsigned long i = 0; i < count; i++) {
      if (each) {
        uint64_t before = now_ns();
        pass();
        times[i] = now_ns() - before;
      } else {
        pass();
      }
    }
    uint64_t total = now_ns() - started;
    if (end) end();
    printf("%llu", (unsigned long long)total);
    for (unsigned long i = 0; each && i < count; i++) printf(" %llu", (unsigned long long)times[i]);
    printf("\n");
    fflush(stdout);
    free(times);
  }
}
