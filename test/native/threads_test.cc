// The engine under real threads: two ranks over one mapping, each with two threads that send, receive, cancel, copy and go
// (as JavaScript threads do), one that makes progress, and one that interrupts: by signals to the others, whose handler makes
// progress, and as a handler itself. Every protocol at once, every body checked, every message accounted for. Made for ThreadSanitizer, which sees no second mapping and no Node, and for AddressSanitizer.
//   threads_test SECONDS: one world after the other, each of other limits. The last line is "N passed, M failed".
// Not responsible for lost wake-ups: nobody sleeps here (the simulator, test/native/sim, is for those).
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <new>

#include "threads_model.h"

using namespace carillon;
using namespace threads;

namespace {

// Leaves the processor to others; nobody is told to wake us.
void pause_briefly() {
  const timespec briefly = {0, 20'000};
  nanosleep(&briefly, nullptr);
}

// ---- what the binding does around the engine --------------------------------------------------------------------------

thread_local Rank* interrupted_rank = nullptr;

void on_signal(int) {
  const int kept = errno;
  if (interrupted_rank) interrupted_rank->engine.interrupted();
  errno = kept;
}

void enter_waiting(Engine& engine) {
  while (!engine.try_enter()) sched_yield();
}

bool copy_one(Rank* rank, uint64_t most, CompletionQueue* own) {
  Engine& engine = rank->engine;
  if (!engine.try_enter()) return false;
  Request* r = engine.next_pull(most);
  engine.leave(own);
  if (!r) return false;
  if (!r->landing) {
    free(r->stage);
    r->stage = static_cast<unsigned char*>(malloc(r->got_bytes));
    r->stage_bytes = r->got_bytes;
    r->landing = r->stage;
  }
  Pull result = Pull::more;
  do result = own && engine.better_pushed(r) ? Pull::pushed : engine.pull(r);
  while (result == Pull::more && own && !r->abandon.load(std::memory_order_relaxed));
  r->submission_kind = SubmissionKind::pulled;
  r->pull_result = static_cast<uint8_t>(result);
  engine.submit(r, own);
  return true;
}

void after_leave(Thread& t) {
  while (t.copies_wait) {
    t.copies_wait = false;
    if (!copy_one(t.rank, short_copy, t.queue)) t.copies_wait = false;  // the progress thread will
  }
}

void attach(Thread& t) {
  t.queue = new CompletionQueue;
  t.queue->owner = &t;
  t.queue->words = static_cast<uint32_t*>(calloc(queue_layout::records + queue_layout::capacity * queue_layout::record_words, 4));
  t.consumed = 0;
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

bool takes_anything(const Request& r) { return r.peer == any_source && r.tag == any_tag && r.bytes == UINT64_MAX; }

void take(Thread& t, Operation* o, const uint32_t* record) {
  Request& r = o->request;
  const auto status = static_cast<Status>(record[1]);
  if (r.state != RequestState::completed) wrong("a record of a request that has not ended", o->message);
  if (r.is_send) {
    --t.sends;
    switch (status) {
      case Status::ok: decide(o->message, sent); break;
      case Status::cancelled: decide(o->message, cancelled); break;
      case Status::closed: decide(o->message, closed); break;
      default: wrong("a send fails", o->message);
    }
    if (status == Status::closed && o->body) {
      scribble(o->body, r.bytes);
      t.abandoned.push_back(o->body);
    } else {
      free(o->body);
    }
    if (r.parcel) free(r.parcel);
    delete o;
    return;
  }
  --t.receives;
  if (takes_anything(r)) --t.wide;
  if (status == Status::ok) {
    const uint64_t bytes = record[6] | uint64_t{record[7]} << 32;
    const uint32_t number = record[4];
    const unsigned char* body = nullptr;
    switch (static_cast<Storage>(record[5])) {
      case Storage::none: body = o->body; break;
      case Storage::in_record: body = reinterpret_cast<const unsigned char*>(record + queue_layout::inlined); break;
      case Storage::block: body = r.parcel ? r.parcel->body() : r.block->body(); break;
      case Storage::stage:
      case Storage::lease: body = r.stage; break;
    }
    if (number < 1 || number > message_count.load()) {
      wrong("a message that nobody sent", number);
    } else {
      const Message& m = messages[number - 1];
      if (m.dest != t.rank->number || static_cast<int32_t>(m.source) != static_cast<int32_t>(record[2]) ||
          m.tag != record[3] || m.bytes != bytes)
        wrong("another envelope", number);
      else if (bytes > 0 && (!body || !intact(body, bytes, number)))
        wrong("damaged", number);
      decide(number, delivered);
    }
  } else if (status != Status::truncated && status != Status::closed && !(status == Status::cancelled && o->cancel_asked) &&
             status != Status::peer_closed) {
    wrong("a receive fails", 0);
  }
  if (r.block) t.taken.push_back(r.block);
  if (r.parcel) free(r.parcel);
  free(r.stage);
  free(o->body);
  delete o;
}

void drain(Thread& t) {
  auto* head = reinterpret_cast<std::atomic<uint32_t>*>(t.queue->words + queue_layout::head);
  for (;;) {
    while (head->load(std::memory_order_acquire) != t.consumed) {
      const uint32_t place = t.consumed % queue_layout::capacity;
      const uint32_t* record = t.queue->words + queue_layout::records + place * queue_layout::record_words;
      Operation* o = record[0] < t.operations.size() ? t.operations[record[0]] : nullptr;
      if (!o || t.queue->emitted[place] != &o->request) {
        wrong("a record of a request that is not outstanding", 0);
        abort();
      }
      t.operations[record[0]] = nullptr;
      t.free_indices.push_back(record[0]);
      take(t, o, record);
      t.queue->reaped.store(++t.consumed, std::memory_order_release);
    }
    if (t.queue->waits.load(std::memory_order_relaxed) == 0) break;
    enter_waiting(t.rank->engine);
    t.rank->engine.refill(t.queue);
    t.rank->engine.leave(t.queue);
    after_leave(t);
  }
  if (t.taken.size() > t.random.below(8)) {
    for (Block* b : t.taken) t.rank->engine.pool().give_back(b);
    t.taken.clear();
  }
}

// ---- what the threads do ------------------------------------------------------------------------------------------------

void send(Thread& t) {
  Rank& rank = *t.rank;
  Engine& engine = rank.engine;
  const uint32_t number = message_count.fetch_add(1) + 1;
  if (number > most_messages) abort();
  Message& m = messages[number - 1];
  m.source = rank.number;
  m.dest = t.random.below(8) == 0 ? rank.number : 1 - rank.number;
  m.tag = t.random.below(tags);
  const uint32_t eager = engine.limits().eager_bytes;
  switch (t.random.below(128)) {
    case 0: m.bytes = t.random.below(600'000); break;
    case 1 ... 15: m.bytes = eager + t.random.below(3000); break;
    case 16 ... 80: m.bytes = t.random.below(inline_bytes + 1); break;
    default: m.bytes = t.random.below(eager + 1);
  }
  const bool synchronous = t.random.below(8) == 0;

  if (m.dest == rank.number) {
    auto* parcel = new (malloc(sizeof(Parcel) + m.bytes)) Parcel;
    fill(parcel->body(), m.bytes, number);
    Block& b = parcel->envelope;
    b.parcel = parcel;
    b.bytes = m.bytes;
    b.source = static_cast<int32_t>(m.source);
    b.tag = static_cast<int32_t>(m.tag);
    b.encoding = number;
    parcel->submission_kind = SubmissionKind::parcel;
    if (synchronous) {
      Operation* o = new_operation(t);
      o->message = number;
      o->request.is_send = true;
      o->request.synchronous = true;
      o->request.peer = b.source;
      parcel->sender = &o->request;
      ++t.sends;
    } else {
      decide(number, sent);
    }
    engine.submit(parcel, t.queue);
    return after_leave(t);
  }

  auto* body = static_cast<unsigned char*>(malloc(m.bytes + 1));
  fill(body, m.bytes, number);
  if (!synchronous && m.bytes <= eager && engine.try_enter()) {
    const uint64_t cut = m.bytes / 3;
    const Part parts[] = {{body, cut}, {body + cut, m.bytes - cut}};
    Status failure = Status::ok;
    const Sent result = engine.send_now(static_cast<int32_t>(m.dest), static_cast<int32_t>(m.tag), 0, number, parts, 2, &failure);
    engine.leave(t.queue);
    after_leave(t);
    if (result == Sent::done) {
      free(body);
      return decide(number, sent);
    }
    if (result == Sent::failed) wrong("a send fails at once", number);
  }
  Operation* o = new_operation(t);
  o->message = number;
  o->body = body;
  Request& r = o->request;
  r.submission_kind = SubmissionKind::send;
  r.is_send = true;
  r.synchronous = synchronous;
  r.peer = static_cast<int32_t>(m.dest);
  r.tag = static_cast<int32_t>(m.tag);
  r.encoding = number;
  r.memory = body;
  r.bytes = m.bytes;
  ++t.sends;
  engine.submit(&r, t.queue);
  after_leave(t);
}

void receive(Thread& t, int32_t source, int32_t tag, uint64_t capacity, bool into) {
  Operation* o = new_operation(t);
  Request& r = o->request;
  r.submission_kind = SubmissionKind::receive;
  r.peer = source;
  r.tag = tag;
  r.bytes = capacity;
  if (into) r.memory = o->body = static_cast<unsigned char*>(malloc(capacity));
  ++t.receives;
  if (takes_anything(r)) ++t.wide;
  t.rank->engine.submit(&r, t.queue);
  after_leave(t);
}

void random_receive(Thread& t) {
  Random& random = t.random;
  const int32_t source = random.below(2) ? any_source : static_cast<int32_t>(random.below(ranks));
  const int32_t tag = random.below(2) ? any_tag : static_cast<int32_t>(random.below(tags));
  const uint32_t kind = random.below(10);
  if (kind == 0) return receive(t, source, tag, 1 + random.below(2000), true);  // often too small
  receive(t, source, tag, kind < 4 ? 600'000 : UINT64_MAX, kind < 4);
}

void cancel(Thread& t, Operation* o) {
  o->cancel_asked = true;
  enter_waiting(t.rank->engine);
  t.rank->engine.cancel(&o->request);
  t.rank->engine.leave(t.queue);
  after_leave(t);
}

// The thread goes: nothing of its requests may be touched after this.
void detach(Thread& t) {
  Engine& engine = t.rank->engine;
  for (bool done = false; !done;) {
    enter_waiting(engine);
    // Bodies that were on their way here end with it, and count as taken for their senders.
    std::vector<uint32_t> pulling;
    for (const Operation* o : t.operations)
      if (o && o->request.state == RequestState::pulling && !o->request.running) pulling.push_back(o->request.got_encoding);
    done = engine.detach(t.queue);
    for (const Operation* o : t.operations)  // those whose copy runs
      if (o && o->request.state == RequestState::pulling && !(messages[o->request.got_encoding - 1].fate.load() & dropped))
        pulling.push_back(o->request.got_encoding);
    for (const uint32_t number : pulling) decide(number, dropped);
    engine.leave(t.queue);
    if (!done) sched_yield();
  }
  drain(t);
  for (const Operation* o : t.operations)
    if (o) wrong("a request outlives its thread", o->message);
  for (Block* b : t.taken) engine.pool().give_back(b);
  t.taken.clear();
  engine.poll(nullptr);
  free(t.queue->words);
  delete t.queue;
}

void* behave(void* argument) {
  Thread& t = *static_cast<Thread*>(argument);
  Rank& rank = *t.rank;
  interrupted_rank = &rank;
  t.id.store(gettid());
  attach(t);
  while (!time_is_up.load(std::memory_order_relaxed)) {
    const uint32_t what = t.random.below(1000);
    if (what < 420 && t.sends < 200) send(t);
    else if (what < 880 && t.receives < 200) random_receive(t);
    else if (what < 900 && !t.operations.empty()) {
      Operation* o = t.operations[t.random.below(static_cast<uint32_t>(t.operations.size()))];
      if (o && !o->cancel_asked) cancel(t, o);
    } else if (what == 999) {
      detach(t);
      attach(t);
    } else if (what < 940) {
      rank.engine.set_interruptible(what < 930);
      rank.engine.poll(t.queue);
      after_leave(t);
    } else {
      sched_yield();
    }
    if (t.random.below(4) == 0) drain(t);
  }
  // Everything that was sent arrives, or its sender knows why not.
  bool counted_out = false;
  for (uint32_t next = 0;;) {
    drain(t);
    if (!counted_out && t.sends == 0) {
      counted_out = true;
      still_sending.fetch_sub(1);
    }
    const bool all_sent = still_sending.load() == 0;
    while (next < message_count.load() && resolved(messages[next])) ++next;
    if (all_sent && next == message_count.load()) break;
    while (t.wide < 4) receive(t, any_source, any_tag, UINT64_MAX, false);
    rank.engine.poll(t.queue);
    after_leave(t);
    sched_yield();
  }
  // The first rank leaves; what the second still expects of it ends.
  if (rank.number == 1)
    for (uint32_t i = 0; i < 4; ++i) receive(t, 0, any_tag, UINT64_MAX, false);
  else
    detach(t);
  t.id.store(0);
  return nullptr;
}

// One thread a rank: whoever it is told to ring, and others that nobody rang.
void* interrupt(void* argument) {
  auto* rank = static_cast<Rank*>(argument);
  Random random = {rank->number + 1};
  while (!rank->stop.load()) {
    const bool rung = rank->rung.exchange(false);
    for (uint32_t i = random.below(3); i > 0; --i) {
      const int32_t thread = rank->threads[rung ? 0 : random.below(threads_per_rank)].id.load();
      if (thread == 0 || random.below(3) == 0) rank->engine.interrupted();
      else syscall(SYS_tgkill, getpid(), thread, SIGUSR1);
      rank->sent_interrupts.fetch_add(1, std::memory_order_relaxed);
    }
    pause_briefly();
  }
  return nullptr;
}

void* hear_the_end(void* argument) {
  Thread& t = *static_cast<Thread*>(argument);
  for (;;) {
    drain(t);
    bool waits = false;
    for (const Operation* o : t.operations) waits |= o && o->request.peer == 0;
    if (!waits) break;
    t.rank->engine.poll(t.queue);
    sched_yield();
  }
  detach(t);
  return nullptr;
}

void* make_progress(void* argument) {
  auto* rank = static_cast<Rank*>(argument);
  while (!rank->stop.load()) {
    rank->engine.poll(nullptr);
    while (!rank->stop.load() && copy_one(rank, UINT64_MAX, nullptr)) rank->engine.poll(nullptr);
    pause_briefly();
  }
  return nullptr;
}

const Doorbell interrupts = {.name = "interrupts",
                             .ring =
                                 [](const BellTarget* target, bool runs) {
                                   if (runs) both[target->bell]->rung.store(true);
                                   return runs;
                                 },
                             .escalate = [](const BellTarget*) {}};

void run_all(void* (*what)(void*), uint32_t from) {
  pthread_t started[ranks * threads_per_rank];
  uint32_t count = 0;
  for (uint32_t i = from; i < ranks; ++i)
    for (Thread& t : both[i]->threads) pthread_create(&started[count++], nullptr, what, &t);
  if (what == behave) {
    const timespec second = {1, 0};
    nanosleep(&second, nullptr);
    time_is_up.store(true);
  }
  for (uint32_t i = 0; i < count; ++i) pthread_join(started[i], nullptr);
}

uint64_t interrupts_sent = 0, interrupts_handled = 0, rung_by_interrupt = 0;

void run_world(uint32_t seed) {
  Random random = {seed * 0x9e3779b97f4a7c15ull + 1};
  Limits limits;
  limits.eager_bytes = random.below(2) ? 1000 : 4000;
  limits.most_eager_bytes = limits.eager_bytes;
  limits.wait_bytes = 200 * random.below(4);
  limits.quota_bytes = charge_of(limits.eager_bytes) * (2 + random.below(16));
  limits.quota_envelopes = 4 + random.below(60);
  limits.handler_packets = 1 + random.below(16);
  limits.pushed_least = random.below(2) ? 1 : UINT64_MAX;
  const uint32_t ring_bytes = 16384u << random.below(3);
  const size_t bytes = shm::segment_bytes(ranks, ring_bytes);
  const size_t pool_bytes = Pool::reservation(ranks * (limits.quota_bytes + wants * charge_of(limits.eager_bytes) +
                                                       Pool::smallest * (limits.quota_envelopes + wants)));
  message_count.store(0);
  still_sending.store(ranks * threads_per_rank);
  time_is_up.store(false);
  messages = new Message[most_messages];

  for (uint32_t i = 0; i < ranks; ++i) {
    Rank* rank = both[i] = new Rank;
    rank->number = i;
    rank->segment = static_cast<unsigned char*>(aligned_alloc(shm::page, shm::round_up(bytes, shm::page)));
    rank->pool = static_cast<unsigned char*>(aligned_alloc(64, shm::round_up(pool_bytes, 64)));
    memset(rank->segment, 0, bytes);
    shm::format(rank->segment, i, ranks, ring_bytes, limits.quota_bytes, limits.quota_envelopes);
    const Platform platform = {.self = rank,
                               .notify = [](void*, CompletionQueue*) {},
                               .start_timer = [](void*) {},
                               .more = [](void*) {},
                               .copies = [](void*, CompletionQueue* own) {
                                 static_cast<Thread*>(own->owner)->copies_wait = true;
                               }};
    rank->engine.init(i, ranks, rank->peers, {rank->bins, Matcher::least_bins}, rank->pool, pool_bytes, &shm::header(rank->segment)->attention,
                      platform, limits);
    for (Thread& t : rank->threads) {
      t.rank = rank;
      t.random.state = random.below(UINT32_MAX) + 1;
    }
  }
  for (uint32_t i = 0; i < ranks; ++i) {
    Rank* rank = both[i];
    rank->other = both[1 - i];
    rank->port.copy = copy;
    enter_waiting(rank->engine);
    if (!shm::connect(&rank->port, rank->segment, rank->other->segment, bytes, 1 - i, &rank->cells)) abort();
    rank->engine.connect(1 - i, &shm::driver, &rank->port, {.how = &interrupts, .bell = static_cast<int>(1 - i)});
    rank->engine.leave(nullptr);
  }

  pthread_t progress[ranks], interrupters[ranks];
  for (uint32_t i = 0; i < ranks; ++i) {
    pthread_create(&progress[i], nullptr, make_progress, both[i]);
    pthread_create(&interrupters[i], nullptr, interrupt, both[i]);
  }
  run_all(behave, 0);
  Rank& leaver = *both[0];
  enter_waiting(leaver.engine);
  leaver.engine.revoke_all();
  shm::header(leaver.segment)->closed.exchange(1);
  leaver.engine.leave(nullptr);
  run_all(hear_the_end, 1);
  for (uint32_t i = 0; i < ranks; ++i) {
    both[i]->stop.store(true);
    pthread_join(progress[i], nullptr);
    pthread_join(interrupters[i], nullptr);
    interrupts_sent += both[i]->sent_interrupts.load();
    interrupts_handled += both[i]->engine.counters().handled;
    rung_by_interrupt += both[i]->engine.counters().interrupts;
  }

  for (uint32_t i = 0; i < message_count.load(); ++i)
    if (!resolved(messages[i])) wrong("lost", i + 1);
  for (Rank* rank : both) {
    enter_waiting(rank->engine);
    rank->engine.drop_parcels([](Parcel* parcel) { free(parcel); });
    rank->engine.leave(nullptr);
    for (Thread& t : rank->threads)
      for (unsigned char* body : t.abandoned) free(body);
    free(rank->segment);
    free(rank->pool);
    delete rank;
  }
  delete[] messages;
}

}  // namespace

int main(int count, char** arguments) {
  const int seconds = count > 1 ? atoi(arguments[1]) : 10;
  struct sigaction handler = {};
  handler.sa_handler = on_signal;
  handler.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &handler, nullptr);
  int passed = 0, failed = 0;
  for (int world = 1; world <= seconds; ++world) {
    errors.store(0);
    run_world(static_cast<uint32_t>(world));
    ++(errors.load() ? failed : passed);
  }
  printf("%lu sent, %lu delivered, %lu cancelled, %lu closed with their thread, %lu taken by a thread that went\n",
         counted[sent].load(), counted[delivered].load(), counted[cancelled].load(), counted[closed].load(),
         counted[dropped].load());
  printf("%lu handler runs, %lu of them made progress, %lu rings were interrupts\n", interrupts_sent, interrupts_handled, rung_by_interrupt);
  printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
