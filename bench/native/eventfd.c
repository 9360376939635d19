// The least a sleeping process can be woken with: 8 bytes in shared memory, an eventfd rung, an epoll that waits for it.
// Both sides sleep in epoll_wait, like an event loop with nothing to do.
#include "harness.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

static volatile uint64_t* cells;  // [0] there, [8] and back: two cache lines
static int bells[2];
static int loops[2];
static uint64_t sequence;

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

static void pass(void) {
  cells[0] = ++sequence;
  ring(1);
  await_bell(0);
  if (cells[8] != sequence) {
    fprintf(stderr, "Error: another answer than asked for\n");
    exit(1);
  }
}

int main(int argc, char** argv) {
  cells = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (cells == MAP_FAILED) fail("mmap");
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
    for (;;) {
      await_bell(1);
      cells[8] = cells[0];
      ring(0);
    }
  }
  ready(child, 0);
  serve(&(struct steps){.pass = pass});
  return 0;
}
