// User interrupts: one thread makes another one run a function, without a system call where the processor can.
//
// A Machine is one way to have them: a generation of Linux's interface with the instructions (uintr_kernel.cc), or the twin that plays them over signals
// (uintr_simulated.cc). The doorbell (uintr.cc) does the same with each. An interrupt says "look", never how often: sends coalesce. It reaches
// a thread that runs; one in a system call hears of it later, so who sleeps is woken otherwise (attention.h). All of this is in the engine's unit.
#pragma once

#include <signal.h>

#include <cstdint>
#include <string>

#include "doorbell.h"

namespace carillon::uintr {

constexpr uint32_t most_senders = 256;  // entries of a table of senders

// Whom somebody may send to: what it registered, by target, the least recently used first to make room. The kernel's table may hold less
// than most_senders for us. One table a process, or one a thread (Machine::senders); touched under the guard only.
class Senders;

struct Machine {
  const char* name;

  // ---- the receiving thread, about itself. Threads only, never handlers ----
  // `run` is called on this thread, whatever that is doing, from stui on; it touches no vector register and makes raw system calls
  // only. 0 or -errno; one a thread (EBUSY).
  int (*register_handler)(void (*run)());
  void (*unregister_handler)();      // after which nothing reaches this thread; what was posted is dropped
  int (*create_descriptor)();        // what senders register; the caller's, close-on-exec. Or -errno
  void (*clui)();                    // interrupts wait ...
  void (*stui)();                    // ... until now
  void (*look)();                    // runs what could not be delivered; null: the hardware delivers everything by itself

  // ---- senders. Under the guard, handlers too ----
  Senders* senders;                  // the process's; null: the kernel keeps one for each thread
  bool recycles;                     // an entry can be given back safely
  int (*register_sender)(const BellTarget*);         // its index, or -errno (ENOSPC: the table is full)
  void (*unregister_sender)(int descriptor, int index);
  bool (*send)(int index);           // false: there is no such thread any more. Only indices of this thread's table, or this process's
};

class Senders {
 public:
  // Where to send to reach it, registered if it is not yet, in another's place if there is no room. -1: it cannot be.
  int index_of(const Machine*, const BellTarget*);
  // Its descriptor is about to be closed. `ours`: the table is this thread's or the process's.
  void forget(const Machine*, const BellTarget*, bool ours);
  void clear() { count_ = 0; }

 private:
  struct Entry {
    uint64_t target, used;
    int32_t descriptor, index;
  };
  static constexpr uint32_t hints = 512;
  int32_t place_of(uint64_t target);
  void remove(uint32_t place);
  Entry entries_[most_senders];
  uint16_t hint_[hints];  // where a target was last; verified
  uint32_t count_ = 0;
  uint64_t clock_ = 0;
};

// The doorbell's `ring` by this machine (null: the bell alone). True: an interrupt was sent.
bool ring(const Machine*, const BellTarget*, bool runs);
// Gives a target its id; and takes it away before its descriptors are closed, when nobody rings it any more.
void introduce(BellTarget*);
void forget(const Machine*, const BellTarget*);

// ---- the receiving thread of this process's rank ----
// From now on interrupts reach the calling thread, which runs what begin_interrupts (handler.h) says. The descriptor for peers, or -errno.
int begin(const Machine*);
void end(const Machine*);   // the same thread

// ---- uintr_kernel.cc ----
enum class Generation : uint8_t { none, rfc_v1, series_5_17, next };
// By asking the kernel, which is only right once the processor is known to have user interrupts, enabled (uintr_probe.cc).
Generation ask_generation();
const Machine* machine_of(Generation);  // null: none
bool test_uif();                        // the instruction: whether interrupts reach this thread. SIGILL where nobody enabled them
extern long (*kernel_call)(long number, long a, long b);  // a system call; tests put a kernel of their own here
// What the doorbell uses for peers and for itself; null until it was found.
void use_kernel(const Machine*);
const Machine* kernel();

// ---- uintr_simulated.cc ----
extern const Machine simulated;
// The handler of the signal that peers send (BellTarget::signal): installed (install.h) before the first thread registers.
void on_simulated(int, siginfo_t*, void* context);
// What a peer handed over (create_descriptor), as a target's `word`, and which thread it says it is of. False: it is no such thing.
bool open_simulated(int descriptor, std::atomic<uint32_t>** word, int32_t* thread);
void close_simulated(std::atomic<uint32_t>* word);
// Interrupts that found a system call and were left; and those run late: by `look` or stui.
struct Withheld {
  uint64_t withheld, late;
};
Withheld withheld();

// ---- uintr_probe.cc: not in the engine's unit ----
// What this machine has, found out once, and put into use_kernel. `detail`: what it is; null: precisely why not.
const Machine* probe(std::string* detail);
bool uif_is_enabled();  // test_uif raises no SIGILL

}  // namespace carillon::uintr
