// See bell_page.h.
#include "bell_page.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace carillon {
namespace {

constexpr size_t page = 4096;
constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW;

}  // namespace

std::atomic<uint32_t>* map_bell_page(int descriptor) {
  void* memory = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::atomic<uint32_t>*>(memory);
}

int make_bell_page() {
  const int descriptor = memfd_create("carillon-bell", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) return -1;
  if (ftruncate(descriptor, page) == 0 && fcntl(descriptor, F_ADD_SEALS, seals) == 0) return descriptor;
  close(descriptor);
  return -1;
}

bool is_bell_page(int descriptor) {
  struct stat status;
  const int have = fcntl(descriptor, F_GET_SEALS);
  return have >= 0 && (have & seals) == seals && fstat(descriptor, &status) == 0 && status.st_size >= static_cast<off_t>(page);
}

void unmap_bell_page(std::atomic<uint32_t>* word) { munmap(word, page); }

}  // namespace carillon
