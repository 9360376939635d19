// The packet header: what the cores of two ranks say to each other through a driver. Drivers carry it as opaque bytes.
// Everything in it was written by another process: read once into private memory, checked, then used.
#pragma once

#include <cstdint>

namespace carillon {

enum class PacketKind : uint8_t {
  eager = 1,  // the body follows the header
  offer = 2,  // the body lies in the sender's memory at `address`; claimed and pulled through the driver
  part = 3,   // a part of a claimed offer's body follows, from its byte `address` on; needs no credit, its place is there
  cell = 5,   // such a part lies in the sender's cell `cell` (drivers/driver.h)
  lease = 4,  // an offer whose memory the receiver may map instead: a Loan (drivers/driver.h) follows the header
};

struct PacketHeader {
  uint64_t bytes;       // of the body
  uint64_t address;     // offer: where the body lies in the sender's address space
  int32_t tag;          // >= 0
  uint32_t context;     // which communicator
  uint32_t encoding;    // how the value was encoded: opaque here (src/value.ts) but for contents_of
  uint32_t generation;  // offer, part, cell: of its slot
  uint16_t slot;        // offer, part, cell: which of the pair's offer words
  PacketKind kind;
  uint8_t cell;
  uint32_t passed;      // 1 + slot of the want (flow.h) that let it pass without credit; 0: it had credit
};
static_assert(sizeof(PacketHeader) == 40);

// The bytes of a message that a list of views is filled with: all but what its encoding says, in its upper 24 bits, that
// it added (the header and paddings of gathered views).
constexpr uint64_t contents_of(uint64_t bytes, uint32_t encoding) {
  uint64_t added = encoding >> 8;
  return added <= bytes ? bytes - added : bytes;
}

}  // namespace carillon
