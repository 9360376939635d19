// Requests, parcels and completion queues: the objects that threads and the core hand to each other.
// Responsible for what they are made of; not for what is done with them (engine.h).
#pragma once

#include <atomic>
#include <cstdint>

#include "../drivers/driver.h"
#include "envelope.h"
#include "key_index.h"
#include "list.h"
#include "submission.h"

namespace carillon {

constexpr int32_t any_source = -1;
constexpr int32_t any_tag = -1;

// Values are those of Status in src/native.ts.
enum class Status : int32_t {
  ok = 0,
  truncated = 1,
  cancelled = 2,
  peer_closed = 3,
  peer_lost = 4,
  peer_protocol = 5,
  closed = 6,
  unreadable = 7,
  refused = 8,
  out_of_memory = 9,
  taken_back = 10,  // receive of a held offer: its sender was faster
};

// Values are those of Storage in src/native.ts.
enum class Storage : int32_t { none = 0, in_record = 1, block = 2, stage = 3, lease = 4 };

enum class RequestState : uint8_t {
  idle,       // owned by its JavaScript thread, unknown to the core
  submitted,  // on its way to the core
  posted,     // receive: in the matching table
  queued,     // send: waits in its peer's line
  offered,    // send: the receiver may claim it
  pushing,    // send: the receiver has asked for the body in parts
  revoking,   // send: revoked, but the receiver had claimed it first; its answer ends it
  pulling,    // receive: matched, the body is being copied
  incoming,   // receive: matched, the body comes in parts
  handed,     // synchronous send to oneself: waits unmatched
  ending,     // stream, shared: taken back, but a body is on its way into its ring
  held,       // probe, drained: its message waits to be received or given back
  completed,  // result is final; in the completion queue or waiting for a place in it
};

// What a receive takes: a message; or only its envelope, which makes the request its holder; or what it holds; or, standing
// behind all others, every message, into the ring of its Taker. A courier brings one message into such a ring.
enum class Takes : uint8_t { message, envelope, held, stream, courier };

constexpr uint32_t inline_bytes = 64;  // a body up to this travels in the completion record (Queue.inlineBytes)

struct CompletionQueue;
struct Taker;

// One operation, through all layers. Allocated and freed by the JavaScript thread that posted it; every field but
// `abandon` is that thread's until it is submitted and the guard's holder's until it is completed.
struct Request : Submission {
  RequestState state = RequestState::idle;
  bool is_send = false;
  bool synchronous = false;   // send: complete when matched, so never eager
  bool keeps_alive = true;    // binding: counts for its event loop
  bool at_once = false;       // receive: its thread is in receive_now and wants no record if it completes there
  bool held_up = false;       // send: waits for room or credit at its peer, and is counted in its queue
  Takes takes = Takes::message;  // receive
  CompletionQueue* queue = nullptr;
  uint32_t index = 0;         // what JavaScript calls it

  // Asked: dest or source (any_source), tag (any_tag), communicator, encoding (send).
  int32_t peer = 0;
  int32_t tag = 0;
  uint32_t context = 0;
  uint32_t encoding = 0;
  unsigned char* memory = nullptr;  // send: the body. receive: where to write it, or null
  uint64_t bytes = 0;               // send: of the body. receive: capacity
  bool list = false;                // receive: capacity for contents_of the message, not for the bytes on the wire
  void* owned = nullptr;            // binding: memory to free with the request (receive with a list: its Scatter)
  uint64_t owned_bytes = 0;         // its size
  void* pages = nullptr;            // binding: leased memory that is handed over with it ...
  void* used_pages = nullptr;       // binding: ... or that it reads or writes and that must stay meanwhile
  Taker* taker = nullptr;           // stream
  bool lent = false;                // send: `loan` goes with an offer. receive: the body may be mapped by it
  bool mapped = false;              // the receiver has the memory itself instead of a copy
  Loan loan = {};

  // Matching and transfer.
  Link<Request> link;               // all posted receives in line, peer's line, pull queue, pushes or incoming
  Place<Request> place;             // posted: among those that ask the same. Queued: with the same communicator and tag ...
  Place<Request> by_context;        // ... and of the same communicator
  Link<Request> by_queue;           // all requests of one completion queue that the core knows, or that hold a message
  uint64_t sequence = 0;            // place in line
  uint16_t wants = 0;               // receive: at how many peers it is wanted (flow.h); at most one slot each
  uint16_t slot = 0;                // offer
  uint32_t generation = 0;
  uint64_t remote = 0;              // receive: address of the body at its sender
  unsigned char* landing = nullptr; // receive: where the body is pulled to; null: the puller allocates a stage
  bool running = false;             // receive: a thread is copying, outside the guard
  bool taken_over = false;          // receive: part of it was pushed, the rest is pulled
  bool scattered = false;           // receive: by its puller to several views, which `owned` describes
  uint64_t pulled = 0;              // bytes copied so far; send: pushed
  uint8_t pull_result = 0;          // submission `pulled`: a Pull
  std::atomic<bool> abandon{false};  // written by teardown, read by the puller between chunks

  // Result.
  Status status = Status::ok;
  int32_t from = 0;
  int32_t got_tag = 0;
  uint32_t got_encoding = 0;
  uint64_t got_bytes = 0;
  int32_t detail = 0, code = 0, signal = 0;
  uint64_t traced = 0;              // while events are recorded: the number of its message (Peer::traced_out)
  Storage storage = Storage::none;
  Block* block = nullptr;           // probe: what it holds (null: taken back). Storage block: eager body in the pool ...
  Parcel* parcel = nullptr;         // ... or a message of this process to itself (its sender's too, until matched)
  unsigned char* stage = nullptr;   // storage stage: memory the puller allocated ...
  uint64_t stage_bytes = 0;         // ... and its size
  unsigned char inlined[inline_bytes];
};

// Wants what it has been promised, and nothing else.
inline bool takes_one(const Request* r) { return r->takes == Takes::held || r->takes == Takes::courier; }

inline void describe(Request* r, int32_t source, int32_t tag, uint32_t encoding, uint64_t bytes) {
  r->from = source;
  r->got_tag = tag;
  r->got_encoding = encoding;
  r->got_bytes = bytes;
}

using RequestList = List<Request, &Request::link>;
using QueueRequests = List<Request, &Request::by_queue>;

// Layout of a completion queue's words: Queue in src/native.ts.
namespace queue_layout {
constexpr uint32_t capacity = 512, head = 0, tail = 16, taken = 18, call = 32, records = 64, record_words = 32, inlined = 16;
constexpr uint32_t news = 28, held_up = 29, hears_of_room = 30;
}

// How a request ended, as a record of record_words.
void fill_record(uint32_t* record, const Request*);

// The completion queue of one JavaScript thread: its words and records lie in a SharedArrayBuffer (Queue in
// src/native.ts). Records and head: written by the guard's holder. Tail: written by that thread's JavaScript. Taken: set by the
// guard's holder, cleared by that JavaScript before it looks at the rings of its takers.
struct CompletionQueue {
  uint32_t* words = nullptr;
  uint32_t head = 0;                     // native copy; what JavaScript could overwrite is never trusted
  std::atomic<uint32_t> reaped{0};       // records whose requests the thread has freed: written by the thread
  RequestList waiting;                   // completed, no free record yet
  std::atomic<uint32_t> waits{0};        // how many: read by the thread without the guard
  QueueRequests known;                   // known to the core and not completed
  QueueRequests held;                    // probes that hold a message
  Request* emitted[queue_layout::capacity];                 // by record: whose it is (Queue.capacity); read by the thread below head
  std::atomic<uint32_t> signalled{0};    // 1: the thread was woken and has not looked since (pairs with Environment)
  uint32_t held_up = 0;                  // sends that wait for room or credit at their peers
  bool dirty = false;                    // got records since the last notify
  bool drains = false;                   // its thread calls JavaScript next, to drain it: written by the thread
  CompletionQueue* next_dirty = nullptr;
  CompletionQueue* next_hearer = nullptr;  // its thread hears of peers that end
  void* owner = nullptr;                 // binding's Waker (platform.h)
};

}  // namespace carillon
