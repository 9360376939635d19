// The receiving side of interrupt doorbells: one handler a process, and what it runs. Installed once and for ever: a signal that is still on its
// way when a rank has left finds a handler that does nothing, not the default action, which would end the process.
// Responsible for who may be running when `run` is taken away; not for what it does (Engine::interrupted) nor for installing (install.h).
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>

namespace carillon {

struct Handler {
  void (*run)(void* self) = nullptr;
  void* self = nullptr;
};

// From now on interrupts run this, on the thread they reach. This and the next two: for threads, never for handlers, under the caller's lock.
void begin_interrupts(const Handler*);
// No longer, and nobody is running it any more when this returns (microseconds: it is bounded).
void end_interrupts();
// Signals go on to this thread of the process (0: they stay with whom they reach).
void forward_interrupts(int32_t thread);

// What any kind of interrupt calls: raw system calls only, allocates nothing. `main_thread`: it has reached that.
void interrupted(bool main_thread);
// The signal doorbell's.
void on_signal(int, siginfo_t*, void*);

// How many interrupts have reached this process, and how many of them its main thread.
struct Interrupts {
  uint64_t all, main_thread;
};
Interrupts interrupts();

}  // namespace carillon
