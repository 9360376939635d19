// The least two processes can exchange 8 bytes in: both look at shared memory without ever sleeping during a batch.
// Between batches the child sleeps in a read, so that it does not disturb the other peers.
#include "harness.h"

#include <stdatomic.h>
#include <sys/mman.h>

#define STOP UINT64_MAX

static _Atomic uint64_t* cells;  // [0] there, [8] and back: two cache lines
static int start_pipe[2];
static uint64_t sequence;

static void pass(void) {
  uint64_t value = ++sequence;
  atomic_store_explicit(&cells[0], value, memory_order_release);
  while (atomic_load_explicit(&cells[8], memory_order_acquire) != value) relax();
}

static void begin(const struct batch* batch) {
  (void)batch;
  uint64_t value = ++sequence;
  atomic_store_explicit(&cells[0], value, memory_order_release);  // before the child looks: it must not see STOP again
  if (write(start_pipe[1], "s", 1) != 1) fail("write");
  while (atomic_load_explicit(&cells[8], memory_order_acquire) != value) relax();
}

static void end(void) {
  atomic_store_explicit(&cells[0], STOP, memory_order_release);
  while (atomic_load_explicit(&cells[8], memory_order_acquire) != STOP) relax();
}

static void echo(void) {
  char byte;
  while (read(start_pipe[0], &byte, 1) == 1) {
    uint64_t seen = atomic_load(&cells[8]);
    while (1) {
      uint64_t value = atomic_load_explicit(&cells[0], memory_order_acquire);
      if (value == seen) {
        relax();
        continue;
      }
      seen = value;
      atomic_store_explicit(&cells[8], value, memory_order_release);
      if (value == STOP) break;
    }
  }
}

int main(int argc, char** argv) {
  cells = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (cells == MAP_FAILED || pipe(start_pipe) != 0) fail("mmap or pipe");
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
