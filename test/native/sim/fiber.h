// Fibers: what the simulator runs its threads on. Responsible for stacks and switching; not for who runs next (schedule.cc).
#pragma once

#include <cstddef>

namespace sim {

struct Fiber {
  void* context = nullptr;
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;
  unsigned char* stack = nullptr;
};

constexpr size_t stack_bytes = 128 * 1024;

// `entry` must never return; it may be abandoned at any switch.
void prepare(Fiber*, void (*entry)(void*), void* argument);
void switch_fiber(Fiber* from, Fiber* to);
// Gives the stack back, whatever the fiber was doing.
void discard(Fiber*);

}  // namespace sim
