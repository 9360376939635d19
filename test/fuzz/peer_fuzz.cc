// Fuzz target: a real engine over the real shm driver beside a hostile peer and an honest one.
//
// The input is a program: what the hostile one writes into its memory, between operations or at a step within one
// (CARILLON_STEP; memory then changes between two looks at it), and what the victim's and the honest one's threads do,
// a thread of the victim's also at such a step.
// Demanded besides silence of the sanitizers: side.h's checks after every operation; when the hostile one has ended, so has
// all that only it could complete; the honest one's messages arrive, each once and intact; then both can be taken down.
#include <cstdlib>
#include <cstring>

#include "hostile.h"
#include "input.h"
#include "side.h"

using namespace fuzz;

namespace {

struct Late {  // for a step within an operation
  uint32_t steps;
  bool own;      // not a deed: another thread of the victim's comes in between
  uint8_t deed[Hostile::deed_bytes];
};

constexpr size_t most_late = 8;

struct World {
  Side victim, honest;
  Late late[most_late];
  uint8_t copy_results[8];  // how pulls from the hostile one go: a queue that goes round
  uint32_t copies;
};

alignas(World) unsigned char memory[sizeof(World)];
World* world = nullptr;
Ledger ledger;

Hostile& hostile() {
  static Hostile one(largest_segment);
  return one;
}

// Out of the hostile one's memory, which is not there: as the kernel would, all or part or none of it.
CopyResult copy_from_hostile(int, int, uint64_t remote, unsigned char* local, uint64_t bytes) {
  const uint8_t how = world->copy_results[world->copies++ % sizeof world->copy_results];
  const uint64_t there = how % 8 < 6 ? bytes : bytes / 2;
  if (there > 0) {
    local[0] = local[there - 1] = local[there / 2] = static_cast<unsigned char>(remote);
    carillon_sim_step("copy");
  }
  return how % 8 < 6 ? CopyResult::ok : how % 8 == 6 ? CopyResult::unreadable : CopyResult::lost;
}

CopyResult copy_from_honest(int, int, uint64_t remote, unsigned char* local, uint64_t bytes) {
  memcpy(local, reinterpret_cast<const unsigned char*>(remote), bytes);
  return CopyResult::ok;
}

uint64_t length(Input& in) {
  const uint32_t value = in.u16();
  if (value % 64 == 63) return uint64_t{value} * 41 % longest;  // rarely: a run of short ones finds more
  switch (value % 4) {
    case 0: return value / 4 % (inline_bytes + 2);
    case 1: return value / 4 % (most_eager + 200);
    default: return value / 4 % 4096;
  }
}

void receive(Side& side, Input& in) {
  const uint8_t how = in.u8();
  const int32_t source = how & 1 ? any_source : static_cast<int32_t>(in.below(world_size));
  const int32_t tag = how & 2 ? any_tag : static_cast<int32_t>(how >> 2 & 3);
  uint64_t capacity = how & 16 ? UINT64_MAX : length(in);
  const bool into = how & 32 && capacity != UINT64_MAX && capacity > 0;
  side.receive(how >> 6 & 1, source, tag, how >> 7, capacity, into);
}

void send(Side& side, Input& in) {
  const uint8_t how = in.u8();
  const uint64_t bytes = length(in);
  const uint32_t dest = side.rank == honest_rank ? uint32_t{victim_rank} : how & 1 ? uint32_t{hostile_rank} : uint32_t{honest_rank};
  if ((how & 0x0f) == 0x0f) return side.send_to_oneself(how >> 7, how >> 4 & 3, how >> 6 & 1, bytes % 4096, how & 0x20);
  side.send(how >> 7, dest, how >> 2 & 3, how >> 6 & 1, bytes, how >> 4 & 1, how >> 5 & 1);
}

void operate(Side& side, Input& in) {
  switch (in.below(9)) {
    case 0: return receive(side, in);
    case 1: return send(side, in);
    case 2: {
      if (side.operations.empty()) return;
      Operation* o = side.operations[in.u8() % side.operations.size()];
      if (!o->cancel_asked && o->request.state != RequestState::completed) side.cancel(o);
      return;
    }
    case 3: return side.begin_pull(in.u8() & 1 ? UINT64_MAX : length(in));
    case 4: {
      const uint8_t how = in.u8();
      side.continue_pull(how & 1, how & 2);
      return;
    }
    case 5: return side.engine.poll(nullptr);
    case 6:
      side.enter();
      side.engine.timer_fired();
      side.engine.leave(nullptr);
      return;
    case 7: {
      const uint8_t how = in.u8();
      side.drain(how & 1);
      if (how & 2) side.give_back();
      if (how & 4) side.finish_pulls();
      return;
    }
    default: {
      const uint8_t how = in.u8();
      if (how % 4 == 0) return side.detach(how >> 7);
      side.enter();
      if (how % 4 == 1) side.engine.touch_all();
      else side.engine.step(nullptr, how & 4);
      if (how & 8) side.engine.take_over();
      side.engine.leave(nullptr);
    }
  }
}

void plan(Input& in) {
  for (Late& l : world->late)
    if (l.steps == 0) {
      l.steps = 1 + in.u8();
      l.own = in.u8() % 4 == 0;
      in.copy(l.deed, 2 + in.below(Hostile::deed_bytes - 1));
      return;
    }
}

void run(Input& in) {
  World& w = *world;
  Side* sides[] = {&w.victim, &w.honest};
  while (in.more()) {
    const uint8_t what = in.u8() % 8;
    if (what < 3) hostile().act(in, true);
    else if (what == 3) plan(in);
    else if (what < 7) operate(w.victim, in);
    else operate(w.honest, in);
    for (Side* side : sides) side->check();
  }
}

// Another thread of the victim's, while one is in the engine.
void come_between(Side& side, Input& in) {
  const uint8_t what = in.u8();
  const uint8_t how = in.u8();
  const uint32_t own = what >> 7;
  if (what % 4 < 2 || side.going[own]) return side.engine.poll(nullptr);
  if (what % 4 == 2) return side.receive(own, how & 1 ? any_source : static_cast<int32_t>(how >> 1 & 1), any_tag, how >> 2 & 1, UINT64_MAX, false);
  side.send(own, how & 1, how >> 1 & 3, how >> 3 & 1, length(in), how >> 4 & 1, false);
}

// One turn of everything a rank's threads do by themselves.
void turn(Side& side, bool takes) {
  if (takes)
    for (uint32_t context = 0; context < 2; ++context)
      if (!side.posted_any(context)) side.receive(0, any_source, any_tag, context, UINT64_MAX, false);
  side.engine.poll(nullptr);
  side.finish_pulls();
  side.drain(0);
  side.drain(1);
  side.give_back();
  side.engine.poll(nullptr);
}

void finish(Ending ending, bool roomy) {
  World& w = *world;
  memset(w.late, 0, sizeof w.late);
  memset(w.copy_results, 7, sizeof w.copy_results);
  w.victim.enter();
  w.victim.engine.end_peer(hostile_rank, ending);
  w.victim.engine.leave(nullptr);
  for (int round = 0; round < 300; ++round) {
    turn(w.victim, true);
    turn(w.honest, true);
    if (w.victim.engine.peer(hostile_rank).ended && ledger.complete(victim_rank) && ledger.complete(honest_rank)) break;
  }
  if (roomy) {  // else blocks of contexts that nobody asks for may hold everything up
    REQUIRE(w.victim.engine.peer(hostile_rank).ended, "the hostile one has ended");
    for (const Operation* o : w.victim.operations)
      REQUIRE(o->request.peer != hostile_rank, "request in state %d ends with the hostile one", static_cast<int>(o->request.state));
    REQUIRE(ledger.complete(victim_rank), "what the honest one sent arrives");
    REQUIRE(ledger.complete(honest_rank), "what was sent to the honest one arrives");
  }
  w.victim.tear_down();
  w.honest.tear_down();
  for (const Message* m : ledger.messages) REQUIRE(!roomy || m->delivered || m->withdrawn, "nothing is lost");
}

}  // namespace

// Reached from every step of both engines.
extern "C" void carillon_sim_step(const char*) {
  static bool inside = false;
  if (!world || inside || checking) return;
  inside = true;
  for (Late& l : world->late)
    if (l.steps > 0 && --l.steps == 0) {
      Input deed(l.deed, sizeof l.deed);
      if (l.own) come_between(world->victim, deed);
      else hostile().act(deed, false);
    }
  inside = false;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  if (bytes > 4096) return 0;
  Input in(data, bytes);
  World* built = new (memory) World{};
  const uint8_t shape = in.u8();
  Limits limits;
  limits.eager_bytes = shape & 1 ? 128 : most_eager;
  limits.most_eager_bytes = limits.eager_bytes;
  limits.wait_bytes = 200;
  limits.pushed_least = 1;
  limits.quota_bytes = charge_of(limits.eager_bytes) * (1 + (shape >> 1) % most_charges);
  limits.quota_envelopes = 1 + in.below(most_envelopes);
  limits.max_message = longest;
  const uint32_t ring_bytes = shape & 1 ? 512u << (shape >> 4 & 3) : 2048u << (shape >> 4 & 1);
  const uint8_t room = in.u8();
  const bool roomy = room < 192;
  const size_t pool_bytes = roomy ? pool_for(limits) : (Pool::smallest + 1) * (limits.eager_bytes > 128 ? 8u : 2u) * (1 + room % 8);
  in.copy(built->copy_results, sizeof built->copy_results);
  const uint8_t ways = in.u8();
  const uint32_t lag = ways & 1 ? queue_layout::capacity - 2 : 0;

  Side &victim = built->victim, &honest = built->honest;
  victim.build(victim_rank, limits, ring_bytes, pool_bytes, lag, &ledger);
  honest.build(honest_rank, limits, ring_bytes, pool_for(limits), 0, &ledger);
  const size_t lane = shm::page + hostile_rank * shm::lane_bytes(ring_bytes);
  hostile().reset(hostile_rank, victim_rank, world_size, ring_bytes, reinterpret_cast<shm::Lane*>(victim.segment + lane),
                  &victim.engine.peer(hostile_rank), limits);
  world = built;
  const size_t segment = shm::segment_bytes(world_size, ring_bytes);
  victim.connect(hostile_rank, hostile().seen(), hostile().seen_bytes(), copy_from_hostile);
  victim.connect(honest_rank, honest.segment, segment, copy_from_honest);
  honest.connect(victim_rank, victim.segment, segment, copy_from_honest);
  honest.enter();
  honest.engine.refuse_peer(hostile_rank);
  honest.engine.leave(nullptr);

  run(in);
  finish(ways & 2 ? Ending::closed : Ending::lost, roomy);
  world = nullptr;
  built->~World();
  ledger.clear();
  return 0;
}
