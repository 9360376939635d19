// The attention word: whether a sender has to ring. One per process, in its own segment, read by every peer.
//
// value = epoch << 2 | lingers << 1 | asleep. Arming (asleep, next epoch) and publishing a packet are sequentially consistent
// read-modify-writes of one's own word; looking is a sequentially consistent load of the other's. So of a receiver that
// arms and then looks at its rings, and a sender that publishes and then looks at the attention, at least one sees the other.
// A sender rings at most once an epoch: it remembers privately which epoch it rang.
// `lingers`: it looks again soon without being rung. Awake: it goes on looking for a while. Asleep: only as far as progress goes; the
// rank's one thread runs JavaScript, and looks before it sleeps, so whoever has nothing urgent for it need not ring at once.
#pragma once

#include <atomic>
#include <cstdint>

#include "../core/step.h"

namespace carillon {

class Attention {
 public:
  void bind(std::atomic<uint64_t>* word) { word_ = word; }

  // Guard's holder, before it looks for the last time: from now on, ring.
  void arm(bool lingers = false) {
    CARILLON_STEP("attention.arm");
    word_->exchange(++epoch_ << 2 | (lingers ? 3 : 1), std::memory_order_seq_cst);
    awake_ = false;
  }
  // Guard's holder: somebody is awake in progress, nobody needs to ring.
  void wake(bool lingers) {
    if (awake_) return;
    CARILLON_STEP("attention.wake");
    word_->exchange(epoch_ << 2 | (lingers ? 2 : 0), std::memory_order_seq_cst);
    awake_ = true;
  }

  bool awake() const { return awake_; }

  static bool asleep(uint64_t value) { return value & 1; }
  static bool lingers(uint64_t value) { return value >> 1 & 1; }
  static uint64_t epoch(uint64_t value) { return value >> 2; }

 private:
  std::atomic<uint64_t>* word_ = nullptr;
  uint64_t epoch_ = 0;
  bool awake_ = true;
};

}  // namespace carillon
