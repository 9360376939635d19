// The hub: the launcher's side of how ranks meet. One thread in the launching process accepts each rank once, hands
// every rank the descriptors of all others when all have come, and tells the survivors who has left or died.
// Not responsible for starting processes (src/launcher) nor for any message between ranks.
#pragma once

#include <cstdint>

namespace carillon::bootstrap {

struct Hub;

// Opens an abstract UNIX socket with an unguessable name and starts the hub's thread (every signal blocked in it).
// Returns nullptr with errno set (EMFILE: this process may not hold the five descriptors that each rank needs).
// size: 1..max_ranks.
Hub* hub_open(uint32_t size);

// The name ranks connect to (without the leading NUL), e.g. "carillon-6f0c…"; valid until hub_close.
const char* hub_address(const Hub*);

// The launcher saw the process it started for this rank end (signal 0: by exit_code). Any thread. Harmless when the rank
// has joined and said goodbye; when it has not joined, everyone who waits in join is refused with rank_ended and this
// rank's number.
void hub_rank_ended(Hub*, uint32_t rank, int32_t exit_code, int32_t signal);

// The rank that aborted the job, or -1. Any thread.
int32_t hub_aborter(const Hub*);

// Ends the thread, closes every descriptor. Ranks still connected see the hub as gone.
void hub_close(Hub*);

}  // namespace carillon::bootstrap
