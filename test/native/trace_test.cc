// The timeline's buffer, without Node: events of threads and of handlers that interrupt them are complete or absent, whoever is killed; what finds no
// room is counted; and what an event costs (a line, no verdict). Ends with "N passed, M failed".
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "../../native/doorbell/install.h"
#include "../../native/trace/trace.h"
#include "check.h"

using namespace carillon;
using trace::Buffer;
using trace::Event;
using trace::Kind;

namespace {

Buffer* make(uint64_t capacity) {
  void* memory = mmap(nullptr, sizeof(Buffer) + capacity * sizeof(Event), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) abort();
  auto* b = static_cast<Buffer*>(memory);
  b->magic = Buffer::says;
  b->capacity = capacity;
  trace::current.store(b);
  return b;
}

void drop(Buffer* b) {
  trace::current.store(nullptr);
  munmap(b, sizeof(Buffer) + b->capacity * sizeof(Event));
}

// Every field follows from one number.
void write(Kind kind, uint64_t n) {
  trace::record(kind, n + 1, {.how = trace::How::eager, .peer = static_cast<int32_t>(n), .tag = static_cast<int32_t>(~n), .bytes = n * 3, .number = n * 5, .key = n * 7, .detail = static_cast<uint32_t>(n) ^ 9},
                n + 2);
}

bool whole(const Event& e) {
  const uint64_t n = e.begin - 1;
  return e.end == n + 2 && e.bytes == n * 3 && e.number == n * 5 && e.key == n * 7 && e.peer == static_cast<int32_t>(n) && e.lane != 0 &&
         e.tag == static_cast<int32_t>(~n) && e.detail == (static_cast<uint32_t>(n) ^ 9) && e.how == static_cast<uint8_t>(trace::How::eager);
}

std::atomic<uint64_t> handled{0};
void in_handler(int, siginfo_t*, void*) { write(Kind::handler, handled.fetch_add(1)); }

constexpr uint64_t each = 200'000;
std::atomic<int> running{0};

void* writes(void*) {
  for (uint64_t n = 0; n < each; ++n) write(Kind::send, n);
  --running;
  return nullptr;
}

// Threads write while signals interrupt them, this one in the middle of an event now and then.
void test_threads_and_handlers() {
  Buffer* b = make(1 << 20);
  const int signal = install_signal(in_handler);
  constexpr int threads = 3;
  pthread_t thread[threads];
  running = threads;
  for (auto& t : thread) pthread_create(&t, nullptr, writes, nullptr);
  for (int i = 0; running > 0; i = (i + 1) % threads) {
    pthread_kill(thread[i], signal);
    write(Kind::push, static_cast<uint64_t>(i));
    sched_yield();
  }
  for (auto& t : thread) pthread_join(t, nullptr);
  uint64_t sends = 0, handlers = 0;
  bool all_whole = true;
  const uint64_t next = b->next.load();
  for (uint64_t i = 0; i < next && i < b->capacity; ++i) {
    const Event& e = b->event[i];
    all_whole &= whole(e);
    sends += e.kind.load() == Kind::send;
    handlers += e.kind.load() == Kind::handler;
  }
  check(next <= b->capacity && all_whole, "every event is whole");
  check(sends == each * threads, "none is missing");
  check(handlers == handled.load() && handlers > 0, "nor of those that interrupted one");
  check(b->threads.load() >= threads + 1, "each thread has a lane");
  drop(b);
}

void test_full() {
  Buffer* b = make(100);
  for (uint64_t n = 0; n < 250; ++n) write(Kind::send, n);
  bool kept = b->next.load() == 250;
  for (uint64_t i = 0; i < 100; ++i) kept &= whole(b->event[i]) && b->event[i].begin == i + 1;
  check(kept, "a full buffer keeps the first events and counts the others");
  drop(b);
}

// Killed at any instruction: of each slot either the whole event is there or none.
void test_killed() {
  bool sound = true;
  uint64_t most = 0;
  for (int run = 0; run < 60; ++run) {
    Buffer* b = make(1 << 18);
    const pid_t child = fork();
    if (child == 0)
      for (uint64_t n = 0;; ++n) {
        write(Kind::send, n);
        if (b->next.load() >= b->capacity) pause();
      }
    while (b->next.load() < static_cast<uint64_t>(run)) sched_yield();
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const uint64_t next = std::min(b->next.load(), b->capacity);
    for (uint64_t i = 0; i < next; ++i)
      if (b->event[i].kind.load() != Kind::none) sound &= whole(b->event[i]);
    most = std::max(most, next);
    drop(b);
  }
  check(sound && most > 0, "what a killed process leaves is whole");
}

void test_threads_table() {
  Buffer* b = make(1000);
  trace::name_thread("a name that is longer than what there is room for");
  for (uint32_t i = 0; i < trace::max_threads + 10; ++i) {
    pthread_t t;
    pthread_create(&t, nullptr, [](void*) -> void* { return write(Kind::send, 1), nullptr; }, nullptr);
    pthread_join(t, nullptr);
  }
  bool sound = b->next.load() == trace::max_threads + 10;
  for (uint64_t i = 0; i < b->next.load(); ++i) sound &= b->event[i].kind.load() == Kind::send && b->event[i].lane < trace::max_threads;
  check(sound, "threads that find no lane share one");
  drop(b);
}

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// ns each, the median of many rounds.
template <typename Do>
double cost(Do once) {
  double rounds[101];
  for (double& round : rounds) {
    const double begin = now();
    for (uint64_t n = 0; n < 2000; ++n) once(n);
    round = (now() - begin) / 2000;
  }
  std::sort(rounds, rounds + 101);
  return rounds[50];
}

void measure() {
  volatile uint64_t sink = 0;
  const auto span = [&](uint64_t n) {
    const uint64_t begin = trace::begin();
    sink = n;
    if (begin) trace::record(Kind::send, begin, {.peer = 1, .tag = 2, .bytes = n, .number = n});
  };
  const double bare = cost([&](uint64_t n) { sink = n; });
  const double off = cost(span);
  Buffer* b = make(1 << 19);
  for (uint64_t i = 0; i < b->capacity; ++i) b->event[i].tag = 0;  // pages
  const double on = cost(span), instant = cost([](uint64_t n) { trace::record(Kind::wake, 0, {.number = n}); });
  const double clock = cost([&](uint64_t) { sink = trace::ticks(); });
  drop(b);
  printf("     an event: %.1f ns with its beginning and end, %.1f ns with one time, %.1f ns when off; a look at the clock %.1f ns\n", on - bare,
         instant, off - bare, clock);
}

}  // namespace

int main() {
  test_threads_and_handlers();
  test_full();
  test_killed();
  test_threads_table();
  measure();
  return finish();
}
