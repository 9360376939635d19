// The timeline's buffer of this process, and what JavaScript adds to it. Responsible for where the buffer comes from and for the events of event
// loops; not for recording (trace/trace.h) nor for the file that becomes of it (src/trace).
#pragma once

#include "../trace/trace.h"
#include "environment.h"

namespace carillon {

// By what an event loop woke: Woken in src/trace/buffer.ts.
enum class Woken : uint8_t { other, bell, notify };

// The rank is in its world: from here on its events are recorded, if a buffer was opened.
void begin_trace(Rank*);
// The loop is about to block, or not; and it runs again.
void trace_sleeps(Environment*);
void trace_awake(Environment*, Woken);

}  // namespace carillon
