// Memory for bodies on their way: copies of what was sent from memory that might vanish, and what was pulled before its
// thread fetches it. Kept and used again, because fresh memory of this size costs more than the copy into it (page faults).
// Any thread; never under the guard or in a handler. Not for what waits unmatched (core/pool.h).
#pragma once

#include <cstdint>

namespace carillon {

// At least `bytes`, not cleared; *capacity is what give_stage wants back. Null: out of memory.
unsigned char* take_stage(uint64_t bytes, uint64_t* capacity);
void give_stage(unsigned char*, uint64_t capacity);
// Gives back to the system what is kept.
void drop_stages();

}  // namespace carillon
