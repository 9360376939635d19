// The ledger: every message and what became of it, and the invariants. Exactly once, in order, intact, with the right ending,
// and nothing forgotten while everybody sleeps.
#include <cstdio>
#include <cstring>

#include "world.h"

namespace sim {
namespace {

bool gone(const Process& p) { return p.killed || p.closed || p.hostile; }
bool matches(int asked, int is) { return asked < 0 || asked == is; }
Process& process(int rank) { return world->processes[rank]; }
constexpr int ok = 0;
constexpr int code(Status status) { return static_cast<int>(status); }

// Does `status` name how this peer ended?
bool names_ending(const Process& p, int status) {
  if (p.hostile) return true;
  if (p.killed) return status == code(Status::peer_lost);
  return (p.closing || p.closed) && status == code(Status::peer_closed);
}

bool anybody_hostile() {
  for (int i = 0; i < world->size; ++i)
    if (process(i).hostile) return true;
  return false;
}

bool all_others_gone(const Process& of) {
  for (int i = 0; i < world->size; ++i)
    if (i != of.rank && !gone(process(i)) && !process(i).closing) return false;
  return true;
}

uint64_t word_of(uint32_t id, uint64_t index) { return (id * 0x9e3779b97f4a7c15ull + index) * 0xbf58476d1ce4e5b9ull; }

}  // namespace

Message* new_message(int source, int thread, int dest, uint32_t context, int tag, uint64_t bytes, bool synchronous) {
  auto* m = new Message;
  m->id = static_cast<uint32_t>(world->messages.size()) + 1;
  m->source = source;
  m->thread = thread;
  m->dest = dest;
  m->context = context;
  m->tag = tag;
  m->bytes = bytes;
  m->synchronous = synchronous;
  uint64_t key = static_cast<uint64_t>((((source * 2 + thread) * 4 + dest) * 2 + static_cast<int>(context)) * 64 + tag);
  m->number = world->numbers[key]++;
  world->messages.push_back(m);
  return m;
}

void fill(unsigned char* to, uint64_t bytes, uint32_t id) {
  for (uint64_t i = 0; i < bytes; i += 8) {
    uint64_t word = word_of(id, i);
    memcpy(to + i, &word, bytes - i < 8 ? bytes - i : 8);
  }
}

bool intact(const unsigned char* from, uint64_t bytes, uint32_t id) {
  for (uint64_t i = 0; i < bytes; i += 8) {
    uint64_t word = word_of(id, i);
    if (memcmp(from + i, &word, bytes - i < 8 ? bytes - i : 8) != 0) return false;
  }
  return true;
}

void sent(Message* m, int status) {
  if (m->status != -1) fail("message %u ends twice: %d, then %d", m->id, m->status, status);
  m->status = status;
  const Process& source = process(m->source);
  const Process& dest = process(m->dest);
  switch (static_cast<Status>(status)) {
    case Status::ok:
      return;
    case Status::cancelled:
      if (m->delivered && !dest.hostile) fail("message %u was cancelled and delivered", m->id);
      return;
    case Status::closed:
      return;  // consume has checked who asked
    case Status::peer_closed:
    case Status::peer_lost:
    case Status::peer_protocol:
      if (!names_ending(dest, status)) fail("message %u to process %d ends with status %d", m->id, m->dest, status);
      return;
    default:
      if (!dest.hostile && !source.hostile) fail("message %u ends with status %d", m->id, status);
  }
}

void received(Process& p, Operation* o, int status, int from, int tag, uint32_t id, uint64_t bytes,
              const unsigned char* body) {
  World& w = *world;
  const Request& r = o->request;
  bool from_hostile = from >= 0 && from < w.size && process(from).hostile;
  Message* m = id >= 1 && id <= w.messages.size() ? w.messages[id - 1] : nullptr;
  switch (static_cast<Status>(status)) {
    case Status::ok:
      if (from_hostile) return;
      if (!m) return fail("a message that nobody sent arrives: %u", id);
      if (m->dest != p.rank || m->source != from || m->tag != tag || m->bytes != bytes)
        fail("message %u arrives from %d with tag %d and %lu bytes", id, from, tag, bytes);
      if (!matches(r.peer, from) || !matches(r.tag, tag) || m->context != r.context)
        fail("message %u (tag %d) goes to a receive for source %d, tag %d", id, tag, r.peer, r.tag);
      if (m->delivered) fail("message %u is delivered twice", id);
      if (m->held && o->held != m) fail("message %u is delivered although a probe holds it", id);
      if (r.takes == Takes::held && !o->next && o->held != m) fail("an offer of message %u is received as message %u", o->held ? o->held->id : 0, id);
      m->held = false;
      if (m->status == code(Status::cancelled)) fail("message %u was cancelled and is delivered", id);
      if (!intact(body, bytes, id)) fail("message %u (%lu bytes) is not what was sent", id, bytes);
      m->delivered = true;
      m->by = r.sequence;
      m->by_capacity = r.bytes;  // of an offer: any
      m->by_requeued = o->requeued;
      m->when = w.steps;
      return;
    case Status::taken_back:
      if (r.takes != Takes::held) return fail("a receive ends as taken back");
      if (o->held) o->held->held = false;
      if (o->held) o->held->taken_back = true;
      return;
    case Status::truncated:
      if (r.takes != Takes::message) return fail("a probe or what it took ends as truncated");
      if (!from_hostile && bytes <= r.bytes) fail("truncated, but %lu bytes fit %lu", bytes, r.bytes);
      return;
    case Status::cancelled:
      return;
    case Status::closed:
      if (m && r.got_bytes && m->dest == p.rank) m->dropped = true;  // its body was being copied
      return;
    case Status::peer_closed:
    case Status::peer_lost:
    case Status::peer_protocol: {
      if (anybody_hostile()) return;
      if (r.takes == Takes::held) {
        if (!names_ending(process(from), status)) fail("an offer from process %d ends with status %d", from, status);
        return;
      }
      bool right = r.peer >= 0 ? names_ending(process(r.peer), status)
                               : all_others_gone(p);
      if (!right) fail("a receive for source %d ends with status %d (from %d)", r.peer, status, from);
      return;
    }
    default:
      if (!anybody_hostile()) fail("a receive ends with status %d", status);
  }
}

void probed(Process& p, Operation* o, int from, int tag, uint32_t id, uint64_t bytes) {
  World& w = *world;
  const Request& r = o->request;
  if (from >= 0 && from < w.size && process(from).hostile) return;
  Message* m = id >= 1 && id <= w.messages.size() ? w.messages[id - 1] : nullptr;
  if (!m) return fail("a message that nobody sent is probed: %u", id);
  if (m->dest != p.rank || m->source != from || m->tag != tag || m->bytes != bytes)
    fail("message %u is probed from %d with tag %d and %lu bytes", id, from, tag, bytes);
  if (!matches(r.peer, from) || !matches(r.tag, tag) || m->context != r.context)
    fail("message %u (tag %d) goes to a probe for source %d, tag %d", id, tag, r.peer, r.tag);
  if (m->delivered) fail("message %u is delivered and probed", id);
  if (m->held) fail("message %u is held by two probes", id);
  m->held = true;
  o->held = m;
}

uint32_t expected_at(const Process& p) {
  uint32_t count = 0;
  for (const Message* m : world->messages)
    if (m->dest == p.rank && !m->delivered && !m->dropped && !process(m->source).hostile &&
        (m->status == ok || (m->status == -1 && !gone(process(m->source)))))
      ++count;
  return count;
}

void print_state() {
  World& w = *world;
  for (int i = 0; i < w.size; ++i) {
    Process& p = process(i);
    printf("process %d:%s%s%s%s expects %u\n", i, p.killed ? " killed" : "", p.closing ? " closing" : "",
           p.closed ? " closed" : "", p.hostile ? " hostile" : "", expected_at(p));
    for (int k = 0; k < w.size; ++k) {
      const Peer& peer = p.engine->peer(k);
      if (!peer.driver) continue;
      const shm::ShmPort& port = p.ports[k];
      printf("  peer %d: ending %d%s%s, lines %x%s, asked %d %d, out %lu envelopes %lu bytes, ring out %lu/%lu in %lu/%lu\n", k,
             static_cast<int>(peer.ending), peer.ended ? " ended" : "", peer.stalled ? " stalled" : "", peer.lines,
             peer.unanswered ? " unanswered" : "", port.asked, port.no_room, peer.credit.out_envelopes,
             peer.credit.out_bytes, port.head, port.tail_seen, port.theirs->head.load(), port.tail);
      printf("          as receiver: held %d, %lu envelopes %lu bytes, partial %d, wants", peer.held, peer.held_envelopes,
             peer.held_bytes, peer.partial);
      for (const Request* r : peer.wanted) printf(" %d", r ? static_cast<int>(r->index) : -1);
      printf("\n");
    }
    for (Thread& t : p.threads)
      for (Operation* o : t.operations)
        if (o)
          printf("  thread %d request %u: %s %u, peer %d, tag %d, context %u, bytes %lu, state %d%s\n", t.number,
                 o->request.index, o->message ? "send of message" : o->request.taker ? "stream" : o->stream ? "receive for a stream" : "receive", o->message ? o->message->id : 0,
                 o->request.peer, o->request.tag, o->request.context, o->request.bytes,
                 static_cast<int>(o->request.state), t.ended ? ", thread ended" : t.sleeping ? "" : ", thread awake");
    for (Thread& t : p.threads)
      for (Operation* o : t.operations)
        if (o && o->request.taker)
          printf("  thread %d ring of request %u: %s, %u bytes, %u used, read to %u, behind %u%s%s\n", t.number, o->request.index,
                 o->taker.shared ? "shared" : "its own", o->taker.capacity, o->taker.used(), o->tail, static_cast<unsigned>(o->taker.behind),
                 o->taker.carrying ? ", carrying" : "", o->taker.backlog.first() ? ", backlog" : "");
    EngineAccess::matcher(*p.engine).each_unexpected([](Block* b) {
      printf("  unexpected: message %u from %d, tag %d, context %u%s\n", b->encoding, b->source, b->tag, b->context,
             b->offer ? ", offer" : "");
    });
  }
}

// A stream that has to be resumed by a thread that computes.
bool behind_and_stuck(const Request* r) {
  return r->takes == Takes::stream && r->taker->behind != Behind::no && static_cast<Thread*>(r->queue->owner)->stuck;
}

// A message in a line to process k that a posted receive there waits for, though the ring is open and a want may pass.
const Message* starved(Process& p, int k) {
  Peer& peer = p.engine->peer(k);
  Process& to = process(k);
  if (!to.runs() || to.engine->peer(p.rank).stalled || anybody_hostile()) return nullptr;
  if (peer.credit.out_envelopes >= peer.credit.quota_envelopes + wants) return nullptr;
  if (peer.credit.out_bytes + charge_of(world->limits.eager_bytes) >
      peer.credit.quota_bytes + wants * charge_of(world->limits.eager_bytes))
    return nullptr;
  for (const RequestList& line : peer.line)
    for (const Request* r = line.first(); r; r = RequestList::next(r))
      if (const Request* by = EngineAccess::matcher(*to.engine).find_posted(r->context, p.rank, r->tag); by && !behind_and_stuck(by))
        return reinterpret_cast<const Operation*>(r)->message;
  return nullptr;
}

// Nobody can run. Whoever has something left to do was forgotten, unless a departure or a stop is still to end, or a ring
// that went to a thread that has ended since, or computes, is still to be rung again.
void check_idle() {
  World& w = *world;
  bool pending = w.hostile_thread.exists && !w.hostile_thread.ended;
  for (int i = 0; i < w.size; ++i)
    pending |= process(i).runs() && (process(i).stopped_until || !process(i).departures.empty());
  for (int i = 0; i < w.size; ++i)
    for (int k = 0; k < w.size; ++k)
      for (const Thread& t : process(k).threads) pending |= process(i).timer_armed && (t.ended || t.stuck);
  if (pending) return;
  for (int i = 0; i < w.size; ++i) {
    Process& p = process(i);
    if (!p.runs()) continue;
    Engine& e = *p.engine;
    if (!EngineAccess::guard_free(e)) return fail("process %d: everybody sleeps and the guard is held", i);
    if (EngineAccess::submissions(e)) return fail("process %d: everybody sleeps and submissions wait", i);
    if (e.look()) return fail("process %d: everybody sleeps and there is something to see", i);
    if (e.pull_waiting()) return fail("process %d: everybody sleeps and a body waits to be copied", i);
    if (e.pool().any_returned()) return fail("process %d: everybody sleeps and blocks wait to be collected", i);
    for (Thread& t : p.threads) {
      if (t.number < 0 || t.ended || t.stuck || !t.words) continue;
      if (t.words[0] != t.consumed) return fail("process %d: everybody sleeps and records wait", i);
      if (taken(t)) return fail("process %d: everybody sleeps and takers were not looked at", i);
      if (unseen(t)) return fail("process %d: everybody sleeps and a shared ring was not looked at", i);
      if (t.queue->waits.load()) return fail("process %d: everybody sleeps and completions wait for records", i);
    }
    Matcher& matcher = EngineAccess::matcher(e);
    matcher.each_unexpected([&](Block* b) {
      Request* r = matcher.find_posted(b->context, b->source, b->tag);
      if (r && !behind_and_stuck(r))
        fail("process %d: message %u waits and so does a receive for it", i, b->encoding);
    });
    for (int k = 0; k < w.size; ++k) {
      Peer& peer = e.peer(k);
      if (!peer.driver || peer.ended || gone(process(k))) continue;
      const shm::ShmPort& port = p.ports[k];
      if (port.theirs->outcome_head.load() != port.outcome_tail)
        return fail("process %d: everybody sleeps and an outcome of process %d was not seen", i, k);
      if ((port.asked || port.no_room) &&
          (port.theirs->tail.load() != port.tail_seen || port.theirs->posted.load() != port.posted_seen))
        return fail("process %d: everybody sleeps and room at process %d was not seen", i, k);
      if (port.tail != port.tail_published)
        return fail("process %d: everybody sleeps and what process %d may send again is not published", i, k);
      for (uint32_t b = 0; b < buckets; ++b)
        if (peer.given_envelopes[b] != port.mine->board[board::free_envelopes + b].load() ||
            peer.given_bytes[b] != port.mine->board[board::free_bytes + b].load())
          return fail("process %d: everybody sleeps and what process %d may send again is not posted", i, k);
      if ((peer.lines || !peer.pushes.empty()) && !port.asked && !port.no_room)
        return fail("process %d: everybody sleeps and a send to %d waits for nothing", i, k);
      if (const Message* m = starved(p, k)) return fail("message %u is held back although a receive waits for it", m->id);
      const unsigned char* packet;
      uint32_t bytes;
      if (peer.stalled && shm::driver.peek(&p.ports[k], &packet, &bytes) == Peek::packet) {
        PacketHeader h;
        memcpy(&h, packet, sizeof h);
        Request* r = EngineAccess::matcher(e).find_posted(h.context, k, h.tag);
        if (r && r->takes == Takes::message && (h.bytes > r->bytes || r->memory || h.bytes <= inline_bytes || h.kind != PacketKind::eager))
          return fail("process %d: a message from %d stays in its ring although a receive for it is posted", i, k);
      }
      if (peer.stalled && !w.small_pool && !anybody_hostile())
        return fail("process %d: stalled although the pool holds what the quotas allow", i);
    }
  }
}

void check_end() {
  World& w = *world;
  for (const Message* m : w.messages) {
    const Process& source = process(m->source);
    const Process& dest = process(m->dest);
    if (dest.hostile || source.hostile) continue;
    bool lives = !gone(source) && !source.threads[m->thread].ended;
    if (lives && m->status == -1)
      return fail("message %u (%lu bytes, tag %d, context %u%s) from process %d to %d never ends for its sender", m->id,
                  m->bytes, m->tag, m->context, m->delivered ? ", delivered" : "", m->source, m->dest);
    if (m->status == code(Status::cancelled) && m->delivered) return fail("message %u was cancelled and delivered", m->id);
    if (m->taken_back && m->status == ok) return fail("message %u was sent, says its sender, and taken back, says its receiver", m->id);
    bool threads = !dest.threads[0].ended || !dest.threads[1].ended;
    if (!gone(dest) && threads && m->status == ok && !m->delivered && !m->dropped)
      return fail("message %u from process %d to %d was sent and never arrived", m->id, m->source, m->dest);
  }
  for (int i = 0; i < w.size; ++i)
    for (Thread& t : process(i).threads)
      if (process(i).runs() && !t.ended && (t.outstanding_receives || t.outstanding_sends))
        return fail("process %d: %u receives and %u sends never end", i, t.outstanding_receives, t.outstanding_sends);
  // Nothing overtakes: of two messages of one stream, both fitting both receives, the first goes to the receive posted first.
  for (const Message* a : w.messages)
    for (const Message* b : w.messages) {
      if (a->source != b->source || a->thread != b->thread || a->dest != b->dest || a->context != b->context ||
          a->tag != b->tag || a->number >= b->number || !a->delivered || !b->delivered || a->by_requeued || b->by_requeued)
        continue;
      if (b->by <= a->given_back) continue;  // a probe had it, perhaps, when b was taken
      if (a->by_capacity < b->bytes || b->by_capacity < a->bytes) continue;
      if (a->by > b->by) return fail("message %u overtakes message %u", b->id, a->id);
    }
  for (const Withdrawn& r : w.withdrawn)
    for (const Message* m : w.messages)
      if (m->delivered && m->dest == r.process && m->by > r.sequence && m->when < r.when && m->context == r.context &&
          matches(r.source, m->source) && matches(r.tag, m->tag) && m->bytes <= r.capacity)
        return fail("message %u passed by a receive that was posted before the one that took it", m->id);
}

}  // namespace sim
