// Direct tests of the engine's parts: matching against a plain model, pool, guard and submission queue (with threads), and
// what is accepted as a packet. Linked with native/engine_unit.cc. Prints one line per check; the exit code is 1 when one failed.
#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../../native/core/engine.h"
#include "../../native/drivers/shm.h"

using namespace carillon;

static int passed = 0, failed = 0;
static void check(bool holds, const char* what) {
  ++(holds ? passed : failed);
  printf("%s %s\n", holds ? "ok  " : "FAIL", what);
}

static uint64_t state = 88172645463325252ull;
static uint32_t below(uint32_t n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<uint32_t>(state >> 20) % n;
}

// ---- matching -------------------------------------------------------------------------------------------------------

static bool fits(const Request* r, uint32_t context, int source, int tag) {
  return r->context == context && (r->peer == any_source || r->peer == source) && (r->tag == any_tag || r->tag == tag);
}

static void matching() {
  auto* bins = new Matcher::Bins;
  Matcher matcher;
  matcher.init(bins);
  std::vector<Request*> posted;    // in line
  std::vector<Block*> unexpected;  // in order of arrival
  bool same_posted = true, same_unexpected = true, given_back = true;
  for (int turn = 0; turn < 20000; ++turn) {
    uint32_t context = below(2);
    int source = static_cast<int>(below(3)), tag = static_cast<int>(below(3));
    switch (below(5)) {
      case 0: {
        auto* r = new Request;
        r->context = context;
        r->peer = static_cast<int>(below(4)) - 1;
        r->tag = static_cast<int>(below(4)) - 1;
        r->sequence = matcher.next_sequence();
        matcher.post(r);
        posted.push_back(r);
        break;
      }
      case 1: {  // an arrival: taken, or taken and given back to its place
        Request* expected = nullptr;
        for (Request* r : posted)
          if (!expected && fits(r, context, source, tag)) expected = r;
        Request* found = matcher.find_posted(context, source, tag);
        same_posted &= found == expected;
        if (!found) break;
        matcher.withdraw(found);
        if (below(3) == 0) {
          matcher.post(found);
          given_back &= matcher.find_posted(context, source, tag) == found;
          break;
        }
        for (size_t i = 0; i < posted.size(); ++i)
          if (posted[i] == found) posted.erase(posted.begin() + static_cast<long>(i--));
        delete found;
        break;
      }
      case 2: {
        auto* b = new Block;
        b->context = context;
        b->source = source;
        b->tag = tag;
        matcher.add_unexpected(b);
        unexpected.push_back(b);
        break;
      }
      default: {
        Request asked;
        asked.context = context;
        asked.peer = static_cast<int>(below(4)) - 1;
        asked.tag = static_cast<int>(below(4)) - 1;
        Block* expected = nullptr;
        for (Block* b : unexpected)
          if (!expected && fits(&asked, b->context, b->source, b->tag)) expected = b;
        Block* found = matcher.find_unexpected(context, asked.peer, asked.tag);
        same_unexpected &= found == expected;
        if (!found || below(2)) break;
        matcher.remove_unexpected(found);
        for (size_t i = 0; i < unexpected.size(); ++i)
          if (unexpected[i] == found) unexpected.erase(unexpected.begin() + static_cast<long>(i--));
        delete found;
      }
    }
  }
  check(same_posted, "an arriving message goes to the first receive posted that fits, wildcards included");
  check(same_unexpected, "a receive takes the first unexpected message that fits, wildcards included");
  check(given_back, "a receive that is given back returns to its place in line");
  size_t visited = 0;
  matcher.each_posted([&](Request* r) {
    matcher.withdraw(r);
    ++visited;
    delete r;
  });
  check(visited == posted.size(), "every posted receive is visited once, and may be withdrawn meanwhile");
  visited = 0;
  matcher.each_unexpected([&](Block* b) {
    matcher.remove_unexpected(b);
    ++visited;
    delete b;
  });
  check(visited == unexpected.size(), "every unexpected message is visited once, and may be removed meanwhile");
  delete bins;
}

// ---- pool -----------------------------------------------------------------------------------------------------------

static void pool() {
  constexpr size_t bytes = 64 * 1024;
  auto* memory = static_cast<unsigned char*>(aligned_alloc(64, bytes));
  Pool p;
  p.init(memory, bytes);
  std::vector<Block*> blocks;
  bool inside = true;
  while (Block* b = p.allocate(100)) {
    memset(b->body(), 0xaa, 100);
    auto* at = reinterpret_cast<unsigned char*>(b);
    inside &= at >= memory && b->body() + 100 <= memory + bytes;
    blocks.push_back(b);
  }
  bool apart = true;
  for (size_t i = 1; i < blocks.size(); ++i)
    apart &= reinterpret_cast<unsigned char*>(blocks[i]) - reinterpret_cast<unsigned char*>(blocks[i - 1]) >=
             static_cast<long>(sizeof(Block) + 100);
  check(inside && apart && blocks.size() == bytes / 256, "the pool is used whole, never beyond its bound, blocks apart");
  check(p.allocate(1) == nullptr, "an empty pool gives nothing");
  check(p.allocate(16 * 1024) == nullptr, "a body larger than any class gets nothing");
  p.free(blocks[3]);
  check(p.allocate(1) == blocks[3], "what was freed is given out again");
  p.give_back(blocks[0]);
  p.give_back(blocks[1]);
  Block* returned = p.take_returned();
  check(returned == blocks[1] && returned->next == blocks[0] && returned->next->next == nullptr && !p.any_returned(),
        "what other threads give back is collected once");
  free(memory);
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
  Matcher::Bins bins;
  unsigned char* segment;
  unsigned char* pool;
  CompletionQueue queue;
  uint32_t words[queue_layout::records + queue_layout::capacity * queue_layout::record_words] = {};
};

const Doorbell silent = {.name = "silent", .ring = [](const BellTarget*) {}, .escalate = [](const BellTarget*) {}};

void connect(Side* s, uint32_t rank) {
  Limits limits;
  s->engine.init(rank, 2, s->peers, &s->bins, s->pool, 16 << 20, &shm::header(s->segment)->attention, &silent,
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
    shm::format(s->segment, 0, 2);
    shm::format(peer, 1, 2);
    connect(s, 0);
    (void)s->engine.try_enter();
    shm::connect(&s->port, s->segment, peer, bytes, 1);
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
  bool only_threads = count > 1 && !strcmp(arguments[1], "threads");
  if (!only_threads) {
    matching();
    pool();
    validation();
  }
  guard();
  printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
