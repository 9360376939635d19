// The layout of a segment: the memory one process writes and all its peers read.
// Who writes what, who reads it and what it pairs with is in docs/architecture.md's ownership table, by these names.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "driver.h"

namespace carillon::shm {

constexpr uint64_t magic = 0x314e4f4c4c495241;  // "ARILLON1"
constexpr uint32_t layout_version = 5;
constexpr size_t page = 4096;
constexpr uint32_t slots = 256;     // offers open to one peer
constexpr uint32_t outcomes = 1024;  // at most three a slot: push, the end, and see accept() in shm.cc


// First page of a segment.
struct Header {
  uint64_t magic;
  uint32_t version, rank, size, ring_bytes;
  uint64_t quota_bytes, quota_envelopes;        // what each peer may have waiting here
  uint32_t bell;                                // how it is rung: a BellKind, which only who rings it understands
  int32_t signal;                               // which one interrupts it, if any
  alignas(64) std::atomic<uint64_t> attention;
  alignas(64) std::atomic<uint32_t> closed;     // 1: this rank has said goodbye
  alignas(64) std::atomic<uint32_t> processor;  // where this rank last sent from
  alignas(64) std::atomic<uint64_t> region[max_regions];  // leased memory of this rank that lives: its inode, or 0
};

// What the owner writes for one peer. Sender's words and receiver's words are the two halves of two directions.
struct Lane {
  // What the peer looks at while it waits, in one cache line: as sender to it, and as receiver its offers' outcomes.
  alignas(64) std::atomic<uint64_t> head;     // ring bytes published
  std::atomic<uint64_t> outcome_head;         // outcomes published
  std::atomic<uint64_t> notices;              // counts: look at my board
  // Apart, for the peer reads it each time it gives something free, and it seldom changes.
  alignas(64) std::atomic<uint32_t> blocked;  // 1: waits for room or credit, ring me
  // As receiver from the peer: what it looks at when it runs out of something.
  alignas(64) std::atomic<uint64_t> tail;     // ring bytes consumed
  std::atomic<uint64_t> posted;               // counts publications of changed board words
  alignas(64) std::atomic<uint64_t> board[board_words];
  alignas(64) std::atomic<uint64_t> outcome[outcomes];  // generation << 32 | parts << 24 | slot << 8 | Outcome
  std::atomic<uint64_t> offer[slots];         // as sender: generation << 2 | OfferState
  std::atomic<uint64_t> claim[slots];         // as receiver: generation << 2 | 1
  std::atomic<uint32_t> returned[max_loans];      // as receiver: generation of the lease given back last
};

static_assert(sizeof(Header) <= page);

enum OfferState : uint64_t { free = 0, offered = 1, revoked = 2 };

constexpr size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }
constexpr size_t lane_bytes(uint32_t ring_bytes) { return round_up(sizeof(Lane), page) + ring_bytes; }
// Cells: behind the lanes, for parts of bodies, whoever they are for. Large enough that handing one over costs little, and few enough
// that all of them stay in a processor's cache (1 MiB from process to process: 36 to 38 µs by cells of 64 KiB, 46 of 16 KiB).
constexpr uint32_t cell_bytes(uint32_t ring_bytes) { return ring_bytes >= 32 * 1024 ? 64 * 1024 : ring_bytes / 2; }
constexpr size_t cells_offset(uint32_t size, uint32_t ring_bytes) { return page + size * lane_bytes(ring_bytes); }
constexpr size_t segment_bytes(uint32_t size, uint32_t ring_bytes) {
  return cells_offset(size, ring_bytes) + size_t{max_cells} * cell_bytes(ring_bytes);
}
// Rings of one pair: memory is touched only as far as it is used, but a ring that is used is used whole.
constexpr uint32_t ring_bytes_for(uint32_t size) { return size <= 16 ? 128 * 1024 : 32 * 1024; }

}  // namespace carillon::shm
