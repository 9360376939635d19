// The shm driver: memory shared on one node. See driver.h for the contract, shm_layout.h for the words.
#pragma once

#include "copy.h"
#include "driver.h"
#include "shm_layout.h"

namespace carillon::shm {

using CopyFunction = CopyResult (*)(int pid, int process, uint64_t remote, unsigned char* local, uint64_t bytes);

// A rank's own cells: which are free. Shared by its ports, under the guard.
struct Cells {
  unsigned char* memory = nullptr;
  uint32_t free = (1u << max_cells) - 1;  // bit n: cell n
};

struct ShmPort : Port {
  Lane* mine = nullptr;
  const Lane* theirs = nullptr;
  unsigned char* ring_out = nullptr;
  const unsigned char* ring_in = nullptr;
  const unsigned char* cells_in = nullptr;
  uint32_t ring_bytes = 0;

  // As sender.
  uint64_t head = 0, tail_seen = 0;
  uint64_t posted_seen = 0, notices_seen = 0;
  uint32_t claimed = 0;
  static constexpr uint32_t most_cells = 4;  // that may be on their way to one peer: a slow one leaves some to the others
  Cells* cells = nullptr;
  uint32_t cell_bytes = 0;
  int32_t claimed_cell = -1;
  struct {
    uint64_t until;   // free when the peer has released the ring up to here
    uint32_t number;
  } cells_out[most_cells] = {};
  uint32_t cells_sent = 0, cells_back = 0;  // counts
  bool asked = false, no_room = false;  // why the peer shall ring: block, or claim found no room
  uint64_t outcome_tail = 0;
  uint32_t generations[slots] = {};
  uint16_t next_slot = 0;

  // As receiver.
  uint64_t tail = 0, tail_published = 0;
  uint64_t head_seen = 0;  // up to here the peer's head was read and found possible
  uint32_t current = 0;  // ring bytes of the packet that peek showed
  uint32_t no_crowd = 0; // ring bytes that may wait without being a crowd
  uint64_t posted = 0;
  bool posts_changed = false;
  uint64_t outcome_head = 0;

  int pid = 0;
  int process = -1;  // pidfd, owned by whoever connected the port
  CopyFunction copy = nullptr;
  std::atomic<bool> reads{true};  // false: the kernel does not let us read its memory, or we were told not to
};

// Writes the immutable part of an own segment. `base` is zeroed and segment_bytes(size, ring_bytes) long; ring_bytes is
// ring_bytes_for(size), but for tests a multiple of 64 that holds two of the largest packets.
void format(unsigned char* base, uint32_t rank, uint32_t size, uint32_t ring_bytes, uint64_t quota_bytes,
            uint64_t quota_envelopes);

// Connects `port` between an own segment and a peer's. `cells`: the rank's, or null: bodies go in packets of the ring only.
// False: the peer's segment is not what a segment is.
bool connect(ShmPort* port, unsigned char* own, const unsigned char* peer, size_t peer_bytes, uint32_t peer_rank, Cells* cells);

inline Header* header(unsigned char* base) { return reinterpret_cast<Header*>(base); }
inline const Header* header(const unsigned char* base) { return reinterpret_cast<const Header*>(base); }

extern const Driver driver;

}  // namespace carillon::shm
