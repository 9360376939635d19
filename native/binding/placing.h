// Where the progress thread makes a long copy: beside a computation, not instead of it; where it wakes is the kernel's choice, and
// often the wrong one. Responsible for keeping it off the processor where JavaScript computes; not for what it copies.
#pragma once

#include <sched.h>

#include "rank.h"

namespace carillon {

// For as long as this lives: not on the processor where JavaScript last sent from, unless that thread waits in its loop. Then its
// processor is as good as any, and better than one where another rank computes.
class BesideComputation {
 public:
  explicit BesideComputation(Rank*);
  ~BesideComputation();
  BesideComputation(const BesideComputation&) = delete;

 private:
  cpu_set_t before_;
  bool moved_ = false;
};

}  // namespace carillon
