// A hostile peer: a process whose threads have stopped and whose segment is scribbled over, while the others go on.
#include <cstring>

#include "world.h"

namespace sim {

void run_hostile(void* argument) {
  Thread& t = *static_cast<Thread*>(argument);
  Process& p = *t.process;
  World& w = *world;
  Random& r = w.random;
  auto* header = shm::header(p.segment);
  size_t lane_bytes = shm::lane_bytes(w.ring_bytes);
  for (uint32_t turns = 5 + r.below(200); turns > 0; --turns) {
    int victim = (p.rank + 1 + static_cast<int>(r.below(static_cast<uint64_t>(w.size) - 1))) % w.size;
    unsigned char* at = p.segment + shm::page + static_cast<size_t>(victim) * lane_bytes;
    auto* lane = reinterpret_cast<shm::Lane*>(at);
    unsigned char* ring = at + shm::round_up(sizeof(shm::Lane), shm::page);
    uint64_t head = lane->head.load();
    auto odd = [&]() -> uint64_t {
      switch (r.below(5)) {
        case 0: return r.next() << r.below(40);
        case 1: return ~uint64_t{0} - r.below(130);
        case 2: return r.below(600);
        default: return head + 64 * r.below(20) - 64 * r.below(4);
      }
    };
    switch (r.below(12)) {
      case 0: lane->head.store(odd()); break;
      case 1: lane->tail.store(odd()); break;
      case 2: lane->blocked.store(r.below(2)); break;
      case 3: lane->board[r.below(board::words)].store(odd()); break;
      case 4:
        if (r.chance(500)) lane->board[board::free_envelopes + r.below(buckets)].fetch_add(r.below(3));
        else lane->board[board::held + r.below(2)].fetch_add(1);
        lane->notices.fetch_add(1);
        break;
      case 5: lane->outcome_head.store(r.chance(300) ? odd() : lane->outcome_head.load() + r.below(4)); break;
      case 6:
        lane->outcome[lane->outcome_head.load() % shm::outcomes].store(
            r.chance(300) ? odd() : uint64_t{1 + r.below(3)} << 32 | r.below(8) << 8 | r.below(5));
        lane->outcome_head.fetch_add(r.below(2));
        break;
      case 7: lane->offer[r.below(8)].store(uint64_t{r.below(4)} << 2 | r.below(4)); break;
      case 8: lane->claim[r.below(8)].store(uint64_t{r.below(4)} << 2 | r.below(2)); break;
      case 9: header->attention.store(r.chance(300) ? odd() : r.below(1000)); break;
      case 10: {  // a packet that is nearly right
        uint32_t offset = static_cast<uint32_t>(head % w.ring_bytes) & ~63u;
        uint32_t body = r.chance(400) ? 0 : r.chance(200) ? sizeof(Loan) : r.below(w.limits.eager_bytes + 40);
        uint32_t frame[2] = {static_cast<uint32_t>(shm::round_up(8 + sizeof(PacketHeader) + body, 64)),
                             static_cast<uint32_t>(sizeof(PacketHeader) + body)};
        if (r.chance(100)) frame[r.below(2)] = static_cast<uint32_t>(odd());
        if (r.chance(100)) frame[1] = 0xffffffff;
        PacketHeader h = {body, reinterpret_cast<uint64_t>(p.arena) + r.below(1000), static_cast<int32_t>(r.below(3)), r.below(2),
                          r.below(50), 1 + r.below(3), static_cast<uint16_t>(r.below(r.chance(100) ? 70000 : 8)),
                          static_cast<PacketKind>(r.chance(900) ? 1 + (body == 0) : r.below(6)), 0, r.below(3)};
        if (body == sizeof(Loan) && r.chance(700)) h.kind = PacketKind::lease;
        bool offer = h.kind == PacketKind::offer || h.kind == PacketKind::lease;
        if (offer) h.bytes = r.chance(100) ? odd() : r.below(5000);
        if (r.chance(50)) h.tag = -5;
        if (r.chance(50)) h.address = odd();
        if (offer && r.chance(700))
          lane->offer[h.slot % shm::slots].store(uint64_t{h.generation} << 2 | shm::offered);
        if (offset + sizeof frame + sizeof h <= w.ring_bytes) {
          memcpy(ring + offset, frame, sizeof frame);
          memcpy(ring + offset + sizeof frame, &h, sizeof h);
        }
        lane->head.store(head + (frame[0] < w.ring_bytes ? frame[0] : 64));
        break;
      }
      default:
        for (int i = 0; i < 8; ++i) ring[r.below(w.ring_bytes)] = static_cast<unsigned char>(r.next());
    }
    step("hostile");
    if (r.chance(300)) ring_bell(w.processes[victim]);
    if (r.chance(20)) w.processes[victim].escalation++, wake(w.processes[victim].progress());
    if (r.chance(10)) header->closed.store(1);
  }
  for (int i = 0; i < w.size; ++i)
    if (i != p.rank) ring_bell(w.processes[i]);
  plan_departure(p, Ending::lost);
  t.ended = true;
  for (;;) spin("hostile.ended");
}

}  // namespace sim
