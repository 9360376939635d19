// The timeline: events of one process, in a buffer that its launcher holds, too, so that what a killed rank recorded is not lost.
// Responsible for recording from any thread and from a handler that interrupts another recording; not for what becomes of the events
// (src/trace) nor for where the buffer comes from (binding/tracing.cc). Part of the engine's unit: no calls, no vector register.
//
// A slot is reserved by one fetch_add and written by who reserved it, its kind last: an event is complete or absent. No slot is used
// twice; when all are, later events are only counted. Times are the processor's own clock, which all processes of a machine share.
#pragma once

#include <atomic>
#include <cstdint>

namespace carillon::trace {

// Values are those of Kind in src/trace/buffer.ts. What the fields mean for each is said there.
enum class Kind : uint8_t {
  none, send, receive, arrive, match, complete, ring, escalate, handler, wake, progress, sleep, look, drain, copy, push, part, task, user, mark, world
};

// How a message travels: How in src/trace/buffer.ts.
enum class How : uint8_t { none, eager, rendezvous, leased, self, pulled, pushed };

struct alignas(64) Event {
  std::atomic<Kind> kind;  // written last
  uint8_t how;
  uint16_t lane;           // which thread
  int32_t tag;
  uint64_t begin, end;     // ticks; of what has no length the same
  uint64_t bytes, number, key;
  int32_t peer;
  uint32_t detail;
};
static_assert(sizeof(Event) == 64);

constexpr uint32_t max_threads = 256, max_names = 512;  // the first of each stands for all that found no place

struct Thread {
  std::atomic<int32_t> id;  // as the kernel calls it
  char name[28];
};

struct Buffer {
  static constexpr uint64_t says = 0x3145434152544143;  // "CATRACE1"
  uint64_t magic;
  uint32_t rank, process;
  uint64_t capacity;              // events
  uint64_t anchor_ticks, anchor_ns;  // the same moment by both clocks (CLOCK_MONOTONIC), when the buffer was made
  char doorbell[24];
  alignas(64) std::atomic<uint64_t> next;  // reserved so far, also of those that found no place
  alignas(64) std::atomic<uint32_t> threads;  // entries of the tables that are taken, but for the first of each
  std::atomic<uint32_t> names;
  alignas(4096) Thread thread[max_threads];
  char name[max_names][64];
  alignas(4096) Event event[];
};
static_assert(sizeof(Buffer) == 4096 + 8192 + 32768);

// This process's; null: nothing is recorded. It is never unmapped.
extern std::atomic<Buffer*> current __attribute__((visibility("hidden")));

inline bool on() { return __builtin_expect(current.load(std::memory_order_relaxed) != nullptr, 0); }

inline uint64_t ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  uint64_t count;
  asm volatile("mrs %0, cntvct_el0" : "=r"(count));
  return count;
#endif
}

// When something began whose end may be recorded; 0: nothing is recorded.
inline uint64_t begin() { return on() ? ticks() : 0; }

struct Details {
  How how = How::none;
  int32_t peer = -1, tag = -1;
  uint64_t bytes = 0, number = 0, key = 0;
  uint32_t detail = 0;
};

// Any thread, handlers too; nothing if nothing is recorded. `begin` 0: it has no length.
void record(Kind, uint64_t begin, const Details&, uint64_t end = 0) __attribute__((visibility("hidden"), cold));

// The calling thread's place in the table, which has its name from now on. Threads, never handlers.
void name_thread(const char* name) __attribute__((visibility("hidden")));

}  // namespace carillon::trace
