// The eventfd doorbell: one eventfd a process, in the epoll sets of its JavaScript loops and of its progress thread with
// EPOLLEXCLUSIVE, so that the kernel wakes exactly one thread that really sleeps (binding registers it).
#include "doorbell.h"
#include "system_call.h"

namespace carillon {

namespace {
bool ring_bell(const BellTarget* target, bool) {
  signal_descriptor(target->bell);
  return false;
}
void escalate(const BellTarget* target) { signal_descriptor(target->escalation); }
}  // namespace

const Doorbell eventfd_doorbell = {.name = "eventfd", .ring = ring_bell, .escalate = escalate};

const Doorbell* doorbell_of(BellKind kind) {
  switch (kind) {
    case BellKind::eventfd: return &eventfd_doorbell;
    case BellKind::poll: return &poll_doorbell;
    case BellKind::futex: return &futex_doorbell;
    case BellKind::signal: return &signal_doorbell;
    case BellKind::uintr: return &uintr_doorbell;
    case BellKind::uintr_simulated: return &uintr_simulated_doorbell;
    default: return nullptr;
  }
}

}  // namespace carillon
