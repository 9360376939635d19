// How this rank is rung: what its kind of doorbell needs on the receiving side, from before peers hear of it until the rank is gone.
// Not responsible for how peers are rung (bell_targets.h), for ringing (doorbell) nor for waiting in event loops (waiting.cc).
#pragma once

#include <string>

#include "../doorbell/doorbell.h"
#include "../doorbell/handler.h"
#include "../doorbell/uintr.h"

namespace carillon {

struct Rank;

struct Bells {
  BellKind kind = BellKind::eventfd;
  int32_t signal = 0;
  bool interrupts = false;               // its threads are told of by set_interruptible
  bool on_progress_thread = false;       // interrupts are handled there, not where JavaScript runs
  int interrupt = -1;                    // what peers need besides bell and escalation, or -1
  std::atomic<uint32_t>* word = nullptr; // futex: ours
  pthread_t service = {};
  bool service_runs = false;
  std::atomic<bool> stop{false};
  Handler handler;
  // uintr, real or simulated: by what, and the thread that joined first, which alone is interrupted. 0: it has gone, or there is none.
  const uintr::Machine* machine = nullptr;
  std::atomic<int32_t> thread{0};
};

// False: this machine refuses what it needs.
bool open_bells(Rank*);
bool start_bells(Rank*);   // once the engine stands
void stop_bells(Rank*);    // nobody interrupts or serves any more when this returns
void close_bells(Rank*);

// Whether what the calling thread does decides if the rank may be interrupted.
bool interrupts_me(const Rank*);
// The calling thread leaves the rank, which may live on: it is interrupted no more.
void leave_bells(Rank*);

inline constexpr BellKind every_bell[] = {BellKind::eventfd, BellKind::poll,  BellKind::futex,
                                          BellKind::signal,  BellKind::uintr, BellKind::uintr_simulated};

// By the name in its ops table; "auto": the best that works here. False: there is none of that name.
bool bell_named(const char* name, BellKind*);

// Why a kind does not work here; empty: it does. `detail`: what it is.
std::string bell_problem(BellKind, std::string* detail);

}  // namespace carillon
