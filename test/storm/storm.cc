// Test only: fires the signal doorbell's handler at the thread that asks for it, again and again, wherever that thread is.
//   start(period, steps, every): a timer of `period` ns of its processor time. On x86-64 the next `steps` instructions after it run one by one, and after every
//   `every`th the handler runs: in a virtual machine a timer costs 50 µs, an instruction traced like that one or two. Elsewhere: the timer only.
//   stop(); fired(): how often it fired, all threads together.
// Not responsible for what the handler does (native/doorbell/handler.cc), and it does not know: it looks for the signal that has one.
#include <node_api.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace {

std::atomic<int> doorbell{0};
std::atomic<uint64_t> count{0};

// One for a thread that is stormed. In a static array, for handlers must not allocate.
struct Storm {
  std::atomic<int> thread{0};
  std::atomic<uint32_t> window{0}, every{1};
  timer_t timer;
  // Its own thread's:
  uint32_t left = 0, until = 0;
  uint32_t random = 1;
};
constexpr int most = 64;
Storm storms[most];

Storm* mine() {
  const int self = static_cast<int>(syscall(SYS_gettid));
  for (Storm& s : storms)
    if (s.thread.load(std::memory_order_relaxed) == self) return &s;
  return nullptr;
}

void fire() {
  count.fetch_add(1, std::memory_order_relaxed);
  syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), doorbell.load(std::memory_order_relaxed));  // runs when the caller returns
}

#if defined(__x86_64__)
constexpr greg_t trap_flag = 0x100;

// A system call after which a trap might find signals blocked, or be another thread's.
bool leaves_alone(const ucontext_t* context) {
  const auto* next = reinterpret_cast<const unsigned char*>(context->uc_mcontext.gregs[REG_RIP]);
  if (next[0] != 0x0f || next[1] != 0x05) return false;
  switch (context->uc_mcontext.gregs[REG_RAX]) {
    case SYS_read:
    case SYS_write:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_timerfd_settime:
    case SYS_process_vm_readv:
    case SYS_poll:
    case SYS_sched_yield:
    case SYS_futex: return false;
    default: return true;
  }
}

void on_trap(int, siginfo_t*, void* argument) {
  const int kept = errno;
  auto* context = static_cast<ucontext_t*>(argument);
  Storm* s = mine();
  if (!s || s->left == 0 || --s->left == 0 || leaves_alone(context)) {
    context->uc_mcontext.gregs[REG_EFL] &= ~trap_flag;
    if (s) s->left = 0;
  } else if (--s->until == 0) {
    s->until = s->every.load(std::memory_order_relaxed);
    fire();
  }
  errno = kept;
}

void trace(Storm* s, void* argument) {
  auto* context = static_cast<ucontext_t*>(argument);
  s->random = s->random * 1664525 + 1013904223;
  s->left = leaves_alone(context) ? 0 : s->window.load(std::memory_order_relaxed);
  s->until = 1 + (s->random >> 16) % s->every.load(std::memory_order_relaxed);
  if (s->left > 0) context->uc_mcontext.gregs[REG_EFL] |= trap_flag;
}
#else
void trace(Storm*, void*) {}
#endif

void on_timer(int, siginfo_t*, void* argument) {
  const int kept = errno;
  if (Storm* s = mine(); s && s->left == 0) {
    fire();
    trace(s, argument);
  }
  errno = kept;
}

constexpr int timer_signal() { return 63; }

// The real-time signal that a rank has installed a handler for.
int find_doorbell() {
  for (int candidate = SIGRTMIN; candidate < timer_signal(); ++candidate) {
    struct sigaction action;
    if (sigaction(candidate, nullptr, &action) == 0 && action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) return candidate;
  }
  return 0;
}

void end(void* argument) {
  auto* s = static_cast<Storm*>(argument);
  if (s->thread.load() == 0) return;
  timer_delete(s->timer);
  s->window.store(0);
  s->thread.store(0);
}

napi_value start(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t given = 3;
  uint32_t period = 0, window = 0, every = 1;
  napi_get_cb_info(env, info, &given, arguments, nullptr, nullptr);
  napi_get_value_uint32(env, arguments[0], &period);
  napi_get_value_uint32(env, arguments[1], &window);
  napi_get_value_uint32(env, arguments[2], &every);
  const int signal = find_doorbell(), self = static_cast<int>(syscall(SYS_gettid));
  Storm* s = nullptr;
  for (Storm& each : storms) {
    int nobody = 0;
    if (each.thread.compare_exchange_strong(nobody, self)) {
      s = &each;
      break;
    }
  }
  if (signal == 0 || !s) {
    napi_throw_error(env, nullptr, signal ? "too many threads" : "no rank here is rung by a signal");
    return nullptr;
  }
  doorbell.store(signal);
  struct sigaction action = {};
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  action.sa_sigaction = on_timer;
  sigfillset(&action.sa_mask);  // else it would have a handler traced whose traps are blocked
  sigaction(timer_signal(), &action, nullptr);
#if defined(__x86_64__)
  action.sa_sigaction = on_trap;
  sigaction(SIGTRAP, &action, nullptr);
#endif
  s->window.store(window);
  s->every.store(every);
  s->random = static_cast<uint32_t>(self);
  sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = timer_signal();
  event._sigev_un._tid = self;
  timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &s->timer);  // else a thread that gets little of a processor does nothing but this
  const itimerspec times = {{0, static_cast<long>(period)}, {0, static_cast<long>(period)}};
  timer_settime(s->timer, 0, &times, nullptr);
  napi_add_env_cleanup_hook(env, end, s);
  return nullptr;
}

napi_value stop(napi_env env, napi_callback_info) {
  if (Storm* s = mine()) {
    napi_remove_env_cleanup_hook(env, end, s);
    end(s);
  }
  return nullptr;
}

napi_value fired(napi_env env, napi_callback_info) {
  napi_value value;
  napi_create_double(env, static_cast<double>(count.load()), &value);
  return value;
}

}  // namespace

extern "C" napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback call;
  } all[] = {{"start", start}, {"stop", stop}, {"fired", fired}};
  for (const auto& each : all) {
    napi_value function;
    napi_create_function(env, each.name, NAPI_AUTO_LENGTH, each.call, nullptr, &function);
    napi_set_named_property(env, exports, each.name, function);
  }
  return exports;
}
