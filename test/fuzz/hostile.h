// A hostile peer's hand: writes into its own segment what the fuzzer's bytes say, from rubbish to almost right.
// The one file of the fuzzer that knows the layout of a segment, of frames and of packets; the engine under test sees the
// segment through a mapping it cannot write to, with nothing mapped behind it.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include "../../native/core/packet.h"
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

  // An empty segment of `rank`, aimed at the lane of `victim`, whose own lane for us is `answers`.
  void reset(uint32_t rank, uint32_t victim, uint32_t size, uint32_t ring_bytes, const shm::Lane* answers) {
    const size_t bytes = shm::segment_bytes(size, ring_bytes);
    REQUIRE(bytes <= largest_, "segment too large");
    base_ = largest_ - bytes;  // up to the page that nobody may touch; the victim's lane should be the last one
    memset(written_ + base_, 0, largest_ - base_);
    shm::format(written_ + base_, rank, size, ring_bytes);
    unsigned char* at = written_ + base_ + shm::page + victim * shm::lane_bytes(ring_bytes);
    lane_ = reinterpret_cast<shm::Lane*>(at);
    ring_ = at + shm::round_up(sizeof(shm::Lane), shm::page);
    ring_bytes_ = ring_bytes;
    answers_ = answers;
  }

  const unsigned char* seen() const { return seen_ + base_; }
  size_t seen_bytes() const { return largest_ - base_; }

  // One deed, at most deed_bytes of input.
  void act(Input& in) {
    shm::Header* header = shm::header(written_ + base_);
    const uint32_t what = in.below(16);
    switch (what) {
      case 0: lane_->head.store(odd(in, lane_->head.load(), 64)); break;
      case 1: lane_->tail.store(odd(in, lane_->tail.load(), 64)); break;
      case 2: lane_->blocked.store(in.u8() & 1 ? 1 : in.u32()); break;
      case 3: lane_->free_bytes.store(odd(in, lane_->free_bytes.load(), 1)); break;
      case 4: lane_->free_envelopes.store(odd(in, lane_->free_envelopes.load(), 1)); break;
      case 5: lane_->outcome_head.store(odd(in, lane_->outcome_head.load(), 1)); break;
      case 6: answer(in); break;
      case 7: {
        const uint32_t slot = in.u8();
        lane_->offer[slot].store(in.u8() & 3 ? uint64_t{in.u8()} << 2 | in.below(4) : in.u64());
        break;
      }
      case 8: claim(in); break;
      case 9: header->attention.store(odd(in, header->attention.load(), 1)); break;
      case 10:
      case 11:
      case 12: packet(in); break;
      case 13: {
        const uint32_t where = in.u16();
        for (uint32_t i = 0, count = in.below(16); i < count; ++i) ring_[(where + i) % ring_bytes_] = in.u8();
        break;
      }
      case 14: consume(in); break;
      default:
        if (in.u8() % 8 == 0) header->closed.store(1);
        else header->processor.store(in.u32());
    }
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

  // As a good receiver: everything read, and some of it given free.
  void consume(Input& in) {
    lane_->tail.store(answers_->head.load());
    lane_->free_envelopes.fetch_add(in.below(4));
    lane_->free_bytes.fetch_add(in.u8() & 1 ? 0 : in.u16() % 1024);
  }

  // A packet behind the last one: frame, header and head agree. Each bit of `wrong` spoils one thing, the rest still agrees.
  void packet(Input& in) {
    const uint8_t kind = in.u8();
    const uint8_t wrong = kind & 0x80 ? in.u8() : 0;
    const bool offer = kind & 1;
    const uint32_t size = in.u16();
    uint64_t head = lane_->head.load();
    uint32_t offset = static_cast<uint32_t>(head % ring_bytes_) & ~63u;
    const uint32_t to_end = ring_bytes_ - offset;
    uint32_t body = offer ? 0 : wrong & 1 ? size : size % (ring_bytes_ / 2 - 64);
    if (!offer && wrong & 2 && to_end + size % 256 > 176) body = to_end + size % 256 - 176;  // to the ring's end, or a bit beyond
    const uint32_t packet_bytes = static_cast<uint32_t>(sizeof(PacketHeader)) + body;
    uint32_t length = static_cast<uint32_t>(shm::round_up(8 + packet_bytes, 64));
    if (to_end < length && !(wrong & 2)) {
      put(offset, to_end, 0xffffffff);
      head += to_end;
      offset = 0;
    }
    PacketHeader h = {};
    h.bytes = offer ? uint64_t{size} * (kind & 2 ? 11 : 1) : body;
    h.address = in.u8();
    h.tag = static_cast<int32_t>(kind >> 2 & 3);
    h.context = kind >> 4 & 1;
    h.slot = static_cast<uint16_t>(in.below(8));
    h.generation = in.below(4);
    h.kind = offer ? PacketKind::offer : PacketKind::eager;
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
};

}  // namespace fuzz
