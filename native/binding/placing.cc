// See placing.h.
#include "placing.h"

namespace carillon {

BesideComputation::BesideComputation(Rank* r) {
  const uint32_t processor = r->header()->processor.load(std::memory_order_relaxed) - 1;
  cpu_set_t others;
  if (processor >= CPU_SETSIZE || r->sender.load(std::memory_order_relaxed) == r->waiter.load(std::memory_order_relaxed)) return;
  if (sched_getaffinity(0, sizeof before_, &before_) != 0 || !CPU_ISSET(processor, &before_)) return;
  others = before_;
  CPU_CLR(processor, &others);
  moved_ = CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0;
}

BesideComputation::~BesideComputation() {
  if (moved_) sched_setaffinity(0, sizeof before_, &before_);
}

}  // namespace carillon
