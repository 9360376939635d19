// Fibers; see fiber.h. Switching is by hand on x86-64 (swapcontext costs two system calls), by ucontext elsewhere.
#include "fiber.h"

#include <cstdint>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace sim {
namespace {

unsigned char* free_stacks[64];
unsigned free_count = 0;
Fiber* starting = nullptr;

[[maybe_unused]] void start() {
  Fiber* f = starting;
  f->entry(f->argument);
  abort();
}

}  // namespace

#if defined(__x86_64__)

extern "C" void carillon_sim_switch(void** from, void* to);
asm(R"(
.text
.globl carillon_sim_switch
.type carillon_sim_switch, @function
carillon_sim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size carillon_sim_switch, .-carillon_sim_switch
)");

static void lay_out(Fiber* f) {
  auto* top = reinterpret_cast<uint64_t*>(f->stack + stack_bytes);
  *--top = 0;                                  // where start would return to; the stack is aligned as after a call
  *--top = reinterpret_cast<uint64_t>(start);
  for (int i = 0; i < 6; ++i) *--top = 0;
  f->context = top;
}
void switch_fiber(Fiber* from, Fiber* to) {
  starting = to;
  carillon_sim_switch(&from->context, to->context);
}

#else

static void lay_out(Fiber* f) {
  auto* context = static_cast<ucontext_t*>(malloc(sizeof(ucontext_t)));
  getcontext(context);
  context->uc_stack.ss_sp = f->stack;
  context->uc_stack.ss_size = stack_bytes;
  context->uc_link = nullptr;
  makecontext(context, start, 0);
  f->context = context;
}
void switch_fiber(Fiber* from, Fiber* to) {
  if (!from->context) from->context = calloc(1, sizeof(ucontext_t));
  starting = to;
  swapcontext(static_cast<ucontext_t*>(from->context), static_cast<ucontext_t*>(to->context));
}

#endif

void prepare(Fiber* f, void (*entry)(void*), void* argument) {
  f->entry = entry;
  f->argument = argument;
  f->stack = free_count ? free_stacks[--free_count]
                        : static_cast<unsigned char*>(aligned_alloc(4096, stack_bytes));
  lay_out(f);
}

void discard(Fiber* f) {
  if (!f->stack) return;
  ASAN_UNPOISON_MEMORY_REGION(f->stack, stack_bytes);  // the frames it was abandoned in
  if (free_count < 64) free_stacks[free_count++] = f->stack;
  else free(f->stack);
#if !defined(__x86_64__)
  free(f->context);
#endif
  f->stack = nullptr;
  f->context = nullptr;
}

}  // namespace sim
