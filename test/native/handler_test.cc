// The signal doorbell's handler under a storm of timers, in a program without Node: errno and registers are as they were, and nobody runs a
// handler that was taken away. What runs is an engine's whole interrupted(). Ends with "N passed, M failed".
//   handler_test SECONDS
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>

#include "../../native/doorbell/handler.h"
#include "../../native/doorbell/install.h"
#include "../../native/doorbell/system_call.h"
#include "engine_side.h"

using namespace carillon;

namespace {

constexpr long periods[] = {97'000, 241'300};  // ns: in a virtual machine each costs 50 µs
double deadline = 0;

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

// Fires at the calling thread.
class Storm {
 public:
  explicit Storm(int signal) {
    for (int i = 0; i < 2; ++i) {
      sigevent event = {};
      event.sigev_notify = SIGEV_THREAD_ID;
      event.sigev_signo = signal;
      event._sigev_un._tid = gettid();
      const itimerspec period = {{0, periods[i]}, {0, periods[i]}};
      timer_create(CLOCK_MONOTONIC, &event, &timers_[i]);
      timer_settime(timers_[i], 0, &period, nullptr);
    }
  }
  ~Storm() {
    for (timer_t timer : timers_) timer_delete(timer);
  }
  Storm(const Storm&) = delete;

 private:
  timer_t timers_[2];
};

// An engine that has something to do now and then.
struct Target {
  Target() : peer(static_cast<unsigned char*>(aligned_alloc(4096, segment_bytes))), side(peer) {}
  ~Target() { free(peer); }
  unsigned char* peer;
  Side side;
  std::atomic<bool> allowed{false};
  std::atomic<uint64_t> runs{0}, trespasses{0};
};

void run(void* self) {
  auto* t = static_cast<Target*>(self);
  if (!t->allowed.load(std::memory_order_seq_cst)) t->trespasses.fetch_add(1);
  shm::header(t->peer)->attention.fetch_add(8);
  t->side.engine.interrupted();
  signal_descriptor(-1);  // fails, and says so to nobody: what a handler reaches makes raw system calls only
  t->runs.fetch_add(1, std::memory_order_relaxed);
}

struct Counts {
  uint64_t calls = 0, wrong = 0;
};

void* fail_calls(void* argument) {
  auto* counts = static_cast<Counts*>(argument);
  Storm storm(install_signal(on_signal));
  char byte;
  double sum = 1;
  while (now() < deadline) {
    for (int i = 0; i < 200; ++i) {
      const struct {
        long result;
        int expected, found;
      } calls[] = {
          {close(-1), EBADF, errno},
          {open("/there/is/nothing", O_RDONLY), ENOENT, errno},
          {read(-1, &byte, 1), EBADF, errno},
          {fcntl(0, 9999), EINVAL, errno},
          {kill(getpid(), 9999), EINVAL, errno},
      };
      for (const auto& call : calls) {
        ++counts->calls;
        counts->wrong += call.result != -1 || call.found != call.expected;
      }
      errno = 77;
      double a = sum, b = 1;
      for (int k = 0; k < 50; ++k) {
        a = a * 1.0000001 + k;
        b = b * 1.0000001 + k;
      }
      counts->wrong += a != b || errno != 77;
    }
  }
  return nullptr;
}

// Begins and ends interrupts again and again, while they come to this thread and to another.
void* wait_out(void*) {
  Storm storm(install_signal(on_signal));
  while (now() < deadline) {
    for (int i = 0; i < 1000; ++i) asm volatile("");
  }
  return nullptr;
}

}  // namespace

int main(int count, char** arguments) {
  const double seconds = count > 1 ? atof(arguments[1]) : 3;
  const int number = install_signal(on_signal);
  check(number >= SIGRTMIN && install_signal(on_signal) == number, "a real-time signal is ours, once for all");
  auto* target = new Target;
  const Handler handler = {run, target};

  target->allowed.store(true);
  begin_interrupts(&handler);
  deadline = now() + seconds / 2;
  Counts counts[2];
  pthread_t other;
  pthread_create(&other, nullptr, fail_calls, &counts[1]);
  fail_calls(&counts[0]);
  pthread_join(other, nullptr);
  const uint64_t runs = target->runs.load();
  printf("%lu handler runs among %lu failing calls, %lu of them made progress\n", runs, counts[0].calls + counts[1].calls,
         target->side.engine.counters().handled);
  check(runs > 100 && counts[0].wrong + counts[1].wrong == 0, "handlers leave errno and registers as they were");
  check(interrupts().all >= runs, "each is counted");

  deadline = now() + seconds / 2;
  pthread_create(&other, nullptr, wait_out, nullptr);
  uint64_t rounds = 0;
  {
    Storm storm(number);
    for (; now() < deadline; ++rounds) {
      end_interrupts();
      target->allowed.store(false);
      for (int i = 0; i < 2000; ++i) asm volatile("");
      target->allowed.store(true);
      begin_interrupts(&handler);
      for (int i = 0; i < 2000; ++i) asm volatile("");
    }
  }
  pthread_join(other, nullptr);
  end_interrupts();
  printf("%lu handler runs while they began and ended %lu times\n", target->runs.load() - runs, rounds);
  check(rounds > 100 && target->runs.load() > runs && target->trespasses.load() == 0, "nobody runs a handler that was taken away");
  const uint64_t last = target->runs.load(), reached = interrupts().all;
  delete target;
  raise(number);
  check(interrupts().all == reached + 1 && last > 0, "a signal that comes later is heard of, and does nothing");
  return finish();
}
