// The attention word: whether a sender has to ring. One per process, in its own segment, read by every peer.
//
// value = epoch << 4 | idle << 3 | runs << 2 | lingers << 1 | asleep. Arming (asleep, next epoch) and publishing a packet are sequentially consistent
// read-modify-writes of one's own word; looking is a sequentially consistent load of the other's. So of a receiver that
// arms and then looks at its rings, and a sender that publishes and then looks at the attention, at least one sees the other.
// A sender rings at most once an epoch: it remembers privately which epoch it rang.
// `lingers`: it looks again soon without being rung. Awake: it goes on looking for a while. Asleep: only as far as progress goes; the
// rank's one thread runs JavaScript, and looks before it sleeps, so whoever has nothing urgent for it need not ring at once.
// `runs`: asleep as far as progress goes, but a thread runs JavaScript that an interrupt doorbell reaches; without it only the bell does.
// `idle`: asleep in its event loop, where it would wait awake but for what it waits for; rung, it would push a body.
#pragma once

#include <atomic>
#include <cstdint>

#include "../core/step.h"

namespace carillon {

class Attention {
 public:
  void bind(std::atomic<uint64_t>* word) { word_ = word; }

  // Guard's holder, before it looks for the last time: from now on, ring.
  void arm(bool lingers = false, bool runs = false, bool idle = false) {
    CARILLON_STEP("attention.arm");
    word_->exchange(++epoch_ << 4 | (idle ? 8 : 0) | (runs ? 4 : 0) | (lingers ? 3 : 1), std::memory_order_seq_cst);
    awake_ = false;
    lingers_ = lingers;
    runs_ = runs;
    idle_ = idle;
  }
  // Guard's holder: somebody is awake in progress, nobody needs to ring.
  void wake(bool lingers) {
    if (awake_) return;
    CARILLON_STEP("attention.wake");
    word_->exchange(epoch_ << 4 | (lingers ? 2 : 0), std::memory_order_seq_cst);
    awake_ = true;
  }

  bool awake() const { return awake_; }
  // Asleep, and it does not say what is so by now, which would spare its senders rings or have them interrupt.
  bool lacks(bool lingers, bool runs, bool idle) const {
    return !awake_ && ((lingers && !lingers_) || (runs && !runs_) || (idle && !idle_));
  }

  static bool asleep(uint64_t value) { return value & 1; }
  static bool lingers(uint64_t value) { return value >> 1 & 1; }
  static bool runs(uint64_t value) { return value >> 2 & 1; }
  static bool idle(uint64_t value) { return value >> 3 & 1; }
  static uint64_t epoch(uint64_t value) { return value >> 4; }

 private:
  std::atomic<uint64_t>* word_ = nullptr;
  uint64_t epoch_ = 0;
  bool awake_ = true, lingers_ = false, runs_ = false, idle_ = false;
};

}  // namespace carillon
