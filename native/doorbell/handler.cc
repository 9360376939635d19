// See handler.h. Part of the engine's unit: a user interrupt saves no vector register.
#include "handler.h"

#include "../trace/trace.h"
#include "system_call.h"

namespace carillon {
namespace {

// Trivial statics only: handlers run until the process has ended.
std::atomic<const Handler*> handler{nullptr};
std::atomic<uint32_t> inside{0};       // handlers that have looked at `handler` or are about to
std::atomic<int32_t> forward_to{0};
std::atomic<uint64_t> counted{0}, counted_main{0};

}  // namespace

void interrupted(bool main_thread) {
  inside.fetch_add(1, std::memory_order_seq_cst);  // pairs with end_interrupts: this, then the handler
  counted.fetch_add(1, std::memory_order_relaxed);
  if (main_thread) counted_main.fetch_add(1, std::memory_order_relaxed);
  const uint64_t begin = trace::begin();
  if (const Handler* h = handler.load(std::memory_order_seq_cst)) h->run(h->self);
  if (begin) trace::record(trace::Kind::handler, begin, {});
  inside.fetch_sub(1, std::memory_order_seq_cst);
}

void on_signal(int number, siginfo_t*, void*) {
  const int32_t to = forward_to.load(std::memory_order_relaxed);
  const long self = system_call(SYS_gettid), process = system_call(SYS_getpid);
  if (to != 0 && to != self) system_call(SYS_tgkill, process, to, number);
  else interrupted(self == process);
}

void begin_interrupts(const Handler* h) { handler.store(h, std::memory_order_seq_cst); }

void end_interrupts() {
  handler.store(nullptr, std::memory_order_seq_cst);
  while (inside.load(std::memory_order_seq_cst) != 0) system_call(SYS_sched_yield);
  forward_to.store(0);
}

void forward_interrupts(int32_t thread) { forward_to.store(thread); }

Interrupts interrupts() { return {counted.load(std::memory_order_relaxed), counted_main.load(std::memory_order_relaxed)}; }

}  // namespace carillon
