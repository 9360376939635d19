// The rank: what one process is in a world. Engine, segment, peers, descriptors, and the counted handles of its threads.
// Responsible for their life, from the first thread that joins to the last that leaves; not for a thread's own things
// (environment.h) nor for what the progress thread does (progress.cc).
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <optional>

#include "../bootstrap/client.h"
#include "../bootstrap/segment.h"
#include "../core/engine.h"
#include "../drivers/shm.h"
#include "../leases/leases.h"
#include "bells.h"
#include "platform.h"

namespace carillon {

// What the first thread that joins may choose for its process.
struct Settings {
  uint64_t max_unexpected_bytes = 64 << 20;  // bodies that wait here, of all peers together
  uint32_t eager_bytes = 16000;
  bool reads_peers = true;                   // false: large bodies come in packets
  BellKind bell = BellKind::eventfd;         // how this process is rung
  bool interrupts_progress = false;          // interrupt doorbells reach the progress thread, not JavaScript
};

struct Rank : ProgressWaker {
  enum class State : uint8_t { joining, joined, refused };

  Engine engine;
  uint32_t rank = 0, size = 1;
  Settings settings;
  std::atomic<State> state{State::joining};
  bootstrap::Event refusal = {};
  RequestList joiners;            // guard's holder: join requests that wait for the table
  uint32_t handles = 0;           // under the registry's mutex

  bootstrap::Segment segment;
  Peer* peers = nullptr;
  shm::Cells cells;
  shm::ShmPort* ports = nullptr;
  bootstrap::PeerDescriptors* descriptors = nullptr;
  const unsigned char** mapped = nullptr;
  size_t* mapped_bytes = nullptr;
  Matcher::Bins bins;
  unsigned char* pool = nullptr;
  size_t pool_bytes = 0;
  bootstrap::Client* client = nullptr;
  leases::Leases* leases = nullptr;  // outlives the rank while JavaScript holds leased memory

  Bells bells;
  int bell = -1, escalation = -1, epoll = -1;
  pthread_t thread = {};
  bool thread_runs = false;
  std::atomic<bool> stop{false};
  std::atomic<bool> leaving{false};
  // Hints, threads as the kernel calls them: which one sent last, which one waits in its loop (the last of them to begin; -1: none).
  std::atomic<int> sender{0}, waiter{-1};
  std::atomic<bool> collectives{false};  // a thread has taken the world's collectives, for good
  pthread_mutex_t bell_order = PTHREAD_MUTEX_INITIALIZER;

  shm::Header* header() { return shm::header(segment.base); }
};

// The process's rank, or null. Threads that hold a handle may use it.
Rank* current_rank();
// A counted handle; creates the rank, with these settings, when this is the first. Null with *refusal (and errno for protocol) set.
Rank* acquire_rank(const char* address, uint32_t rank, uint32_t size, const Settings&, bootstrap::Refusal* refusal);
// The last one says goodbye, ends the progress thread (waits for a chunk at most) and frees everything.
void release_rank(Rank*);
// Goodbye without teardown, for the end of the process.
void say_goodbye(Rank*);
// The process fails: nobody says goodbye any more, the others hear that it was lost.
void abandon();
// For threads without a handle: looks at everything, after whoever is in the guard has left it. Nothing without a rank.
void look_at_rank();
// True once this process has left a launched world: it cannot come back.
bool has_left();

// Threads, never handlers: enters the guard, waiting for its holder (microseconds).
void enter_waiting(Engine&);

// progress.cc
uint64_t now_ns();  // monotonic
bool start_progress(Rank*);
void stop_progress(Rank*);
void nudge_progress(Rank*);
// The bell's place in the progress thread's epoll set, last of all loops: the kernel asks waiters in order of arrival.
void register_bell_last(Rank*);
// A place in native memory for a body that has none. False: out of memory.
bool land_in_stage(Request*);
// Copies one waiting body of at most `most` bytes, or a part of it. False: none. A thread that only waits lets a body's sender push it, if that
// comes soon. The progress thread makes a long one `beside` a computation.
class BesideComputation;
bool copy_one(Rank*, uint64_t most, CompletionQueue* own, bool waits, std::optional<BesideComputation>* beside = nullptr);

}  // namespace carillon
