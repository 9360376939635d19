// How peers are rung: see bell_targets.h.
#include "bell_targets.h"

#include <signal.h>
#include <unistd.h>

#include "../doorbell/install.h"
#include "../doorbell/system_call.h"
#include "../doorbell/uintr.h"
#include "bell_page.h"

namespace carillon {

bool target_of(const bootstrap::PeerDescriptors& d, uint32_t kind, int32_t signal, BellTarget* target) {
  *target = {.how = doorbell_of(static_cast<BellKind>(kind)), .bell = d.bell, .escalation = d.escalation, .process = d.process, .signal = signal};
  if (!target->how || !bootstrap::is_eventfd(d.bell) || !bootstrap::is_eventfd(d.escalation)) return false;
  switch (static_cast<BellKind>(kind)) {
    case BellKind::futex:
      target->word = is_bell_page(d.interrupt) ? map_bell_page(d.interrupt) : nullptr;
      return target->word != nullptr;
    case BellKind::signal:
      if (bootstrap::is_thread_of(d.interrupt, d.pid)) target->process = d.interrupt;
      return signal >= SIGRTMIN && signal <= SIGRTMAX;
    case BellKind::uintr: {
      std::string detail;
      target->interrupt = d.interrupt;
      if (uintr::probe(&detail)) uintr::introduce(target);  // else its bell is left
      return true;
    }
    case BellKind::uintr_simulated: {
      int32_t thread;
      if (bootstrap::is_eventfd(d.interrupt)) return true;  // it is not interrupted at all
      if (signal < SIGRTMIN || signal > SIGRTMAX || !uintr::open_simulated(d.interrupt, &target->word, &thread)) return false;
      // A pidfd of the thread (Linux 6.9), if it is one of the peer's, which lives; else of the process, where the signal is passed on. Neither hits a stranger.
      target->interrupt = static_cast<int>(system_call(SYS_pidfd_open, thread, pidfd_thread));
      if (target->interrupt >= 0 &&
          (!bootstrap::is_thread_of(target->interrupt, d.pid) || system_call(SYS_pidfd_send_signal, d.process, 0) != 0)) {
        close(target->interrupt);
        target->interrupt = -1;
      }
      if (target->interrupt < 0) target->interrupt = d.process;
      uintr::introduce(target);
      return true;
    }
    default: return true;
  }
}

void forget_target(BellTarget* target) {
  if (target->how == &uintr_doorbell) uintr::forget(uintr::kernel(), target);
  if (target->how == &uintr_simulated_doorbell) {
    uintr::forget(&uintr::simulated, target);
    if (target->interrupt >= 0 && target->interrupt != target->process) close(target->interrupt);
  }
  if (target->word) unmap_bell_page(target->word);
  target->word = nullptr;
  target->interrupt = -1;
  target->id = 0;
}

}  // namespace carillon
