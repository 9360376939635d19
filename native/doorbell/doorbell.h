// The doorbell contract: how a process makes another one look at its rings.
//
// One ops table a kind. Both entries are called under the guard, must not block or allocate, keep errno, and are safe in
// an interrupt handler. A ring says "look", never "how many"; rings may coalesce. Whom a ring reaches:
// `ring` whoever really sleeps (a JavaScript loop first, the progress thread otherwise) or, for interrupt doorbells,
// a thread that runs; `escalate` the progress thread, always, after a ring was not answered.
#pragma once

namespace carillon {

// A peer's doorbell as this process holds it.
struct BellTarget {
  int bell = -1;
  int escalation = -1;
};

struct Doorbell {
  const char* name;
  void (*ring)(const BellTarget*);
  void (*escalate)(const BellTarget*);
};

extern const Doorbell eventfd_doorbell;

}  // namespace carillon
