// The least two processes can exchange 8 bytes in: both look at shared memory without ever sleeping during a batch. Longer bodies are copied
// once each way.
// Between batches the child sleeps in a read, so that it does not disturb the other peers.
#include "harness.h"

#include <stdatomic.h>

#define STOP UINT64_MAX

// Each on a cache line of its own.
enum { THERE = 0, BACK = 8, BYTES = 16, CELLS = 64 };

static _Atomic uint64_t* cells;
static struct bodies bodies;
static int start_pipe[2];
static uint64_t sequence;

static void pass(void) {
  uint64_t value = ++sequence;
  atomic_store_explicit(&cells[THERE], value, memory_order_release);
  while (atomic_load_explicit(&cells[BACK], memory_order_acquire) != value) relax();
  take_body(&bodies, 1);
}

static void begin(const struct batch* batch) {
  size_bodies(&bodies, batch->bytes);
  atomic_store(&cells[BYTES], bodies.bytes);
  uint64_t value = ++sequence;
  atomic_store_explicit(&cells[THERE], value, memory_order_release);  // before the child looks: it must not see STOP again
  if (write(start_pipe[1], "s", 1) != 1) fail("write");
  while (atomic_load_explicit(&cells[BACK], memory_order_acquire) != value) relax();
}

static void end(void) {
  atomic_store_explicit(&cells[THERE], STOP, memory_order_release);
  while (atomic_load_explicit(&cells[BACK], memory_order_acquire) != STOP) relax();
}

static void echo(void) {
  char byte;
  while (read(start_pipe[0], &byte, 1) == 1) {
    uint64_t seen = atomic_load(&cells[BACK]);
    bodies.bytes = atomic_load(&cells[BYTES]);
    while (1) {
      uint64_t value = atomic_load_explicit(&cells[THERE], memory_order_acquire);
      if (value == seen) {
        relax();
        continue;
      }
      seen = value;
      if (value != STOP) take_body(&bodies, 0);
      atomic_store_explicit(&cells[BACK], value, memory_order_release);
      if (value == STOP) break;
    }
  }
}

int main(int argc, char** argv) {
  cells = map_shared(&bodies, CELLS * sizeof *cells);
  if (pipe(start_pipe) != 0) fail("pipe");
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    pin_child(argc > 1 ? argv[1] : "-");
    close(start_pipe[1]);
    echo();
    _exit(0);
  }
  ready(child, 0);
  serve(&(struct steps){.begin = begin, .pass = pass, .end = end});
  return 0;
}
