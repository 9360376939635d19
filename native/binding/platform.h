// What the engine calls of the process it lives in, and what an interrupt handler calls of the engine. Part of the engine's unit, since a handler
// reaches all of it: raw system calls, no vector register. Knows neither Node nor a rank's or thread's other things, which derive from these.
#pragma once

#include "../core/engine.h"

namespace carillon {

// Of one JavaScript thread: its CompletionQueue's owner.
struct Waker {
  int notify_descriptor = -1;         // written by whoever completes a request of this thread
  volatile bool copies_wait = false;  // set under the guard by this thread's own leave: bodies wait to be copied
};

// Of the process: reach its progress thread.
struct ProgressWaker {
  int nudge = -1, timer = -1;
};

// Of the process, by thread that wakes the readers of shared rings (waking_queues.cc): 1 + the descriptor it waits for; 0: none.
constexpr uint32_t kQueueBells = 64;
extern std::atomic<int> queue_bells[kQueueBells];

Platform platform_of(ProgressWaker*);

// Handler::run for an Engine.
void run_engine(void* engine);

}  // namespace carillon
