// The pool against a plain model: blocks apart and inside, splitting and merging, and how much must be reserved.
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "../../native/core/pool.h"
#include "engine_test.h"

using namespace carillon;

namespace {

struct Range {
  explicit Range(size_t blocks)
      : bytes(blocks * Pool::smallest), memory(static_cast<unsigned char*>(malloc(bytes + blocks))) {
    pool.init(memory, bytes + blocks);
  }
  ~Range() { free(memory); }
  size_t offset(const Block* b) const { return static_cast<size_t>(reinterpret_cast<const unsigned char*>(b) - memory); }

  size_t bytes;
  unsigned char* memory;
  Pool pool;
};

std::vector<Block*> fill(Pool& pool, size_t body) {
  std::vector<Block*> blocks;
  while (Block* b = pool.allocate(body)) blocks.push_back(b);
  return blocks;
}

void basics() {
  check(Pool::block_bytes(0) == 256 && Pool::block_bytes(64) == 256 && Pool::block_bytes(256 - sizeof(Block)) == 256 &&
            Pool::block_bytes(257 - sizeof(Block)) == 512 && Pool::block_bytes(16000) == 16384 &&
            Pool::block_bytes(Pool::largest - sizeof(Block)) == Pool::largest,
        "a block is the smallest power of two that holds body and header");
  Range range(256);
  Pool& p = range.pool;
  std::vector<Block*> blocks = fill(p, 64);
  bool inside = true;
  for (size_t i = 0; i < blocks.size(); ++i) inside &= range.offset(blocks[i]) == i * Pool::smallest;
  check(inside && blocks.size() == 256, "the pool is used whole and from its low end, blocks apart");
  check(!p.allocate(1), "an empty pool gives nothing");
  check(!p.allocate(Pool::largest) && !p.allocate(SIZE_MAX), "a body larger than any block gets nothing");
  p.free(blocks[3]);
  check(p.allocate(1) == blocks[3], "what was freed is given out again");
  check(p.bytes_in_use() == range.bytes && p.high_water() == range.bytes, "it counts what is in use");
  p.give_back(blocks[0]);
  p.give_back(blocks[1]);
  Block* returned = p.take_returned();
  check(returned == blocks[1] && returned->next == blocks[0] && returned->next->next == nullptr && !p.any_returned(),
        "what other threads give back is collected once");
  for (size_t i = blocks.size(); i-- > 0;) p.free(blocks[i]);
  check(fill(p, Pool::largest - sizeof(Block)).size() == range.bytes / Pool::largest,
        "small blocks that are free merge for large ones");
}

// Random bodies in a small range, some failing for want of room. Every byte in use belongs to one block.
void against_model() {
  Range range(1024 + 37);  // the last area is not whole
  Pool& p = range.pool;
  struct Held {
    Block* block;
    size_t body;
    unsigned char mark;
  };
  std::map<size_t, Held> held;  // by offset
  size_t in_use = 0;
  bool apart = true, intact = true, counted = true, exact = true;
  for (int turn = 0; turn < 200000; ++turn) {
    bool filling = turn / 2000 % 2 == 0;
    if (below(10) < (filling ? 6u : 4u)) {
      size_t body = below(3) ? below(200) : below(3) ? below(3000) : below(Pool::largest - sizeof(Block) + 1);
      Block* b = p.allocate(body);
      if (!b) {
        // Then no aligned place for it is free of blocks.
        size_t size = Pool::block_bytes(body);
        for (size_t at = 0; at + size <= range.bytes; at += size) {
          auto next = held.lower_bound(at);
          bool covered = next != held.end() && next->first < at + size;
          if (next != held.begin()) {
            auto before = std::prev(next);
            covered |= before->first + Pool::block_bytes(before->second.body) > at;
          }
          exact &= covered;
        }
        continue;
      }
      size_t at = range.offset(b), size = Pool::block_bytes(body);
      auto next = held.lower_bound(at);
      apart &= at % size == 0 && at + size <= range.bytes && (next == held.end() || next->first >= at + size);
      if (next != held.begin()) {
        auto before = std::prev(next);
        apart &= before->first + Pool::block_bytes(before->second.body) <= at;
      }
      unsigned char mark = static_cast<unsigned char>(below(256));
      memset(b->body(), mark, body);
      held[at] = {b, body, mark};
      in_use += size;
    } else if (!held.empty()) {
      auto which = held.lower_bound(below(static_cast<uint32_t>(range.bytes)));
      if (which == held.end()) which = held.begin();
      const Held& h = which->second;
      for (size_t i = 0; i < h.body; ++i) intact &= h.block->body()[i] == h.mark;
      in_use -= Pool::block_bytes(h.body);
      p.free(h.block);
      held.erase(which);
    }
    counted &= p.bytes_in_use() == in_use && p.high_water() >= in_use;
  }
  check(apart, "blocks of all sizes are aligned, inside and apart");
  check(intact, "a block keeps what was written to it");
  check(counted, "what is in use is counted by blocks");
  check(exact, "the pool gives nothing only when there is no place left");
  for (auto& [at, h] : held) p.free(h.block);
  check(p.bytes_in_use() == 0 && fill(p, Pool::largest - sizeof(Block)).size() == range.bytes / Pool::largest,
        "everything merges back to whole");
}

// The worst that is known: of each size in turn as much as may be in use, then all given back but one block in each area of
// the next size. And random ones, with the same bound on what is in use.
void reservation() {
  constexpr size_t most = 1 << 20;
  size_t bytes = Pool::reservation(most);
  auto* memory = static_cast<unsigned char*>(malloc(bytes));
  bool enough = true;
  size_t touched = 0;
  for (int round = 0; round < 40; ++round) {
    Pool p;
    p.init(memory, bytes);
    std::vector<Block*> held;
    auto allocate = [&](size_t size) {
      if (p.bytes_in_use() + size > most) return false;
      Block* b = p.allocate(size - sizeof(Block));
      enough &= b != nullptr;
      if (b) held.push_back(b);
      return b != nullptr;
    };
    if (round < 2) {
      for (size_t size = Pool::smallest; size <= Pool::largest; size *= 2) {
        while (allocate(size)) {}
        std::map<size_t, Block*> pins;
        for (Block* b : held) {
          size_t area = static_cast<size_t>(reinterpret_cast<unsigned char*>(b) - memory) / (2 * size);
          if (!pins.emplace(area, b).second) p.free(b);
        }
        held.clear();
        for (auto& [area, b] : pins) held.push_back(b);
      }
    } else {
      for (int turn = 0; turn < 20000; ++turn) {
        size_t size = Pool::smallest << (turn / (1 + round * 40) % 8);
        if (!allocate(size) || below(20) == 0)
          for (uint32_t n = below(static_cast<uint32_t>(held.size()) + 1); n > 0 && !held.empty(); --n) {
            std::swap(held[below(static_cast<uint32_t>(held.size()))], held.back());
            p.free(held.back());
            held.pop_back();
          }
      }
    }
    if (p.bytes_touched() > touched) touched = p.bytes_touched();
  }
  free(memory);
  check(enough, "what is reserved suffices for what may be in use, whatever the order");
  check(touched > 2 * most, "although that takes more than twice as much");
}

}  // namespace

void test_pool() {
  basics();
  against_model();
  reservation();
}
