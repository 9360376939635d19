// See install.h. Apart from handler.cc, which may not call the C library.
#include "install.h"

namespace carillon {

int32_t install_signal(void (*on)(int, siginfo_t*, void*)) {
  for (int candidate = SIGRTMIN + 6; candidate <= SIGRTMAX; ++candidate) {
    struct sigaction before = {}, ours = {};
    if (sigaction(candidate, nullptr, &before) != 0) continue;
    if (before.sa_flags & SA_SIGINFO && before.sa_sigaction == on) return candidate;
    if (before.sa_handler != SIG_DFL) continue;
    ours.sa_sigaction = on;
    ours.sa_flags = SA_RESTART | SA_SIGINFO;
    sigemptyset(&ours.sa_mask);
    sigaddset(&ours.sa_mask, candidate);  // no re-entry: what comes meanwhile runs it once more
    if (sigaction(candidate, &ours, nullptr) == 0) return candidate;
  }
  return 0;
}

}  // namespace carillon
