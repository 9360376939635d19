// This process's buffer of events: where it comes from and from when on it is used. Knows no Node.
// Not responsible for recording (trace/trace.h).
#pragma once

#include "../trace/trace.h"

namespace carillon {

struct Rank;

struct Moment {
  uint64_t ticks, ns;
};

// Now, by both clocks.
Moment trace_moment();
// Ticks a nanosecond, as far as that is known by `now`. Once a buffer is open.
double trace_rate(const Moment& now);

// Memory without a name, for so many events, touched only as far as there are any: a descriptor; -1: errno says why.
int make_trace(uint64_t capacity);
// The process's buffer: that at `path`, or (empty) one of its own. Once: later calls find what the first one opened. Null, or why not.
const char* open_trace(const char* path, uint64_t capacity);
trace::Buffer* opened_trace();  // or null
int own_trace();                // the descriptor of one that this process made for itself, or -1
// The rank is in its world: from here on its events are recorded, if a buffer is open.
void begin_trace(Rank*);

}  // namespace carillon
