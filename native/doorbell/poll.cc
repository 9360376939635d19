// The poll doorbell: the peer's progress thread never sleeps, so there is nobody to ring. The baseline that interrupts are held against.
#include "doorbell.h"
#include "system_call.h"

namespace carillon {

const Doorbell poll_doorbell = {
    .name = "poll",
    // It says that it is asleep only as it leaves.
    .ring = [](const BellTarget*, bool) { return false; },
    .escalate = [](const BellTarget* target) { signal_descriptor(target->escalation); },
};

}  // namespace carillon
