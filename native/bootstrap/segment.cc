// Sealed memory: see segment.h. The order below is the whole point: the writable mapping first, then the seals, after
// which the kernel gives nobody, the creator included, another way to write or to resize.
#include "segment.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// Older C libraries lack these; the kernel's numbers are fixed.
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 0x0001
#define F_SEAL_SHRINK 0x0002
#define F_SEAL_GROW 0x0004
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace carillon::bootstrap {
namespace {

constexpr int required_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
constexpr uint64_t largest = uint64_t{1} << 40;  // 1 TiB: beyond any use, and far from overflow in a layout's arithmetic

int create_memfd() {
  constexpr unsigned flags = MFD_ALLOW_SEALING | MFD_CLOEXEC;
  const int descriptor = memfd_create("carillon", flags | MFD_NOEXEC_SEAL);
  if (descriptor >= 0 || errno != EINVAL) return descriptor;
  return memfd_create("carillon", flags);  // a kernel before 6.3 does not know MFD_NOEXEC_SEAL
}

Segment give_up(int descriptor, void* base, size_t bytes) {
  const int reason = errno;
  if (base != MAP_FAILED) munmap(base, bytes);
  if (descriptor >= 0) close(descriptor);
  errno = reason;
  return Segment{};
}

}  // namespace

Segment segment_create(size_t bytes) {
  if (bytes == 0 || bytes > largest) {
    errno = EINVAL;
    return Segment{};
  }
  const int descriptor = create_memfd();
  if (descriptor < 0) return Segment{};
  if (ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) return give_up(descriptor, MAP_FAILED, bytes);
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (base == MAP_FAILED) return give_up(descriptor, MAP_FAILED, bytes);
  if (fcntl(descriptor, F_ADD_SEALS, required_seals) != 0) return give_up(descriptor, base, bytes);
  return Segment{descriptor, static_cast<unsigned char*>(base), bytes};
}

bool segment_is_sealed(int descriptor, size_t* bytes, uint64_t* inode) {
  // Seals before size: with SHRINK and GROW in place the size that fstat tells is the size for ever, so no later access
  // can fault. What is no memfd has no seals to tell.
  const int seals = fcntl(descriptor, F_GET_SEALS);
  struct stat status;
  if (seals < 0 || (seals & required_seals) != required_seals || fstat(descriptor, &status) != 0 ||
      !S_ISREG(status.st_mode) || status.st_size <= 0 || static_cast<uint64_t>(status.st_size) > largest)
    return false;
  *bytes = static_cast<size_t>(status.st_size);
  *inode = status.st_ino;
  return true;
}

const unsigned char* segment_map_peer(int descriptor, size_t least, size_t* bytes) {
  *bytes = 0;
  size_t size;
  uint64_t inode;
  if (!segment_is_sealed(descriptor, &size, &inode) || size < least) {
    errno = EPROTO;
    return nullptr;
  }
  void* base = mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
  if (base == MAP_FAILED) return nullptr;
  *bytes = size;
  return static_cast<const unsigned char*>(base);
}

}  // namespace carillon::bootstrap
