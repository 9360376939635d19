// The uintr doorbells: a user interrupt for a thread that runs, the bell for a rank that sleeps. Both the real one and its simulated twin.
// Responsible for the table of senders, which has fewer entries than there may be peers; not for how an interrupt is made (Machine).
#include "uintr.h"

#include <errno.h>

#include "handler.h"
#include "system_call.h"

namespace carillon {
namespace uintr {
namespace {

// ---- tables that belong to threads ----

struct ThreadSenders {
  int32_t thread;  // 0: free
  Senders senders;
};
constexpr uint32_t most_threads = 32;  // that send; more use the bell
ThreadSenders thread_senders[most_threads];
// Which of them is this thread's, plus one. Zero in a new thread, whose table in the kernel is empty, too; static, so nothing is allocated.
__thread uint32_t mine __attribute__((tls_model("initial-exec")));

Senders* senders_of_this_thread() {
  if (mine) return &thread_senders[mine - 1].senders;
  const long self = system_call(SYS_gettid), process = system_call(SYS_getpid);
  for (uint32_t i = 0; i < most_threads; ++i) {
    ThreadSenders& t = thread_senders[i];
    if (t.thread != 0 && t.thread != self && system_call(SYS_tgkill, process, t.thread, 0) != -ESRCH) continue;
    t.thread = static_cast<int32_t>(self);
    t.senders.clear();
    mine = i + 1;
    return &t.senders;
  }
  return nullptr;
}

Senders* senders_for(const Machine* m) { return m->senders ? m->senders : senders_of_this_thread(); }

// ---- this process's rank ----

std::atomic<const Machine*> in_use{nullptr};
std::atomic<bool> on_main_thread{false};
std::atomic<uint64_t> introduced{0};

void run() { interrupted(on_main_thread.load(std::memory_order_relaxed)); }

}  // namespace

int32_t Senders::place_of(uint64_t target) {
  uint16_t& hint = hint_[target % hints];
  if (hint < count_ && entries_[hint].target == target) return hint;
  for (uint32_t i = 0; i < count_; ++i) {
    if (entries_[i].target != target) continue;
    hint = static_cast<uint16_t>(i);
    return static_cast<int32_t>(i);
  }
  return -1;
}

void Senders::remove(uint32_t place) { entries_[place] = entries_[--count_]; }

int Senders::index_of(const Machine* m, const BellTarget* target) {
  const int32_t place = place_of(target->id);
  if (place >= 0) {
    entries_[place].used = ++clock_;
    return entries_[place].index;
  }
  for (;;) {
    const int index = count_ < most_senders ? m->register_sender(target) : -ENOSPC;
    if (index >= 0) {
      hint_[target->id % hints] = static_cast<uint16_t>(count_);
      entries_[count_++] = {target->id, ++clock_, target->interrupt, index};
      return index;
    }
    if (index != -ENOSPC || !m->recycles || count_ == 0) return -1;
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < count_; ++i)
      if (entries_[i].used < entries_[oldest].used) oldest = i;
    m->unregister_sender(entries_[oldest].descriptor, entries_[oldest].index);
    remove(oldest);
  }
}

void Senders::forget(const Machine* m, const BellTarget* target, bool ours) {
  const int32_t place = place_of(target->id);
  if (place < 0) return;
  if (ours && m->recycles) m->unregister_sender(entries_[place].descriptor, entries_[place].index);
  remove(static_cast<uint32_t>(place));
}

bool ring(const Machine* m, const BellTarget* target, bool runs) {
  if (runs && m && target->id != 0) {
    Senders* senders = senders_for(m);
    const int index = senders ? senders->index_of(m, target) : -1;
    if (index >= 0 && m->send(index)) return true;
  }
  signal_descriptor(target->bell);
  return false;
}

void introduce(BellTarget* target) { target->id = introduced.fetch_add(1) + 1; }

void forget(const Machine* m, const BellTarget* target) {
  if (!m || target->id == 0) return;
  if (m->senders) return m->senders->forget(m, target, true);
  for (uint32_t i = 0; i < most_threads; ++i)
    if (thread_senders[i].thread != 0) thread_senders[i].senders.forget(m, target, i + 1 == mine);
}

int begin(const Machine* m) {
  const int registered = m->register_handler(run);
  if (registered < 0) return registered;
  const int descriptor = m->create_descriptor();
  if (descriptor < 0) {
    m->unregister_handler();
    return descriptor;
  }
  on_main_thread.store(system_call(SYS_gettid) == system_call(SYS_getpid));
  m->stui();
  return descriptor;
}

void end(const Machine* m) {
  m->clui();
  m->unregister_handler();
}

void use_kernel(const Machine* m) { in_use.store(m); }
const Machine* kernel() { return in_use.load(std::memory_order_relaxed); }

}  // namespace uintr

const Doorbell uintr_doorbell = {
    .name = "uintr",
    .ring = [](const BellTarget* target, bool runs) { return uintr::ring(uintr::kernel(), target, runs); },
    .escalate = [](const BellTarget* target) { signal_descriptor(target->escalation); },
};

const Doorbell uintr_simulated_doorbell = {
    .name = "uintr-simulated",
    .ring = [](const BellTarget* target, bool runs) { return uintr::ring(&uintr::simulated, target, runs); },
    .escalate = [](const BellTarget* target) { signal_descriptor(target->escalation); },
};

}  // namespace carillon
