// Direct tests of the engine's parts: guard and submission queue (with threads), what is accepted as a packet, and those of
// engine_interrupts.cc, engine_matching.cc and engine_pool.cc. Linked with native/engine_unit.cc. Prints one line per check; the exit code is 1
// when one failed. `threads`: only what runs in threads; `depth`: measures (engine_depth.cc).
#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine_side.h"

using namespace carillon;

static uint64_t state = 88172645463325252ull;
uint32_t below(uint32_t n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<uint32_t>(state >> 20) % n;
}

// ---- guard and submission queue, by threads ---------------------------------------------------------------------------

namespace {
struct Shared {
  Guard guard;
  SubmissionQueue queue;
  uint64_t counter = 0;      // holder's
  uint64_t looked = 0;       // holder's: value of `work` at the last look
  std::atomic<uint64_t> work{0};
  uint32_t last[4] = {};     // holder's: the last number of each producer
  bool in_order = true;
  uint64_t taken = 0;
};
struct Numbered : Submission {
  uint32_t producer, number;
};
constexpr uint32_t rounds = 20000;
struct Producer {
  Shared* shared;
  uint32_t id;
};

void look(Shared* s) {
  ++s->counter;
  s->looked = s->work.load();
  for (Submission* n = s->queue.take_all(); n;) {
    auto* numbered = static_cast<Numbered*>(n);
    n = n->next_submission;
    s->in_order &= numbered->number == s->last[numbered->producer] + 1;
    s->last[numbered->producer] = numbered->number;
    ++s->taken;
    delete numbered;
  }
}

void leave(Shared* s) {
  while (!s->guard.try_leave()) {
    s->guard.take_pending();
    look(s);
  }
}

void* produce(void* argument) {
  auto* p = static_cast<Producer*>(argument);
  Shared* s = p->shared;
  for (uint32_t i = 1; i <= rounds; ++i) {
    auto* n = new Numbered;
    n->submission_kind = SubmissionKind::send;
    n->producer = p->id;
    n->number = i;
    s->queue.push(n);
    s->work.fetch_add(1);
    if (i % 3 == 0 && s->guard.try_enter()) {
      look(s);
      leave(s);
    } else if (s->guard.enter_or_leave_pending()) {
      look(s);
      leave(s);
    }
  }
  return nullptr;
}
}  // namespace

static void guard() {
  Guard g;
  check(g.try_enter() && !g.try_enter(), "one owner at a time");
  check(!g.enter_or_leave_pending() && g.pending(), "who does not get in leaves a mark");
  check(!g.try_leave() && g.take_pending() && !g.take_pending() && g.try_leave(), "the owner cannot leave past a mark");

  Shared shared;
  pthread_t threads[4];
  Producer producers[4];
  for (uint32_t i = 0; i < 4; ++i) {
    producers[i] = {&shared, i};
    pthread_create(&threads[i], nullptr, produce, &producers[i]);
  }
  for (pthread_t t : threads) pthread_join(t, nullptr);
  check(shared.taken == 4 * rounds, "everything submitted was taken by somebody, none twice");
  check(shared.in_order, "each thread's submissions stay in order");
  check(shared.looked == 4 * rounds, "the last look saw everything");
}

// ---- what is accepted as a packet ---------------------------------------------------------------------------------------

static void validation() {
  struct Row {
    const char* what;
    bool accepted;
    uint32_t body;
    void (*change)(PacketHeader*, uint32_t* frame);
  };
  const Row rows[] = {
      {"an eager packet", true, 10, [](PacketHeader*, uint32_t*) {}},
      {"an eager packet without a body", true, 0, [](PacketHeader*, uint32_t*) {}},
      {"an offer", true, 0, [](PacketHeader* h, uint32_t*) { h->kind = PacketKind::offer, h->bytes = 1 << 20; }},
      {"a negative tag", false, 10, [](PacketHeader* h, uint32_t*) { h->tag = -1; }},
      {"an unknown kind", false, 10, [](PacketHeader* h, uint32_t*) { h->kind = static_cast<PacketKind>(7); }},
      {"an eager packet that claims more than came", false, 10, [](PacketHeader* h, uint32_t*) { h->bytes = 11; }},
      {"an eager packet that claims less than came", false, 10, [](PacketHeader* h, uint32_t*) { h->bytes = 9; }},
      {"an eager packet above the bound", false, 16001, [](PacketHeader*, uint32_t*) {}},
      {"an offer with a short body", true, 10, [](PacketHeader* h, uint32_t*) { h->kind = PacketKind::offer; }},
      {"an offer with less than its body", false, 10, [](PacketHeader* h, uint32_t*) { h->kind = PacketKind::offer, h->bytes = 11; }},
      {"an offer with a long body", false, 65, [](PacketHeader* h, uint32_t*) { h->kind = PacketKind::offer; }},
      {"a lease", true, sizeof(Loan), [](PacketHeader* h, uint32_t*) { h->kind = PacketKind::lease, h->bytes = 1 << 20; }},
      {"a lease without a loan", false, 0, [](PacketHeader* h, uint32_t*) { h->kind = PacketKind::lease; }},
      {"a lease with half a loan", false, sizeof(Loan) / 2, [](PacketHeader* h, uint32_t*) { h->kind = PacketKind::lease; }},
      {"a lease above the bound", false, sizeof(Loan),
       [](PacketHeader* h, uint32_t*) { h->kind = PacketKind::lease, h->bytes = (uint64_t{1} << 32) + 1; }},
      {"a lease in a slot there is none", false, sizeof(Loan),
       [](PacketHeader* h, uint32_t*) { h->kind = PacketKind::lease, h->slot = shm::slots; }},
      {"an offer above the bound", false, 0,
       [](PacketHeader* h, uint32_t*) { h->kind = PacketKind::offer, h->bytes = (uint64_t{1} << 32) + 1; }},
      {"an offer in a slot there is none", false, 0,
       [](PacketHeader* h, uint32_t*) { h->kind = PacketKind::offer, h->slot = shm::slots; }},
      {"a packet shorter than its header", false, 0, [](PacketHeader*, uint32_t* frame) { frame[1] = 39; }},
      {"a frame longer than what was published", false, 0, [](PacketHeader*, uint32_t* frame) { frame[0] += 64; }},
      {"a frame of no length", false, 0, [](PacketHeader*, uint32_t* frame) { frame[0] = 0; }},
      {"a frame that is not aligned", false, 0, [](PacketHeader*, uint32_t* frame) { frame[0] -= 8; }},
      {"a packet longer than its frame", false, 0, [](PacketHeader*, uint32_t* frame) { frame[1] = frame[0]; }},
      {"a filler at the ring's start", false, 0, [](PacketHeader*, uint32_t* frame) { frame[1] = 0xffffffff; }},
  };
  auto* peer = static_cast<unsigned char*>(aligned_alloc(4096, segment_bytes));
  for (const Row& row : rows) {
    auto* s = new Side(peer);
    unsigned char* ring = ring_of(peer);
    Receive elsewhere(s, 9);  // else nobody waits, and the packet is left where it is
    s->engine.submit(&elsewhere, &s->queue);
    uint32_t packet = static_cast<uint32_t>(sizeof(PacketHeader)) + row.body;
    uint32_t frame[2] = {static_cast<uint32_t>(shm::round_up(8 + packet, 64)), packet};
    uint32_t published = frame[0];
    PacketHeader h = {row.body, 0, 1, 0, 0, 1, 0, PacketKind::eager, 0, 0};
    row.change(&h, frame);
    memcpy(ring, frame, sizeof frame);
    memcpy(ring + sizeof frame, &h, sizeof h);
    lane_of(peer)->head.store(published);
    s->engine.poll(nullptr);
    bool accepted = s->engine.counters().unexpected == 1 && s->engine.peer(1).ending == Ending::none;
    bool refused = s->engine.peer(1).ending == Ending::protocol && s->engine.peer(1).ended;
    char text[128];
    snprintf(text, sizeof text, "%s %s", row.what, row.accepted ? "is accepted" : "ends the connection");
    check(row.accepted ? accepted : refused, text);
    delete s;
  }
  free(peer);
}

// ---- what nobody waits for ----------------------------------------------------------------------------------------------

static void leaving() {
  auto* peer = static_cast<unsigned char*>(aligned_alloc(4096, segment_bytes));
  auto* s = new Side(peer);
  uint64_t published = 0;
  auto publish = [&](uint32_t number) {
    unsigned char* at = ring_of(peer) + published % ring_bytes;
    const uint32_t frame[2] = {128, sizeof(PacketHeader) + sizeof number};
    const PacketHeader h = {sizeof number, 0, 1, 0, 0, 1, 0, PacketKind::eager, 0, 0};
    memcpy(at, frame, sizeof frame);
    memcpy(at + sizeof frame, &h, sizeof h);
    memcpy(at + sizeof frame + sizeof h, &number, sizeof number);
    lane_of(peer)->head.store(published += frame[0]);
  };
  auto next = [&] {
    Receive r(s, 1);
    uint32_t number = 0;
    const bool here = s->engine.try_enter() && s->engine.receive_now(&r);
    s->engine.leave(&s->queue);
    if (here) memcpy(&number, r.inlined, sizeof number);
    if (r.state == RequestState::posted && s->engine.try_enter()) {
      s->engine.cancel(&r);
      s->engine.leave(&s->queue);
    }
    return number;
  };
  uint32_t sent = 0, got = 0;
  publish(++sent);
  publish(++sent);
  s->engine.poll(nullptr);
  check(s->engine.counters().unexpected == 0 && !s->engine.look(), "nobody waits: packets stay in their ring and wake nobody");
  check(next() == ++got && next() == ++got && next() == 0, "a receive takes them from there");
  check(s->words[0] == 1, "and needs no completion record for it, only the one that was cancelled");
  while (published - 2 * 128 < ring_bytes / 2) publish(++sent);
  s->engine.poll(nullptr);
  check(s->engine.counters().unexpected == 0, "half a ring is no crowd");
  publish(++sent);
  check(s->engine.look(), "more is, and worth looking");
  s->engine.poll(nullptr);
  check(s->engine.counters().unexpected > 0 && !s->engine.look(), "it is taken out, as far as it is a crowd");
  while (got < sent && next() == got + 1) ++got;
  check(got == sent, "nothing is lost and nothing out of order");

  s->engine.set_running(true);
  const uint64_t before = s->engine.counters().unexpected;
  for (uint32_t i = 0; i < ring_bytes / 128; ++i) publish(++sent);
  s->engine.poll(nullptr);
  check(s->engine.counters().unexpected == before, "JavaScript that runs is given time to receive a crowd");
  auto interval = [&] {
    (void)s->engine.try_enter();
    s->engine.timer_fired();
    s->engine.leave(nullptr);
    s->engine.poll(nullptr);
  };
  check(next() == ++got, "it does");
  interval();
  check(s->engine.counters().unexpected == before, "as long as it does");
  interval();
  check(s->engine.counters().unexpected > before, "but not for ever: its sender shall have room");
  while (got < sent && next() == got + 1) ++got;
  check(got == sent, "in order again");
  delete s;
  free(peer);
}

// ---- a synchronous message whose body came with its offer ---------------------------------------------------------------

static void short_offer() {
  auto* peer = static_cast<unsigned char*>(aligned_alloc(4096, segment_bytes));
  auto* s = new Side(peer);
  Receive r(s, 1);
  s->engine.submit(&r, &s->queue);
  const uint32_t number = 4711, frame[2] = {128, sizeof(PacketHeader) + sizeof number};
  const PacketHeader h = {sizeof number, 0, 1, 0, 0, 1, 0, PacketKind::offer, 0, 0};
  memcpy(ring_of(peer), frame, sizeof frame);
  memcpy(ring_of(peer) + sizeof frame, &h, sizeof h);
  memcpy(ring_of(peer) + sizeof frame + sizeof h, &number, sizeof number);
  lane_of(peer)->offer[0].store(1 << 2 | shm::offered);
  lane_of(peer)->head.store(frame[0]);
  s->engine.interrupted();
  uint32_t got = 0;
  memcpy(&got, r.inlined, sizeof got);
  check(r.state == RequestState::completed && r.status == Status::ok && got == number, "a handler takes it, without a look at its sender's memory");
  auto* lane = reinterpret_cast<shm::Lane*>(s->segment + shm::page + shm::lane_bytes(ring_bytes));
  check(lane->outcome_head.load() == 1 && lane->outcome[0].load() == (uint64_t{1} << 32 | static_cast<uint64_t>(Outcome::pulled)),
        "and answers");
  delete s;
  free(peer);
}

int main(int count, char** arguments) {
  if (count > 1 && !strcmp(arguments[1], "depth")) {
    measure_depth();
    return 0;
  }
  bool only_threads = count > 1 && !strcmp(arguments[1], "threads");
  if (!only_threads) {
    test_matching();
    test_pool();
    validation();
    leaving();
    short_offer();
    test_interrupts();
  }
  guard();
  return finish();
}
