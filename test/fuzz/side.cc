// What a rank of the fuzzer's world does; see side.h.
#include "side.h"

#include <cstdlib>
#include <cstring>

namespace fuzz {

const Doorbell silent_doorbell = {
    .name = "silent", .ring = [](const BellTarget*, bool) { return false; }, .escalate = [](const BellTarget*) {}};

namespace {

// Off limits from here on for a build with AddressSanitizer.
void forbid([[maybe_unused]] const void* at, [[maybe_unused]] size_t bytes) {
#ifdef ASAN_POISON_MEMORY_REGION
  ASAN_POISON_MEMORY_REGION(at, bytes);
#endif
}
void permit([[maybe_unused]] const void* at, [[maybe_unused]] size_t bytes) {
#ifdef ASAN_UNPOISON_MEMORY_REGION
  ASAN_UNPOISON_MEMORY_REGION(at, bytes);
#endif
}

alignas(4096) unsigned char segments[world_size][largest_segment];
alignas(64) unsigned char pools[world_size][largest_pool];

unsigned char content(uint32_t id, uint64_t at) { return static_cast<unsigned char>((id * 31 + at) * 7 + (at >> 8)); }

}  // namespace

void Side::build(uint32_t number, const Limits& limits, uint32_t ring_bytes, size_t pool_bytes, uint32_t lag, Ledger* of) {
  rank = number;
  ledger = of;
  segment = segments[rank];
  pool = pools[rank];
  permit(segment, largest_segment);
  permit(pool, largest_pool);
  memset(segment, 0, shm::segment_bytes(world_size, ring_bytes));
  shm::format(segment, rank, world_size, ring_bytes, limits.quota_bytes, limits.quota_envelopes);
  memset(bins, 0, sizeof bins);
  // Nothing is ever written for oneself, between a lane's words and its ring, or behind the last one.
  const size_t lane = shm::lane_bytes(ring_bytes);
  forbid(segment + shm::page + rank * lane, lane);
  for (uint32_t i = 0; i < world_size; ++i)
    forbid(segment + shm::page + i * lane + sizeof(shm::Lane), shm::round_up(sizeof(shm::Lane), shm::page) - sizeof(shm::Lane));
  forbid(segment + shm::segment_bytes(world_size, ring_bytes), largest_segment - shm::segment_bytes(world_size, ring_bytes));
  forbid(pool + pool_bytes, largest_pool - pool_bytes);
  for (Thread& t : threads) {
    t.queue.words = t.words;
    t.queue.owner = &t;
    t.lag = lag;  // as if so many records were never reaped
    t.queue.reaped.store(0 - lag);
  }
  const Platform platform = {.self = this,
                             .notify = [](void*, CompletionQueue*) {},
                             .start_timer = never,
                             .more = never,
                             .copies = [](void*, CompletionQueue*) {}};
  engine.set_lingering(true);
  engine.init(rank, world_size, peers, {bins, Matcher::least_bins}, pool, pool_bytes, &shm::header(segment)->attention, platform,
              limits);
}

void Side::connect(uint32_t peer, const unsigned char* theirs, size_t bytes, shm::CopyFunction copy) {
  ports[peer].pid = static_cast<int>(peer);
  ports[peer].copy = copy;
  enter();
  REQUIRE(shm::connect(&ports[peer], segment, theirs, bytes, peer, &cells), "a segment is connected");
  engine.connect(peer, &shm::driver, &ports[peer], {.how = &silent_doorbell});
  engine.leave(nullptr);
}

Operation* Side::new_operation(uint32_t own) {
  auto* o = new Operation;
  o->request.queue = &threads[own].queue;
  o->request.state = RequestState::submitted;
  operations.push_back(o);
  return o;
}

void Side::send(uint32_t own, uint32_t dest, int32_t tag, uint32_t context, uint64_t bytes, bool synchronous, bool at_once) {
  Message* m = nullptr;
  unsigned char* body;
  uint32_t id = 0;
  if (dest == hostile_rank) {
    body = static_cast<unsigned char*>(calloc(1, bytes ? bytes : 1));
  } else {
    m = new Message{rank, dest, context, tag, std::vector<unsigned char>(bytes + 1)};
    ledger->messages.push_back(m);
    id = static_cast<uint32_t>(ledger->messages.size());
    for (uint64_t i = 0; i < bytes; ++i) m->body[i] = content(id, i);
    body = m->body.data();
  }
  CompletionQueue* queue = &threads[own].queue;
  if (at_once && !synchronous && engine.try_enter()) {
    const Part parts[] = {{body, bytes / 3}, {body + bytes / 3, bytes - bytes / 3}};
    Status failure = Status::ok;
    const Sent result = engine.send_now(static_cast<int32_t>(dest), tag, context, id, parts, 2, &failure);
    engine.leave(queue);
    if (result != Sent::later) {
      REQUIRE(result == Sent::done || dest == hostile_rank, "nothing fails between honest ranks");
      if (m) m->sent = true;
      else free(body);
      return;
    }
  }
  Operation* o = new_operation(own);
  o->message = m;
  if (!m) o->body = body;
  Request& r = o->request;
  r.submission_kind = SubmissionKind::send;
  r.is_send = true;
  r.synchronous = synchronous;
  r.peer = static_cast<int32_t>(dest);
  r.tag = tag;
  r.context = context;
  r.encoding = id;
  r.memory = body;
  r.bytes = bytes;
  engine.submit(&r, queue);
}

void Side::receive(uint32_t own, int32_t source, int32_t tag, uint32_t context, uint64_t capacity, bool into) {
  Operation* o = new_operation(own);
  Request& r = o->request;
  r.submission_kind = SubmissionKind::receive;
  r.peer = source;
  r.tag = tag;
  r.context = context;
  r.bytes = capacity;
  if (into) r.memory = o->body = static_cast<unsigned char*>(malloc(capacity));
  if (capacity % 2 == 0 || !engine.try_enter()) return engine.submit(&r, &threads[own].queue);
  const bool here = engine.receive_now(&r);
  engine.leave(&threads[own].queue);
  if (!here) return;
  uint32_t record[queue_layout::record_words];
  fill_record(record, &r);
  for (size_t i = 0; i < operations.size(); ++i)
    if (operations[i] == o) operations.erase(operations.begin() + static_cast<long>(i--));
  end(o, record);
}

void Side::send_to_oneself(uint32_t own, int32_t tag, uint32_t context, uint64_t bytes, bool synchronous) {
  auto* parcel = new (malloc(sizeof(Parcel) + bytes)) Parcel;
  memset(parcel->body(), 0x5a, bytes);
  Block& b = parcel->envelope;
  b.parcel = parcel;
  b.bytes = bytes;
  b.source = static_cast<int32_t>(rank);
  b.tag = tag;
  b.context = context;
  parcel->submission_kind = SubmissionKind::parcel;
  if (synchronous) {
    Operation* o = new_operation(own);
    o->request.is_send = true;
    o->request.synchronous = true;
    o->request.peer = b.source;
    parcel->sender = &o->request;
  }
  engine.submit(parcel, &threads[own].queue);
}

void Side::cancel(Operation* o) {
  o->cancel_asked = true;
  enter();
  engine.cancel(&o->request);
  engine.leave(o->request.queue);
}

void Side::begin_pull(uint64_t most) {
  if (running) return;
  enter();
  running = engine.next_pull(most);
  engine.leave(nullptr);
  if (!running) return;
  running->lent = false;  // it cannot be mapped here
  if (running->landing) return;
  free(running->stage);
  running->stage = static_cast<unsigned char*>(malloc(running->got_bytes));
  running->stage_bytes = running->got_bytes;
  running->landing = running->stage;
}

bool Side::continue_pull(bool let_others, bool push) {
  if (!running) return false;
  Pull result = push && engine.better_pushed(running) ? Pull::pushed : engine.pull(running);
  if (result == Pull::more && !let_others) return true;
  Request* r = running;
  running = nullptr;
  r->submission_kind = SubmissionKind::pulled;
  r->pull_result = static_cast<uint8_t>(result);
  engine.submit(r, nullptr);
  return true;
}

void Side::finish_pulls() {
  do begin_pull(UINT64_MAX);
  while (continue_pull(false));
}

// The thread goes, and another one takes its place.
void Side::detach(uint32_t own) {
  Thread& t = threads[own];
  going[own] = true;
  for (;;) {
    enter();
    // Messages to it that were promised to be taken and now are by nobody.
    for (Operation* o : operations) {
      if (o->request.queue != &t.queue) continue;
      if (o->message) o->message->withdrawn = true;
      const bool copied = o->request.state == RequestState::pulling || o->request.state == RequestState::incoming;
      const bool pulling = copied && o->request.from == static_cast<int32_t>(3 - rank);
      if (Message* m = pulling ? ledger->find(o->request.got_encoding) : nullptr) m->withdrawn = true;
    }
    const bool done = engine.detach(&t.queue);
    engine.leave(&t.queue);
    if (done) break;
    REQUIRE(running, "only a running pull holds a thread back");
    continue_pull(true);
  }
  drain(own);
  for (Operation* o : operations) REQUIRE(o->request.queue != &t.queue, "every request ends with its thread");
  REQUIRE(t.queue.known.empty() && t.queue.waiting.empty(), "the engine knows no request of a thread that went");
  going[own] = false;
}

void Side::drain(uint32_t own) {
  Thread& t = threads[own];
  auto* head = reinterpret_cast<std::atomic<uint32_t>*>(t.words + queue_layout::head);
  while (head->load() != t.consumed || t.queue.waits.load() > 0) {
    while (head->load() != t.consumed) {
      const uint32_t place = t.consumed % queue_layout::capacity;
      Request* r = t.queue.emitted[place];
      Operation* o = nullptr;
      for (size_t i = 0; i < operations.size() && !o; ++i)
        if (&operations[i]->request == r) {
          o = operations[i];
          operations.erase(operations.begin() + static_cast<long>(i));
        }
      REQUIRE(o, "a record of a request that has ended or never was");
      end(o, t.words + queue_layout::records + place * queue_layout::record_words);
      t.queue.reaped.store(++t.consumed - t.lag);
    }
    if (t.queue.waits.load() == 0) break;
    enter();
    engine.refill(&t.queue);
    engine.leave(&t.queue);
  }
}

void Side::end(Operation* o, const uint32_t* record) {
  Request& r = o->request;
  const auto status = static_cast<Status>(record[1]);
  REQUIRE(r.state == RequestState::completed, "a record of a request in state %d", static_cast<int>(r.state));
  if (status == Status::cancelled) REQUIRE(o->cancel_asked, "nobody cancelled this");
  if (o->message) {
    Message* m = o->message;
    REQUIRE(!m->sent, "sent twice");
    if (status == Status::ok) m->sent = true;
    else REQUIRE(status == Status::cancelled || status == Status::closed, "status %u between honest ranks", record[1]);
    if (status == Status::cancelled) REQUIRE(!m->delivered, "cancelled and delivered");
    if (status != Status::ok) m->withdrawn = true;
  } else if (!r.is_send && status == Status::ok) {
    const uint64_t bytes = record[6] | uint64_t{record[7]} << 32;
    const unsigned char* body = r.memory;
    REQUIRE(bytes <= r.bytes, "%lu bytes in a receive of %lu", bytes, r.bytes);
    switch (static_cast<Storage>(record[5])) {
      case Storage::none: REQUIRE(bytes == 0 || r.memory, "bytes arrived nowhere"); break;
      case Storage::in_record: body = reinterpret_cast<const unsigned char*>(record + queue_layout::inlined); break;
      case Storage::block: body = r.parcel ? r.parcel->body() : r.block->body(); break;
      case Storage::stage: body = r.stage; break;
      default: REQUIRE(false, "storage %u", record[5]);
    }
    // Whoever sent it: there must be as many bytes as it says, for AddressSanitizer too.
    [[maybe_unused]] volatile unsigned char end = bytes > 0 ? body[bytes - 1] : 0;
    const auto from = static_cast<uint32_t>(record[2]);
    REQUIRE(from < world_size && (r.peer == any_source || r.peer == r.from), "from nobody that was asked");
    REQUIRE(r.tag == any_tag || r.tag == r.got_tag, "another tag");
    if (from != hostile_rank && from != rank) {
      Message* m = ledger->find(record[4]);
      REQUIRE(m && m->source == from && m->dest == rank, "a message that nobody sent");
      REQUIRE(!m->delivered, "delivered twice");
      REQUIRE(m->tag == r.got_tag && m->context == r.context && m->body.size() == bytes + 1, "another envelope");
      m->delivered = true;
      for (uint64_t i = 0; i < bytes; ++i) REQUIRE(body[i] == content(record[4], i), "damaged at byte %lu", i);
    }
  }
  if (r.block) taken.push_back(r.block);
  if (r.parcel) free(r.parcel);
  free(r.stage);
  free(o->body);
  delete o;
}

void Side::give_back() {
  for (Block* b : taken) engine.pool().give_back(b);
  taken.clear();
}

void Side::check() {
  checking = true;
  REQUIRE(EngineAccess::guard_free(engine), "somebody forgot to leave");
  checking = false;
  const Limits& l = engine.limits();
  for (const Peer& p : peers) {
    const uint64_t passed = wants * charge_of(l.most_eager_bytes);  // what wants may let pass
    REQUIRE(p.held_bytes <= l.quota_bytes + passed && p.held_envelopes <= l.quota_envelopes + wants, "holds %lu bytes, %lu envelopes of %u",
            p.held_bytes, p.held_envelopes, p.rank);
    if (!p.driver || p.port->broken || p.ended) continue;
    for (uint32_t b = 0; b < buckets; ++b)
      REQUIRE(p.credit.freed_bytes[b] <= p.credit.sent_bytes[b] && p.credit.freed_envelopes[b] <= p.credit.sent_envelopes[b],
              "more came free than was sent to %u", p.rank);
    REQUIRE(p.credit.out_bytes <= l.quota_bytes + passed && p.credit.out_envelopes <= l.quota_envelopes + wants,
            "sent beyond the quota of %u", p.rank);
  }
}

void Side::tear_down() {
  finish_pulls();
  for (uint32_t own = 0; own < 2; ++own) detach(own);
  REQUIRE(operations.empty(), "every request ends");
  enter();
  engine.revoke_all();
  engine.drop_parcels([](Parcel* parcel) { free(parcel); });
  engine.leave(nullptr);
  give_back();
  engine.poll(nullptr);
}

}  // namespace fuzz
