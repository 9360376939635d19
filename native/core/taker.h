// A standing taker: it takes, in order, every message that no posted receive waits for, into a ring of bytes that JavaScript reads
// without a call for each message. Streams and queues are made of it.
// Responsible for the ring, as its producer; which messages go there is in taker.cc, who reads it is JavaScript's business.
#pragma once

#include <atomic>
#include <cstdint>

#include "bytes.h"
#include "envelope.h"
#include "step.h"

namespace carillon {

// In words of a SharedArrayBuffer: Ring in src/native.ts. Head, behind and alone (the place in line of what was last received alone): written
// by the guard's holder. Read: by the reader.
namespace ring_layout {
constexpr uint32_t head = 0, read = 16, behind = 32, alone = 34, records = 48, header_words = 8;
}

// Why a taker's next message waits among the unexpected.
enum class Behind : uint32_t {
  no = 0,
  room = 1,   // the ring was full, or it was enough for once: resume it when there is room
  alone = 2,  // what does not go through the ring is next: a body that is pulled, or larger than half the ring
};

struct Taker {
  uint32_t* words = nullptr;
  uint32_t capacity = 0;  // bytes for records, a power of two
  uint32_t head = 0;      // native copy: what JavaScript could overwrite is never trusted
  Behind behind = Behind::no;
  List<Block, &Block::in_backlog> backlog;  // what waits for it among the unexpected, in order of arrival

  std::atomic<uint32_t>& word(uint32_t index) const { return *reinterpret_cast<std::atomic<uint32_t>*>(words + index); }

  void set_behind(Behind why) {
    if (behind == why) return;
    behind = why;
    word(ring_layout::behind).store(static_cast<uint32_t>(why), std::memory_order_seq_cst);
  }

  static constexpr uint32_t record_bytes(uint64_t body) {
    return (ring_layout::header_words * 4 + static_cast<uint32_t>(body) + 7) & ~7u;
  }
  // At most half of it, so that a reader that keeps up always makes room for the next.
  bool can_hold(uint64_t body) const { return body <= capacity / 2 - ring_layout::header_words * 4; }

  // False: no room now. A record does not wrap around; in front of it the rest is skipped. `arrival`: the message's place in line, for
  // when it goes back to it.
  bool put(int32_t source, int32_t tag, uint32_t encoding, const unsigned char* body, uint64_t bytes, uint64_t arrival) {
    const uint32_t length = record_bytes(bytes), offset = head & (capacity - 1), to_end = capacity - offset;
    const uint32_t skip = to_end < length ? to_end : 0;
    const uint32_t used = head - word(ring_layout::read).load(std::memory_order_seq_cst);  // pairs with the reader's store
    if (used > capacity || capacity - used < skip + length) return false;
    uint32_t* record = words + ring_layout::records + offset / 4;
    if (skip) {
      record[0] = skip | 1;  // lengths are even
      record = words + ring_layout::records;
    }
    record[0] = length;
    record[1] = static_cast<uint32_t>(source);
    record[2] = static_cast<uint32_t>(tag);
    record[3] = encoding;
    record[4] = static_cast<uint32_t>(bytes);
    copy_bytes(record + 5, &arrival, sizeof arrival);
    copy_bytes(record + ring_layout::header_words, body, bytes);
    head += skip + length;
    CARILLON_STEP("taker.publish");
    word(ring_layout::head).store(head, std::memory_order_seq_cst);
    return true;
  }
};

}  // namespace carillon
