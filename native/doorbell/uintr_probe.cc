// Whether this machine has user interrupts. Asked in this order, and never a system call first, for mainline Linux has given one of the numbers to something
// else: the processor (CPUID); the kernel's list of what it enables; the instruction, under a guard; then which generation of system calls.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "uintr.h"

namespace carillon::uintr {
namespace {

#if defined(__x86_64__)

constexpr unsigned char testui[] = {0xf3, 0x0f, 0x01, 0xed};
__thread bool guarded __attribute__((tls_model("initial-exec")));
__thread bool illegal __attribute__((tls_model("initial-exec")));
struct sigaction before;

void on_illegal(int, siginfo_t*, void* context) {
  greg_t& at = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
  if (guarded && memcmp(reinterpret_cast<const void*>(at), testui, sizeof testui) == 0) {
    illegal = true;
    at += sizeof testui;
    return;
  }
  sigaction(SIGILL, &before, nullptr);  // somebody else's: it happens again, and is handled as ever
}

bool processor_has_them() {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 5 & 1;
}

bool kernel_lists_them() {
  bool found = false;
  if (FILE* file = fopen("/proc/cpuinfo", "re")) {
    char line[8192];
    while (!found && fgets(line, sizeof line, file)) {
      if (strncmp(line, "flags", 5) != 0) continue;
      for (char* word = strtok(line, " \t\n:"); word && !found; word = strtok(nullptr, " \t\n:")) found = strcmp(word, "uintr") == 0;
      break;
    }
    fclose(file);
  }
  return found;
}

const char* find_out() {
  if (!processor_has_them()) return "this processor has no user interrupts (CPUID 7.0 EDX bit 5)";
  if (!kernel_lists_them()) return "the processor has user interrupts, this kernel does not know them (no uintr among the flags of /proc/cpuinfo)";
  if (!uif_is_enabled()) return "the processor has user interrupts, this kernel does not enable them (testui is an illegal instruction)";
  const Machine* machine = machine_of(ask_generation());
  if (!machine) return "processor and kernel have user interrupts, but the kernel has none of the system calls known here (from 449 or 471)";
  use_kernel(machine);
  return "";
}

#else
const char* find_out() { return "user interrupts exist on x86-64 only"; }
#endif

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
const char* why_not = nullptr;  // null: not found out yet

}  // namespace

bool uif_is_enabled() {
#if defined(__x86_64__)
  struct sigaction ours = {};
  ours.sa_sigaction = on_illegal;
  ours.sa_flags = SA_SIGINFO;
  sigemptyset(&ours.sa_mask);
  if (sigaction(SIGILL, &ours, &before) != 0) return false;
  // The progress thread blocks all signals, and one that is raised by an instruction then ends the process.
  sigset_t raised, blocked;
  sigemptyset(&raised);
  sigaddset(&raised, SIGILL);
  pthread_sigmask(SIG_UNBLOCK, &raised, &blocked);
  illegal = false;
  guarded = true;
  test_uif();
  guarded = false;
  pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
  sigaction(SIGILL, &before, nullptr);
  return !illegal;
#else
  return false;
#endif
}

const Machine* probe(std::string* detail) {
  pthread_mutex_lock(&lock);
  if (!why_not) why_not = find_out();
  pthread_mutex_unlock(&lock);
  const Machine* machine = kernel();
  *detail = machine ? std::string("user interrupts reach a thread that runs, their handler makes the progress; the eventfd wakes one that sleeps; ") + machine->name
                    : why_not;
  return machine;
}

}  // namespace carillon::uintr
