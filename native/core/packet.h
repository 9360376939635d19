// The packet header: what the cores of two ranks say to each other through a driver. Drivers carry it as opaque bytes.
// Everything in it was written by another process: read once into private memory, checked, then used.
#pragma once

#include <cstdint>

namespace carillon {

enum class PacketKind : uint8_t {
  eager = 1,  // the body follows the header
  offer = 2,  // the body lies in the sender's memory at `address`; claimed and pulled through the driver
  lease = 3,  // an offer whose memory the receiver may map instead: a Loan (drivers/driver.h) follows the header
};

struct PacketHeader {
  uint64_t bytes;       // of the body
  uint64_t address;     // offer: where the body lies in the sender's address space
  int32_t tag;          // >= 0
  uint32_t context;     // which communicator
  uint32_t encoding;    // how the value was encoded: opaque here (src/value.ts)
  uint32_t generation;  // offer: of its slot
  uint16_t slot;        // offer: which of the pair's offer words
  PacketKind kind;
  uint8_t unused;
  uint32_t padding;
};
static_assert(sizeof(PacketHeader) == 40);

}  // namespace carillon
