// The guard: one word that says who may touch rings, matching and completion queues.
//
// free (0), held (1), held with work pending (3). A contender sets PENDING and owns the guard if it was free; the holder
// releases by compare-and-swap held -> free, which fails while PENDING is set, and then looks again. A try-lock with a
// separate flag loses wake-ups: the holder may read the flag, the contender set it and fail, the holder unlock.
// Nobody waits here, so it may be entered from an interrupt handler.
#pragma once

#include <atomic>
#include <cstdint>

#include "step.h"

namespace carillon {

class Guard {
 public:
  // True: the caller owns the guard. Leaves no trace otherwise.
  bool try_enter() {
    CARILLON_STEP("guard.try_enter");
    uint32_t expected = kFree;
    return word_.load(std::memory_order_relaxed) == kFree &&
           word_.compare_exchange_strong(expected, kHeld, std::memory_order_seq_cst);
  }

  // True: the caller owns the guard. False: the holder will look at everything once more before it lets go.
  bool enter_or_leave_pending() {
    CARILLON_STEP("guard.pend");
    if (word_.fetch_or(kPending, std::memory_order_seq_cst) != kFree) return false;
    CARILLON_STEP("guard.entered");
    word_.exchange(kHeld, std::memory_order_seq_cst);  // what pended in between is seen: nothing was looked at yet
    return true;
  }

  // Holder: is somebody's work pending? Clears the mark; the caller looks at everything after this call.
  bool take_pending() {
    if (word_.load(std::memory_order_relaxed) == kHeld) return false;
    CARILLON_STEP("guard.take_pending");
    word_.exchange(kHeld, std::memory_order_seq_cst);
    return true;
  }

  // Holder: false if work became pending; then the guard is still held.
  bool try_leave() {
    CARILLON_STEP("guard.leave");
    uint32_t expected = kHeld;
    return word_.compare_exchange_strong(expected, kFree, std::memory_order_seq_cst);
  }

  // Holder, armed: goes although work may be pending, and has somebody enter after it.
  void leave_anyway() {
    CARILLON_STEP("guard.leave_anyway");
    word_.exchange(kFree, std::memory_order_seq_cst);
  }

  bool pending() const { return word_.load(std::memory_order_relaxed) != kHeld; }

 private:
  static constexpr uint32_t kFree = 0, kHeld = 1, kPending = 2;
  std::atomic<uint32_t> word_{kFree};
};

}  // namespace carillon
