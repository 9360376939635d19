// Direct tests of the engine's parts: guard and submission queue (with threads), what is accepted as a packet, and those of
// engine_matching.cc and engine_pool.cc. Linked with native/engine_unit.cc. Prints one line per check; the exit code is 1
// when one failed. `threads`: only what runs in threads; `depth`: measures (engine_depth.cc).
#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../../native/core/engine.h"
#include "../../native/drivers/shm.h"
#include "engine_test.h"

using namespace carillon;

static int passed = 0, failed = 0;
void check(bool holds, const char* what) {
  ++(holds ? passed : failed);
  printf("%s %s\n", holds ? "ok  " : "FAIL", what);
}

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

// ---- an engine that nobody else uses -----------------------------------------------------------------------------------

namespace {
struct Side {
  Engine engine;
  Peer peers[2];
  shm::ShmPort port;
  shm::Cells cells;
  MatcherBins bins{Matcher::least_bins};
  unsigned char* segment;
  unsigned char* pool;
  CompletionQueue queue;
  uint32_t words[queue_layout::records + queue_layout::capacity * queue_layout::record_words] = {};
};

const Doorbell silent = {.name = "silent", .ring = [](const BellTarget*) {}, .escalate = [](const BellTarget*) {}};

void connect(Side* s, uint32_t rank) {
  Limits limits;
  s->engine.init(rank, 2, s->peers, s->bins.bins, s->pool, 16 << 20, &shm::header(s->segment)->attention, &silent,
                 {.self = s,
                  .notify = [](void*, CompletionQueue*) {},
                  .start_timer = [](void*) {},
                  .more = [](void*) {},
                  .copies = [](void*, CompletionQueue*) {}},
                 limits);
  s->queue.words = s->words;
}
}  // namespace

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
      {"an offer with a body", false, 10, [](PacketHeader* h, uint32_t*) { h->kind = PacketKind::offer; }},
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
  size_t bytes = shm::segment_bytes(2, shm::ring_bytes_for(2));
  auto* peer = static_cast<unsigned char*>(aligned_alloc(4096, bytes));
  for (const Row& row : rows) {
    auto* s = new Side;
    s->segment = static_cast<unsigned char*>(aligned_alloc(4096, bytes));
    s->pool = static_cast<unsigned char*>(aligned_alloc(64, 16 << 20));
    memset(s->segment, 0, bytes);
    memset(peer, 0, bytes);
    for (uint32_t i = 0; i < 2; ++i)
      shm::format(i == 0 ? s->segment : peer, i, 2, shm::ring_bytes_for(2), Limits{}.quota_bytes, Limits{}.quota_envelopes);
    connect(s, 0);
    (void)s->engine.try_enter();
    shm::connect(&s->port, s->segment, peer, bytes, 1, &s->cells);
    s->engine.connect(1, &shm::driver, &s->port, {});
    s->engine.leave(nullptr);
    auto* lane = reinterpret_cast<shm::Lane*>(peer + shm::page);
    unsigned char* ring = peer + shm::page + shm::round_up(sizeof(shm::Lane), shm::page);
    uint32_t packet = static_cast<uint32_t>(sizeof(PacketHeader)) + row.body;
    uint32_t frame[2] = {static_cast<uint32_t>(shm::round_up(8 + packet, 64)), packet};
    uint32_t published = frame[0];
    PacketHeader h = {row.body, 0, 1, 0, 0, 1, 0, PacketKind::eager, 0, 0};
    row.change(&h, frame);
    memcpy(ring, frame, sizeof frame);
    memcpy(ring + sizeof frame, &h, sizeof h);
    lane->head.store(published);
    s->engine.poll(nullptr);
    bool accepted = s->engine.counters().unexpected == 1 && s->engine.peer(1).ending == Ending::none;
    bool refused = s->engine.peer(1).ending == Ending::protocol && s->engine.peer(1).ended;
    char text[128];
    snprintf(text, sizeof text, "%s %s", row.what, row.accepted ? "is accepted" : "ends the connection");
    check(row.accepted ? accepted : refused, text);
    free(s->segment);
    free(s->pool);
    delete s;
  }
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
  }
  guard();
  printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
