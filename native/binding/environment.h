// One JavaScript thread: its completion queue, its requests, its place in its event loop, its teardown.
// Responsible for waking that thread and for keeping it alive while requests are outstanding; not for what the requests
// do (core) nor for reading arguments (arguments.h). Used by its own thread only, except where said.
#pragma once

#include <node_api.h>
#include <uv.h>

#include <cstdint>

#include "../core/request.h"
#include "lease.h"
#include "platform.h"
#include "rank.h"

namespace carillon {

struct Environment : Waker {
  napi_env env = nullptr;
  uv_loop_t* loop = nullptr;
  int thread = 0;                  // as the kernel calls it
  Rank* rank = nullptr;
  CompletionQueue queue;

  // Handles live on the heap: they outlast this object until libuv has closed them.
  uv_poll_t* notify = nullptr;
  uv_poll_t* bell = nullptr;
  uv_prepare_t* prepare = nullptr;
  uv_idle_t* idle = nullptr;
  uv_check_t* trace_check = nullptr;  // while events are recorded (tracing.cc) ...
  uint64_t slept_from = 0, idle_before = 0;  // ... when the loop began to wait, in ticks; how long it had waited before, in ns
  // In a conversation the thread waits here for a moment instead of in libuv: the bell, and the loop's own epoll set.
  int conversation = -1;
  int lull = -1;                   // timerfd in that set: has anything completed since it was set?
  bool conversing = false;         // something completed lately
  bool talked = false;             // something completed since the lull was set
  bool lull_set = false;
  enum class BellPlace : uint8_t { none, asked, exclusive } bell_place = BellPlace::none;
  uint32_t closing_handles = 0;

  napi_ref queue_reference = nullptr, drain = nullptr;
  napi_async_context context = nullptr;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  bool ending = false;
  bool interrupted = false;        // what it says decides if the rank may be interrupted
  bool has_collectives = false;    // it is this thread that has taken them

  // Requests by index, in chunks that never move.
  static constexpr uint32_t kChunk = 64;
  Request** chunks = nullptr;
  uint32_t chunk_count = 0;
  Request* free_requests = nullptr;  // linked by next_submission
  uint32_t requests = 0;             // in use: outstanding, drained and not reaped, or holding a message

  Holdings holdings;                 // its ArrayBuffers over leased memory

  // Keep-alive.
  uint32_t outstanding = 0, keeping_alive = 0;
  bool may_keep_alive = true, referenced = false;

  // Adaptive wait.
  bool adaptive = true;
  uint32_t losses = 0;
  uint64_t wait_again_at = 0, back_off = 0;
  bool streams = false;            // takers had something when JavaScript was last called
  uint64_t bodies = 0;             // offers made and taken when it was last looked
  uint64_t waits_won = 0, waits_lost = 0, wakes = 0;
};

// environment.cc
Environment* environment_of(napi_env);  // null before attach
napi_status attach_environment(napi_env, napi_value queue, napi_value drain);
void detach_from_rank(Environment*);    // ends all requests, gives the handle back

// requests.cc
Request* allocate_request(Environment*);           // null: out of memory
void free_request(Environment*, Request*);         // with all memory that hangs on it
Request* request_at(Environment*, uint32_t index); // null: no such index
void count_outstanding(Environment*, Request*);    // before it is submitted
void keep_alive(Environment*, Request*, bool);
void update_reference(Environment*);
void reap(Environment*);                           // frees what JavaScript has drained, unless it holds a message
void free_held(Environment*);                      // what has held a message; the engine has taken it back
void show_records(Environment*);                   // before JavaScript drains: how far it may read

// waiting.cc
void on_notify(uv_poll_t*, int, int);   // somebody completed a request of this thread
void on_prepare(uv_prepare_t*);         // the loop is about to block
void watch_bell(Environment*);          // this loop takes part in the rank's bell
void after_leave(Environment*);         // copies what is short, hands on what is long
bool bring_records(Environment*);       // frees what was drained, fills the room; are there records?
void say_running(Environment*, bool runs);  // JavaScript runs on this thread; or (before a poll) it may sleep. Looks for interrupts

// A word of the queue's shared memory: Queue in src/native.ts.
inline std::atomic<uint32_t>& queue_word(Environment* e, uint32_t index) {
  return *reinterpret_cast<std::atomic<uint32_t>*>(e->queue.words + index);
}

}  // namespace carillon
