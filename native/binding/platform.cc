// See platform.h.
#include "platform.h"

#include <time.h>

#include "../doorbell/system_call.h"

namespace carillon {
namespace {

void notify(void*, CompletionQueue* queue) {
  auto* waker = static_cast<Waker*>(queue->owner);
  if (queue->signalled.exchange(1, std::memory_order_seq_cst) == 0) signal_descriptor(waker->notify_descriptor);
}

void start_timer(void* self) {
  const itimerspec once = {{0, 0}, {0, 1'000'000}};
  system_call(SYS_timerfd_settime, static_cast<ProgressWaker*>(self)->timer, 0, reinterpret_cast<long>(&once), 0);
}

void more(void* self) { signal_descriptor(static_cast<ProgressWaker*>(self)->nudge); }

void copies(void*, CompletionQueue* own) {
  static_cast<Waker*>(own->owner)->copies_wait = true;  // it looks after it has left the guard
}

void queues(void*) {
  for (auto& bell : queue_bells)
    if (int descriptor = bell.load(std::memory_order_seq_cst) - 1; descriptor >= 0) signal_descriptor(descriptor);
}

}  // namespace

std::atomic<int> queue_bells[kQueueBells];

Platform platform_of(ProgressWaker* self) {
  return {.self = self, .notify = notify, .start_timer = start_timer, .more = more, .copies = copies, .queues = queues};
}

void run_engine(void* engine) { static_cast<Engine*>(engine)->interrupted(); }

}  // namespace carillon
