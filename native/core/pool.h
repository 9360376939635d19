// Blocks for eager bodies and unexpected envelopes: fixed size classes carved out of one reserved range.
// Only the guard's holder allocates and frees, without a system call; an empty pool leaves the packet in the ring.
// JavaScript threads give blocks back through `returned`, a stack that the holder collects.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "envelope.h"
#include "step.h"

namespace carillon {

class Pool {
 public:
  void init(unsigned char* base, size_t bytes) {
    next_ = base;
    end_ = base + bytes;
  }

  // Null: nothing left (or a body larger than any class).
  Block* allocate(size_t body) {
    unsigned k = 0;
    while (k < kClasses && size_of(k) < body + sizeof(Block)) ++k;
    if (k == kClasses) return nullptr;
    Block* block = nullptr;
    if (!free_[k] && static_cast<size_t>(end_ - next_) >= size_of(k)) {
      block = reinterpret_cast<Block*>(next_);
      next_ += size_of(k);
    } else {
      while (k < kClasses && !free_[k]) ++k;  // rather a larger one than none
      if (k == kClasses) return nullptr;
      block = free_[k];
      free_[k] = block->next;
    }
    // The links are set when it enters lists, the rest by whoever asked: clearing all of it would cost more.
    block->parcel = nullptr;
    block->offer = block->lent = false;
    block->size_class = static_cast<uint8_t>(k);
    return block;
  }

  void free(Block* block) {
    block->next = free_[block->size_class];
    free_[block->size_class] = block;
  }

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
  static constexpr unsigned kClasses = 7;
  // 256 B to 16 KiB: a power of two each, so that the largest eager body and its header fit the last.
  static constexpr size_t size_of(unsigned k) { return size_t{256} << k; }
  Block* free_[kClasses] = {};
  unsigned char* next_ = nullptr;
  unsigned char* end_ = nullptr;
  std::atomic<Block*> returned_{nullptr};
};

}  // namespace carillon
