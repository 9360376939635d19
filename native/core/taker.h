// A standing taker: it takes, in order, every message that no posted receive waits for, into a ring of bytes that JavaScript reads
// without a call for each message. Streams are made of it, and queues, which threads share that know nothing of this rank.
// Responsible for the ring, as its producer; which messages go there is in taker.cc, who reads it is JavaScript's business.
#pragma once

#include <atomic>
#include <cstdint>

#include "bytes.h"
#include "envelope.h"
#include "step.h"

namespace carillon {

// In words of a SharedArrayBuffer: Ring in src/native.ts. Head, event, behind and what follows it: written by the guard's holder; alone: the
// place in line of what was last received alone. Read and asleep: by who reads; of a shared ring the low word of a number of 64 bits, and set
// by who may sleep, cleared by the guard's holder.
namespace ring_layout {
constexpr uint32_t head = 0, event = 1, read = 16, asleep = 18, behind = 32, alone = 34, unfit_bytes = 36, unfit_source = 38, unfit_tag = 39,
                   status = 40, peer = 41, records = 48, header_words = 8;
constexpr uint32_t closed = 1;  // in head, whose positions are even: nothing follows
}

// Why a taker's next message waits among the unexpected.
enum class Behind : uint32_t {
  no = 0,
  room = 1,   // the ring was full, or it was enough for once: resume it when there is room
  alone = 2,  // what does not go through the ring is next: larger than half of it, or (not shared) a body that is pulled
  bring = 3,  // shared: the next one's body is being pulled into the ring
};

struct Taker {
  uint32_t* words = nullptr;
  uint32_t capacity = 0;  // bytes for records, a power of two
  uint32_t head = 0;      // native copy: what JavaScript could overwrite is never trusted
  Behind behind = Behind::no;
  List<Block, &Block::in_backlog> backlog;  // what waits for it among the unexpected, in order of arrival

  // Shared: who reads takes by itself and makes no calls. So the engine resumes it, and pulls bodies into the ring.
  bool shared = false;
  uint64_t unfit = 0;          // which message has been said not to fit
  bool carrying = false;       // the courier pulls a body ...
  uint64_t carried = 0;        // ... of the message with this place in line
  Request* stream = nullptr;   // whose taker this is
  Request* courier = nullptr;

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

  // A record does not wrap around; in front of it the rest is skipped.
  uint32_t skip_before(uint64_t body) const {
    const uint32_t to_end = capacity - (head & (capacity - 1));
    return to_end < record_bytes(body) ? to_end : 0;
  }
  uint32_t used() const { return head - word(ring_layout::read).load(std::memory_order_seq_cst); }  // pairs with the reader's store
  bool has_room(uint64_t body) const {
    const uint32_t taken = used();
    return taken <= capacity && capacity - taken >= skip_before(body) + record_bytes(body);
  }

  // Where the body of the next record goes; null: no room now. What is skipped is published with that record: readers look for it there.
  unsigned char* reserve(uint64_t body) {
    if (!has_room(body)) return nullptr;
    if (uint32_t skip = skip_before(body)) {
      record()[0] = skip | 1;  // lengths are even
      head += skip;
    }
    return reinterpret_cast<unsigned char*>(record() + ring_layout::header_words);
  }
  // The body is there. `arrival`: the message's place in line, for when it goes back to it.
  void publish(int32_t source, int32_t tag, uint32_t encoding, uint64_t bytes, uint64_t arrival) {
    uint32_t* r = record();
    r[0] = record_bytes(bytes);
    r[1] = static_cast<uint32_t>(source);
    r[2] = static_cast<uint32_t>(tag);
    r[3] = encoding;
    r[4] = static_cast<uint32_t>(bytes);
    copy_bytes(r + 5, &arrival, sizeof arrival);
    head += r[0];
    CARILLON_STEP("taker.publish");
    word(ring_layout::head).store(head, std::memory_order_seq_cst);
  }
  // False: no room now.
  bool put(int32_t source, int32_t tag, uint32_t encoding, const unsigned char* body, uint64_t bytes, uint64_t arrival) {
    unsigned char* place = reserve(bytes);
    if (!place) return false;
    copy_bytes(place, body, bytes);
    publish(source, tag, encoding, bytes, arrival);
    return true;
  }

  // Shared: can it go on?
  bool ready() const {
    const Block* next = backlog.first();
    switch (shared ? behind : Behind::no) {
      case Behind::room: return !next || !can_hold(next->bytes) || (used() <= capacity / 2 && has_room(next->bytes));
      case Behind::alone: return !next || next->arrival != unfit;
      case Behind::bring: return !carrying;
      default: return false;
    }
  }
  // Shared, after something was published: does a reader sleep, or is about to? It reads the event, says so, looks once more, and
  // waits only while the event is the same; so what it has said may be forgotten before the event changes, but not after.
  bool wakes() {
    auto& asleep = word(ring_layout::asleep);
    if (asleep.load(std::memory_order_seq_cst) == 0 || asleep.exchange(0, std::memory_order_seq_cst) == 0) return false;
    auto& event = word(ring_layout::event);
    event.store(event.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
    return true;
  }
  // Shared: what does not fit, for who would take it.
  void describe_unfit(const Block* b) {
    unfit = b->arrival;
    words[ring_layout::unfit_bytes] = static_cast<uint32_t>(b->bytes);
    words[ring_layout::unfit_bytes + 1] = static_cast<uint32_t>(b->bytes >> 32);
    words[ring_layout::unfit_source] = static_cast<uint32_t>(b->source);
    words[ring_layout::unfit_tag] = static_cast<uint32_t>(b->tag);
  }
  // Shared: nothing follows, and why.
  void close(uint32_t status, int32_t from) {
    words[ring_layout::status] = status;
    words[ring_layout::peer] = static_cast<uint32_t>(from);
    word(ring_layout::head).store(head | ring_layout::closed, std::memory_order_seq_cst);
  }

 private:
  uint32_t* record() const { return words + ring_layout::records + (head & (capacity - 1)) / 4; }
};

}  // namespace carillon
