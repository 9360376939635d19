// What an interrupt handler does and what it leaves: bounded work, nothing lost when the progress thread looks afterwards. The peer is made
// by hand (engine_side.h), so that each bound is seen alone.
#include <memory>
#include <vector>

#include "engine_side.h"

using namespace carillon;

namespace {

constexpr uint32_t bound = Limits{}.handler_packets, waiting = 40;
static_assert(waiting > 2 * bound && waiting < 3 * bound);

struct Scene {
  Scene() : peer(static_cast<unsigned char*>(aligned_alloc(4096, segment_bytes))), side(new Side(peer)) {}
  ~Scene() {
    delete side;
    free(peer);
  }
  Scene(const Scene&) = delete;

  // One more packet of the peer's, published.
  void arrives(uint32_t number) {
    unsigned char* at = ring_of(peer) + published % ring_bytes;
    const uint32_t frame[2] = {128, sizeof(PacketHeader) + sizeof number};
    const PacketHeader h = {sizeof number, 0, 1, 0, 0, 1, 0, PacketKind::eager, 0, 0};
    memcpy(at, frame, sizeof frame);
    memcpy(at + sizeof frame, &h, sizeof h);
    memcpy(at + sizeof frame + sizeof h, &number, sizeof number);
    lane_of(peer)->head.store(published += frame[0]);
  }
  Request* post(int32_t tag, int32_t source = any_source) {
    requests.push_back(std::make_unique<Receive>(side, tag));
    requests.back()->peer = source;
    side->engine.submit(requests.back().get(), &side->queue);
    return requests.back().get();
  }
  Request* send(const unsigned char* body, uint64_t bytes) {
    requests.push_back(std::make_unique<Receive>(side, 1));
    Request* r = requests.back().get();
    r->submission_kind = SubmissionKind::send;
    r->is_send = true;
    r->peer = 1;
    r->memory = const_cast<unsigned char*>(body);
    r->bytes = bytes;
    side->engine.submit(r, &side->queue);
    return r;
  }
  uint32_t completed() const { return side->words[queue_layout::head]; }
  shm::Lane* ours() const { return lane_of(side->segment + shm::lane_bytes(ring_bytes)); }

  unsigned char* peer;
  Side* side;
  uint64_t published = 0;
  std::vector<std::unique_ptr<Receive>> requests;
};

void packets() {
  Scene s;
  Engine& e = s.side->engine;
  for (uint32_t i = 0; i < waiting; ++i) s.post(1);
  for (uint32_t i = 0; i < waiting; ++i) s.arrives(i);
  e.interrupted();
  check(s.completed() == bound && e.counters().handled == 1, "a handler takes so many packets and no more");
  check(s.side->more == 1 && s.side->notified == 1, "has the progress thread do the rest, and tells the thread what came");
  e.interrupted();
  check(s.completed() == 2 * bound && s.side->more == 2, "the next one goes on");
  e.poll(nullptr);
  bool order = s.completed() == waiting;
  for (uint32_t i = 0; order && i < waiting; ++i) {
    uint32_t number;
    memcpy(&number, s.requests[i]->inlined, sizeof number);
    order = number == i && s.requests[i]->state == RequestState::completed;
  }
  check(order && !e.look() && s.side->more == 2, "and the progress thread ends it, in order");
  e.interrupted();
  check(s.side->more == 2 && s.completed() == waiting, "a handler that finds nothing asks for nothing");
}

void held() {
  Scene s;
  Engine& e = s.side->engine;
  for (uint32_t i = 0; i < waiting; ++i) s.post(1);
  (void)e.try_enter();
  for (uint32_t i = 0; i < waiting; ++i) s.arrives(i);
  e.set_running(true);
  e.interrupted();
  check(s.completed() == 0 && e.counters().handled == 0 && e.pending(), "a handler that interrupts the guard's holder leaves a mark");
  check(!e.running(), "and that JavaScript computes");
  e.leave(nullptr);
  check(s.completed() == waiting && e.counters().handled == 0, "and the holder, who has no such bound, takes everything");

  Scene endless;
  Engine& f = endless.side->engine;
  for (uint32_t i = 0; i < 400; ++i) endless.post(1);
  for (uint32_t i = 0; i < 400; ++i) endless.arrives(i);
  endless.side->pends = true;
  f.interrupted();
  check(endless.completed() <= 4 * bound, "others who want in while it works do not keep a handler for ever");
  endless.side->pends = false;
  check(f.try_enter(), "which leaves the guard");
  f.leave(nullptr);
  f.poll(nullptr);
  check(endless.completed() == 400, "and all of it to the progress thread");
}

void lines() {
  Scene s;
  Engine& e = s.side->engine;
  const unsigned char body[100] = {};  // the ring is full before credit is spent
  const Part part = {body, sizeof body};
  Status failure;
  (void)e.try_enter();
  while (e.send_now(1, 1, 0, 0, &part, 1, &failure) == Sent::done) continue;
  e.leave(nullptr);
  const uint64_t before = e.counters().eager_sent;
  for (uint32_t i = 0; i < waiting; ++i) s.send(body, sizeof body);
  e.interrupted();
  check(e.counters().eager_sent == before && s.side->more == 0, "sends that wait for room are nothing to do");
  lane_of(s.peer)->tail.store(s.ours()->head.load());
  e.interrupted();
  check(e.counters().eager_sent == before + bound && s.side->more >= 1, "a handler sends so many, and has the progress thread send the rest");
  e.poll(nullptr);
  check(e.counters().eager_sent == before + waiting && s.completed() == waiting, "which it does");
}

void bodies() {
  Scene s;
  Engine& e = s.side->engine;
  const std::vector<unsigned char> body(1 << 20);
  std::vector<Request*> sends;
  for (uint32_t i = 0; i < waiting; ++i) sends.push_back(s.send(body.data(), body.size()));
  const uint64_t offered = e.counters().offers_sent;
  auto answers = [&](const Request* r, Outcome outcome) {
    shm::Lane* lane = lane_of(s.peer);
    lane->outcome[lane->outcome_head.load() % shm::outcomes].store(uint64_t{r->generation} << 32 | uint64_t{r->slot} << 8 |
                                                                  static_cast<uint64_t>(outcome));
    lane->outcome_head.fetch_add(1);
  };
  answers(sends[0], Outcome::push);
  e.interrupted();
  check(offered == waiting && e.counters().bytes_pushed == 0 && s.side->more >= 1, "a handler pushes no body");
  e.poll(nullptr);
  check(e.counters().bytes_pushed > 0, "the progress thread does");
  const uint32_t asked = s.side->more;
  for (const Request* r : sends) answers(r, Outcome::pulled);
  e.interrupted();
  check(s.completed() == bound && s.side->more > asked, "a handler hears so many outcomes");
  e.poll(nullptr);
  check(s.completed() == waiting && !e.look(), "and the progress thread of the rest");
}

void blocks() {
  Scene s;
  Engine& e = s.side->engine;
  Request* elsewhere = s.post(9);  // else nobody waits, and packets stay in the ring
  for (uint32_t i = 0; i < 8; ++i) s.arrives(i);
  e.poll(nullptr);
  std::vector<Block*> taken;
  (void)e.try_enter();
  while (Block* b = e.pool().allocate(100)) {
    b->offer = true;  // nobody's credit
    taken.push_back(b);
    if (taken.size() == 1000) break;
  }
  e.leave(nullptr);
  const size_t used = e.pool().bytes_in_use();
  for (Block* b : taken) e.pool().give_back(b);
  e.interrupted();
  check(e.pool().bytes_in_use() == used && s.side->more == 1, "a handler collects no blocks");
  e.poll(nullptr);
  check(e.pool().bytes_in_use() < used && !e.pool().any_returned() && elsewhere->state == RequestState::posted,
        "the progress thread does");
}

void ends() {
  Scene s;
  Engine& e = s.side->engine;
  for (uint32_t i = 0; i < waiting; ++i) s.post(1, 1);
  s.arrives(0);
  shm::header(s.peer)->closed.store(1);
  e.interrupted();
  check(s.completed() == 1 && !e.peer(1).ended && s.side->more >= 1, "a handler takes what a peer that has left had sent, and ends nothing");
  e.poll(nullptr);
  check(s.completed() == waiting && e.peer(1).ended && s.requests[0]->status == Status::ok && s.requests[1]->status == Status::peer_closed,
        "the progress thread does");
}

void attention() {
  Scene s;
  Engine& e = s.side->engine;
  std::atomic<uint64_t>& word = shm::header(s.side->segment)->attention;
  e.set_interruptible(true);
  s.post(1);
  s.arrives(0);
  e.interrupted();
  const uint64_t armed = word.load();
  check(Attention::runs(armed) && Attention::asleep(armed), "a handler leaves the word as one that interrupts again");
  e.set_interruptible(false);
  e.poll(nullptr);
  check(!Attention::runs(word.load()) && Attention::epoch(word.load()) > Attention::epoch(armed),
        "a thread that may sleep says so, in an epoch of its own");
}

}  // namespace

void test_interrupts() {
  packets();
  held();
  lines();
  bodies();
  blocks();
  ends();
  attention();
}
