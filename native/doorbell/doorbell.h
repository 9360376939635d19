// The doorbell contract: how a process makes another one look at its rings.
//
// One ops table a kind, in a file of its own. A rank chooses how it is rung and says so in its segment; its peers use that kind's table for it. Both
// entries are called under the guard, must not block or allocate, keep errno, and are safe in an interrupt handler. A ring says "look",
// never "how many"; rings may coalesce. Whom a ring reaches: `ring` whoever really sleeps (a JavaScript loop first, the progress thread
// otherwise), or, if the peer says that a thread of it runs and the kind can, that thread, by an interrupt whose handler makes the progress;
// `escalate` the progress thread, always, after a ring was not answered.
// Not responsible for the receiving side: whom a kind needs (handlers.h, binding/bells.cc).
#pragma once

#include <atomic>
#include <cstdint>

namespace carillon {

// As a rank says in its segment how it is rung. Append only.
enum class BellKind : uint32_t { eventfd = 1, poll = 2, futex = 3, signal = 4, uintr = 5, uintr_simulated = 6 };

struct Doorbell;

// A peer's doorbell as this process holds it.
struct BellTarget {
  const Doorbell* how = nullptr;
  int bell = -1;
  int escalation = -1;
  int process = -1;                        // pidfd of its process, or of the thread to interrupt; owned by whoever connected
  int32_t signal = 0;                      // which one interrupts it
  std::atomic<uint32_t>* word = nullptr;   // futex: counts rings, written by all who ring; uintr_simulated: whether an interrupt is posted
  int interrupt = -1;                      // uintr: what senders register; uintr_simulated: pidfd of the thread, or its process. As `process`
  uint64_t id = 0;                         // uintr: whose entry in the table of senders; never given again, 0: none
};

struct Doorbell {
  const char* name;
  // `runs`: it says that a thread of its runs JavaScript and may be interrupted. False: it was reached otherwise or not by an interrupt.
  bool (*ring)(const BellTarget*, bool runs);
  void (*escalate)(const BellTarget*);
};

extern const Doorbell eventfd_doorbell, poll_doorbell, futex_doorbell, signal_doorbell, uintr_doorbell, uintr_simulated_doorbell;

// Null: no such kind in this version.
const Doorbell* doorbell_of(BellKind);

}  // namespace carillon
