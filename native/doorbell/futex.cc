// The futex doorbell: a word that a service thread of the peer sleeps on, in a page that all its peers may write. What a hostile one
// writes there costs at most a wake-up too many, or one too few until the escalation.
#include <linux/futex.h>

#include "doorbell.h"
#include "system_call.h"

namespace carillon {

const Doorbell futex_doorbell = {
    .name = "futex",
    .ring =
        [](const BellTarget* target, bool) {
          target->word->fetch_add(1, std::memory_order_seq_cst);  // pairs with the service thread's look before it waits
          system_call(SYS_futex, reinterpret_cast<long>(target->word), FUTEX_WAKE, 1);
          return false;
        },
    .escalate = [](const BellTarget* target) { signal_descriptor(target->escalation); },
};

}  // namespace carillon
