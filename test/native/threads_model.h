// What threads_test.cc knows of its ranks, threads and messages, and the ledger of what became of each message.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../../native/core/engine.h"
#include "../../native/drivers/shm.h"

namespace threads {

using namespace carillon;

inline constexpr uint32_t ranks = 2, threads_per_rank = 2, tags = 3;
inline constexpr uint64_t short_copy = 100'000;  // a thread copies up to that by itself, the progress thread the rest
inline constexpr uint32_t most_messages = 1 << 20;

// What became of a message, as each side learned it. Bits are only ever added.
enum Fate : uint32_t { sent = 1, cancelled = 2, closed = 4, delivered = 8, dropped = 16 };

struct Message {
  std::atomic<uint32_t> fate{0};
  uint32_t source = 0, dest = 0, tag = 0;
  uint64_t bytes = 0;
};

struct Random {
  uint64_t state;
  uint32_t below(uint32_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<uint32_t>(state * 0x2545f4914f6cdd1dull >> 33) % n;
  }
};

struct Operation {
  Request request;
  uint32_t message = 0;           // send: its number, from 1
  unsigned char* body = nullptr;  // send, or `into`
  bool cancel_asked = false;
};

struct Rank;

// What stands for a JavaScript thread.
struct Thread {
  Rank* rank = nullptr;
  Random random = {1};
  CompletionQueue* queue = nullptr;
  uint32_t consumed = 0;
  bool copies_wait = false;
  std::vector<Operation*> operations;  // by index; null: free
  std::vector<uint32_t> free_indices;
  std::vector<Block*> taken;
  std::atomic<int32_t> id{0};          // while it may be interrupted
  std::vector<unsigned char*> abandoned;  // bodies that somebody may still be reading
  uint32_t sends = 0, receives = 0, wide = 0;  // outstanding; wide: receives that take anything
};

struct Rank {
  Engine engine;
  Peer peers[ranks];
  shm::ShmPort port;
  shm::Cells cells;
  void* bins[Matcher::tables * Matcher::least_bins] = {};
  unsigned char *segment = nullptr, *pool = nullptr;
  uint32_t number = 0;
  Rank* other = nullptr;
  Thread threads[threads_per_rank];
  std::atomic<bool> stop{false};
  std::atomic<bool> rung{false};       // by an interrupt
  std::atomic<uint64_t> sent_interrupts{0};
};

inline Rank* both[ranks];
inline Message* messages;
inline std::atomic<uint32_t> message_count{0};
inline std::atomic<uint32_t> still_sending{0};
inline std::atomic<bool> time_is_up{false};
inline std::atomic<uint64_t> counted[32];  // by fate, one bit each
inline std::atomic<int> errors{0};

inline void wrong(const char* what, uint32_t number) {
  if (errors.fetch_add(1) < 10) printf("FAIL %s (message %u)\n", what, number);
}

inline uint64_t word_of(uint32_t number, uint64_t index) { return (number * 0x9e3779b97f4a7c15ull + index) * 0xbf58476d1ce4e5b9ull; }

inline void fill(unsigned char* to, uint64_t bytes, uint32_t number) {
  for (uint64_t i = 0; i < bytes; i += 8) {
    const uint64_t word = word_of(number, i);
    memcpy(to + i, &word, bytes - i < 8 ? bytes - i : 8);
  }
}

inline bool intact(const unsigned char* from, uint64_t bytes, uint32_t number) {
  for (uint64_t i = 0; i < bytes; i += 8) {
    const uint64_t word = word_of(number, i);
    if (memcmp(from + i, &word, bytes - i < 8 ? bytes - i : 8) != 0) return false;
  }
  return true;
}

// As process_vm_readv: the sender may write there meanwhile if it has taken the body back; what was copied then does not
// count. Between processes that is no race, so neither may it be one here: both sides are atomic.
inline CopyResult copy(int, int, uint64_t remote, unsigned char* local, uint64_t bytes) {
  auto* from = reinterpret_cast<const unsigned char*>(remote);
  uint64_t i = 0;
  for (; i + 8 <= bytes; i += 8) {
    const uint64_t word = __atomic_load_n(reinterpret_cast<const uint64_t*>(from + i), __ATOMIC_RELAXED);
    memcpy(local + i, &word, 8);
  }
  for (; i < bytes; ++i) local[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
  return CopyResult::ok;
}

inline void scribble(unsigned char* body, uint64_t bytes) {
  for (uint64_t i = 0; i + 8 <= bytes; i += 8) __atomic_store_n(reinterpret_cast<uint64_t*>(body + i), ~uint64_t{0}, __ATOMIC_RELAXED);
}

inline void decide(uint32_t number, Fate fate) {
  const uint32_t before = messages[number - 1].fate.fetch_or(fate);
  counted[fate].fetch_add(1, std::memory_order_relaxed);
  constexpr uint32_t senders = sent | cancelled | closed;
  if (before & fate) wrong("the same twice", number);
  if (fate & senders && before & senders) wrong("ends twice at its sender", number);
  if ((before | fate) & cancelled && (before | fate) & (delivered | dropped)) wrong("cancelled, yet taken", number);
}

inline bool resolved(const Message& m) {
  const uint32_t fate = m.fate.load();
  return fate & (cancelled | closed) || (fate & sent && fate & (delivered | dropped));
}

}  // namespace threads
