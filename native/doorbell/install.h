// Real-time signals for interrupt doorbells, each installed once and for ever. For threads, under the caller's lock.
#pragma once

#include <signal.h>

#include <cstdint>

namespace carillon {

// The number of a signal that nobody else uses and whose handler is `on`, the same for every call; 0: all are in use.
int32_t install_signal(void (*on)(int, siginfo_t*, void*));

}  // namespace carillon
