// Checks of bootstrap_test.cc: what is refused as a peer's memory, and that nobody but its owner can write a segment.
#pragma once

#include "bootstrap_support.h"

namespace test {

inline int memfd_with(size_t bytes, int seals) {
  const int descriptor = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) abort();
  if (seals != 0 && fcntl(descriptor, F_ADD_SEALS, seals) != 0) abort();
  return descriptor;
}

inline bool refuses(int descriptor, size_t least = 4096) {
  size_t bytes = 1;
  errno = 0;
  const bool refused = segment_map_peer(descriptor, least, &bytes) == nullptr && errno == EPROTO && bytes == 0;
  close(descriptor);
  return refused;
}

inline void segments() {
  constexpr int future_write = 0x0010;
  constexpr int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | future_write;
  check(refuses(memfd_with(4096, 0)), "unsealed memory is refused");
  for (const int missing : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL, future_write})
    check(refuses(memfd_with(4096, all & ~missing)), "memory without one of the seals is refused");
  check(refuses(memfd_with(4095, all)), "memory too small is refused");
  check(refuses(memfd_with(0, all), 0), "empty memory is refused");
  check(refuses(memfd_with((size_t{1} << 40) + 4096, all)), "memory beyond 1 TiB is refused");
  check(refuses(eventfd(0, EFD_CLOEXEC)) && refuses(open("/dev/zero", O_RDWR | O_CLOEXEC)) && refuses(-1), "no memory is refused");
  errno = 0;
  check(segment_create(0).base == nullptr && errno == EINVAL, "no segment of no bytes");
  const int before = open_descriptors();
  const Resources own(7);
  size_t bytes = 0;
  const unsigned char* peer = segment_map_peer(own.segment.descriptor, segment_bytes, &bytes);
  check(peer != nullptr && bytes == segment_bytes && peer[0] == 7, "a peer reads the segment");
  own.segment.base[100] = 42;
  check(peer[100] == 42, "and what its owner writes later");
  check(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, own.segment.descriptor, 0) == MAP_FAILED, "no writable mapping");
  check(write(own.segment.descriptor, "x", 1) < 0 && errno == EPERM, "no write");
  check(ftruncate(own.segment.descriptor, 0) < 0 && ftruncate(own.segment.descriptor, 1 << 20) < 0, "no other size");
  check(fallocate(own.segment.descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0, "no hole");
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", own.segment.descriptor);
  const int again = open(path, O_RDWR | O_CLOEXEC);
  check(again < 0 || mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED, "not by opening it again");
  if (again >= 0) close(again);
  munmap(const_cast<unsigned char*>(peer), bytes);
  check(open_descriptors() == before + 3, "mapping takes no descriptor");
}

}  // namespace test
