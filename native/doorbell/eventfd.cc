// The eventfd doorbell: one eventfd a process, in the epoll sets of its JavaScript loops and of its progress thread with
// EPOLLEXCLUSIVE, so that the kernel wakes exactly one thread that really sleeps (binding registers it).
#include "doorbell.h"
#include "system_call.h"

namespace carillon {

const Doorbell eventfd_doorbell = {
    .name = "eventfd",
    .ring = [](const BellTarget* target) { signal_descriptor(target->bell); },
    .escalate = [](const BellTarget* target) { signal_descriptor(target->escalation); },
};

}  // namespace carillon
