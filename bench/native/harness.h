// What the C programs of the benchmark share: the line protocol (see ../harness/session.ts), the clock, pinning.
// Each program is two processes (memcpy: one), the initiator and a partner; the initiator answers on stdout.
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define MEBIBYTE ((size_t)1 << 20)

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static inline void fail(const char* what) {
  fprintf(stderr, "Error: %s: %s\n", what, strerror(errno));
  exit(1);
}

// "-" leaves the process where the scheduler likes.
static inline void pin(const char* cpu) {
  if (strcmp(cpu, "-") == 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(atoi(cpu), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) fail("sched_setaffinity");
}

// The initiator was pinned before it started.
static inline void pin_child(const char* cpu) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  pin(cpu);
}

// A batch as it was asked for: `KIND`, `KIND:BYTES` or `KIND:BYTES:NS`.
struct batch {
  char kind[32];
  size_t bytes;
  uint64_t compute_ns;
  unsigned long count;
};

// Bodies that two processes pass to and fro: each lies in shared memory, and who receives one copies it out, once. Where the word that
// announces a body is a body itself (8 bytes), nothing is copied.
struct bodies {
  size_t bytes;              // of one, 0: none but the word
  unsigned char* shared[2];  // there, and back
  unsigned char* own;        // of each process after the fork, where it copies to
};

#define MOST_BODY_BYTES MEBIBYTE

// Before the fork: the bodies, and `bytes` of shared memory for the program, on pages of its own.
static inline void* map_shared(struct bodies* bodies, size_t bytes) {
  size_t head = (bytes + 4095) / 4096 * 4096;
  unsigned char* shared =
      mmap(NULL, head + 2 * MOST_BODY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  bodies->own = aligned_alloc(4096, MOST_BODY_BYTES);
  if (shared == MAP_FAILED || !bodies->own) fail("mmap");
  memset(bodies->own, 2, MOST_BODY_BYTES);
  for (int way = 0; way < 2; way++) bodies->shared[way] = memset(shared + head + (size_t)way * MOST_BODY_BYTES, 1, MOST_BODY_BYTES);
  return shared;
}

static inline void size_bodies(struct bodies* bodies, size_t bytes) {
  if (bytes > MOST_BODY_BYTES) {
    fprintf(stderr, "Error: bodies of up to %zu bytes only\n", MOST_BODY_BYTES);
    exit(1);
  }
  bodies->bytes = bytes > sizeof(uint64_t) ? bytes : 0;
}

static inline void take_body(const struct bodies* bodies, int way) {
  if (bodies->bytes == 0) return;
  memcpy(bodies->own, bodies->shared[way], bodies->bytes);
  __asm__ volatile("" : : "r"(bodies->own) : "memory");  // the copy is wanted, whatever the optimiser thinks
}

// What a program does of a batch; everything but `pass` may be NULL. Timed are the passes (one by one if asked) and,
// in the total, `drain`.
struct steps {
  void (*begin)(const struct batch* batch);  // before the clock starts
  void (*prepare)(void);                     // before each pass, not part of its time
  void (*pass)(void);
  void (*drain)(void);  // until everything has arrived
  void (*end)(void);    // after the clock has stopped
  const uint64_t* own_ns;  // where a pass leaves what it took, if that is not what the clock says (0: it is)
};

// `started`: processes that the harness did not start itself, 0 for none.
static inline void ready(pid_t started, pid_t started_too) {
  printf("ready");
  if (started > 0) printf(" %d", (int)started);
  if (started_too > 0) printf(" %d", (int)started_too);
  printf("\n");
  fflush(stdout);
}

// Answers commands until stdin ends.
static inline void serve(const struct steps* steps) {
  char mode[16], workload[64];
  struct batch batch;
  while (scanf("%15s %63s %lu", mode, workload, &batch.count) == 3) {
    int each = strcmp(mode, "each") == 0;
    unsigned long long compute_ns = 0;
    batch.bytes = 0;
    sscanf(workload, "%31[^:]:%zu:%llu", batch.kind, &batch.bytes, &compute_ns);
    batch.compute_ns = compute_ns;
    uint64_t* times = each ? malloc(batch.count * sizeof *times) : NULL;
    if (each && !times) fail("malloc");
    if (steps->begin) steps->begin(&batch);
    uint64_t started = now_ns();
    for (unsigned long i = 0; i < batch.count; i++) {
      if (steps->prepare) steps->prepare();
      if (each) {
        uint64_t before = now_ns();
        steps->pass();
        times[i] = steps->own_ns && *steps->own_ns ? *steps->own_ns : now_ns() - before;
      } else {
        steps->pass();
      }
    }
    if (steps->drain) steps->drain();
    uint64_t total = now_ns() - started;
    if (steps->end) steps->end();
    printf("%llu", (unsigned long long)total);
    for (unsigned long i = 0; each && i < batch.count; i++) printf(" %llu", (unsigned long long)times[i]);
    printf("\n");
    fflush(stdout);
    free(times);
  }
}
