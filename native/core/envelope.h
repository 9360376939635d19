// What a message is while nobody has taken it, and on its way to JavaScript: blocks of the pool and parcels to oneself.
#pragma once

#include <cstdint>

#include "../drivers/driver.h"
#include "key_index.h"
#include "list.h"
#include "submission.h"

namespace carillon {

struct Parcel;
struct Request;

// An envelope nobody has taken yet, or the body of an eager message on its way to JavaScript. The body follows it.
struct Block {
  Place<Block> exact, by_source, by_tag, by_context;  // unexpected: the four ways in which it may be looked for ...
  Link<Block> in_order;                               // ... and all in order of arrival. Free: the pool's list
  Link<Block> in_backlog;                             // unexpected, for a taker that is behind
  uint64_t arrival = 0;                               // unexpected: its place in that order
  union {
    Request* taker = nullptr;                         // unexpected: which taker that is
    Block* next;                                      // in the pool's kept or returned stack
  };
  Parcel* parcel = nullptr;                           // a message to oneself: this block is the parcel's head
  uint64_t bytes = 0;                                 // of the body
  int32_t source = 0;
  int32_t tag = 0;
  uint32_t context = 0;
  uint32_t encoding = 0;
  uint32_t generation = 0;
  uint16_t slot = 0;
  bool offer = false;                                 // its body is an Offered
  bool lent = false;
  uint8_t size_class = 0;

  unsigned char* body() { return reinterpret_cast<unsigned char*>(this + 1); }
};
static_assert(sizeof(Block) <= 192, "a body of 64 bytes fits the pool's smallest block");

// Of an offer, where an eager body would be.
struct Offered {
  uint64_t remote;  // where the body lies at its sender
  Loan loan;        // if lent
};

using BlockList = List<Block, &Block::in_order>;

// A message from this process to itself: handed over in memory, allocated by the sending JavaScript thread with malloc,
// freed by the receiving one. The body follows it.
struct Parcel : Submission {
  Block envelope;
  Request* sender = nullptr;  // synchronous: completes when this is matched
  Request* holder = nullptr;  // the probe that took it: in no list meanwhile
  void* pages = nullptr;      // binding: the leased memory that is the body ...
  unsigned char* leased = nullptr;  // ... and where it lies
  unsigned char* body() { return leased ? leased : reinterpret_cast<unsigned char*>(this + 1); }
};

}  // namespace carillon
