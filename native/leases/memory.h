// Leased memory as the kernel sees it: a sealed memfd that its owner writes, and the private mapping that a peer makes of it.
// Responsible for the system calls and for refusing what is no such memory; not for who has what when (leases.h).
#pragma once

#include <cstdint>

#include "../drivers/driver.h"

namespace carillon::leases {

// An own region: whole pages, zero-filled, writable through `base` only. base == nullptr on failure, errno set.
struct Memory {
  unsigned char* base = nullptr;
  uint64_t bytes = 0;
  uint64_t inode = 0;
  int descriptor = -1;
};
Memory create(uint64_t bytes);
void destroy(const Memory&);

// Maps the memory that a peer lends: what we write there is our own copy, page by page. `process` is the peer's pidfd.
// Null with errno EPROTO if what the descriptor names is not the memory the loan speaks of, with the kernel's reason if
// it does not let us.
unsigned char* map(int process, const Loan&);

// Drops our own copies of pages, so that the mapping shows its owner's again. False: the kernel keeps them.
bool drop_copies(unsigned char* base, uint64_t bytes);
void unmap(unsigned char* base, uint64_t bytes);

// Whether this kernel lets a process take another's descriptor; errno says why not. Tried on this process itself.
bool can_take_descriptors();

}  // namespace carillon::leases
