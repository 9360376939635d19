// See trace.h.
#include "trace.h"

#include "../doorbell/system_call.h"

namespace carillon::trace {

std::atomic<Buffer*> current{nullptr};

namespace {

// This thread's lane; static, so that a first access allocates nothing.
__thread uint16_t lane __attribute__((tls_model("initial-exec")));

// A handler may interrupt this and take a lane first: a thread may have two, which its id tells.
uint16_t lane_in(Buffer* b) {
  if (lane != 0) return lane;
  const uint32_t mine = b->threads.fetch_add(1, std::memory_order_relaxed) + 1;
  if (mine >= max_threads) return 0;
  b->thread[mine].id.store(static_cast<int32_t>(system_call(SYS_gettid)), std::memory_order_relaxed);
  lane = static_cast<uint16_t>(mine);
  return lane;
}

}  // namespace

void record(Kind kind, uint64_t begin, const Details& d, uint64_t end) {
  Buffer* b = current.load(std::memory_order_relaxed);
  if (!b) return;
  if (end == 0) end = ticks();
  const uint64_t at = b->next.fetch_add(1, std::memory_order_relaxed);
  if (at >= b->capacity) return;
  Event& e = b->event[at];
  e.how = static_cast<uint8_t>(d.how);
  e.lane = lane_in(b);
  e.tag = d.tag;
  e.begin = begin ? begin : end;
  e.end = end;
  e.bytes = d.bytes;
  e.number = d.number;
  e.key = d.key;
  e.peer = d.peer;
  e.detail = d.detail;
  e.kind.store(kind, std::memory_order_release);
}

void name_thread(const char* name) {
  Buffer* b = current.load(std::memory_order_relaxed);
  if (!b) return;
  const uint16_t mine = lane_in(b);
  if (mine == 0) return;
  char* to = b->thread[mine].name;
  uint32_t i = 0;
  for (; name[i] && i + 1 < sizeof b->thread[mine].name; ++i) to[i] = name[i];
  to[i] = 0;
}

}  // namespace carillon::trace
