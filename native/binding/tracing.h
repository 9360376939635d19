// What event loops and JavaScript add to the timeline. Not responsible for its buffer (trace_buffer.h), for recording (trace/trace.h) nor for the
// file that becomes of it (src/trace).
#pragma once

#include "environment.h"
#include "trace_buffer.h"

namespace carillon {

// By what an event loop woke: Woken in src/trace/buffer.ts.
enum class Woken : uint8_t { other, bell, notify };

// The loop is about to block, or not; and it runs again.
void trace_sleeps(Environment*);
void trace_awake(Environment*, Woken);

}  // namespace carillon
