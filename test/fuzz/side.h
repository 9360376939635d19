// One rank of the fuzzer's world: an engine as the binding has it, with what it asked and what became of it.
// Every request must end exactly once, in a way it could end; bodies of honest messages are checked byte by byte.
// Not responsible for what happens when (peer_fuzz.cc).
#pragma once

#if defined(__has_include) && __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#endif

#include <map>
#include <new>
#include <vector>

#include "../../native/core/engine.h"
#include "../../native/drivers/shm.h"
#include "require.h"

// What the fuzzer may see of an engine besides its interface.
namespace carillon {
struct EngineAccess {
  static bool guard_free(Engine& e) { return e.guard_.try_enter() && e.guard_.try_leave(); }
  static Matcher& matcher(Engine& e) { return e.matcher_; }
};
}  // namespace carillon

namespace fuzz {

using namespace carillon;

constexpr uint32_t world_size = 3;
enum : uint32_t { hostile_rank = 0, honest_rank = 1, victim_rank = 2 };  // the victim's lane is the last: see Hostile

constexpr uint32_t most_eager = 900, largest_ring = 4096, most_charges = 8, most_envelopes = 12;
constexpr size_t largest_segment = shm::segment_bytes(world_size, largest_ring);
constexpr size_t pool_for(uint64_t quota_bytes, uint64_t quota_envelopes) {
  return Pool::reservation(world_size * (quota_bytes + wants * charge_of(most_eager) + Pool::smallest * (quota_envelopes + wants)));
}
constexpr size_t pool_for(const Limits& l) { return pool_for(l.quota_bytes, l.quota_envelopes); }
constexpr size_t largest_pool = pool_for(charge_of(most_eager) * most_charges, most_envelopes);
constexpr uint64_t longest = 600'000;  // more than two parts of a pull

// A message between the two honest ranks.
struct Message {
  uint32_t source, dest, context;
  int32_t tag;
  std::vector<unsigned char> body;
  bool sent = false;       // its sender heard ok
  bool withdrawn = false;  // cancelled, or its sender's or receiver's thread went
  bool delivered = false;
};

struct Ledger {
  std::vector<Message*> messages;  // by id, which travels as the encoding, from 1
  Message* find(uint32_t id) { return id >= 1 && id <= messages.size() ? messages[id - 1] : nullptr; }
  void clear() {
    for (Message* m : messages) delete m;
    messages.clear();
  }
  // Whether everything that must arrive at `rank` has.
  bool complete(uint32_t rank) const {
    for (const Message* m : messages)
      if (m->dest == rank && !m->delivered && !m->withdrawn) return false;
    return true;
  }
};

struct Operation {
  Request request;
  Message* message = nullptr;      // a send between honest ranks
  unsigned char* body = nullptr;   // a send's to the hostile one, or a receive's `into`: exactly as long as it says
  bool cancel_asked = false;
};

struct Thread {
  CompletionQueue queue;
  uint32_t words[queue_layout::records + queue_layout::capacity * queue_layout::record_words];
  uint32_t consumed, lag;
};

inline void never(void*) {}
inline bool checking = false;  // a step of ours, not of the engine's

class Side {
 public:
  void build(uint32_t rank, const Limits& limits, uint32_t ring_bytes, size_t pool_bytes, uint32_t lag, Ledger* ledger);
  void connect(uint32_t rank, const unsigned char* segment, size_t bytes, shm::CopyFunction copy);

  // What a thread of this rank may do. `own`: 0 or 1, as if in a thread of its own.
  void send(uint32_t own, uint32_t dest, int32_t tag, uint32_t context, uint64_t bytes, bool synchronous, bool at_once);
  void receive(uint32_t own, int32_t source, int32_t tag, uint32_t context, uint64_t capacity, bool into);
  void send_to_oneself(uint32_t own, int32_t tag, uint32_t context, uint64_t bytes, bool synchronous);
  void cancel(Operation* o);
  void begin_pull(uint64_t most);
  bool continue_pull(bool let_others, bool push = false);  // false: nothing runs
  void finish_pulls();
  void detach(uint32_t own);
  void drain(uint32_t own);
  void give_back();
  void enter() { REQUIRE(engine.try_enter(), "the guard is free between operations"); }

  void check();          // what holds whenever nobody is in the engine
  void tear_down();      // everything has ended; frees all

  bool posted_any(uint32_t context) const {
    for (const Operation* o : operations)
      if (!o->request.is_send && o->request.context == context && o->request.peer == any_source &&
          o->request.tag == any_tag && o->request.bytes == UINT64_MAX)
        return true;
    return false;
  }

  Engine engine;
  Peer peers[world_size];
  shm::ShmPort ports[world_size];
  shm::Cells cells;
  void* bins[Matcher::tables * Matcher::least_bins];
  Thread threads[2];
  uint32_t rank = 0;
  unsigned char* segment = nullptr;
  unsigned char* pool = nullptr;
  Ledger* ledger = nullptr;
  bool going[2] = {};                    // a thread that posts nothing any more
  Request* running = nullptr;            // a pull that a thread copies
  std::vector<Operation*> operations;    // not ended
  std::vector<Block*> taken;             // blocks that JavaScript has not given back

 private:
  Operation* new_operation(uint32_t own);
  void end(Operation* o, const uint32_t* record);
};

extern const Doorbell silent_doorbell;

}  // namespace fuzz
