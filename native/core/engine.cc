// The engine's frame: entering and leaving, progress, rings. Protocols are in send.cc, receive.cc and probe.cc, ends in endings.cc.
#include "engine.h"

#include "relax.h"

namespace carillon {

namespace {
constexpr int kRounds = 16;  // looks before a holder hands the rest to the progress thread
constexpr int kHandlerRounds = 2;  // times that a handler does what others pended meanwhile, before it does the same
// Looks at the attention of a peer that may come back, before it is rung: about 10 µs, half of what the ring costs where waking
// another processor is slow. Not tried for a while after it was in vain.
constexpr int kPatience = 250, kImpatient = 8;
}

void Engine::init(uint32_t rank, uint32_t size, Peer* peers, const Matcher::Bins& bins, unsigned char* pool,
                  size_t pool_bytes, std::atomic<uint64_t>* attention, const Platform& platform, const Limits& limits) {
  rank_ = rank;
  size_ = size;
  peers_ = peers;
  for (uint32_t i = 0; i < size; ++i) {
    Peer& p = peers_[i];
    p.rank = i;
    p.waiting_as.init(p.bins[0], Peer::line_bins);
    p.waiting_in.init(p.bins[1], Peer::line_bins);
  }
  matcher_.init(bins);
  pool_.init(pool, pool_bytes);
  attention_.bind(attention);
  platform_ = platform;
  limits_ = limits;
  attention_.arm();
}

bool Engine::try_enter() {
  if (!guard_.try_enter()) return false;
  if (!submissions_.empty()) run_submissions();  // before anything the caller does, else order breaks
  return true;
}

// Rings go out and threads are told before the guard is let go: both lists are the holder's.
void Engine::settle(CompletionQueue* own, bool rings) {
  for (uint32_t i = 0; i < size_; ++i) {
    Peer& p = peers_[i];
    if ((p.touched || p.told || p.due_epoch) && owes_ring(p) && rings && !(own && returns(p))) ring(p);
  }
  while (dirty_) {
    CompletionQueue* queue = dirty_;
    dirty_ = queue->next_dirty;
    queue->dirty = false;
    if (queue != own) platform_.notify(platform_.self, queue);
  }
  if (queue_news_) {
    queue_news_ = false;
    if (own && own == news_of_ && own->drains) show_taken(own);  // one hop less than to the thread that waits for this
    else platform_.queues(platform_.self);
  }
  if (!pulls_.empty()) {
    if (handler_ || !own) rest_due_ = true;
    else platform_.copies(platform_.self, own);
  }
}

void Engine::leave_to_copy(CompletionQueue* own) {
  attention_.wake(lingers_.load(std::memory_order_relaxed));
  for (;;) {
    settle(own);
    if (guard_.try_leave()) return;
    guard_.take_pending();
    progress();
  }
}

void Engine::leave(CompletionQueue* own) {
  if (own && !pulls_.empty()) return leave_to_copy(own);
  leave_after(own, kRounds);
}

void Engine::leave_after(CompletionQueue* own, int rounds) {
  const bool handler = handler_;
  int pended = 0;
  if (!own) take_over();  // else its thread looks at the rings next, or copies
  for (int round = 0;; ++round) {
    settle(own);
    const bool runs = interruptible_.load(std::memory_order_seq_cst), lingers = running_.load(std::memory_order_seq_cst) && handles_ <= 1;
    const bool idle = idle_.load(std::memory_order_relaxed) && !lingers && !runs;
    if ((attention_.awake() || retry_ || queues_ready() || attention_.lacks(lingers, runs, idle)) && !polled_.load(std::memory_order_seq_cst)) {
      // Arm, then look once more: a sender that published before it saw us armed is seen here.
      attention_.arm(lingers, runs, idle);
      if (look()) {
        if (round < rounds) {
          progress();
          continue;
        }
        rest_due_ = true;
      }
    }
    // Told when the guard is free: woken sooner, and on this processor, it would only leave a mark, for which we would look again, and
    // tell it again, until our slice of time ends (500 messages woke it 141,000 times).
    const bool due = rest_due_;
    handler_ = rest_due_ = false;
    if (guard_.try_leave()) {
      if (due) platform_.more(platform_.self);
      return;
    }
    if (handler && ++pended > kHandlerRounds) {
      guard_.leave_anyway();
      return platform_.more(platform_.self);
    }
    rest_due_ = due;
    handler_ = handler;
    guard_.take_pending();
    progress();
  }
}

void Engine::submit(Submission* submission, CompletionQueue* own) {
  if (try_enter()) {
    accept_submission(submission);
    leave(own);
    return;
  }
  submissions_.push(submission);
  if (!guard_.enter_or_leave_pending()) return;
  progress();  // not the submissions only: whoever pended while we entered counts on a look at everything
  leave(own);
}

void Engine::poll(CompletionQueue* own) {
  if (!guard_.try_enter() && !guard_.enter_or_leave_pending()) return;
  progress();
  leave(own);
}

void Engine::interrupted() {
  running_.store(false, std::memory_order_relaxed);  // it computes: from now on ring at once
  if (!guard_.try_enter() && !guard_.enter_or_leave_pending()) return;
  ++counters_.handled;
  handler_ = true;
  progress();
  leave_after(nullptr, 0);
}

void Engine::step(CompletionQueue* own, bool rings) {
  guard_.take_pending();
  progress();
  settle(own, rings);
}

void Engine::run_submissions() {
  for (Submission* s = submissions_.take_all(); s;) {
    Submission* next = s->next_submission;
    accept_submission(s);
    s = next;
  }
}

void Engine::accept_submission(Submission* s) {
  switch (s->submission_kind) {
    case SubmissionKind::send: {
      auto* r = static_cast<Request*>(s);
      if (trace::on()) r->traced = 0;
      r->queue->known.append(r);
      enqueue(r);
      break;
    }
    case SubmissionKind::receive: {
      auto* r = static_cast<Request*>(s);
      r->queue->known.append(r);
      r->sequence = r->takes == Takes::stream ? matcher_.next_standing() : matcher_.next_sequence();
      if (trace::on()) trace_receive(r);
      match_or_post(r);
      break;
    }
    case SubmissionKind::claim:
      if (trace::on()) trace_receive(static_cast<Request*>(s));
      claim(static_cast<Request*>(s));
      break;
    case SubmissionKind::parcel:
      deliver_parcel(static_cast<Parcel*>(s));
      break;
    case SubmissionKind::pulled: {
      auto* r = static_cast<Request*>(s);
      pulled(r, static_cast<Pull>(r->pull_result));
      break;
    }
  }
}

void Engine::progress() {
  attention_.wake(lingers_.load(std::memory_order_relaxed));
  if (!submissions_.empty()) run_submissions();
  if (handler_ && pool_.any_returned()) rest_due_ = true;
  else if (pool_.any_returned()) collect_returned();
  if (retry_) {
    retry_ = any_stalled_ = false;
    for (uint32_t i = 0; i < size_; ++i) peers_[i].stalled = false;
  }
  for (uint32_t i = 0; i < size_; ++i) {
    Peer& p = peers_[i];
    if (!p.driver || p.ended) continue;
    if (p.ending == Ending::none && p.port->closed->load(std::memory_order_seq_cst)) p.ending = Ending::closed;
    if (p.driver->noticed(p.port)) hear_notice(p);
    if (p.filling) fill_wants(p);
    receive(p);
    if (!p.incoming.empty()) look_at_incoming(p);
    bool drained = outcomes(p);
    if (p.ending == Ending::none) {
      if (p.lines) flush(p);
      if (!p.pushes.empty() && handler_) rest_due_ = true;
      else if (!p.pushes.empty()) push(p);
    } else if (drained && !handler_) {
      abandon(p);
    }
    publish(p);
    if (p.port->broken) p.ending = Ending::protocol;
    if (handler_ && p.ending != Ending::none) {
      rest_due_ = true;
      continue;
    }
    if (p.ending != Ending::none && !p.stalled && !p.driver->look(p.port, Packets::any)) finalize(p);
    if (p.ending == Ending::protocol) finalize(p);
  }
  if (!handler_) feed_queues();
  else if (queues_ready()) rest_due_ = true;
}

// What is left in a ring on purpose is no reason to look.
Packets Engine::packets_of(const Peer& p) const {
  if (!p.left) return p.stalled ? Packets::none : Packets::any;
  return running_here() ? Packets::none : Packets::crowd;
}

bool Engine::look() const {
  if (!submissions_.empty() || retry_ || queues_ready()) return true;
  for (uint32_t i = 0; i < size_; ++i) {
    const Peer& p = peers_[i];
    if (!p.driver || p.ended) continue;
    if (p.driver->look(p.port, packets_of(p))) return true;
    if (!p.incoming.empty() && incoming_revoked(p)) return true;
    if (p.ending == Ending::none && p.port->closed->load(std::memory_order_seq_cst)) return true;
  }
  return false;
}

// A peer that was awake when something was published, or has been since, looks once more before it sleeps.
bool Engine::owes_ring(Peer& p) {
  bool touched = p.touched || p.told, now = p.touched;
  uint64_t due = p.due_epoch;
  p.touched = p.told = false;
  p.due_epoch = 0;
  if (p.ended) return false;
  CARILLON_STEP("engine.attention.load");
  uint64_t attention = p.port->attention->load(std::memory_order_seq_cst);
  uint64_t epoch = Attention::epoch(attention);
  if (!Attention::asleep(attention) || epoch == p.rung_epoch || (!touched && epoch != due)) return false;
  p.due_epoch = epoch;
  p.due_now = now || (p.due_now && epoch == due);
  p.due_runs = Attention::runs(attention);
  if (p.due_now || !Attention::lingers(attention)) return true;
  // A rank whose JavaScript runs looks before it sleeps. A ring for what can wait that long would only disturb it, and costs more than
  // an eager packet. The timer rings if it does not look for a whole interval.
  start_timer();
  return false;
}

// A peer whose JavaScript runs may be about to look, which saves the ring.
bool Engine::returns(Peer& p) {
  if (p.impatient > 0) {
    --p.impatient;
    return false;
  }
  CARILLON_STEP("engine.returns");
  for (int i = 0; i < kPatience; ++i) {
    uint64_t attention = p.port->attention->load(std::memory_order_seq_cst);
    if (!Attention::asleep(attention) || Attention::epoch(attention) != p.due_epoch) {
      p.due_epoch = 0;
      ++counters_.rings_saved;
      return true;
    }
    if (!Attention::lingers(attention)) return false;
    relax();
  }
  p.impatient = kImpatient;
  return false;
}

void Engine::ring_owed() {
  for (uint32_t i = 0; i < size_; ++i) {
    Peer& p = peers_[i];
    if (!p.due_epoch) continue;
    p.due_now = true;
    if (owes_ring(p)) ring(p);
  }
}

void Engine::ring(Peer& p) {
  p.rung_epoch = p.due_epoch;
  p.due_epoch = 0;
  p.rung_tick = tick_;
  ++counters_.rings;
  // The ring is a system call, in which the peer may preempt us on our own processor and answer. Awake, its answer needs
  // no ring: we look once more before we leave (measured on one core: 8.4 -> 7 µs a round trip).
  attention_.wake(lingers_.load(std::memory_order_relaxed));
  CARILLON_STEP("engine.ring");
  const uint64_t begin = trace::begin();
  const bool interrupts = p.bell.how->ring(&p.bell, p.due_runs);
  if (begin) trace::record(trace::Kind::ring, begin, {.peer = static_cast<int32_t>(p.rank), .detail = interrupts});
  if (interrupts) ++counters_.interrupts;
  start_timer();
}

void Engine::start_timer() {
  if (timer_running_) return;
  timer_running_ = true;
  platform_.start_timer(platform_.self);
}

// A ring that was not answered for a whole interval is rung once more, at the progress thread.
void Engine::timer_fired() {
  timer_running_ = false;
  if (deferred_) publish_deferred();
  ring_owed();
  bool again = crowded_ && counters_.received != received_then_;
  received_then_ = counters_.received;
  if (crowded_ && !again) {  // JavaScript does something else
    crowded_ = false;
    set_running(false);
  }
  for (uint32_t i = 0; i < size_; ++i) {
    Peer& p = peers_[i];
    if (!p.driver || p.ended || p.rung_epoch == 0 || p.escalated_epoch == p.rung_epoch) continue;
    uint64_t attention = p.port->attention->load(std::memory_order_seq_cst);
    if (!Attention::asleep(attention) || Attention::epoch(attention) != p.rung_epoch) continue;
    if (p.rung_tick == tick_) {
      again = true;  // rung less than an interval ago
      continue;
    }
    p.escalated_epoch = p.rung_epoch;
    ++counters_.escalations;
    CARILLON_STEP("engine.escalate");
    const uint64_t begin = trace::begin();
    p.bell.how->escalate(&p.bell);
    if (begin) trace::record(trace::Kind::escalate, begin, {.peer = static_cast<int32_t>(p.rank)});
  }
  ++tick_;
  if (again) start_timer();
}

void Engine::connect(uint32_t rank, const Driver* driver, Port* port, const BellTarget& bell) {
  Peer& p = peers_[rank];
  p.driver = driver;
  p.port = port;
  p.bell = bell;
  p.credit.quota_bytes = port->quota_bytes;
  p.credit.quota_envelopes = port->quota_envelopes;
  // Half of what may be on its way: a sender that waits for room is worth waking for many messages, and for as many more it is on its way.
  p.publish_at = port->window / 2;
  if (limits_.quota_bytes / 4 < p.publish_at) p.publish_at = limits_.quota_bytes / 4;
  if (limits_.quota_envelopes * 8 < p.publish_at) p.publish_at = limits_.quota_envelopes * 8;
}

void Engine::refuse_peer(uint32_t rank) {
  Peer& p = peers_[rank];
  p.ending = Ending::protocol;
  p.ended = true;
  any_lost_ = true;
  ++ended_;
}

void Engine::drop_parcels(void (*drop)(Parcel*)) {
  matcher_.each_unexpected([&](Block* b) {
    if (!b->parcel) return;
    matcher_.remove_unexpected(b);
    drop(b->parcel);
  });
  for (Submission* s = take_spent(); s;) {
    auto* parcel = static_cast<Parcel*>(s);
    s = s->next_submission;
    drop(parcel);
  }
}

void Engine::touch_all() {
  for (uint32_t i = 0; i < size_; ++i)
    if (peers_[i].driver && !peers_[i].ended) peers_[i].touched = true;
}

}  // namespace carillon
