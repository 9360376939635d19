// The engine: requests, matching, protocols and endings of one process, over drivers and a doorbell.
//
// No Node, no operating system, no blocking, no allocation on the progress path. Whatever touches rings, matching or
// completion queues happens between entering and leaving the guard; a thread that does not get in pushes a submission.
// Everything is written so that it may run in an interrupt handler that interrupted anything, itself included.
#pragma once

#include <atomic>
#include <cstdint>

#include "../doorbell/attention.h"
#include "../doorbell/doorbell.h"
#include "../drivers/driver.h"
#include "../trace/trace.h"
#include "flow.h"
#include "guard.h"
#include "match.h"
#include "packet.h"
#include "pool.h"
#include "request.h"
#include "submission.h"
#include "taker.h"

namespace carillon {

constexpr uint32_t max_slots = 256;

enum class Ending : uint8_t { none, closed, lost, protocol };

// Sends that wait in a peer's lines, by what a want may name: communicator and tag, or any tag.
inline Key sent_as(const Request* r) { return {r->context, 0, r->tag}; }
inline Key sent_in(const Request* r) { return {r->context, 0, any_tag}; }

struct Peer {
  uint32_t rank = 0;
  const Driver* driver = nullptr;  // null: not connected (or oneself)
  Port* port = nullptr;
  BellTarget bell;

  // As sender to it.
  RequestList line[buckets];             // sends that wait, in order, by bucket (flow.h)
  uint32_t lines = 0;                    // bit b: line[b] is not empty
  static constexpr uint32_t line_bins = 32;
  Request* bins[2][line_bins] = {};
  KeyIndex<Request, &Request::place, sent_as, &Request::sequence> waiting_as;
  KeyIndex<Request, &Request::by_context, sent_in, &Request::sequence> waiting_in;
  uint64_t waited = 0;                   // counts sends that came to wait
  uint32_t next_line = 0;                // whose turn it is when the ring has room again
  Credit credit;
  Request* offers[max_slots] = {};       // sends that are offered, by slot; null also: its thread has gone
  uint32_t offer_generation[max_slots] = {};  // 0: the slot is free
  uint8_t offer_bucket[max_slots] = {};
  uint32_t open_offers = 0, bucket_offers[buckets] = {};
  RequestList pushes;                    // offers whose bodies it has asked for in parts
  bool holding = false;                  // the board says that messages wait for credit
  bool unanswered = false;               // its wants have not been looked at since they, or the lines, changed
  uint64_t held_version = 0, answered[wants] = {};

  // As receiver from it.
  uint64_t held_bytes = 0, held_envelopes = 0;  // received and not given free: it may not exceed its quota
  uint64_t given_bytes[buckets] = {}, given_envelopes[buckets] = {};
  uint64_t unpublished = 0;              // bytes, about, of messages taken since it last heard what was given free ...
  uint64_t publish_at = 0;               // ... and how many are enough for that
  RequestList incoming;                  // receives whose bodies come in parts
  bool held = false;                     // it says that messages wait there
  bool partial = false, filling = false; // not all receives have a slot; fill_wants has not come to the end
  Request* wanted[wants] = {};
  Request* next_want = nullptr;          // the next posted receive to be given a slot
  uint64_t held_seen = 0, want_version = 0, want_generation = 0;

  bool touched = false;      // something was published for it: look at its attention before leaving
  bool told = false;         // what can wait while its JavaScript runs was: an eager packet, room, parts, that a body was taken
  bool stalled = false;      // the pool was empty: its packets stay in its ring
  bool left = false;         // nobody waited for a message: its packets were left in its ring, unless they became a crowd
  Ending ending = Ending::none;  // it goes or went; what it committed is still delivered
  bool ended = false;        // and that has happened
  uint64_t due_epoch = 0;    // it was asleep, in this epoch, when something was published for it; 0: nothing is owed
  bool due_now = false;      // more than what can wait
  bool due_runs = false;     // it ran, and may be interrupted
  uint8_t impatient = 0;     // rings to go without waiting for it to return
  // Envelopes to and from it while events are recorded: on both sides the same number means the same message.
  uint64_t traced_out = 0, traced_in = 0;
  uint64_t rung_epoch = 0, rung_tick = 0, escalated_epoch = 0;
};

// What the core needs from the process it lives in. All entries are handler-safe and never wait.
struct Platform {
  void* self = nullptr;
  void (*notify)(void* self, CompletionQueue*) = nullptr;  // this queue's thread has something to drain
  void (*start_timer)(void* self) = nullptr;   // one-shot; then the progress thread calls timer_fired
  void (*more)(void* self) = nullptr;          // the progress thread shall call poll
  // Bodies wait to be copied outside the guard, by the caller of leave or step. (`more` has the progress thread copy, too.)
  void (*copies)(void* self, CompletionQueue* own) = nullptr;
  // Readers of shared rings shall be woken, which only JavaScript can.
  void (*queues)(void* self) = nullptr;
};

struct Limits {
  uint32_t eager_bytes = 16000;             // bodies up to this are copied into the ring; with its Block, fits a block of 16 KiB
  uint32_t most_eager_bytes = 16000;        // what a peer's eager_bytes may be
  uint32_t wait_bytes = 1024;               // bodies up to this wait for credit rather than become offers
  uint64_t quota_bytes = 4 << 20;           // of each peer: charged for eager bodies (charge_of) that wait here
  uint64_t quota_envelopes = 4096;          // the same in messages
  // Bodies that are pushed although they could be pulled, from this size on; and up to which if their sender's JavaScript runs: it may compute.
  uint64_t pushed_least = 32 << 10, pushed_running = 2 << 20;
  uint64_t pushed_ringing = 4 << 20;        // what is worth waking an idle sender
  uint64_t max_message = uint64_t{1} << 32;  // larger offers are a protocol error
  // What a handler does for each peer before it hands the rest to the progress thread: packets received, packets sent, outcomes heard.
  uint32_t handler_packets = 16;
};

// Counters, written under the guard, read racily for statistics.
struct Counters {
  uint64_t eager_sent = 0, offers_sent = 0, bytes_sent = 0, local_sent = 0, received = 0, bytes_received = 0;
  uint64_t pushed = 0;  // bodies sent in parts, of the offers
  uint64_t bodies = 0;  // taken, of peers' offers
  uint64_t bytes_pushed = 0, bytes_parted = 0;  // of bodies, sent and received in parts
  uint64_t rings = 0, rings_saved = 0, interrupts = 0, escalations = 0, unexpected = 0, queued = 0;
  uint64_t handled = 0;  // interrupts in which progress was made here, and not left to who was making it
};

// What an eager body is charged against the quota: the block that holds it at the receiver.
constexpr uint64_t charge_of(uint64_t bytes) { return Pool::block_bytes(bytes); }

enum class Sent : uint8_t { done, later, failed };

struct Part {
  const unsigned char* data;
  uint64_t bytes;
};

class Engine {
 public:
  // ---- before the first thread enters ----
  void init(uint32_t rank, uint32_t size, Peer* peers, const Matcher::Bins& bins, unsigned char* pool, size_t pool_bytes,
            std::atomic<uint64_t>* attention, const Platform& platform, const Limits& limits);

  // ---- any thread ----
  bool try_enter();                 // true: the caller must leave. What others submitted has been done.
  void leave(CompletionQueue* own); // `own`: the caller drains it by itself, no notify
  // For a thread that copies a body next, a short one, and leaves again after it (or has the progress thread poll): nobody rings
  // meanwhile, for the ring would wake another thread of this rank, on this one's processor perhaps, to do the same.
  void leave_to_copy(CompletionQueue* own);
  // Does or has done what was submitted. The caller may not touch the submission afterwards.
  void submit(Submission*, CompletionQueue* own);
  // Looks at everything; or has the holder do it.
  void poll(CompletionQueue* own);
  // The same in an interrupt handler, whatever that interrupted, for a bounded time: the progress thread does the rest, and what has no
  // bound of its own (bodies pushed, blocks given back, a peer's end).
  void interrupted();

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
  // As accept_submission for a receive of the calling thread. True: it is complete, its bytes are in `inlined` or its own memory, and no
  // record tells of it: the request is the caller's again.
  bool receive_now(Request*);
  bool cancel(Request*, Status how = Status::cancelled);
  // A probe that does not wait: true, and the request, which nobody else knows, holds a message that is here now. Makes
  // progress once before it says false.
  bool probe_now(Request*);
  // A taker's reader has made room, or has received what was next.
  void resume(Request* taker);
  // A receive of what is next for a taker and does not go through its ring. Ends as taken back if there is nothing.
  void take_next(Request* taker, Request*);
  // Nothing more goes into the taker's ring, so that its thread can make parcels of what is there.
  void halt_taking(Request* taker);
  // It ends as cancelled (null: it has ended already), and what it had taken returns to its place in line: these parcels, in order of
  // arrival, chained by next_submission.
  void stop_taking(Request* taker, Parcel* first);
  // What a probe holds goes back to its place in line; the request is the caller's again.
  void give_back(Request*);
  void refill(CompletionQueue*);    // records for what waits
  void end_peer(uint32_t rank, Ending);
  // This thread hears of each peer that ends, from now until it is detached, whatever it has outstanding.
  void hear_of_ends(CompletionQueue*);
  // How this peer ended; none as long as what it committed is not all delivered.
  Ending ending_of(uint32_t rank) const { return peers_[rank].ended ? peers_[rank].ending : Ending::none; }
  void timer_fired();
  // Revokes and forgets everything of a thread that goes. False: a pull is running; leave, and try again soon.
  bool detach(CompletionQueue*);
  void revoke_all();                // this rank leaves: nothing of ours may be claimed any more
  void drop_parcels(void (*drop)(Parcel*));  // at the very end: messages to oneself that nobody received
  Submission* take_spent() { return spent_.empty() ? nullptr : spent_.take_all(); }  // any thread: parcels to free
  void touch_all();                 // have every peer looked at, and rung if it sleeps
  Request* next_pull(uint64_t most);  // a body of at most `most` bytes to copy outside the guard, or null
  void pulled(Request*, Pull);      // what became of it (without the guard: submit it, kind pulled, pull_result)
  bool pull_waiting() const { return !pulls_.empty(); }
  // Bodies that come in parts and whose senders sleep: have them pulled (by next_pull). True: there were some. Idle senders,
  // which have been rung to push, only if they are `late`.
  bool take_over(bool late = false);
  bool parts_stall() const;  // would take_over find some?
  // Bytes of the longest body of ours that a peer has claimed and pulls, as far as can be seen; or that its progress thread pulls, while
  // nobody else of it looks at the rings.
  uint64_t being_pulled(bool by_sleepers = false) const;
  // Rather tell the sender to push what next_pull gave, or the rest of it: finish it with Pull::pushed. Outside the guard; a hint.
  bool better_pushed(const Request*) const;
  bool soon_better_pushed(const Request*) const;
  bool look() const;                // is there anything to do?
  bool pending() const { return guard_.pending(); }
  // The rank's JavaScript runs from now on, or (said before a poll) may sleep, or has run so long that it is better rung. Counts if
  // it has one thread.
  void set_running(bool running) { running_.store(running, std::memory_order_seq_cst); }
  // A thread of this rank looks for a while before it sleeps.
  void set_lingering(bool lingers) { lingers_.store(lingers, std::memory_order_relaxed); }
  // A thread of this rank is about to sleep in its loop, and would wait awake at other times; or no more.
  void set_idle(bool idle) { idle_.store(idle, std::memory_order_relaxed); }
  bool running() const { return running_.load(std::memory_order_relaxed); }
  // A thread of this rank runs JavaScript and may be interrupted; or (said before a poll) may sleep.
  void set_interruptible(bool runs) { interruptible_.store(runs, std::memory_order_seq_cst); }
  bool interruptible() const { return interruptible_.load(std::memory_order_relaxed); }
  // Somebody looks all the time: this rank is never asleep. Or no more, which is said before a poll.
  void set_polled(bool polled) { polled_.store(polled, std::memory_order_seq_cst); }
  // Adaptive wait: progress, notify, stay. `rings`: and ring; else that waits for the next such step, or until the holder leaves: a
  // peer that looks again by itself meanwhile would only be disturbed.
  void step(CompletionQueue* own, bool rings = true);
  void complete(Request*, Status);

  Peer& peer(uint32_t rank) { return peers_[rank]; }
  uint32_t rank() const { return rank_; }
  uint32_t size() const { return size_; }
  const Limits& limits() const { return limits_; }
  const Counters& counters() const { return counters_; }
  Pool& pool() { return pool_; }
  const Matcher::Waiting& unexpected() const { return matcher_.unexpected(); }
  uint32_t connected() const { return size_ - 1 - ended_; }
  uint32_t last_peer() const { return last_peer_; }
  // A copy of a running pull's next part. Outside the guard.
  Pull pull(Request* r) {
    Peer& p = peers_[r->from];
    return p.driver->pull(p.port, {r->slot, r->generation}, r->remote, r->landing, r->got_bytes, &r->pulled);
  }
  // Whether what is being copied is still its sender's to offer. Outside the guard.
  bool stands(const Request* r) const {
    const Peer& p = peers_[r->from];
    return p.driver->stands(p.port, {r->slot, r->generation});
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
  void leave_after(CompletionQueue* own, int rounds);
  void settle(CompletionQueue* own, bool rings = true);
  bool owes_ring(Peer&);
  bool returns(Peer&);
  void ring_owed();
  void ring(Peer&);
  void start_timer();
  // endings.cc
  bool alone() const { return size_ > 1 && ended_ + 1 == size_ && handles_ <= 1; }
  void tell_of_end();
  void end_receives(int32_t source, Status);
  bool take_back(Request*, Status how);
  void flush_lines();
  void end_lines(Peer&, Status);
  void end_offers(Peer&, Status, bool revoke);
  void abandon(Peer&);
  void finalize(Peer&);
  Status status_of(const Peer&) const;
  // send.cc
  enum class Leave : uint8_t { not_now, eager, offer };
  void enqueue(Request*);
  void flush(Peer&);
  bool send_lines(Peer&, uint32_t* stuck);  // false: the ring has no room
  bool put(Peer&, Request*, Leave how, uint32_t passed);
  void count_held_up(Request*, bool waits);
  void join_line(Peer&, Request*);
  void leave_line(Peer&, Request*);
  void stop_asking(Peer&);
  Request* close_offer(Peer&, uint16_t slot);
  bool outcomes(Peer&);  // false: there may be more
  // push.cc
  void start_push(Peer&, Request*, uint64_t done);
  void push(Peer&);
  uint64_t push_part(Peer&, Request*);
  bool may_be_pushed(const Request*) const;
  bool stalls(const Peer&, bool late) const;
  void pull_rest(Peer&);
  bool take_part(Peer&, const PacketHeader&, const unsigned char* body);
  void look_at_incoming(Peer&);
  bool incoming_revoked(const Peer&) const;
  // flow.cc
  void refresh_credit(Peer&);
  Leave may_leave(const Peer&, uint32_t bucket, uint64_t bytes, bool synchronous) const;
  Leave may_pass(const Peer&, uint64_t bytes, bool synchronous) const;
  void tell_held(Peer&);
  void hold_back(Peer&);
  void hold_nothing(Peer&);
  void offer_to_wants(Peer&, const Request*);
  Request* first_held(Peer&, uint64_t key);
  void answer_wants(Peer&);
  void credit(Peer&, uint32_t bucket, uint64_t bytes, uint64_t envelopes);
  void hear_notice(Peer&);
  void start_wants(Peer&);
  void fill_wants(Peer&);
  void put_want(Peer&, uint32_t slot, Request*);
  void publish_wants(Peer&, bool changed);
  bool wanted_from(const Peer&, const Request*) const;
  bool may_come_from(const Request*, const Peer&) const;
  void clear_want(Peer&, uint32_t slot);
  void clear_wants(Peer&);
  void forget_wants(Peer&);
  void want(Request*);
  void want_again(Peer&, uint32_t slot);
  void drop_wants(Request*);
  void withdraw(Request*);
  void deliver_parcel(Parcel*);
  // receive.cc, pull.cc
  bool receive(Peer&);
  bool leaves(const Peer&);
  Packets packets_of(const Peer&) const;
  bool running_here() const { return running_.load(std::memory_order_relaxed) && handles_ <= 1; }
  bool look_for(Request*);
  bool arrive(Peer&, const PacketHeader&, const unsigned char* body);
  void match_or_post(Request*);
  bool take_eager(Request*, const PacketHeader&, const unsigned char* body, Peer&);
  void take_block(Request*, Block*);
  void take_waiting(Request*, Block*);
  void taken_from(Peer&, uint64_t bytes);
  void publish(Peer&);
  void publish_deferred();
  bool fits(const Request*, uint64_t bytes, uint32_t encoding) const;
  void start_pull(Request*, int32_t source, const PacketHeader&, const unsigned char* loan, bool here = false);  // here: its body instead
  bool pull_block(Request*, Block*);
  void free_block(Block*);
  void collect_returned();
  // probe.cc
  void bind(Request*, Block*);
  void hold(Request*, Block*);
  void claim(Request*);
  void put_back(Request*);
  void line_up(Block*);
  bool stands(const Block*) const;
  void drop(Block*);
  Block* find_standing(const Request*);
  // taker.cc
  void tell_taken(Request*);
  static void show_taken(CompletionQueue*);
  Behind give(Request*, int32_t source, int32_t tag, uint32_t encoding, const unsigned char* body, uint64_t bytes, uint64_t arrival);
  void put_behind(Request*, Block*, Behind why);
  void fall_behind(Request*, Behind why);
  void begin_taking(Request*);
  void end_taking(Request*);
  void given(Block*);
  const unsigned char* body_for(const Request*, Block*) const;
  void bring(Request*);
  void brought(Request* courier);
  bool queues_ready() const;
  void feed_queues();
  // completion.cc
  void emit(Request*);
  void make_dirty(CompletionQueue*);
  void tell_news(CompletionQueue*);
  bool has_record(const CompletionQueue*) const;
  void write_record(Request*);
  // tracing.cc
  static void trace_receive(Request*);
  void trace_complete(const Request*, Status) const;
  void trace_match(uint64_t begin, const Block*, uint64_t sequence) const;
  static void trace_arrival(trace::Kind, uint64_t begin, const Peer&, const PacketHeader&, uint64_t sequence, uint64_t arrival);

  uint32_t rank_ = 0, size_ = 1, last_peer_ = 0;
  uint32_t ended_ = 0, handles_ = 1;
  std::atomic<bool> running_{false}, lingers_{false}, interruptible_{false}, polled_{false}, idle_{false};
  uint32_t holding_peers_ = 0;  // peers whose messages wait there for credit
  bool any_lost_ = false;
  bool retry_ = false;   // look at the stalled again: blocks became free, or a receive came that may need none
  bool any_stalled_ = false;
  bool any_left_ = false;
  bool crowded_ = false;   // a ring was left crowded, when so many had been received:
  uint64_t received_then_ = 0;
  bool rest_due_ = false;  // something is left to the progress thread, which is told when the guard is free
  bool handler_ = false;   // progress runs in an interrupt handler: a little at a time
  bool queue_news_ = false;  // a reader of a shared ring sleeps over what has come ...
  CompletionQueue* news_of_ = nullptr;  // ... whose thread began that ring; null: several have
  bool probing_ = false;   // somebody looks for a message without posting a receive
  uint32_t next_left_ = 0; // whose turn it is to be looked at for a receive from any source
  Request* sought_ = nullptr;  // by look_for, while it is posted
  bool deferred_ = false;  // some peer has not heard of all that was given free
  Peer* peers_ = nullptr;
  Guard guard_;
  SubmissionQueue submissions_;
  SubmissionQueue spent_;  // parcels whose bodies are in shared rings
  Matcher matcher_;
  Pool pool_;
  RequestList pulls_;
  Attention attention_;
  Platform platform_;
  Limits limits_;
  Counters counters_;
  CompletionQueue* dirty_ = nullptr;
  CompletionQueue* hearers_ = nullptr;
  bool timer_running_ = false;
  uint64_t tick_ = 0;
};

}  // namespace carillon
