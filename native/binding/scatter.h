// A receive into several views of shared memory: which part of a body that is pulled goes where. Knows how gathered views lie
// on the wire (src/value/gather.ts). Used by whoever copies bodies, outside the guard; not for ordinary memory, which its own
// thread fills (src/scatter.ts).
#pragma once

#include <cstdint>

#include "../core/engine.h"

namespace carillon {

struct Scatter;

// In memory of malloc: free() ends it. Null: out of memory.
Scatter* make_scatter(const Part* views, uint32_t count);
// Copies the next part of the request's body to where it belongs, as Engine::pull does. Sets `scattered`, unless the body
// has a layout that cannot be: then it goes to a stage as without views, and JavaScript says what is wrong with it.
Pull pull_scattered(Engine&, Request*, Scatter*);

}  // namespace carillon
