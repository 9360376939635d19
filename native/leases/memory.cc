// System calls of leased memory; see memory.h.
#include "memory.h"

#include <cerrno>
#include <cstddef>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../bootstrap/segment.h"

// Older headers lack these; the kernel's numbers are fixed.
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

namespace carillon::leases {
namespace {

constexpr uint64_t page = 4096;

// Closes without touching errno.
void shut(int descriptor) {
  const int reason = errno;
  close(descriptor);
  errno = reason;
}

}  // namespace

Memory create(uint64_t bytes) {
  const uint64_t whole = bytes == 0 ? page : (bytes + page - 1) / page * page;
  const bootstrap::Segment segment = bootstrap::segment_create(whole);
  if (!segment.base) return {};
  Memory memory = {segment.base, whole, 0, segment.descriptor};
  size_t size;
  if (bootstrap::segment_is_sealed(segment.descriptor, &size, &memory.inode)) return memory;
  destroy(memory);
  errno = EPROTO;
  return {};
}

void destroy(const Memory& memory) {
  munmap(memory.base, memory.bytes);
  close(memory.descriptor);
}

unsigned char* map(int process, const Loan& loan) {
  // The number may name anything by now, if the loan was taken back meanwhile or its sender lies: look before mapping.
  const long taken = syscall(SYS_pidfd_getfd, process, loan.descriptor, 0u);
  if (taken < 0) return nullptr;
  const int descriptor = static_cast<int>(taken);
  size_t bytes;
  uint64_t inode;
  if (!bootstrap::segment_is_sealed(descriptor, &bytes, &inode) || bytes != loan.bytes || inode != loan.inode) {
    shut(descriptor);
    errno = EPROTO;
    return nullptr;
  }
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0);
  shut(descriptor);
  return base == MAP_FAILED ? nullptr : static_cast<unsigned char*>(base);
}

bool drop_copies(unsigned char* base, uint64_t bytes) { return madvise(base, bytes, MADV_DONTNEED) == 0; }

void unmap(unsigned char* base, uint64_t bytes) { munmap(base, bytes); }

bool can_take_descriptors() {
  const long self = syscall(SYS_pidfd_open, getpid(), 0u);
  if (self < 0) return false;
  const long taken = syscall(SYS_pidfd_getfd, self, self, 0u);
  if (taken >= 0) shut(static_cast<int>(taken));
  shut(static_cast<int>(self));
  return taken >= 0;
}

}  // namespace carillon::leases
