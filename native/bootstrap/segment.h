// Memory that one process writes and others only read: sealed memfds and their mappings.
// Responsible for the seals and for checking them; not for the layout inside (native/drivers/shm_layout.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdint>

namespace carillon::bootstrap {

struct Segment {
  int descriptor = -1;     // memfd; after create: F_SEAL_SHRINK | GROW | FUTURE_WRITE | SEAL, close-on-exec
  unsigned char* base = nullptr;
  size_t bytes = 0;
};

// Zero-filled, mapped writable here and nowhere else. base == nullptr on failure, errno set.
Segment segment_create(size_t bytes);

// Whether this is a memfd with the seals above, so that *bytes is its size for ever.
bool segment_is_sealed(int descriptor, size_t* bytes, uint64_t* inode);

// Maps what another process sent, read-only. Refuses (nullptr, errno = EPROTO) what is not a memfd of at least
// `least` bytes with the seals above. *bytes gets the size.
const unsigned char* segment_map_peer(int descriptor, size_t least, size_t* bytes);

}  // namespace carillon::bootstrap
