// Direct tests of the uintr doorbells: the table of senders over made-up kernels of each generation, and the simulated twin with real threads. Linked with
// native/engine_unit.cc, native/doorbell/install.cc and uintr_probe.cc. Prints one line per check; the exit code is 1 when one failed.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "../../native/core/relax.h"
#include "../../native/doorbell/handler.h"
#include "../../native/doorbell/install.h"
#include "../../native/doorbell/uintr.h"

using namespace carillon;
using uintr::Generation;
using uintr::Machine;

namespace {

int passed = 0, failed = 0;
void check(bool holds, const char* what) {
  ++(holds ? passed : failed);
  printf("%s %s\n", holds ? "ok  " : "FAIL", what);
}

uint64_t state = 88172645463325252ull;
uint32_t below(uint32_t n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<uint32_t>(state >> 20) % n;
}

// ---- made-up kernels ---------------------------------------------------------------------------------------------------

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

// ---- the simulated twin --------------------------------------------------------------------------------------------------

constexpr long pidfd_thread = O_EXCL;  // PIDFD_THREAD
std::atomic<uint32_t> runs{0}, elsewhere{0};
std::atomic<int32_t> receiving{0};
void run() {
  if (static_cast<int32_t>(syscall(SYS_gettid)) != receiving.load()) elsewhere.fetch_add(1);
  runs.fetch_add(1);
}

// A thread that receives, and does one thing after the other as it is told.
struct Receiver {
  std::atomic<int> descriptor{-1};
  std::atomic<int32_t> thread{0};
  std::atomic<int> told{0}, done{0};
  std::atomic<bool> spin{false};
  std::atomic<int> result{0};
  int pipe_in = -1, pipe_out = -1;
  std::thread worker;

  enum Order { rest, spinning, reading, sleeping, closed, open, looking, again, end };

  Receiver() {
    int both[2];
    (void)!pipe(both);
    pipe_in = both[1];
    pipe_out = both[0];
    worker = std::thread([this] { work(); });
    while (descriptor.load() < 0) sched_yield();
  }
  ~Receiver() {
    if (worker.joinable()) {
      tell(end);
      worker.join();
    }
    close(pipe_in);
    close(pipe_out);
    close(descriptor.load());
  }

  void tell(int order) {
    done.store(0);
    told.store(order);
  }
  void wait() const {
    while (!done.load()) sched_yield();
  }
  void tell_and_wait(int order) {
    tell(order);
    wait();
  }

  void work() {
    thread.store(static_cast<int32_t>(syscall(SYS_gettid)));
    receiving.store(thread.load());
    const Machine& m = uintr::simulated;
    if (m.register_handler(run) == 0) {
      m.stui();
      descriptor.store(m.create_descriptor());
    }
    for (;;) {
      const int order = told.exchange(rest);
      if (order == rest) {
        for (int i = 0; i < 100; ++i) relax();  // runs, without a system call
        continue;
      }
      if (order == end) break;
      switch (order) {
        case spinning:
          spin.store(true);
          while (spin.load()) {}
          break;
        case reading: {
          char byte;
          result.store(static_cast<int>(read(pipe_out, &byte, 1)));
          break;
        }
        case sleeping: {
          timespec left = {0, 300'000'000};
          int times = 1;
          while (nanosleep(&left, &left) != 0 && errno == EINTR) ++times;
          result.store(times);
          break;
        }
        case closed: m.clui(); break;
        case open: m.stui(); break;
        case looking: m.look(); break;
        case again: result.store(m.register_handler(run)); break;
      }
      done.store(1);
    }
    m.clui();
    m.unregister_handler();
  }

  // Until the kernel has it asleep in a system call.
  void falls_asleep() const {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread.load());
    for (;;) {
      FILE* file = fopen(path, "re");
      const char* end = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : nullptr;
      const bool asleep = end && end[2] == 'S';
      if (file) fclose(file);
      if (asleep) return;
      sched_yield();
    }
  }
};

// A sender's view of it.
struct Sender : BellTarget {
  Sender(const Receiver& r, int32_t number, bool to_process, int eventfd) {
    int32_t of;
    opened = uintr::open_simulated(r.descriptor.load(), &word, &of) && of == r.thread.load();
    signal = number;
    bell = eventfd;
    if (!to_process) interrupt = static_cast<int>(syscall(SYS_pidfd_open, of, pidfd_thread));
    if (interrupt < 0) interrupt = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
    uintr::introduce(this);
  }
  ~Sender() {
    uintr::forget(&uintr::simulated, this);
    if (opened) uintr::close_simulated(word);
    close(interrupt);
  }
  bool ring() const { return uintr::ring(&uintr::simulated, this, true); }
  bool opened = false;
};

void nap() {
  const timespec moment = {0, 1'000'000};
  nanosleep(&moment, nullptr);
}

void wait_for(const std::atomic<uint32_t>& count, uint32_t value) {
  for (int i = 0; i < 20000 && count.load() < value; ++i) nap();
}

// More were withheld than `before`; or it takes so long that the next check fails.
void wait_until_withheld(uint64_t before) {
  for (int i = 0; i < 20000 && uintr::withheld().withheld == before; ++i) nap();
}

void run_simulated() {
  const int32_t number = install_signal(uintr::on_simulated);
  check(number != 0 && install_signal(uintr::on_simulated) == number && install_signal(on_signal) != number, "a signal of its own, once");
  const int bell = eventfd(0, EFD_NONBLOCK);
  for (bool to_process : {false, true}) {
    printf("-- signals to the %s\n", to_process ? "process, as before Linux 6.9" : "thread");
    Receiver r;
    Sender s(r, number, to_process, bell);
    check(s.opened, "what the receiver hands over is a page that says whose it is");
    const Machine& m = uintr::simulated;

    runs = 0;
    for (uint32_t i = 1; i <= 100; ++i) {
      s.ring();
      wait_for(runs, i);
    }
    check(runs == 100 && elsewhere == 0, "a thread that runs is interrupted, itself and each time");

    r.tell(Receiver::spinning);
    while (!r.spin.load()) sched_yield();
    runs = 0;
    check(s.ring(), "a thread that spins without a system call: sent");
    wait_for(runs, 1);
    check(runs == 1 && !r.done.load(), "... and its handler runs while it spins");
    r.spin.store(false);
    r.wait();

    runs = 0;
    uint64_t left = uintr::withheld().withheld;
    r.tell(Receiver::reading);
    r.falls_asleep();
    s.ring();
    wait_until_withheld(left);
    for (int i = 0; i < 20; ++i) nap();
    check(runs == 0 && !r.done.load(), "a thread in read() is not disturbed, and goes on reading");
    (void)!write(r.pipe_in, "x", 1);
    r.wait();
    check(r.result == 1, "... which ends with what was read");
    const uint64_t late = uintr::withheld().late;
    check(runs == 0, "... and nothing has run yet");
    r.tell_and_wait(Receiver::looking);
    check(runs == 1 && uintr::withheld().late == late + 1, "... until it looks: late, once, and counted");
    r.tell_and_wait(Receiver::looking);
    check(runs == 1, "... and no more");

    runs = 0;
    left = uintr::withheld().withheld;
    r.tell(Receiver::reading);
    r.falls_asleep();
    s.ring();
    wait_until_withheld(left);
    (void)!write(r.pipe_in, "x", 1);
    r.wait();
    s.ring();
    wait_for(runs, 1);
    check(runs == 1, "or until the next send");

    runs = 0;
    left = uintr::withheld().withheld;
    timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    r.tell(Receiver::sleeping);
    r.falls_asleep();
    s.ring();
    wait_until_withheld(left);
    r.wait();
    clock_gettime(CLOCK_MONOTONIC, &to);
    const double slept = static_cast<double>(to.tv_sec - from.tv_sec) + static_cast<double>(to.tv_nsec - from.tv_nsec) * 1e-9;
    check(runs == 0 && slept >= 0.3 && r.result <= 2, "a thread in nanosleep(), which no signal handler lets restart, sleeps its time in a loop");
    r.tell_and_wait(Receiver::looking);
    check(runs == 1, "... and looks later");

    runs = 0;
    r.tell_and_wait(Receiver::closed);
    for (int i = 0; i < 5; ++i) {
      check(s.ring(), "clui: sent");
      nap();
    }
    check(runs == 0, "clui withholds");
    r.tell_and_wait(Receiver::open);
    check(runs == 1, "stui delivers, five sends as one");

    // Many senders at once: nothing that is sent after a run has begun is lost.
    runs = 0;
    {
      std::vector<std::thread> senders;
      std::vector<Sender*> ends;
      std::mutex guard;
      for (int i = 0; i < 4; ++i) ends.push_back(new Sender(r, number, to_process, bell));
      for (Sender* each : ends)
        senders.emplace_back([each, &guard] {
          for (int i = 0; i < 500; ++i) {
            std::lock_guard<std::mutex> lock(guard);
            each->ring();
          }
        });
      for (std::thread& t : senders) t.join();
      for (int i = 0; i < 1000 && s.word->load() != 0; ++i) nap();
      const uint32_t before = runs;
      check(before >= 1 && before <= 2000 && s.word->load() == 0, "2,000 sends by four: none is left over");
      s.ring();
      wait_for(runs, before + 1);
      check(runs > before, "... and the next one is delivered as ever");
      for (Sender* each : ends) delete each;
    }

    // Its sender died between posting and signalling.
    runs = 0;
    s.word->store(1);
    s.ring();
    nap();
    check(runs == 0, "a sender that died in the middle silences the next");
    r.tell_and_wait(Receiver::looking);
    check(runs == 1, "... until the thread looks");
    s.ring();
    wait_for(runs, 2);
    check(runs == 2, "... after which all is well");

    r.tell_and_wait(Receiver::again);
    check(r.result == -EBUSY, "a thread registers once");

    // 257 senders: recycled above the table, refused by it.
    std::vector<Sender*> many;
    runs = 0;
    bool reached = true;
    for (uint32_t i = 0; i < 300; ++i) {
      many.push_back(new Sender(r, number, to_process, bell));
      reached &= many.back()->ring();
      wait_for(runs, i + 1);
    }
    check(reached && runs == 300, "300 senders through 256 entries");
    check(m.register_sender(&s) == -ENOSPC, "the 257th is refused by the table itself");
    for (Sender* each : many) delete each;

    // The thread ends; its number may be another's by now.
    runs = 0;
    r.tell(Receiver::end);
    r.worker.join();
    uint64_t rings = 0;
    while (read(bell, &rings, sizeof rings) > 0) {}
    const bool sent = s.ring();
    for (int i = 0; i < 5; ++i) nap();
    check(runs == 0 && (to_process || (!sent && read(bell, &rings, sizeof rings) == sizeof rings)),
          to_process ? "a thread that has ended hears nothing, nor does anybody else" : "a thread that has ended hears nothing, and the bell is rung");
  }
  for (int i = 0; i < 40; ++i) Receiver one;
  check(true, "receivers come and go");

  // No descriptor of this kind.
  std::atomic<uint32_t>* word;
  int32_t thread;
  check(!uintr::open_simulated(bell, &word, &thread) && !uintr::open_simulated(-1, &word, &thread), "what is no page is refused");
  close(bell);
}

// What a rank does with it: begin, the handler of the process, end.
void run_rank_side() {
  struct Counted {
    std::atomic<uint32_t> runs{0};
  } counted;
  const Handler handler = {[](void* self) { static_cast<Counted*>(self)->runs.fetch_add(1); }, &counted};
  begin_interrupts(&handler);
  const Interrupts before = interrupts();
  const int descriptor = uintr::begin(&uintr::simulated);
  check(descriptor >= 0, "the main thread begins to receive");
  BellTarget self;
  int32_t thread;
  check(uintr::open_simulated(descriptor, &self.word, &thread), "... and hands over its page");
  self.interrupt = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  self.signal = install_signal(uintr::on_simulated);
  uintr::introduce(&self);
  // Raised by itself, it arrives as the system call that sends it returns: to the program, so it is delivered there and then.
  check(uintr_simulated_doorbell.ring(&self, true), "... rings itself");
  for (int i = 0; i < 1000 && counted.runs == 0; ++i)
    for (int j = 0; j < 1000; ++j) relax();
  const Interrupts after = interrupts();
  check(counted.runs == 1 && after.all == before.all + 1 && after.main_thread == before.main_thread + 1, "... and its handler is run, and counted");
  end_interrupts();
  uintr_simulated_doorbell.ring(&self, true);
  check(counted.runs == 1, "none runs after end_interrupts");
  uintr::end(&uintr::simulated);
  uintr::forget(&uintr::simulated, &self);
  uintr::close_simulated(self.word);
  close(self.interrupt);
  close(descriptor);
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
  run_simulated();
  run_rank_side();
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
