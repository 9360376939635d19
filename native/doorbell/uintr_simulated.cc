// The twin of user interrupts: the same interface over signals, so that all but the instructions runs on any machine. Slower than the signal doorbell.
//
// A receiving thread has a page that its senders may write: `posted`, which the processor keeps in the thread's descriptor. A send posts, and signals unless
// it was posted already. The handler takes what is posted and runs, but, like the real thing, does not disturb a thread inside a system call: where the
// interrupted instruction is one, it leaves the request until that thread next looks, or the next send. A sender that dies between posting and signalling,
// or a hostile one that posts for ever, keeps others from signalling; the thread's next look and the doorbell's escalation help.
#include "uintr.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>

#include "system_call.h"

#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SHRINK 0x0002
#define F_SEAL_GROW 0x0004
#endif

namespace carillon::uintr {
namespace {

constexpr long page_bytes = 4096;
constexpr long page_seals = F_SEAL_SHRINK | F_SEAL_GROW;

struct Page {
  std::atomic<uint32_t> posted;  // written by senders and the receiver
  std::atomic<int32_t> thread;   // the receiver's
};

// One thread that receives. Memory of the program's, for ever: a signal that comes late finds `active` false.
struct Receiver {
  std::atomic<bool> active{false};
  std::atomic<int32_t> thread{0};
  Page* page = nullptr;
  int descriptor = -1;
  void (*run)() = nullptr;
  // Its own thread's and its handler's.
  std::atomic<bool> requested{false};  // taken from the page, not run
  std::atomic<bool> uif{false};        // the user-interrupt flag: stui, clui
};
constexpr uint32_t most_receivers = 16;
Receiver receivers[most_receivers];
std::atomic<uint64_t> count_withheld{0}, count_late{0};

__thread Receiver* receiver __attribute__((tls_model("initial-exec")));

Page* map_simulated(int descriptor) {
  const long memory = system_call(SYS_mmap, 0, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  return memory < 0 && memory > -page_bytes ? nullptr : reinterpret_cast<Page*>(memory);
}

// From the page to the thread's own: the next send signals again.
bool take(Receiver* r) {
  if (r->page->posted.load(std::memory_order_relaxed) != 0 && r->page->posted.exchange(0, std::memory_order_seq_cst) != 0)
    r->requested.store(true, std::memory_order_relaxed);
  return r->requested.load(std::memory_order_relaxed);
}

// Not interrupted while it runs, as on the processor until uiret: what comes meanwhile runs it once more.
void deliver(Receiver* r) {
  while (r->uif.load(std::memory_order_relaxed) && r->requested.exchange(false, std::memory_order_relaxed)) {
    r->uif.store(false, std::memory_order_relaxed);
    r->run();
    r->uif.store(true, std::memory_order_relaxed);
  }
}

// Whether the signal has found its thread in a system call, which the kernel restarts at the instruction or has ended with EINTR. (About to
// execute one looks the same.) One that has come to its end returns to the program now, which is when a user interrupt is delivered.
bool in_system_call(const void* context) {
  const mcontext_t& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  const auto at = static_cast<uint64_t>(machine.gregs[REG_RIP]);
  if (at >> 47) return false;  // not the program's memory
  const auto* code = reinterpret_cast<const volatile unsigned char*>(at);
  if (code[0] == 0x0f && code[1] == 0x05) return true;
  return machine.gregs[REG_RAX] == -EINTR && at % page_bytes >= 2 && code[-2] == 0x0f && code[-1] == 0x05;
#else
  constexpr uint32_t svc_0 = 0xd4000001;
  const auto* code = reinterpret_cast<const volatile uint32_t*>(machine.pc);
  if (code[0] == svc_0) return true;
  return static_cast<int64_t>(machine.regs[0]) == -EINTR && machine.pc % page_bytes >= 4 && code[-1] == svc_0;
#endif
}

// Before Linux 6.9 a signal goes to a process, and not always to the thread meant.
void forward(int32_t signal) {
  const long self = system_call(SYS_gettid), process = system_call(SYS_getpid);
  for (Receiver& r : receivers) {
    const int32_t thread = r.thread.load(std::memory_order_relaxed);
    if (r.active.load(std::memory_order_relaxed) && thread != self) system_call(SYS_tgkill, process, thread, signal);
  }
}

int register_handler(void (*run)()) {
  if (receiver) return -EBUSY;
  Receiver* r = nullptr;
  const auto self = static_cast<int32_t>(system_call(SYS_gettid));
  for (uint32_t i = 0; i < most_receivers && !r; ++i) {
    int32_t none = 0;
    if (receivers[i].thread.compare_exchange_strong(none, self)) r = &receivers[i];
  }
  if (!r) return -ENOSPC;
  const long descriptor = system_call(SYS_memfd_create, reinterpret_cast<long>("carillon-uintr"), MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor >= 0 && system_call(SYS_ftruncate, descriptor, page_bytes) == 0 &&
      system_call(SYS_fcntl, descriptor, F_ADD_SEALS, page_seals) == 0)
    r->page = map_simulated(static_cast<int>(descriptor));
  if (!r->page) {
    if (descriptor >= 0) system_call(SYS_close, descriptor);
    r->thread.store(0);
    return descriptor < 0 ? static_cast<int>(descriptor) : -ENOMEM;
  }
  r->descriptor = static_cast<int>(descriptor);
  r->page->thread.store(self);
  r->run = run;
  r->requested.store(false);
  r->uif.store(false);
  receiver = r;
  r->active.store(true);
  return 0;
}

void unregister_handler() {
  Receiver* r = receiver;
  if (!r) return;
  r->active.store(false, std::memory_order_seq_cst);  // a handler on this thread sees it, and there is none on another
  receiver = nullptr;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  system_call(SYS_munmap, reinterpret_cast<long>(r->page), page_bytes);
  system_call(SYS_close, r->descriptor);
  r->page = nullptr;
  r->descriptor = -1;
  r->thread.store(0);
}

int create_descriptor() {
  return receiver ? static_cast<int>(system_call(SYS_fcntl, receiver->descriptor, F_DUPFD_CLOEXEC, 0)) : -EINVAL;
}

void clear_flag() {
  if (receiver) receiver->uif.store(false, std::memory_order_relaxed);
}

void look() {
  Receiver* r = receiver;
  if (!r || !r->uif.load(std::memory_order_relaxed) || !take(r)) return;
  count_late.fetch_add(1, std::memory_order_relaxed);
  deliver(r);
}

void set_flag() {
  if (!receiver) return;
  receiver->uif.store(true, std::memory_order_relaxed);
  look();
}

// ---- senders: an index stands for what the processor finds in its table ----

struct Sender {
  std::atomic<uint32_t>* posted = nullptr;  // null: free
  int descriptor = -1;
  int32_t signal = 0;
};
Sender table[most_senders];
Senders of_this_process_simulated;

int register_sender(const BellTarget* target) {
  if (!target->word) return -EINVAL;
  for (uint32_t i = 0; i < most_senders; ++i) {
    if (table[i].posted) continue;
    table[i] = {target->word, target->interrupt, target->signal};
    return static_cast<int>(i);
  }
  return -ENOSPC;
}

void unregister_sender(int, int index) { table[index] = {}; }

bool send_simulated(int index) {
  const Sender& s = table[index];
  if (s.posted->exchange(1, std::memory_order_seq_cst) != 0) return true;  // there is one on its way
  if (system_call(SYS_pidfd_send_signal, s.descriptor, s.signal) == 0) return true;
  s.posted->store(0, std::memory_order_seq_cst);
  return false;
}

}  // namespace

void on_simulated(int signal, siginfo_t*, void* context) {
  Receiver* r = receiver;
  if (!r) return forward(signal);
  if (!r->active.load(std::memory_order_seq_cst) || !take(r) || !r->uif.load(std::memory_order_relaxed)) return;
  if (in_system_call(context)) count_withheld.fetch_add(1, std::memory_order_relaxed);
  else deliver(r);
}

bool open_simulated(int descriptor, std::atomic<uint32_t>** word, int32_t* thread) {
  struct stat status;
  const long have = system_call(SYS_fcntl, descriptor, F_GET_SEALS);
  if (have < 0 || (have & page_seals) != page_seals) return false;
  if (system_call(SYS_fstat, descriptor, reinterpret_cast<long>(&status)) != 0 || status.st_size < page_bytes) return false;
  Page* page = map_simulated(descriptor);
  if (!page) return false;
  *word = &page->posted;
  *thread = page->thread.load(std::memory_order_relaxed);
  return true;
}

void close_simulated(std::atomic<uint32_t>* word) { system_call(SYS_munmap, reinterpret_cast<long>(word), page_bytes); }

Withheld withheld() { return {count_withheld.load(std::memory_order_relaxed), count_late.load(std::memory_order_relaxed)}; }

const Machine simulated = {.name = "simulated over signals",
                           .register_handler = register_handler,
                           .unregister_handler = unregister_handler,
                           .create_descriptor = create_descriptor,
                           .clui = clear_flag,
                           .stui = set_flag,
                           .look = look,
                           .senders = &of_this_process_simulated,
                           .recycles = true,
                           .register_sender = register_sender,
                           .unregister_sender = unregister_sender,
                           .send = send_simulated};

}  // namespace carillon::uintr
