// Blocks for eager bodies and unexpected envelopes: a buddy allocator over one reserved range.
//
// Blocks are powers of two from 256 B to 32 KiB; a free one merges with its buddy, so that what small messages used
// serves large ones later. A few of each size are kept as they were freed: a message in and out again costs no split
// and merge. What is free lies in lists in the free blocks themselves; the map behind the range says which those are.
// The range is taken from its low end, never sooner than needed: memory is touched only as far as blocks were in use
// at once. Only the guard's holder allocates and frees, in bounded time, without a system call; an empty pool leaves
// the packet in the ring. JavaScript threads give blocks back through `returned`, a stack that the holder collects.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "envelope.h"
#include "step.h"

namespace carillon {

class Pool {
 public:
  static constexpr size_t smallest = 256, largest = 32 << 10;

  // The size of the block that holds a body.
  static constexpr size_t block_bytes(size_t body) {
    size_t bytes = std::bit_ceil(body + sizeof(Block));
    return bytes < smallest ? smallest : bytes;
  }

  // How much to reserve so that an allocation fails only when blocks of more than `bytes` (by block_bytes) are in
  // use. A block breaks up a larger free one only when no smaller free one would do, that is, when every such area
  // that is in use at all is in use for something of its size or less. So each size in turn adds at most `bytes`, and
  // what is kept of it unmerged, to what the smaller ones occupy.
  static constexpr size_t reservation(size_t bytes) {
    size_t range = (bytes + largest) / largest * largest * classes + (2 * kept_most + 1) * largest;
    return range + range / smallest;
  }

  void init(unsigned char* base, size_t bytes) {
    base_ = base;
    units_ = static_cast<uint32_t>(bytes / (smallest + 1));
    map_ = base + units_ * smallest;
  }

  // Null: nothing left (or a body larger than any block).
  Block* allocate(size_t body) {
    if (body > largest) return nullptr;
    unsigned k = class_of(body);
    if (k >= classes) return nullptr;
    Block* block = kept_[k];
    if (block) {
      kept_[k] = block->next;
      --kept_count_[k];
    } else {
      block = take(k);
      if (!block) return nullptr;
    }
    in_use_ += smallest << k;
    if (in_use_ > high_water_) high_water_ = in_use_;
    // The links are set when it enters lists, the rest by whoever asked: clearing all of it would cost more.
    block->parcel = nullptr;
    block->taker = nullptr;
    block->offer = block->lent = false;
    block->size_class = static_cast<uint8_t>(k);
    return block;
  }

  void free(Block* block) {
    unsigned k = block->size_class;
    in_use_ -= smallest << k;
    if (kept_count_[k] == kept_most) return release(unit_of(block), k);
    block->next = kept_[k];
    kept_[k] = block;
    ++kept_count_[k];
  }

  size_t bytes_in_use() const { return in_use_; }       // of blocks, not of bodies
  size_t high_water() const { return high_water_; }     // the most that was in use at once
  size_t bytes_touched() const { return fresh_ * smallest; }  // from the range's low end on

  // Any thread: the guard's holder frees it later.
  void give_back(Block* block) {
    Block* top = returned_.load(std::memory_order_relaxed);
    do {
      block->next = top;
      CARILLON_STEP("pool.give_back");
    } while (!returned_.compare_exchange_weak(top, block, std::memory_order_seq_cst, std::memory_order_relaxed));
  }
  bool any_returned() const { return returned_.load(std::memory_order_relaxed) != nullptr; }
  Block* take_returned() { return returned_.exchange(nullptr, std::memory_order_seq_cst); }

 private:
  static constexpr unsigned classes = std::bit_width(largest / smallest);
  static constexpr unsigned kept_most = 8;
  static unsigned class_of(size_t body) {
    return static_cast<unsigned>(std::bit_width((block_bytes(body) - 1) / smallest));
  }

  // Places in the range are counted in units of the smallest block; a block of class k starts at a multiple of 2^k.
  uint32_t unit_of(const Block* block) const {
    auto offset = static_cast<size_t>(reinterpret_cast<const unsigned char*>(block) - base_);
    return static_cast<uint32_t>(offset / smallest);
  }
  Block* block_at(uint32_t unit) const { return reinterpret_cast<Block*>(base_ + unit * smallest); }

  // A block of class k that is not kept: the smallest free one that does, what is kept of other sizes merged first.
  Block* take(unsigned k) {
    if (free_[k].empty()) merge_kept();
    Block* block = split(k);
    if (block) return block;
    uint32_t at = (fresh_ + (1u << k) - 1) >> k << k;
    if (at > units_) return nullptr;
    // What alignment leaves over is free; with what lies before it, it may be all that is needed.
    while (fresh_ != at) {
      unsigned left = static_cast<unsigned>(std::countr_zero(fresh_));
      uint32_t gap = fresh_;
      fresh_ += 1u << left;
      release(gap, left);
    }
    block = split(k);
    if (block || units_ - at < 1u << k) return block;
    fresh_ += 1u << k;
    map_[at] = 0;
    return block_at(at);
  }

  // Its low part; the high halves are free from now on.
  Block* split(unsigned k) {
    unsigned from = k;
    while (from < classes && free_[from].empty()) ++from;
    if (from == classes) return nullptr;
    Block* block = free_[from].pop();
    uint32_t unit = unit_of(block);
    map_[unit] = 0;
    while (from > k) {
      --from;
      put(unit + (1u << from), from);
    }
    return block;
  }

  void release(uint32_t unit, unsigned k) {
    map_[unit] = 0;
    for (; k + 1 < classes; ++k) {
      uint32_t buddy = unit ^ 1u << k;
      if (buddy >= fresh_ || map_[buddy] != k + 1) break;
      free_[k].remove(block_at(buddy));
      map_[buddy] = 0;
      unit &= ~(1u << k);
    }
    put(unit, k);
  }

  void put(uint32_t unit, unsigned k) {
    map_[unit] = static_cast<unsigned char>(k + 1);
    free_[k].insert_before(free_[k].first(), block_at(unit));
  }

  void merge_kept() {
    for (unsigned k = 0; k < classes; ++k) {
      while (Block* block = kept_[k]) {
        kept_[k] = block->next;
        release(unit_of(block), k);
      }
      kept_count_[k] = 0;
    }
  }

  unsigned char* base_ = nullptr;
  unsigned char* map_ = nullptr;     // by unit: 1 + class of the free block that starts there; 0: none does
  uint32_t units_ = 0;
  uint32_t fresh_ = 0;               // from here on nothing was ever used, and the map says nothing
  BlockList free_[classes];
  Block* kept_[classes] = {};
  unsigned kept_count_[classes] = {};
  size_t in_use_ = 0, high_water_ = 0;
  std::atomic<Block*> returned_{nullptr};
};

}  // namespace carillon
