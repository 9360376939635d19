// How this rank is rung; see bells.h.
#include "bells.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../doorbell/install.h"
#include "../doorbell/system_call.h"
#include "bell_page.h"
#include "rank.h"

namespace carillon {
namespace {

// Looks at everything, then sleeps unless somebody has rung since it began to look.
void* serve(void* argument) {
  auto* r = static_cast<Rank*>(argument);
  Bells& b = r->bells;
  while (!b.stop.load()) {
    if (trace::on()) trace::name_thread("futex");
    const uint32_t seen = b.word->load(std::memory_order_seq_cst);
    r->engine.poll(nullptr);
    if (b.stop.load()) break;
    system_call(SYS_futex, reinterpret_cast<long>(b.word), FUTEX_WAIT, static_cast<long>(seen), 0);
    r->engine.set_running(false);  // it was rung although it lingered
  }
  return nullptr;
}

// The calling thread is the one to be interrupted.
bool begin_user_interrupts(Bells& b, const uintr::Machine* machine) {
  const int descriptor = machine ? uintr::begin(machine) : -EOPNOTSUPP;
  if (descriptor < 0) {
    errno = -descriptor;
    return false;
  }
  b.interrupt = descriptor;
  b.machine = machine;
  b.interrupts = true;
  b.thread.store(gettid());
  return true;
}

}  // namespace

bool open_bells(Rank* r) {
  Bells& b = r->bells;
  b.kind = r->settings.bell;
  b.on_progress_thread = r->settings.interrupts_progress;
  switch (b.kind) {
    case BellKind::futex:
      b.interrupt = make_bell_page();
      b.word = b.interrupt >= 0 ? map_bell_page(b.interrupt) : nullptr;
      return b.word != nullptr;
    case BellKind::signal:
      b.signal = install_signal(on_signal);
      b.interrupts = true;
      // The thread that joins first. On Linux before 6.9 the process: the kernel then picks a thread, nearly always the main one.
      if (!b.on_progress_thread) b.interrupt = static_cast<int>(system_call(SYS_pidfd_open, gettid(), pidfd_thread));
      return b.signal != 0;
    case BellKind::uintr:
    case BellKind::uintr_simulated: {
      if (b.on_progress_thread) return true;  // which sleeps: the bell alone
      std::string detail;
      if (b.kind == BellKind::uintr) return begin_user_interrupts(b, uintr::probe(&detail));
      b.signal = install_signal(uintr::on_simulated);
      return b.signal != 0 && begin_user_interrupts(b, &uintr::simulated);
    }
    default: return true;
  }
}

bool start_bells(Rank* r) {
  Bells& b = r->bells;
  if (b.interrupts) {
    b.handler = {run_engine, &r->engine};
    begin_interrupts(&b.handler);
  }
  if (b.kind != BellKind::futex) return true;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  b.service_runs = pthread_create(&b.service, nullptr, serve, r) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (b.service_runs) pthread_setname_np(b.service, "carillon-futex");
  return b.service_runs;
}

void stop_bells(Rank* r) {
  Bells& b = r->bells;
  if (b.interrupts) end_interrupts();
  if (!b.service_runs) return;
  b.stop.store(true);
  do {  // again: a hostile peer may have put back what the thread is about to compare with
    b.word->fetch_add(1);
    system_call(SYS_futex, reinterpret_cast<long>(b.word), FUTEX_WAKE, INT_MAX);
    sched_yield();
  } while (pthread_tryjoin_np(b.service, nullptr) != 0);
  b.service_runs = false;
}

bool interrupts_me(const Rank* r) {
  const Bells& b = r->bells;
  return b.interrupts && (b.kind == BellKind::signal || b.thread.load(std::memory_order_relaxed) == gettid());
}

void leave_bells(Rank* r) {
  Bells& b = r->bells;
  if (!b.machine || b.thread.load() != gettid()) return;
  r->engine.set_interruptible(false);
  r->engine.poll(nullptr);  // and says so; who saw otherwise has published before, which is seen
  uintr::end(b.machine);
  b.thread.store(0);
}

void close_bells(Rank* r) {
  Bells& b = r->bells;
  if (b.machine && b.thread.load() == gettid()) uintr::end(b.machine);
  if (b.word) unmap_bell_page(b.word);
  if (b.interrupt >= 0) close(b.interrupt);
  b.word = nullptr;
  b.interrupt = -1;
}

bool bell_named(const char* name, BellKind* found) {
  std::string detail;
  if (strcmp(name, "auto") == 0) {
    // A signal is answered no sooner than the eventfd (bench: doorbell-reaction) and takes the processor from JavaScript.
    *found = bell_problem(BellKind::uintr, &detail).empty() ? BellKind::uintr : BellKind::eventfd;
    return true;
  }
  for (BellKind kind : every_bell) {
    if (!doorbell_of(kind) || strcmp(name, doorbell_of(kind)->name) != 0) continue;
    *found = kind;
    return true;
  }
  return false;
}

std::string bell_problem(BellKind kind, std::string* detail) {
  switch (kind) {
    case BellKind::eventfd:
      *detail = "one eventfd a process; the kernel wakes one thread that really sleeps";
      return "";
    case BellKind::poll:
      *detail = "the progress thread never sleeps: a processor for each rank; to compare";
      return "";
    case BellKind::futex: {
      *detail = "a service thread of its own sleeps on a word; to compare";
      const int descriptor = make_bell_page();
      if (descriptor < 0) return std::string("a sealed page is refused: ") + strerror(errno);
      close(descriptor);
      return "";
    }
    case BellKind::signal:
      *detail = "a real-time signal interrupts a thread that runs, its handler makes the progress; the eventfd wakes one that sleeps";
      if (system_call(SYS_pidfd_send_signal, -1, 0) == -ENOSYS) return "this kernel cannot send signals through pidfds (Linux 5.1)";
      return install_signal(on_signal) ? "" : "all real-time signals are in use";
    case BellKind::uintr: return uintr::probe(detail) ? "" : *detail;
    case BellKind::uintr_simulated:
      *detail = "simulated over signals: as uintr, but for the instructions; for tests";
      if (system_call(SYS_pidfd_send_signal, -1, 0) == -ENOSYS) return "this kernel cannot send signals through pidfds (Linux 5.1)";
      return install_signal(uintr::on_simulated) ? "" : "all real-time signals are in use";
    default: return "not in this version";
  }
}

}  // namespace carillon
