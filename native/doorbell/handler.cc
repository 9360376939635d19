// See handler.h.
#include "handler.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace carillon {
namespace {

// Trivial statics only: handlers run until the process has ended.
std::atomic<const Handler*> handler{nullptr};
std::atomic<uint32_t> inside{0};       // handlers that have looked at `handler` or are about to
std::atomic<int32_t> number{0}, forward_to{0};
std::atomic<uint64_t> counted{0}, counted_main{0};

void on_signal(int, siginfo_t*, void*) {
  const int kept = errno;
  const int32_t to = forward_to.load(std::memory_order_relaxed);
  const auto self = static_cast<int32_t>(syscall(SYS_gettid));
  if (to != 0 && to != self) syscall(SYS_tgkill, getpid(), to, number.load(std::memory_order_relaxed));
  else interrupted();
  errno = kept;
}

}  // namespace

void interrupted() {
  inside.fetch_add(1, std::memory_order_seq_cst);  // pairs with end_interrupts: this, then the handler
  counted.fetch_add(1, std::memory_order_relaxed);
  if (syscall(SYS_gettid) == getpid()) counted_main.fetch_add(1, std::memory_order_relaxed);
  if (const Handler* h = handler.load(std::memory_order_seq_cst)) h->run(h->self);
  inside.fetch_sub(1, std::memory_order_seq_cst);
}

int32_t install_signal() {
  if (number.load() != 0) return number.load();
  for (int candidate = SIGRTMIN + 6; candidate <= SIGRTMAX; ++candidate) {
    struct sigaction before = {}, ours = {};
    if (sigaction(candidate, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) continue;
    ours.sa_sigaction = on_signal;
    ours.sa_flags = SA_RESTART | SA_SIGINFO;
    sigemptyset(&ours.sa_mask);
    sigaddset(&ours.sa_mask, candidate);  // no re-entry: what comes meanwhile runs it once more
    if (sigaction(candidate, &ours, nullptr) != 0) continue;
    number.store(candidate);
    return candidate;
  }
  return 0;
}

void begin_interrupts(const Handler* h) { handler.store(h, std::memory_order_seq_cst); }

void end_interrupts() {
  handler.store(nullptr, std::memory_order_seq_cst);
  while (inside.load(std::memory_order_seq_cst) != 0) sched_yield();
  forward_to.store(0);
}

void forward_interrupts(int32_t thread) { forward_to.store(thread); }

Interrupts interrupts() { return {counted.load(std::memory_order_relaxed), counted_main.load(std::memory_order_relaxed)}; }

}  // namespace carillon
