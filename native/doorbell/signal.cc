// The signal doorbell: a real-time signal to a process whose JavaScript runs, and its handler makes the progress; the bell for one that
// sleeps. Sent through the peer's pidfd, so that it can never hit a stranger, whichever numbers the kernel gives again.
#include "doorbell.h"
#include "system_call.h"

namespace carillon {

const Doorbell signal_doorbell = {
    .name = "signal",
    .ring =
        [](const BellTarget* target, bool runs) {
          if (runs && system_call(SYS_pidfd_send_signal, target->process, target->signal) == 0) return true;
          signal_descriptor(target->bell);  // asleep, or its queue of signals is full
          return false;
        },
    .escalate = [](const BellTarget* target) { signal_descriptor(target->escalation); },
};

}  // namespace carillon
