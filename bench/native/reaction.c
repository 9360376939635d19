// The bare cost of what a doorbell does: a message is a word in shared memory, and whoever is rung answers it in another word. The
// receiver's main thread computes, or sleeps (workload `react-computing`, `react-idle`). Second argument: `eventfd`, where a second thread of
// the receiver sleeps in epoll, or `signal`, where a handler interrupts the main thread.
// The sender waits as Carillon's does for a synchronous message: it looks for a while, then sleeps in epoll until it is rung back.
#include "harness.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define LOOK_NS 150000u    // kLookForBodies in native/binding/waiting.cc
#define SLICE_NS 100000u   // ask_for_short_slice in native/binding/progress.cc
#define PAUSE_NS 100000u   // about: the pauses between messages (doorbell-program.ts has the same)
#define PAUSE_STEPS 8u

// Each word has a cache line and one writer.
struct shared {
  _Alignas(64) _Atomic uint64_t message;    // the sender's
  _Alignas(64) _Atomic uint64_t answer;     // the receiver's
  _Alignas(64) _Atomic uint32_t asleep;     // the sender's: ring back
  _Alignas(64) _Atomic uint32_t computing;  // the sender's: what the receiver's main thread does
  _Alignas(64) _Atomic uint32_t begun;      // the receiver's: it does
};

static struct shared* shared;
static int bells[2];  // of the sender, of the receiver
static int loops[2];
static int signals;
static pid_t child;
static int child_thread = -1;  // pidfd
static uint64_t sequence;

static void ring(int side) {
  const uint64_t one = 1;
  if (write(bells[side], &one, sizeof one) != sizeof one) fail("write");
}

static void await_bell(int side) {
  struct epoll_event event;
  while (epoll_wait(loops[side], &event, 1, -1) != 1) {
    if (errno != EINTR) fail("epoll_wait");
  }
}

// The receiver's, in a thread or a handler.
static void answer(void) {
  const uint64_t message = atomic_load(&shared->message);
  if (message == atomic_load(&shared->answer)) return;
  atomic_store(&shared->answer, message);  // then look whether the sender sleeps; it: asleep, then look for the answer
  if (atomic_load(&shared->asleep)) ring(0);
}

static void on_signal(int number, siginfo_t* info, void* context) {
  (void)number, (void)info, (void)context;
  const int kept = errno;
  answer();
  errno = kept;
}

// As Carillon's progress thread does: woken on a processor that computes, it runs at once. Kernels before 6.12 ignore it.
static void ask_for_short_slice(void) {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = {.size = 48, .runtime = SLICE_NS};
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

static void* answer_when_rung(void* unused) {
  ask_for_short_slice();
  for (;;) {
    await_bell(1);
    answer();
  }
  return unused;
}

static void receive(void) {
  volatile uint64_t kept = 1;
  for (;;) {
    while (!atomic_load(&shared->computing)) syscall(SYS_futex, &shared->computing, FUTEX_WAIT, 0, NULL, NULL, 0);
    atomic_store(&shared->begun, 1);
    uint64_t x = kept;
    while (atomic_load_explicit(&shared->computing, memory_order_relaxed))
      for (int i = 0; i < 100; i++) x = x * 6364136223846793005u + 1442695040888963407u;
    kept = x;
    atomic_store(&shared->begun, 0);
  }
}

static void start_receiver(const char* cpu) {
  pin_child(cpu);
  if (signals) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO};
    if (sigaction(SIGRTMIN + 6, &action, NULL) != 0) fail("sigaction");
  } else {
    pthread_t thread;
    if (pthread_create(&thread, NULL, answer_when_rung, NULL) != 0) fail("pthread_create");
  }
  ring(0);
  receive();
}

static void begin(const struct batch* batch) {
  if (strcmp(batch->kind, "react-computing") != 0) return;
  atomic_store(&shared->computing, 1);
  syscall(SYS_futex, &shared->computing, FUTEX_WAKE, 1, NULL, NULL, 0);
  while (!atomic_load(&shared->begun)) sched_yield();
}

static void end(void) {
  atomic_store(&shared->computing, 0);
  while (atomic_load(&shared->begun)) sched_yield();
}

// So that each message finds a receiver that has nothing left to do; not all of one length.
static void prepare(void) {
  const uint64_t until = now_ns() + PAUSE_NS / 2 + PAUSE_NS / PAUSE_STEPS * (sequence % PAUSE_STEPS);
  while (now_ns() < until) relax();
}

static void post(void) {
  if (!signals) return ring(1);
  if (syscall(SYS_pidfd_send_signal, child_thread, SIGRTMIN + 6, NULL, 0) != 0) fail("pidfd_send_signal");
}

static int answered(void) { return atomic_load(&shared->answer) == sequence; }

static void pass(void) {
  atomic_store(&shared->message, ++sequence);
  post();
  const uint64_t until = now_ns() + LOOK_NS;
  for (unsigned i = 1; !answered(); i++) {
    relax();
    if (i % 64 || now_ns() < until) continue;
    atomic_store(&shared->asleep, 1);
    while (!answered()) await_bell(0);
    atomic_store(&shared->asleep, 0);
  }
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  signals = strcmp(argv[2], "signal") == 0;
  shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) fail("mmap");
  for (int side = 0; side < 2; side++) {
    bells[side] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loops[side] = epoll_create1(EPOLL_CLOEXEC);
    // Edge-triggered, as Carillon's: every ring wakes once, and nobody reads the counter.
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    if (bells[side] < 0 || loops[side] < 0 || epoll_ctl(loops[side], EPOLL_CTL_ADD, bells[side], &event) != 0) fail("epoll");
  }
  child = fork();
  if (child < 0) fail("fork");
  if (child == 0) start_receiver(argv[1]);
  // The thread, where the kernel can (Linux 6.9); else the process, of which the kernel picks the main thread.
  child_thread = (int)syscall(SYS_pidfd_open, child, O_EXCL);
  if (child_thread < 0) child_thread = (int)syscall(SYS_pidfd_open, child, 0);
  if (signals && child_thread < 0) fail("pidfd_open");
  await_bell(0);  // it handles what comes now
  ready(child, 0);
  serve(&(struct steps){.begin = begin, .prepare = prepare, .pass = pass, .end = end});
  return 0;
}
