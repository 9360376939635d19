// Direct tests of the uintr doorbell's table of senders over made-up kernels of each generation, and of the probe. Linked with
// native/engine_unit.cc, native/doorbell/install.cc and uintr_probe.cc. Prints one line per check; the exit code is 1 when one failed.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "../../native/doorbell/uintr.h"
#include "check.h"

using namespace carillon;
using uintr::Generation;
using uintr::Machine;

namespace {

uint64_t state = 88172645463325252ull;
uint32_t below(uint32_t n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<uint32_t>(state >> 20) % n;
}

// What a kernel keeps of senders: a table for each thread, or one for the process (thread 0). Receivers are known by their descriptors.
struct Kernel {
  long first = 0;          // its first system call; 0: it has none of them
  bool has_self = false, by_thread = false, by_index = false, once = false;  // once: a receiver can be registered once (EISCONN)
  uint32_t entries = 256;
  std::mutex mutex;
  std::map<long, std::map<int, int>> tables;  // thread, index: descriptor
  uint32_t registered = 0;
  int gone = -1;           // this receiver has ended
  int reached = -1;        // by the last send

  std::map<int, int>& table() { return tables[by_thread ? syscall(SYS_gettid) : 0]; }
};
Kernel* kernel = nullptr;

long answer(long number, long a, long b) {
  Kernel& k = *kernel;
  std::lock_guard<std::mutex> lock(k.mutex);
  if (number == 449 && k.first != 449) return -EINVAL;  // futex_waitv(NULL, 0)
  if (k.first == 0 || number < k.first) return -ENOSYS;
  std::map<int, int>& table = k.table();
  switch (number - k.first) {
    case 0: return a == 0 ? -EFAULT : 0;
    case 3: {
      if (a == k.gone) return -ESHUTDOWN;
      int free = 0;
      for (const auto& [index, descriptor] : table) {
        if (k.once && descriptor == a) return -EISCONN;
        if (index == free) ++free;
      }
      if (free >= static_cast<int>(k.entries)) return -ENOSPC;
      table[free] = static_cast<int>(a);
      ++k.registered;
      return free;
    }
    case 4:
      for (auto entry = table.begin(); entry != table.end(); ++entry) {
        if ((k.by_index ? entry->first : entry->second) != a) continue;
        table.erase(entry);
        return 0;
      }
      return -EINVAL;
    case 6: return k.has_self && b == 0xffffffff ? -EINVAL : -ENOSYS;
    default: return -ENOSYS;
  }
}

// An index that is not there would be SIGSEGV on the processor, and no table SIGILL.
std::atomic<uint32_t> crashes{0};
bool send(int index) {
  std::lock_guard<std::mutex> lock(kernel->mutex);
  auto found = kernel->table().find(index);
  if (found == kernel->table().end()) ++crashes;
  kernel->reached = found == kernel->table().end() ? -1 : found->second;
  return true;
}

struct Target : BellTarget {
  Target(int number, int eventfd) {
    bell = eventfd;
    interrupt = number;
    uintr::introduce(this);
  }
};

struct Tally {
  uint32_t right = 0, wrong = 0, by_bell = 0;
};

// Rings `target` as its doorbell would.
void ring(const Machine* m, const Target& target, Tally* tally) {
  kernel->reached = -1;
  if (!uintr::ring(m, &target, true)) ++tally->by_bell;
  else if (kernel->reached == target.interrupt) ++tally->right;
  else ++tally->wrong;
}

std::vector<Target> make_targets(int count, int bell) {
  std::vector<Target> targets;
  for (int i = 0; i < count; ++i) targets.emplace_back(1000 + i, bell);
  return targets;
}

void run_table() {
  uintr::kernel_call = answer;
  const int bell = eventfd(0, EFD_NONBLOCK);
  constexpr int many = 300;
  for (uint32_t entries : {256u, 40u, 1u}) {
    Kernel k;
    kernel = &k;
    k.first = 471;
    k.by_index = true;
    k.entries = entries;
    auto* senders = new uintr::Senders();
    const Machine* next = uintr::machine_of(Generation::next);
    if (!next) {
      delete senders;
      break;  // not x86-64
    }
    Machine m = *next;
    m.senders = senders;
    m.send = send;
    std::vector<Target> targets = make_targets(many, bell);
    Tally tally;
    for (int i = 0; i < 3000; ++i) ring(&m, targets[below(many)], &tally);
    for (int round = 0; round < 3; ++round)
      for (const Target& t : targets) ring(&m, t, &tally);
    char what[128];
    snprintf(what, sizeof what, "300 receivers share %u entries: every send reaches the right one", entries);
    check(tally.right == 3000 + 3 * many && tally.wrong == 0 && tally.by_bell == 0 && crashes == 0, what);
    check(k.tables[0].size() == entries, "... and no more entries are used");

    const uint32_t set = entries < 20 ? entries : 20;
    for (uint32_t i = 0; i < set; ++i) ring(&m, targets[i], &tally);
    const uint32_t before = k.registered;
    for (int i = 0; i < 1000; ++i) ring(&m, targets[below(set)], &tally);
    ring(&m, targets[many - 1], &tally);
    for (uint32_t i = 1; i < set; ++i) ring(&m, targets[i], &tally);
    check(k.registered <= before + 2 && (set == 1 || k.registered <= before + 1), "... and who is rung often keeps its place");

    k.gone = targets[7].interrupt;
    for (uint32_t i = 0; i < entries; ++i) ring(&m, targets[i + 20], &tally);  // it loses its place
    tally = {};
    ring(&m, targets[7], &tally);
    check(tally.by_bell == 1, "... and one that has ended gets its bell");
    for (const Target& t : targets) uintr::forget(&m, &t);
    check(k.tables[0].empty() && crashes == 0, "... and all are given back");
    Target stranger(1, bell);
    stranger.id = 0;
    check(!uintr::ring(&m, &stranger, true) && !uintr::ring(nullptr, &targets[0], true) && !uintr::ring(&m, &targets[0], false),
          "... and who cannot be interrupted, or sleeps, gets its bell");
    delete senders;
  }
  uint64_t rings;
  check(!uintr::machine_of(Generation::next) || read(bell, &rings, sizeof rings) == sizeof rings, "bells did ring");

  // A table that others have filled.
  if (uintr::machine_of(Generation::next)) {
    Kernel k;
    kernel = &k;
    k.first = 471;
    k.entries = 0;
    auto* senders = new uintr::Senders();
    Machine m = *uintr::machine_of(Generation::next);
    m.senders = senders;
    m.send = send;
    Target target(1, bell);
    Tally tally;
    ring(&m, target, &tally);
    check(tally.by_bell == 1, "without any entry the bell is rung");
    delete senders;
  }
  close(bell);
}

void run_generations() {
  struct Case {
    const char* what;
    Generation generation;
    long first;
    bool has_self, by_thread, by_index, once;
  };
  const Case cases[] = {
      {"RFC v1: a table for each thread, given back by descriptor", Generation::rfc_v1, 449, false, true, false, true},
      {"5.17 series, if threads have tables", Generation::series_5_17, 471, false, true, false, true},
      {"5.17 series, if the process has one", Generation::series_5_17, 471, false, false, false, false},
      {"5.17 series, if the process has one and knows its receivers", Generation::series_5_17, 471, false, false, false, true},
      {"uintr-next: one table, given back by index", Generation::next, 471, true, false, true, false},
      {"mainline: none of it", Generation::none, 0, false, false, false, false},
  };
  uintr::kernel_call = answer;
  const int bell = eventfd(0, EFD_NONBLOCK);
  for (const Case& c : cases) {
    Kernel k;
    kernel = &k;
    k.first = c.first;
    k.has_self = c.has_self;
    k.by_thread = c.by_thread;
    k.by_index = c.by_index;
    k.once = c.once;
    char what[160];
    snprintf(what, sizeof what, "%s: told apart", c.what);
#if defined(__x86_64__)
    check(uintr::ask_generation() == c.generation, what);
#endif
    const Machine* machine = uintr::machine_of(c.generation);
    if (!machine) continue;
    Machine m = *machine;
    m.send = send;
    std::vector<Target> targets = make_targets(300, bell);
    crashes = 0;
    Tally all;
    std::mutex guard;  // as in a rank: one thread at a time
    auto rings = [&](uint32_t count) {
      for (uint32_t i = 0; i < count; ++i) {
        std::lock_guard<std::mutex> lock(guard);
        ring(&m, targets[below(300)], &all);
      }
    };
    {
      std::vector<std::thread> threads;
      for (int i = 0; i < 4; ++i) threads.emplace_back(rings, 2000);
      for (std::thread& t : threads) t.join();
    }
    for (int i = 0; i < 60; ++i) std::thread(rings, 20).join();  // more threads than there is room for, one after the other
    rings(500);
    const uint32_t sum = all.right + all.wrong + all.by_bell;
    snprintf(what, sizeof what, "%s: %u threads, 300 receivers, every send reaches the right one or is a bell", c.what, 65u);
    check(sum == 4 * 2000 + 60 * 20 + 500 && all.wrong == 0 && crashes == 0, what);
    snprintf(what, sizeof what, "%s: %s", c.what, m.recycles ? "nobody needs the bell" : "the bell only when the table is full");
    check(m.recycles ? all.by_bell == 0 : all.right > 0, what);
    for (const Target& t : targets) uintr::forget(&m, &t);
  }
  close(bell);
}

void run_probe() {
  std::string detail;
  uintr::kernel_call = [](long, long, long) -> long { return -ENOSYS; };
  const Machine* machine = uintr::probe(&detail);
  printf("-- here: %s\n", detail.c_str());
  check(machine == nullptr && !detail.empty(), "a kernel without the calls: unavailable, with a reason");
#if defined(__x86_64__)
  struct sigaction before = {}, after = {};
  sigaction(SIGILL, nullptr, &before);
  sigset_t all, blocked;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &blocked);
  const bool enabled = uintr::uif_is_enabled();
  pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
  sigaction(SIGILL, nullptr, &after);
  check(enabled || detail.find("none of the system calls") == std::string::npos, "testui, executed under its guard with all signals blocked, does not end the process");
  check(before.sa_handler == after.sa_handler, "... and the guard is taken away again");
#endif
}

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  run_probe();
  run_table();
  run_generations();
  return finish();
}
