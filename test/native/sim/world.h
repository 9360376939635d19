// The simulated world: processes with the real engine and the real shm driver over plain memory, their threads as fibers,
// and what the ledger knows of every message. Declarations of all rooms of the simulator.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "../../../native/core/engine.h"
#include "../../../native/drivers/shm.h"
#include "fiber.h"

// What the simulator may see of an engine besides its interface.
namespace carillon {
struct EngineAccess {
  static bool guard_free(Engine& e);
  static Matcher& matcher(Engine& e) { return e.matcher_; }
  static uint64_t next_sequence(Engine& e) { return e.matcher_.next_sequence(); }
  static Pool& pool(Engine& e) { return e.pool_; }
  static bool submissions(Engine& e) { return !e.submissions_.empty(); }
};
}  // namespace carillon

namespace sim {

using namespace carillon;

struct Random {
  uint64_t state = 1;
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull >> 11;
  }
  uint32_t below(uint64_t n) { return n ? static_cast<uint32_t>(next() % n) : 0; }
  bool chance(uint32_t in_thousand) { return below(1000) < in_thousand; }
};

struct Process;
struct Thread;

// A message, from the call that sent it to the record that delivered it.
struct Message {
  uint32_t id = 0, context = 0, number = 0;  // number: place in what its thread sent to this destination
  int source = 0, thread = 0, dest = 0, tag = 0;
  uint64_t bytes = 0;
  bool synchronous = false;
  int status = -1;           // as its sender heard; -1: not yet
  bool delivered = false, dropped = false;
  uint64_t by = 0;           // sequence of the receive that took it
  uint64_t by_capacity = 0;
  bool by_requeued = false;
  uint64_t when = 0;
  bool held = false;         // a probe has it
  bool taken_back = false;   // a probe had it when its sender took it back
  uint64_t given_back = 0;   // receives posted after this found it in its place again
};

struct Withdrawn {  // a receive that was cancelled while posted
  int process, source, tag;
  uint32_t context;
  uint64_t capacity, sequence, when;
};

// What JavaScript holds of a request.
struct Operation {
  Request request;
  Message* message = nullptr;  // send
  unsigned char* body = nullptr;
  bool cancel_asked = false, cancelled = false, requeued = false;
  Message* held = nullptr;     // probe or receive of what it took
  Taker taker;                 // stream
  Request courier;             // stream, shared
  uint32_t tail = 0;
  bool alone = false;          // stream: a receive of its own takes what does not go through the ring
  bool stopped = false;        // stream: what its ring held has gone back
  bool next = false;           // such a receive ...
  Operation* stream = nullptr; // ... and whose, while that lives
  std::map<uint64_t, uint32_t> last;  // stream: number of what it took last, by sender, thread, context and tag
};

struct Thread {
  Process* process = nullptr;
  Fiber fiber;
  int id = 0;                // over all processes
  int number = 0;            // within its process; -1: progress thread
  bool exists = false, sleeping = false, ready = false, ended = false;
  bool stuck = false;        // computes until nobody else has anything to do
  int in_handler = 0;
  bool interrupt = false;    // one has been sent to it and waits until it runs
  int64_t priority = 0;

  // JavaScript threads.
  CompletionQueue* queue = nullptr;
  uint32_t* words = nullptr;
  uint32_t consumed = 0, lag = 0;
  uint64_t notify = 0;
  bool timeout = false;
  uint64_t wake_at = 0;      // 0: no timeout set
  bool copies_wait = false, leaving = false, want_teardown = false;
  bool told = false;         // readers of shared rings were to be woken
  int script = 0;
  std::vector<Operation*> operations;
  std::vector<uint32_t> free_indices;
  std::vector<Block*> taken;
  std::vector<uint32_t> resume;    // streams whose own receives have ended
  std::vector<Operation*> offers;  // what probes took, neither received nor given back yet
  bool nobody_left[2] = {};  // by context: a receive from anybody has ended
  uint32_t outstanding_receives = 0, outstanding_sends = 0;
};

struct Departure {
  uint64_t due;
  int peer;
  Ending ending;  // none: it arrives
};

// How a process is rung. A signal reaches a thread that sleeps, too, and ends its system call; a user interrupt is withheld until the
// thread runs. Both go to the first JavaScript thread, if the process says that JavaScript runs.
enum class Bell : uint8_t { eventfd, signal, uintr };

struct Process {
  int rank = 0;
  Engine* engine = nullptr;
  Peer* peers = nullptr;
  shm::ShmPort* ports = nullptr;
  shm::Cells cells;
  Matcher::Bins bins;
  unsigned char* segment = nullptr;
  unsigned char* pool = nullptr;
  unsigned char* arena = nullptr;
  size_t arena_used = 0;
  Thread threads[3];         // two of JavaScript, then the progress thread
  uint64_t escalation = 0, nudge = 0;
  bool timer_armed = false, timer_ready = false;
  uint64_t timer_due = 0;
  std::vector<Departure> departures;
  uint64_t stopped_until = 0;
  bool killed = false, closing = false, closed = false, hostile = false;
  Bell bell = Bell::eventfd;
  int connected = 0;

  bool runs() const { return !killed && !closed && !hostile; }
  Thread& progress() { return threads[2]; }
};

// `interrupt`: not planned; a ring that reached a thread that runs.
enum class Injection : uint8_t { kill, stop, teardown, close, hostile, handler, interrupt, count };

struct Planned {
  uint64_t step;
  Injection what;
  int process;
};

struct Options {
  uint64_t handler_at = 0;   // the step in which a handler is injected, besides all others; 0: none
  bool trace = false;
  bool quiet = false;
};

constexpr size_t arena_bytes = 4 << 20;
constexpr size_t most_pool_bytes = 8 << 20;
constexpr int max_processes = 3;

struct World {
  uint64_t seed = 0;
  Random random;
  Options options;
  int size = 2;
  Process processes[max_processes];
  Thread hostile_thread;
  Fiber main;
  Thread* current = nullptr;

  // How it is scheduled.
  uint64_t steps = 0, bound = 0, next_due = 0, hash = 0;
  uint32_t quantum_mean = 1, quantum = 0;
  bool priorities = false;
  int64_t lowest = 0;
  uint32_t handler_chance = 0;  // in 100000 steps
  uint32_t promptness = 1000;   // that an interrupt reaches a thread in its next step, in 1000
  std::vector<Planned> plan;
  bool failed = false;
  char failure[512] = {};
  uint64_t injected[static_cast<int>(Injection::count)] = {};

  // Its parameters.
  Limits limits;
  uint32_t ring_bytes = 4096;
  size_t pool_bytes = 0;
  bool interrupts = false;      // some processes are rung by interrupts
  bool streams = false, one_thread = false, small_pool = false, adaptive = false;
  bool forbidden = false;       // nobody may read another process's memory
  uint32_t largest = 1000;
  uint64_t short_copy = 600;

  enum class Phase : uint8_t { script, drain, cancel } phase = Phase::script;
  std::vector<Message*> messages;
  std::vector<Withdrawn> withdrawn;
  std::map<uint64_t, uint32_t> numbers;
};

extern World* world;

// schedule.cc
void step(const char* name);
void spin(const char* name);       // a step at which somebody else must run
void compute_long(Thread&);        // until nothing else happens in the world
void sleep_in_epoll(Thread&);      // until one of the thread's descriptors is readable
void wake(Thread&);
void ring_bell(Process&);
bool send_interrupt(Process&);     // false: there is nobody to interrupt, says the kernel
void recompute_due();
void plan_departure(Process& of, Ending);
// On a fiber it does not return; outside it notes the failure.
void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));
bool run_world(uint64_t seed, const Options&, uint64_t* hash, uint64_t* steps, uint64_t* injected);

// build.cc
void build_world();
void destroy_world();
extern const Doorbell doorbell;
CopyResult copy(int pid, int process, uint64_t remote, unsigned char* local, uint64_t bytes);

// loop.cc, script.cc
void run_javascript(void* thread);
void run_progress(void* thread);
void say_running(Thread&, bool);
void enter_waiting(Engine&);
void after_leave(Thread&);
void drain(Thread&);
bool taken(const Thread&);         // its takers' rings were not looked at
bool unseen(const Thread&);        // nor was it told of a shared one
void take_rings(Thread&);
void act(Thread&);                 // one random operation of the script
bool act_draining(Thread&);        // posts what is missing so that everything sent arrives; false: nothing
void cancel_all(Thread&);
bool consume(Thread&, Operation*, const uint32_t* record);  // true: it is an offer now, and keeps its index
void forget_offers(Thread&);       // the engine gives them back
void tear_down(Thread&);

// hostile.cc
void run_hostile(void*);

// ledger.cc
Message* new_message(int source, int thread, int dest, uint32_t context, int tag, uint64_t bytes, bool synchronous);
void fill(unsigned char* to, uint64_t bytes, uint32_t id);
bool intact(const unsigned char* from, uint64_t bytes, uint32_t id);
void sent(Message*, int status);
void received(Process&, Operation*, int status, int from, int tag, uint32_t id, uint64_t bytes, const unsigned char* body);
void probed(Process&, Operation*, int from, int tag, uint32_t id, uint64_t bytes);
void check_idle();                 // nobody can run: is anything forgotten?
void check_end();
void print_state();
uint32_t expected_at(const Process&);  // messages that must still arrive there

}  // namespace sim
