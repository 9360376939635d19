// What the simulated JavaScript does: random sends, receives and cancels in the first phase, receives that take everything
// in the second, cancels of what is left in the third; and what it does with a completion record.
#include <cstdlib>
#include <cstring>
#include <new>

#include "world.h"

namespace sim {
namespace {

unsigned char* reserve(Process& p, uint64_t bytes) {
  if (p.arena_used + bytes > arena_bytes) return nullptr;
  unsigned char* memory = p.arena + p.arena_used;
  p.arena_used += bytes;
  return memory;
}

Operation* new_operation(Thread& t) {
  auto* o = new Operation;
  if (t.free_indices.empty()) {
    t.free_indices.push_back(static_cast<uint32_t>(t.operations.size()));
    t.operations.push_back(nullptr);
  }
  o->request.index = t.free_indices.back();
  t.free_indices.pop_back();
  t.operations[o->request.index] = o;
  o->request.queue = t.queue;
  o->request.state = RequestState::submitted;
  return o;
}

constexpr int tags[] = {0, 1, static_cast<int>(buckets)};  // two of them share a bucket

uint64_t random_size() {
  Random& r = world->random;
  switch (r.below(6)) {
    case 0: return r.chance(300) ? 0 : r.below(9);
    case 1: return r.below(inline_bytes + 1);
    case 2:
    case 3: return r.below(world->limits.eager_bytes + 1);
    case 4: return world->limits.eager_bytes + r.below(300);
    default: return r.below(world->largest);
  }
}

void send_to_oneself(Thread& t, Message* m) {
  auto* parcel = new (malloc(sizeof(Parcel) + m->bytes)) Parcel;
  fill(parcel->body(), m->bytes, m->id);
  Block& b = parcel->envelope;
  b.parcel = parcel;
  b.bytes = m->bytes;
  b.source = t.process->rank;
  b.tag = m->tag;
  b.context = m->context;
  b.encoding = m->id;
  parcel->submission_kind = SubmissionKind::parcel;
  if (m->synchronous) {
    Operation* o = new_operation(t);
    o->message = m;
    o->request.is_send = true;
    o->request.synchronous = true;
    o->request.peer = b.source;
    parcel->sender = &o->request;
    ++t.outstanding_sends;
  } else {
    m->status = 0;
  }
  t.process->engine->submit(parcel, t.queue);
  after_leave(t);
}

void send(Thread& t) {
  World& w = *world;
  Process& p = *t.process;
  Random& r = w.random;
  int dest = r.chance(120) ? p.rank : (p.rank + 1 + static_cast<int>(r.below(static_cast<uint64_t>(w.size) - 1))) % w.size;
  uint64_t bytes = random_size();
  unsigned char* body = reserve(p, bytes + 1);
  if (!body) return;
  uint32_t context = r.below(2);
  int tag = tags[r.below(3)];
  Message* m = new_message(p.rank, t.number, dest, context, tag, bytes, r.chance(150));
  if (dest == p.rank) return send_to_oneself(t, m);
  fill(body, bytes, m->id);
  if (r.chance(500)) p.ports[dest].next_slot = static_cast<uint16_t>(r.below(2));  // so that slots are used again soon
  Engine& engine = *p.engine;
  if (!m->synchronous && bytes <= engine.limits().eager_bytes && engine.try_enter()) {
    uint64_t cut = bytes / 3;
    Part parts[] = {{body, cut}, {body + cut, bytes - cut}};
    Status failure = Status::ok;
    Sent result = engine.send_now(dest, m->tag, m->context, m->id, parts, 2, &failure);
    if (result == Sent::done) m->status = 0;
    engine.leave(t.queue);
    after_leave(t);
    if (result == Sent::done) {
      memset(body, 0xdd, bytes);
      return;
    }
    if (result == Sent::failed) return sent(m, static_cast<int>(failure));
  }
  Operation* o = new_operation(t);
  o->message = m;
  o->body = body;
  Request& q = o->request;
  q.submission_kind = SubmissionKind::send;
  q.is_send = true;
  q.synchronous = m->synchronous;
  q.peer = dest;
  q.tag = m->tag;
  q.context = m->context;
  q.encoding = m->id;
  q.memory = body;
  q.bytes = bytes;
  q.lent = r.chance(300);
  ++t.outstanding_sends;
  engine.submit(&q, t.queue);
  after_leave(t);
}

void receive(Thread& t, int source, int tag, uint32_t context, uint64_t capacity, bool into, Takes takes = Takes::message) {
  Operation* o = new_operation(t);
  Request& q = o->request;
  q.takes = takes;
  q.submission_kind = SubmissionKind::receive;
  q.peer = source;
  q.tag = tag;
  q.context = context;
  q.bytes = capacity;
  if (takes == Takes::stream) {
    o->taker.capacity = 256u << world->random.below(5);
    o->taker.words = static_cast<uint32_t*>(calloc(1, ring_layout::records * 4 + o->taker.capacity));
    q.taker = &o->taker;
    o->taker.stream = &q;
    if (world->random.chance(500)) {
      o->taker.shared = true;
      o->taker.courier = &o->courier;
      o->courier.taker = &o->taker;
      o->taker.word(ring_layout::asleep).store(1);
    }
  }
  if (into && capacity > 0) q.memory = o->body = static_cast<unsigned char*>(malloc(capacity));
  ++t.outstanding_receives;
  Engine& engine = *t.process->engine;
  if (takes != Takes::message || !world->random.chance(500) || !engine.try_enter()) {
    engine.submit(&q, t.queue);
    return after_leave(t);
  }
  const bool here = engine.receive_now(&q);
  engine.leave(t.queue);
  after_leave(t);
  if (!here) return;
  uint32_t record[queue_layout::record_words];
  fill_record(record, &q);
  drain(t);  // what was completed before it comes first
  t.operations[q.index] = nullptr;
  t.free_indices.push_back(q.index);
  consume(t, o, record);
}

void random_receive(Thread& t) {
  World& w = *world;
  Random& r = w.random;
  int source = r.chance(400) ? any_source : static_cast<int>(r.below(w.size));
  int tag = r.chance(400) ? any_tag : tags[r.below(3)];
  if (r.chance(250)) return receive(t, source, tag, r.below(2), UINT64_MAX, false, Takes::envelope);
  if (w.streams && r.chance(100)) return receive(t, source, tag, r.below(2), UINT64_MAX, false, Takes::stream);
  bool into = r.chance(400);
  uint64_t capacity = into ? w.largest + 400 : UINT64_MAX;
  if (r.chance(200)) capacity = r.below(w.limits.eager_bytes + 50);
  receive(t, source, tag, r.below(2), capacity, into);
}

void probe_now(Thread& t) {
  Random& r = world->random;
  Operation* o = new_operation(t);
  Request& q = o->request;
  q.takes = Takes::envelope;
  q.peer = r.chance(400) ? any_source : static_cast<int>(r.below(world->size));
  q.tag = r.chance(400) ? any_tag : static_cast<int>(r.below(3));
  q.context = r.below(2);
  q.bytes = UINT64_MAX;
  Engine& engine = *t.process->engine;
  enter_waiting(engine);
  bool found = engine.probe_now(&q);
  if (found) probed(*t.process, o, q.from, q.got_tag, q.got_encoding, q.got_bytes);
  engine.leave(t.queue);
  t.operations[q.index] = nullptr;
  if (found) {
    t.offers.push_back(o);
  } else {
    t.free_indices.push_back(q.index);
    delete o;
  }
  after_leave(t);
}

Operation* any_offer(Thread& t) {
  size_t i = world->random.below(t.offers.size());
  Operation* o = t.offers[i];
  t.offers.erase(t.offers.begin() + static_cast<long>(i));
  return o;
}

void claim(Thread& t, Operation* o) {
  Request& q = o->request;
  q.submission_kind = SubmissionKind::claim;
  q.takes = Takes::held;
  q.bytes = UINT64_MAX;
  if (q.got_bytes > 0 && world->random.chance(400))
    q.memory = o->body = static_cast<unsigned char*>(malloc(q.got_bytes));
  t.operations[q.index] = o;
  ++t.outstanding_receives;
  t.process->engine->submit(&q, t.queue);
  after_leave(t);
}

void give_back(Thread& t, Operation* o) {
  Engine& engine = *t.process->engine;
  enter_waiting(engine);
  if (o->held) {
    o->held->held = false;
    o->held->given_back = EngineAccess::next_sequence(engine);
  }
  engine.give_back(&o->request);
  engine.leave(t.queue);
  t.free_indices.push_back(o->request.index);
  delete o;
  after_leave(t);
}

void cancel(Thread& t, Operation* o) {
  Engine& engine = *t.process->engine;
  o->cancel_asked = true;
  enter_waiting(engine);
  bool posted = o->request.state == RequestState::posted;
  o->cancelled = engine.cancel(&o->request);
  if (o->cancelled && posted && !o->requeued)
    world->withdrawn.push_back({t.process->rank, o->request.peer, o->request.tag, o->request.context, o->request.bytes,
                                o->request.sequence, world->steps});
  engine.leave(t.queue);
  after_leave(t);
}

// What its ring holds, as parcels.
Parcel* unread(Operation* o) {
  Parcel *first = nullptr, *last = nullptr;
  const uint32_t head = o->taker.word(ring_layout::head).load();
  while (o->tail != head) {
    const uint32_t* record = o->taker.words + ring_layout::records + (o->tail & (o->taker.capacity - 1)) / 4;
    o->tail += record[0] & ~1u;
    if (record[0] & 1) continue;
    auto* parcel = new (malloc(sizeof(Parcel) + record[4])) Parcel;
    memcpy(parcel->body(), record + ring_layout::header_words, record[4]);
    Block& b = parcel->envelope;
    b.parcel = parcel;
    b.bytes = record[4];
    b.source = static_cast<int32_t>(record[1]);
    b.tag = static_cast<int32_t>(record[2]);
    b.context = o->request.context;
    b.encoding = record[3];
    memcpy(&b.arrival, record + 5, sizeof b.arrival);
    if (last) last->next_submission = parcel;
    else first = parcel;
    last = parcel;
  }
  return first;
}

void stop_stream(Thread& t, Operation* o) {
  Engine& engine = *t.process->engine;
  o->cancel_asked = true;
  enter_waiting(engine);
  engine.halt_taking(&o->request);
  engine.leave(t.queue);
  Parcel* first = unread(o);
  o->stopped = true;
  step("halted");
  enter_waiting(engine);
  o->cancelled = o->request.state == RequestState::posted;
  for (Parcel* p = first; p; p = static_cast<Parcel*>(p->next_submission)) {
    const uint32_t id = p->envelope.encoding;
    if (id >= 1 && id <= world->messages.size()) world->messages[id - 1]->given_back = EngineAccess::next_sequence(engine);
  }
  engine.stop_taking(&o->request, first);
  engine.leave(t.queue);
  after_leave(t);
}

}  // namespace

void act(Thread& t) {
  Random& r = world->random;
  uint32_t what = r.below(100);
  if (what < 45) return send(t);
  if (what < 80) return random_receive(t);
  if (what < 84) return probe_now(t);
  if (what < 90) {
    if (t.offers.empty()) return;
    return r.chance(500) ? claim(t, any_offer(t)) : give_back(t, any_offer(t));
  }
  if (t.operations.empty()) return;
  Operation* o = t.operations[r.below(t.operations.size())];
  if (!o || o->cancel_asked) return;
  if (o->request.taker && !o->taker.shared && !o->alone && r.chance(700)) stop_stream(t, o);
  else cancel(t, o);
}

bool act_draining(Thread& t) {
  bool any = !t.offers.empty();
  while (!t.offers.empty()) world->random.chance(500) ? claim(t, any_offer(t)) : give_back(t, any_offer(t));
  if (expected_at(*t.process) == 0) return any;
  const Matcher& matcher = EngineAccess::matcher(*t.process->engine);
  for (uint32_t context = 0; context < 2; ++context) {
    // Unless a probe has given something back since.
    bool posted = t.nobody_left[context] && !matcher.find_unexpected(context, any_source, any_tag);
    for (Operation* o : t.operations)
      if (o && !o->message && o->request.takes == Takes::message && o->request.peer == any_source && o->request.tag == any_tag && o->request.context == context &&
          o->request.bytes == UINT64_MAX)
        posted = true;
    if (posted) continue;
    receive(t, any_source, any_tag, context, UINT64_MAX, false);
    any = true;
  }
  return any;
}

void cancel_all(Thread& t) {
  for (size_t i = 0; i < t.operations.size(); ++i) {
    Operation* o = t.operations[i];
    if (o && !o->message && !o->cancelled) cancel(t, o);
  }
}

namespace {

void take_ring(Thread& t, Operation* o) {
  for (;;) {
    uint32_t head = o->taker.word(ring_layout::head).load() & ~ring_layout::closed;
    if (head == o->tail) return;
    if (o->stopped) return fail("a stream that was stopped has taken more");
    const uint32_t* record = o->taker.words + ring_layout::records + (o->tail & (o->taker.capacity - 1)) / 4;
    if (!(record[0] & 1)) {
      auto* body = reinterpret_cast<const unsigned char*>(record + ring_layout::header_words);
      received(*t.process, o, 0, static_cast<int>(record[1]), static_cast<int>(record[2]), record[3], record[4], body);
      Message* m = record[3] >= 1 && record[3] <= world->messages.size() ? world->messages[record[3] - 1] : nullptr;
      if (m && !world->processes[m->source].hostile) {
        uint64_t key = ((static_cast<uint64_t>(m->source * 2 + m->thread) * 2 + m->context) << 32) + static_cast<uint32_t>(m->tag);
        if (o->last.count(key) && o->last[key] > m->number && m->given_back == 0) fail("message %u is overtaken in a stream", m->id);
        o->last[key] = m->number;
        m->by = 0;  // any receive posted since may have taken what came later
        m->by_requeued = true;
      }
    }
    o->tail += record[0] & ~1u;
    if (record[0] & 1 && o->tail == head && !o->taker.shared) fail("a stream's ring ends with what is to be skipped");
    o->taker.word(ring_layout::read).store(o->tail);
    step("taken");
  }
}

// Of what does not go through a stream's ring and is next.
void receive_next(Thread& t, Operation* stream) {
  Engine& engine = *t.process->engine;
  Operation* o = new_operation(t);
  o->stream = stream;
  o->next = true;
  Request& q = o->request;
  q.takes = Takes::held;
  q.peer = stream->request.peer;
  q.tag = stream->request.tag;
  q.context = stream->request.context;
  q.bytes = UINT64_MAX;
  ++t.outstanding_receives;
  enter_waiting(engine);
  engine.take_next(&stream->request, &q);
  engine.leave(t.queue);
  after_leave(t);
}

}  // namespace

bool taken(const Thread& t) {
  return t.told || reinterpret_cast<std::atomic<uint32_t>*>(t.words + queue_layout::taken)->load() != 0;
}

bool holds(const Operation* o) {
  const uint32_t head = o->taker.word(ring_layout::head).load() & ~ring_layout::closed, offset = o->tail & (o->taker.capacity - 1);
  const uint32_t first = o->taker.words[ring_layout::records + offset / 4];
  return head != o->tail && head != o->tail + (first & 1 ? first & ~1u : 0);  // what is skipped is nothing
}

// Something in a shared ring, or beside it, that its readers have not seen.
bool unseen(const Thread& t) {
  for (Operation* o : t.operations)
    if (o && o->request.taker && o->taker.shared && (holds(o) || (o->taker.behind == Behind::alone && !o->alone))) return true;
  return false;
}

// What the thread does when it is told of its takers.
void take_rings(Thread& t) {
  Engine& engine = *t.process->engine;
  reinterpret_cast<std::atomic<uint32_t>*>(t.words + queue_layout::taken)->store(0);
  t.told = false;
  for (size_t i = 0; i < t.operations.size(); ++i) {
    Operation* o = t.operations[i];
    if (!o || !o->request.taker) continue;
    take_ring(t, o);
    if (o->taker.shared) {
      step("asleep");
      o->taker.word(ring_layout::asleep).store(1);
      step("look again");
      take_ring(t, o);
    }
    auto behind = static_cast<Behind>(o->taker.word(ring_layout::behind).load());
    if (o->taker.shared && (behind == Behind::room || (behind == Behind::alone && !o->alone))) {
      engine.poll(t.queue);
      after_leave(t);
      behind = static_cast<Behind>(o->taker.word(ring_layout::behind).load());
      if (behind == Behind::room) continue;
    }
    if (behind == Behind::room) {
      enter_waiting(engine);
      engine.resume(&o->request);
      engine.leave(t.queue);
      after_leave(t);
    } else if (behind == Behind::alone && !o->alone) {
      o->alone = true;
      receive_next(t, o);
    }
  }
}

void forget_offers(Thread& t) {
  for (Operation* o : t.offers) {
    if (o->held) {
      o->held->held = false;
      o->held->given_back = UINT64_MAX;
    }
  }
}

bool consume(Thread& t, Operation* o, const uint32_t* record) {
  Request& r = o->request;
  int status = static_cast<int>(record[1]);
  if (r.state != RequestState::completed) fail("a record of a request in state %d", static_cast<int>(r.state));
  if (status == static_cast<int>(Status::cancelled) && !o->cancel_asked && !t.leaving && !t.process->closing)
    fail("request %u ends as cancelled, nobody asked", r.index);
  if (o->cancelled && status != static_cast<int>(Status::cancelled)) fail("a cancelled request ends with status %d", status);
  if (o->message) {
    --t.outstanding_sends;
    sent(o->message, status);
    if (o->body) memset(o->body, 0xdd, o->message->bytes);
    if (r.parcel) free(r.parcel);  // to oneself, cancelled before it was matched
    delete o;
    return false;
  }
  --t.outstanding_receives;
  if (r.taker) {
    take_ring(t, o);
    for (Operation* other : t.operations)
      if (other && other->stream == o) other->stream = nullptr;
    if (status != static_cast<int>(Status::cancelled) && status != static_cast<int>(Status::closed))
      received(*t.process, o, status, static_cast<int>(record[2]), static_cast<int>(record[3]), record[4], 0, nullptr);
    if (Message* m = o->courier.got_encoding >= 1 && o->courier.got_encoding <= world->messages.size()
                         ? world->messages[o->courier.got_encoding - 1]
                         : nullptr;
        m && o->courier.status == Status::closed)
      m->dropped = true;  // its body was being copied
    free(o->taker.words);
    delete o;
    return false;
  }
  if (o->stream) {
    o->stream->alone = false;
    if (o->stream->taker.shared) t.told = true;  // it looks again by itself
    t.resume.push_back(o->stream->request.index);
  }
  if (world->phase == World::Phase::drain && r.takes == Takes::message && r.peer == any_source && r.tag == any_tag && r.bytes == UINT64_MAX &&
      status >= static_cast<int>(Status::peer_closed) && status <= static_cast<int>(Status::peer_protocol))
    t.nobody_left[r.context] = true;
  uint64_t bytes = record[6] | uint64_t{record[7]} << 32;
  if (status == 0 && r.takes == Takes::envelope) {
    if (!t.leaving) {
      probed(*t.process, o, static_cast<int>(record[2]), static_cast<int>(record[3]), record[4], bytes);
      t.offers.push_back(o);
      return true;
    }
    // Given back already.
    if (record[4] >= 1 && record[4] <= world->messages.size()) world->messages[record[4] - 1]->given_back = UINT64_MAX;
    delete o;
    return false;
  }
  const unsigned char* body = o->body;
  if (status == 0) {
    switch (static_cast<Storage>(record[5])) {
      case Storage::none:
        if (bytes > 0 && !r.memory) fail("bytes arrived nowhere");
        break;
      case Storage::in_record: body = reinterpret_cast<const unsigned char*>(record + queue_layout::inlined); break;
      case Storage::block: body = r.parcel ? r.parcel->body() : r.block->body(); break;
      case Storage::stage:
      case Storage::lease: body = r.stage; break;
      default: fail("storage %u", record[5]);
    }
    if (bytes > r.bytes) fail("%lu bytes in a receive of %lu", bytes, r.bytes);
  }
  received(*t.process, o, status, static_cast<int>(record[2]), static_cast<int>(record[3]), record[4], bytes, body);
  if (r.block) t.taken.push_back(r.block);
  if (r.parcel) free(r.parcel);
  if (r.stage) free(r.stage);
  free(o->body);
  delete o;
  return false;
}

}  // namespace sim
