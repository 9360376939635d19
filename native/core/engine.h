// The engine: requests, matching, protocols and endings of one process, over drivers and a doorbell.
//
// No Node, no operating system, no blocking, no allocation on the progress path. Whatever touches rings, matching or
// completion queues happens between entering and leaving the guard; a thread that does not get in pushes a submission.
// Everything is written so that it may run in an interrupt handler that interrupted anything, itself included.
#pragma once

#include <cstdint>

#include "../doorbell/attention.h"
#include "../doorbell/doorbell.h"
#include "../drivers/driver.h"
#include "guard.h"
#include "match.h"
#include "packet.h"
#include "pool.h"
#include "request.h"
#include "submission.h"

namespace carillon {

constexpr uint32_t max_slots = 256;

enum class Ending : uint8_t { none, closed, lost, protocol };

struct Peer {
  uint32_t rank = 0;
  const Driver* driver = nullptr;  // null: not connected (or oneself)
  Port* port = nullptr;
  BellTarget bell;

  RequestList line;                      // sends that wait, in order
  Request* offers[max_slots] = {};       // sends that are offered, by slot
  uint64_t sent_bytes = 0, sent_envelopes = 0;
  uint64_t free_bytes = 0, free_envelopes = 0;  // of those, given free by the peer
  uint64_t held_bytes = 0, held_envelopes = 0;  // received from it and not given free: it may not exceed its quota

  bool touched = false;      // something was published for it: look at its attention before leaving
  bool stalled = false;      // the pool was empty: its packets stay in its ring
  Ending ending = Ending::none;  // it goes or went; what it committed is still delivered
  bool ended = false;        // and that has happened
  uint64_t rung_epoch = 0, rung_tick = 0, escalated_epoch = 0;
};

// What the core needs from the process it lives in. All entries are handler-safe and never wait.
struct Platform {
  void* self = nullptr;
  void (*notify)(void* self, CompletionQueue*) = nullptr;  // this queue's thread has something to drain
  void (*start_timer)(void* self) = nullptr;   // one-shot; then the progress thread calls timer_fired
  void (*more)(void* self) = nullptr;          // the progress thread shall call poll
  // Bodies wait to be copied outside the guard. `own`: the caller of leave or step; null: the progress thread.
  void (*copies)(void* self, CompletionQueue* own) = nullptr;
};

struct Limits {
  uint32_t eager_bytes = 16000;             // bodies up to this are copied into the ring; with its Block, fits 16 KiB
  uint64_t quota_bytes = 1 << 20;           // charged for eager bodies (charge_of) that the receiver has not freed
  uint64_t quota_envelopes = 4096;          // the same in messages
  uint64_t max_message = uint64_t{1} << 32;  // larger offers are a protocol error
};

// Counters, written under the guard, read racily for statistics.
struct Counters {
  uint64_t eager_sent = 0, offers_sent = 0, bytes_sent = 0, local_sent = 0, received = 0, bytes_received = 0;
  uint64_t rings = 0, escalations = 0, unexpected = 0, queued = 0;
};

// What an eager body is charged against the quota: at least half of the block that holds it at the receiver.
constexpr uint64_t charge_of(uint64_t bytes) { return bytes + 192; }

enum class Sent : uint8_t { done, later, failed };

struct Part {
  const unsigned char* data;
  uint64_t bytes;
};

class Engine {
 public:
  // ---- before the first thread enters ----
  void init(uint32_t rank, uint32_t size, Peer* peers, Matcher::Bins* bins, unsigned char* pool, size_t pool_bytes,
            std::atomic<uint64_t>* attention, const Doorbell* doorbell, const Platform& platform, const Limits& limits);

  // ---- any thread ----
  bool try_enter();                 // true: the caller must leave. What others submitted has been done.
  void leave(CompletionQueue* own); // `own`: the caller drains it by itself, no notify
  // Does or has done what was submitted. The caller may not touch the submission afterwards.
  void submit(Submission*, CompletionQueue* own);
  // Looks at everything; or has the holder do it.
  void poll(CompletionQueue* own);

  // ---- holder of the guard only ----
  void connect(uint32_t rank, const Driver*, Port*, const BellTarget&);
  // How many threads of this rank hold a handle: with more than one, another thread may still answer a receive from
  // any source when every peer has gone.
  void set_handles(uint32_t count);
  void refuse_peer(uint32_t rank);  // what it handed over is no segment: it ends before it began
  // Sends at once if it can; `later`: the caller shall submit a send with a private copy of the body.
  Sent send_now(int32_t dest, int32_t tag, uint32_t context, uint32_t encoding, const Part* parts, uint32_t count,
                Status* failure);
  void accept_submission(Submission*);
  bool cancel(Request*, Status how = Status::cancelled);
  void refill(CompletionQueue*);    // records for what waits
  void end_peer(uint32_t rank, Ending);
  void timer_fired();
  // Revokes and forgets everything of a thread that goes. False: a pull is running; leave, and try again soon.
  bool detach(CompletionQueue*);
  void revoke_all();                // this rank leaves: nothing of ours may be claimed any more
  void drop_parcels(void (*drop)(Parcel*));  // at the very end: messages to oneself that nobody received
  void touch_all();                 // have every peer looked at, and rung if it sleeps
  Request* next_pull(uint64_t most);  // a body of at most `most` bytes to copy outside the guard, or null
  void pulled(Request*, Pull);      // what became of it (without the guard: submit it, kind pulled, pull_result)
  bool pull_waiting() const { return !pulls_.empty(); }
  bool look() const;                // is there anything to do?
  bool pending() const { return guard_.pending(); }
  void step(CompletionQueue* own);  // adaptive wait: progress, ring, notify, stay
  void complete(Request*, Status);

  Peer& peer(uint32_t rank) { return peers_[rank]; }
  uint32_t rank() const { return rank_; }
  uint32_t size() const { return size_; }
  const Limits& limits() const { return limits_; }
  const Counters& counters() const { return counters_; }
  Pool& pool() { return pool_; }
  uint32_t last_peer() const { return last_peer_; }
  // A copy of a running pull's next part. Outside the guard.
  Pull pull(Request* r) {
    Peer& p = peers_[r->from];
    return p.driver->pull(p.port, {r->slot, r->generation}, r->remote, r->landing, r->got_bytes, &r->pulled);
  }
  // The same for a body that was mapped whole: complete if the offer stood until now. Outside the guard.
  Pull mapped(Request* r) {
    r->pulled = r->got_bytes;
    return pull(r);
  }

 private:
  friend struct EngineAccess;  // the simulator's view
  // engine.cc
  void run_submissions();
  void progress();
  void settle(CompletionQueue* own);
  void ring(Peer&);
  // endings.cc
  bool alone() const { return size_ > 1 && ended_ + 1 == size_ && handles_ <= 1; }
  void end_receives(int32_t source, Status);
  bool take_back(Request*, Status how);
  void flush_lines();
  void end_line(Peer&, Status);
  void abandon(Peer&);
  void finalize(Peer&);
  Status status_of(const Peer&) const;
  // send.cc
  void enqueue(Request*);
  void flush(Peer&);
  bool has_envelope_credit(Peer&, bool ask);
  bool has_byte_credit(Peer&, uint64_t bytes);
  bool outcomes(Peer&);  // false: there may be more
  void deliver_parcel(Parcel*);
  // receive.cc
  void receive(Peer&);
  bool arrive(Peer&, const PacketHeader&, const unsigned char* body);
  void match_or_post(Request*);
  bool take_eager(Request*, const PacketHeader&, const unsigned char* body, Peer&);
  void take_block(Request*, Block*);
  void start_pull(Request*, int32_t source, const PacketHeader&, const unsigned char* loan);
  void free_block(Block*);
  void collect_returned();
  void credit(Peer&, uint64_t bytes, uint64_t envelopes);
  // completion.cc
  void emit(Request*);
  bool has_record(const CompletionQueue*) const;
  void write_record(Request*);

  uint32_t rank_ = 0, size_ = 1, last_peer_ = 0;
  uint32_t ended_ = 0, handles_ = 1;
  bool any_lost_ = false;
  bool retry_ = false;   // look at the stalled again: blocks became free, or a receive came that may need none
  bool any_stalled_ = false;
  Peer* peers_ = nullptr;
  Guard guard_;
  SubmissionQueue submissions_;
  Matcher matcher_;
  Pool pool_;
  RequestList pulls_;
  Attention attention_;
  const Doorbell* doorbell_ = nullptr;
  Platform platform_;
  Limits limits_;
  Counters counters_;
  CompletionQueue* dirty_ = nullptr;
  bool timer_running_ = false;
  uint64_t tick_ = 0;
};

}  // namespace carillon
