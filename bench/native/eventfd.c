// The least a sleeping process can be woken with: 8 bytes in shared memory, an eventfd rung, an epoll that waits for it.
// Both sides sleep in epoll_wait, like an event loop with nothing to do. `bytes:BYTES`: there and back, longer bodies copied once each way;
// `wake`: from before the bell is rung until its sleeper runs, everybody asleep before.
#include "harness.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#define WAKE_PAUSE_NS 2000000

// Each on a cache line of its own.
enum { THERE = 0, BACK = 8, BYTES = 16, RUNG_AT = 24, WOKEN_AFTER = 32, CELLS = 64 };

static volatile uint64_t* cells;
static struct bodies bodies;
static int bells[2];
static int loops[2];
static uint64_t sequence;
static int wakes;
static uint64_t woken_after;

static void await_bell(int side) {
  struct epoll_event event;
  while (epoll_wait(loops[side], &event, 1, -1) != 1) {
    if (errno != EINTR) fail("epoll_wait");
  }
  uint64_t rung;
  if (read(bells[side], &rung, sizeof rung) != sizeof rung) fail("read");
}

static void ring(int side) {
  uint64_t one = 1;
  if (write(bells[side], &one, sizeof one) != sizeof one) fail("write");
}

static void begin(const struct batch* batch) {
  wakes = strcmp(batch->kind, "wake") == 0;
  woken_after = 0;
  size_bodies(&bodies, batch->bytes);
  cells[BYTES] = bodies.bytes;
}

static void wake(void) {
  nanosleep(&(struct timespec){.tv_nsec = WAKE_PAUSE_NS}, NULL);
  cells[RUNG_AT] = now_ns();
  ring(1);
  await_bell(0);
  woken_after = cells[WOKEN_AFTER];
}

static void pass(void) {
  if (wakes) {
    wake();
    return;
  }
  cells[THERE] = ++sequence;
  ring(1);
  await_bell(0);
  take_body(&bodies, 1);
  if (cells[BACK] != sequence) {
    fprintf(stderr, "Error: another answer than asked for\n");
    exit(1);
  }
}

static void answer(void) {
  for (;;) {
    await_bell(1);
    cells[WOKEN_AFTER] = now_ns() - cells[RUNG_AT];
    bodies.bytes = cells[BYTES];
    take_body(&bodies, 0);
    cells[BACK] = cells[THERE];
    ring(0);
  }
}

int main(int argc, char** argv) {
  cells = map_shared(&bodies, CELLS * sizeof *cells);
  for (int side = 0; side < 2; side++) {
    bells[side] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loops[side] = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (bells[side] < 0 || loops[side] < 0 || epoll_ctl(loops[side], EPOLL_CTL_ADD, bells[side], &event) != 0) fail("epoll");
  }
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    pin_child(argc > 1 ? argv[1] : "-");
    answer();
  }
  ready(child, 0);
  serve(&(struct steps){.begin = begin, .pass = pass, .own_ns = &woken_after});
  return 0;
}
