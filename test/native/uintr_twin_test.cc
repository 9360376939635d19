// Direct tests of the simulated twin of user interrupts: real threads, in and out of system calls, and a rank's side of it. Linked with
// native/engine_unit.cc, native/doorbell/install.cc and uintr_probe.cc. Prints one line per check; the exit code is 1 when one failed.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "../../native/core/relax.h"
#include "../../native/doorbell/handler.h"
#include "../../native/doorbell/install.h"
#include "../../native/doorbell/uintr.h"
#include "check.h"

using namespace carillon;
using uintr::Machine;

namespace {

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

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  run_simulated();
  run_rank_side();
  return finish();
}
