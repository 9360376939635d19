// An engine that nobody else uses: rank 0, connected to the segment of a rank 1 that nobody runs, whose words and packets tests write by
// hand. Counts what the engine asks of its process.
#pragma once

#include <cstdlib>
#include <cstring>

#include "../../native/core/engine.h"
#include "../../native/drivers/shm.h"
#include "engine_test.h"

namespace carillon {

inline constexpr uint32_t ring_bytes = shm::ring_bytes_for(2);
inline constexpr size_t segment_bytes = shm::segment_bytes(2, ring_bytes);
inline const Doorbell silent = {.name = "silent", .ring = [](const BellTarget*, bool) { return false; }, .escalate = [](const BellTarget*) {}};

struct Side {
  explicit Side(unsigned char* peer) {
    segment = static_cast<unsigned char*>(aligned_alloc(4096, segment_bytes));
    pool = static_cast<unsigned char*>(aligned_alloc(64, 16 << 20));
    memset(segment, 0, segment_bytes);
    memset(peer, 0, segment_bytes);
    for (uint32_t i = 0; i < 2; ++i)
      shm::format(i == 0 ? segment : peer, i, 2, ring_bytes, Limits{}.quota_bytes, Limits{}.quota_envelopes);
    engine.init(0, 2, peers, bins.bins, pool, 16 << 20, &shm::header(segment)->attention,
                {.self = this,
                 .notify = [](void* self, CompletionQueue*) { ++static_cast<Side*>(self)->notified; },
                 .start_timer = [](void*) {},
                 .more =
                     [](void* self) {
                       auto* side = static_cast<Side*>(self);
                       ++side->more;
                       if (side->pends && !side->engine.pending()) side->engine.poll(nullptr);
                     },
                 .copies = [](void*, CompletionQueue*) {}},
                Limits{});
    queue.words = words;
    (void)engine.try_enter();
    shm::connect(&port, segment, peer, segment_bytes, 1, &cells);
    engine.connect(1, &shm::driver, &port, {.how = &silent});
    engine.leave(nullptr);
  }
  ~Side() {
    free(segment);
    free(pool);
  }
  Side(const Side&) = delete;

  Engine engine;
  Peer peers[2];
  shm::ShmPort port;
  shm::Cells cells;
  MatcherBins bins{Matcher::least_bins};
  unsigned char* segment;
  unsigned char* pool;
  CompletionQueue queue;
  uint32_t words[queue_layout::records + queue_layout::capacity * queue_layout::record_words] = {};
  uint32_t notified = 0, more = 0;
  bool pends = false;  // whoever is told of more looks at once, while the guard is held
};

struct Receive : Request {
  Receive(Side* s, int32_t asked) {
    submission_kind = SubmissionKind::receive;
    queue = &s->queue;
    peer = any_source;
    tag = asked;
    bytes = UINT64_MAX;
  }
};

inline unsigned char* ring_of(unsigned char* peer) { return peer + shm::page + shm::round_up(sizeof(shm::Lane), shm::page); }
inline shm::Lane* lane_of(unsigned char* segment) { return reinterpret_cast<shm::Lane*>(segment + shm::page); }

}  // namespace carillon
