// The page that the futex doorbell rings on: a process makes one, its peers map it.
#pragma once

#include <fcntl.h>

#include <atomic>
#include <cstdint>

namespace carillon {

inline constexpr long pidfd_thread = O_EXCL;  // PIDFD_THREAD

// A page that all peers may write and nobody can take away again. Below 0: refused, errno says why.
int make_bell_page();
bool is_bell_page(int descriptor);
// Null: refused.
std::atomic<uint32_t>* map_bell_page(int descriptor);
void unmap_bell_page(std::atomic<uint32_t>*);

}  // namespace carillon
