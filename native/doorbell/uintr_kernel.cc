// Intel user interrupts as Linux offers them, in three generations, none of them in mainline; and the instructions. Built on every x86-64, used only
// where uintr_probe.cc found both processor and kernel to have them.
// What is called "read" was read in the patches, not executed.
#include "uintr.h"

#include <errno.h>

#include "system_call.h"

#if defined(__x86_64__)
#include <x86gprintrin.h>
#endif

namespace carillon::uintr {

long (*kernel_call)(long number, long a, long b) = [](long number, long a, long b) { return system_call(number, a, b); };

#if defined(__x86_64__)

namespace {

constexpr long first_rfc_v1 = 449, first_later = 471;  // mainline has given 449 to futex_waitv: why nobody may ask without the processor's word

// ---- the instructions: the only functions compiled for a processor that has them ----

__attribute__((target("uintr"))) bool execute_senduipi(int index) {
  _senduipi(static_cast<unsigned long long>(index));
  return true;
}
__attribute__((target("uintr"))) void execute_clui() { _clui(); }
__attribute__((target("uintr"))) void execute_stui() { _stui(); }

std::atomic<void (*)()> handler{nullptr};

// The processor steps over the red zone, saves nothing but the return, and takes no other until uiret. No errno is touched in here.
#if defined(__clang__)
#pragma clang diagnostic ignored "-Winterrupt-service-routine"
#endif
__attribute__((interrupt, target("uintr,general-regs-only"))) void on_user_interrupt(struct __uintr_frame*, unsigned long long) {
  if (void (*run)() = handler.load(std::memory_order_relaxed)) run();
}

// ---- the system calls: the same five in a row in every generation ----

template <long first>
int register_handler(void (*run)()) {
  handler.store(run, std::memory_order_relaxed);
  return static_cast<int>(kernel_call(first, reinterpret_cast<long>(on_user_interrupt), 0));
}
template <long first>
void unregister_handler() {
  kernel_call(first + 1, 0, 0);
}
template <long first>
int create_descriptor() {
  return static_cast<int>(kernel_call(first + 2, 0, 0));  // vector 0: one is enough to say "look"
}
template <long first>
int register_sender(const BellTarget* target) {
  return static_cast<int>(kernel_call(first + 3, target->interrupt, 0));
}
template <long first, bool by_index>
void unregister_sender(int descriptor, int index) {
  kernel_call(first + 4, by_index ? index : descriptor, 0);
}

Senders of_this_process;

template <long first, bool by_index>
constexpr Machine machine(const char* name, Senders* senders, bool recycles) {
  return {.name = name,
          .register_handler = register_handler<first>,
          .unregister_handler = unregister_handler<first>,
          .create_descriptor = create_descriptor<first>,
          .clui = execute_clui,
          .stui = execute_stui,
          .look = nullptr,
          .senders = senders,
          .recycles = recycles,
          .register_sender = register_sender<first>,
          .unregister_sender = unregister_sender<first, by_index>,
          .send = execute_senduipi};
}

const Machine rfc_v1 = machine<first_rfc_v1, false>("RFC v1 (system calls from 449)", nullptr, true);
// Whose the table is was not checked here, and entries are given back by descriptor. A table for each thread of which nothing is given back is
// right either way: at worst the same receiver has several entries.
const Machine series_5_17 = machine<first_later, false>("the 5.17 series (system calls from 471)", nullptr, false);
// A thread that sends before it has registered anything is given the process's table when the instruction traps (read).
const Machine next = machine<first_later, true>("uintr-next (system calls from 471)", &of_this_process, true);

}  // namespace

__attribute__((target("uintr"))) bool test_uif() { return _testui(); }

Generation ask_generation() {
  if (kernel_call(first_later, 0, 0) == -EFAULT) {  // register_handler(NULL)
    return kernel_call(first_later + 6, 0, 0xffffffff) == -EINVAL ? Generation::next : Generation::series_5_17;  // register_self(0, ~0)
  }
  return kernel_call(first_rfc_v1, 0, 0) == -EFAULT ? Generation::rfc_v1 : Generation::none;
}

const Machine* machine_of(Generation generation) {
  switch (generation) {
    case Generation::rfc_v1: return &rfc_v1;
    case Generation::series_5_17: return &series_5_17;
    case Generation::next: return &next;
    default: return nullptr;
  }
}

#else

bool test_uif() { return false; }
Generation ask_generation() { return Generation::none; }
const Machine* machine_of(Generation) { return nullptr; }

#endif

}  // namespace carillon::uintr
