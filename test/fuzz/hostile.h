// A hostile peer's hand: writes into its own segment what the fuzzer's bytes say, from rubbish to almost right.
// The one file of the fuzzer that knows the layout of a segment, of frames and of packets; the engine under test sees the
// segment through a mapping it cannot write to, with nothing mapped behind it.
#pragma once

#if defined(__has_include) && __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#endif
#include <sys/mman.h>
#include <unistd.h>

#include "../../native/core/engine.h"
#include "../../native/drivers/shm.h"
#include "input.h"
#include "require.h"

namespace fuzz {

using namespace carillon;

class Hostile {
 public:
  static constexpr size_t deed_bytes = 24;

  // Once a process: memory for the largest segment. What is seen ends where the segment ends.
  explicit Hostile(size_t largest) : largest_(shm::round_up(largest, shm::page)) {
    const int memory = memfd_create("hostile", MFD_CLOEXEC);
    REQUIRE(memory >= 0 && ftruncate(memory, static_cast<off_t>(largest_)) == 0, "no memory");
    written_ = map(memory, PROT_READ | PROT_WRITE);
    seen_ = map(memory, PROT_READ);
    close(memory);
  }

  // An empty segment of `rank`, aimed at the lane of `victim`, whose own lane for us is `answers`; what it has sent us, which
  // a good receiver would have counted, is `known`.
  void reset(uint32_t rank, uint32_t victim, uint32_t size, uint32_t ring_bytes, const shm::Lane* answers,
             const Peer* known, const Limits& limits) {
    const size_t bytes = shm::segment_bytes(size, ring_bytes);
    REQUIRE(bytes <= largest_, "segment too large");
    base_ = largest_ - bytes;  // up to the page that nobody may touch, its cells last
    memset(written_ + base_, 0, largest_ - base_);
#ifdef ASAN_POISON_MEMORY_REGION
    ASAN_UNPOISON_MEMORY_REGION(seen_, largest_);  // the last one's ring lay elsewhere
#endif
    shm::format(written_ + base_, rank, size, ring_bytes, limits.quota_bytes, limits.quota_envelopes);
    unsigned char* at = written_ + base_ + shm::page + victim * shm::lane_bytes(ring_bytes);
    lane_ = reinterpret_cast<shm::Lane*>(at);
    ring_ = at + shm::round_up(sizeof(shm::Lane), shm::page);
    ring_bytes_ = ring_bytes;
    answers_ = answers;
    known_ = known;
    limits_ = limits;
    sent_bytes_ = sent_envelopes_ = 0;
    show_published(true);
  }

  const unsigned char* seen() const { return seen_ + base_; }
  size_t seen_bytes() const { return largest_ - base_; }

  // One deed, at most deed_bytes of input. Mostly what a good peer could have done: rubbish ends the connection, and with
  // it all that the rest of the input could find. `between`: not while somebody reads.
  void act(Input& in, bool between) {
    shm::Header* header = shm::header(written_ + base_);
    uint32_t what = in.below(32);
    if (what < 7 && in.u8() % 16 != 7) what += 23;  // zeros are frequent, so they spoil nothing
    switch (what) {
      case 0: lane_->head.store(odd(in, lane_->head.load(), 64)); break;
      case 1: lane_->tail.store(odd(in, lane_->tail.load(), 64)); break;
      case 2:
      case 3: {
        std::atomic<uint64_t>& word = lane_->board[in.below(board_words)];
        word.store(odd(in, word.load(), 1));
        break;
      }
      case 4: lane_->outcome_head.store(odd(in, lane_->outcome_head.load(), 1)); break;
      case 5: header->attention.store(odd(in, header->attention.load(), 1)); break;
      case 6: {
        const uint32_t where = in.u16();
        for (uint32_t i = 0, count = in.below(16); i < count; ++i) ring_[(where + i) % ring_bytes_] = in.u8();
        break;
      }
      case 7:
        if (in.u8() % 8 == 0) header->closed.store(1);
        else header->processor.store(in.u32());
        break;
      case 8: lane_->blocked.store(in.u8() & 1 ? 1 : in.u32()); break;
      case 9: want(in); break;
      case 10:
      case 11:
      case 12: answer(in); break;
      case 13:
      case 14:
      case 15: claim(in); break;
      case 16:
      case 17:
      case 18: {
        const uint32_t slot = in.below(8);
        lane_->offer[slot].store(in.u8() & 7 ? uint64_t{in.below(4)} << 2 | in.below(4) : in.u64());
        break;
      }
      case 19:
      case 20:
      case 21:
      case 22: consume(in); break;
      default: packet(in);
    }
    show_published(between);
  }

 private:
  unsigned char* map(int memory, int protection) {
    // A page that nobody may touch behind it: mapped as a whole, then the front is replaced.
    void* room = mmap(nullptr, largest_ + shm::page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(room != MAP_FAILED, "no address space");
    void* front = mmap(room, largest_, protection, MAP_SHARED | MAP_FIXED, memory, 0);
    REQUIRE(front != MAP_FAILED, "no mapping");
    return static_cast<unsigned char*>(front);
  }

  static uint64_t odd(Input& in, uint64_t now, uint64_t unit) {
    const uint8_t how = in.u8();
    if (how < 128) return now + unit * (how % 32);
    if (how < 160) return now - unit * (how % 32);
    if (how < 192) return now + in.u16();
    return in.u64();
  }

  uint32_t generation_of(uint32_t slot) const { return static_cast<uint32_t>(answers_->offer[slot].load() >> 2); }

  // As the receiver of the victim's offers: claim one, or end one.
  void claim(Input& in) {
    const uint32_t slot = in.below(8) == 7 ? in.u8() : in.below(8);
    const uint64_t near = uint64_t{generation_of(slot)} << 2 | 1;
    lane_->claim[slot].store(in.u8() % 8 ? near : in.u64());
  }
  void answer(Input& in) {
    const uint32_t slot = in.below(8) == 7 ? in.u16() : in.below(8);
    const uint64_t near = uint64_t{generation_of(slot % shm::slots)} << 32 | uint64_t{slot} << 8 | (in.u8() % 5);
    const uint64_t at = lane_->outcome_head.load();
    lane_->outcome[at % shm::outcomes].store(in.u8() % 8 ? near : in.u64());
    lane_->outcome_head.store(at + 1);
  }

  // As a good receiver: everything read, and most of it given free.
  void consume(Input& in) {
    const uint8_t how = in.u8();
    lane_->tail.store(answers_->head.load());
    for (uint32_t b = 0; b < buckets; ++b) {
      std::atomic<uint64_t>& envelopes = lane_->board[board::free_envelopes + b];
      std::atomic<uint64_t>& bytes = lane_->board[board::free_bytes + b];
      const uint64_t sent = known_->credit.sent_envelopes[b];
      if (sent >= how % 4 && sent - how % 4 > envelopes.load()) envelopes.store(sent - how % 4);
      if (!(how & 16) && known_->credit.sent_bytes[b] > bytes.load()) bytes.store(known_->credit.sent_bytes[b]);
    }
    lane_->posted.fetch_add(1);
  }

  // As a receiver that waits for what is held back, or a sender that holds something back.
  void want(Input& in) {
    const uint8_t how = in.u8();
    const uint32_t slot = in.below(wants);
    if (how & 1) {
      lane_->board[board::want_key + slot].store(uint64_t{how >> 1 & 1u} << 32 | (how & 4 ? UINT32_MAX : how >> 3 & 3u));
      lane_->board[board::want + slot].fetch_add(how & 32 ? 1 : in.u8());
      lane_->board[board::want_version].fetch_add(1);
      lane_->board[board::partial].store(how >> 6 & 1);
    } else {
      lane_->board[board::held].store(how & 2 ? 0 : lane_->board[board::held].load() + 1);
      lane_->board[board::checked].store(how & 4 ? answers_->board[board::want_version].load() : in.u8());
    }
    lane_->notices.fetch_add(1);
  }

  uint64_t freed(uint32_t first) const {
    uint64_t sum = 0;
    for (uint32_t b = 0; b < buckets; ++b) sum += answers_->board[first + b].load();
    return sum;
  }

  // A packet behind the last one, if a good sender might send it now: frame, header and head agree. Each bit of `wrong`
  // spoils one thing, the rest still agrees.
  void packet(Input& in) {
    const uint8_t kind = in.u8();
    const uint8_t how = kind >= 0xe0 ? in.u8() : 0;
    const int wrong = how % 8 != 5 ? 0 : how < 192 ? 1 << (how / 8 % 8) : in.u8();
    const bool offer = kind & 1;
    const uint32_t size = in.u16();
    const bool pushes = kind == 0xff;  // whether there is room or not
    uint64_t head = lane_->head.load();
    uint32_t offset = static_cast<uint32_t>(head % ring_bytes_) & ~63u;
    const uint32_t to_end = ring_bytes_ - offset;
    uint32_t body = offer ? 0 : wrong & 1 ? size : size % (limits_.eager_bytes + 1);
    if (!offer && wrong & 2 && to_end + size % 256 > 176) body = to_end + size % 256 - 176;  // to the ring's end, or a bit beyond
    const uint32_t packet_bytes = static_cast<uint32_t>(sizeof(PacketHeader)) + body;
    uint32_t length = static_cast<uint32_t>(shm::round_up(8 + packet_bytes, 64));
    const uint64_t skipped = to_end < length && !(wrong & 2) ? to_end : 0;
    const uint64_t charge = offer ? 0 : charge_of(body);
    if (!pushes && (head + skipped + length - answers_->tail.load() > ring_bytes_ ||
                    sent_envelopes_ - freed(board::free_envelopes) >= limits_.quota_envelopes ||
                    sent_bytes_ + charge - freed(board::free_bytes) > limits_.quota_bytes))
      return;
    sent_bytes_ += charge;
    ++sent_envelopes_;
    if (skipped > 0) {
      put(offset, to_end, 0xffffffff);
      head += to_end;
      offset = 0;
    }
    PacketHeader h = {};
    h.bytes = offer ? uint64_t{size} * (kind & 2 ? 11 : 1) % (limits_.max_message + 1) : body;
    h.address = in.u8();
    h.tag = static_cast<int32_t>(kind >> 2 & 3);
    h.context = kind >> 4 & 1;
    h.slot = static_cast<uint16_t>(in.below(8));
    h.generation = 1 + in.below(3);
    h.kind = offer ? PacketKind::offer : PacketKind::eager;
    h.passed = wrong & 1 ? in.u8() : 0;
    if (!offer && (kind & 2) && body == sizeof(Loan)) h.kind = PacketKind::lease;
    if (!offer && kind >= 0xe0 && (kind & 2)) h.kind = PacketKind::part;
    if (offer && kind >= 0xe0 && (kind & 2)) {
      h.kind = PacketKind::cell;
      h.cell = how & 15;
      h.bytes = size % (shm::cell_bytes(ring_bytes_) + 64);
    }
    if (wrong & 4) h.bytes = in.u8() & 1 ? h.bytes + in.u8() : in.u64();
    if (wrong & 8) length = in.u8() & 1 ? to_end : in.u8() * 64;
    if (wrong & 16) h.slot = in.u16();
    if (wrong & 32) h.kind = static_cast<PacketKind>(in.u8());
    if (wrong & 64) h.context = in.u32();
    if (wrong & 128) h.tag = static_cast<int32_t>(in.u32());
    if (offer && !(kind & 0x40)) lane_->offer[h.slot % shm::slots].store(uint64_t{h.generation} << 2 | shm::offered);
    put(offset, length, packet_bytes);
    memcpy(ring_ + offset + 8, &h, sizeof h);  // a cell holds frame and header
    lane_->head.store(head + length);
  }

  // Who reads what was never published reads too far, within the ring too. By cells: a frame may be looked at whole.
  void show_published([[maybe_unused]] bool between) {
#ifdef ASAN_POISON_MEMORY_REGION
    const unsigned char* ring = seen_ + (ring_ - written_);
    uint64_t head = lane_->head.load();
    const uint64_t tail = answers_->tail.load();
    // What the victim was shown before it may still read, though the head is lower now.
    const auto* port = static_cast<const shm::ShmPort*>(known_->port);
    if (port && port->head_seen > head) head = port->head_seen;
    ASAN_UNPOISON_MEMORY_REGION(ring, ring_bytes_);
    if (!between || head < tail || head - tail >= ring_bytes_) return;
    const uint64_t from = head == tail ? tail : shm::round_up(head, 64);
    for (uint64_t at = from; at < tail + ring_bytes_; at += 64) ASAN_POISON_MEMORY_REGION(ring + at % ring_bytes_, 64);
#endif
  }

  void put(uint32_t offset, uint32_t length, uint32_t bytes) {
    const uint32_t frame[2] = {length, bytes};
    memcpy(ring_ + offset, frame, sizeof frame);
  }

  const size_t largest_;
  unsigned char *written_, *seen_;
  size_t base_ = 0;
  shm::Lane* lane_ = nullptr;
  unsigned char* ring_ = nullptr;
  uint32_t ring_bytes_ = 0;
  const shm::Lane* answers_ = nullptr;
  const Peer* known_ = nullptr;
  Limits limits_;
  uint64_t sent_bytes_ = 0, sent_envelopes_ = 0;  // as a good sender counts them
};

}  // namespace fuzz
