// See trace_buffer.h.
#include "trace_buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rank.h"

namespace carillon {

using trace::Buffer;
using trace::Event;

namespace {

// This process's buffer, from when it is opened; trace::current from when it is in a world. Trivial statics only.
std::atomic<Buffer*> opened{nullptr};
std::atomic<int> descriptor{-1};
pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

Buffer* map_buffer(int from) {
  struct stat status;
  if (fstat(from, &status) != 0) return nullptr;
  errno = EINVAL;
  if (!S_ISREG(status.st_mode) || status.st_size < static_cast<off_t>(sizeof(Buffer))) return nullptr;
  void* memory = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, from, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* b = static_cast<Buffer*>(memory);
  if (b->magic == Buffer::says && b->capacity <= (static_cast<uint64_t>(status.st_size) - sizeof(Buffer)) / sizeof(Event)) return b;
  munmap(memory, static_cast<size_t>(status.st_size));
  errno = EINVAL;
  return nullptr;
}

}  // namespace

// Of some readings the one that nothing came between.
Moment trace_moment() {
  Moment best = {};
  uint64_t shortest = UINT64_MAX;
  for (int i = 0; i < 16; ++i) {
    const uint64_t before = trace::ticks(), ns = now_ns(), after = trace::ticks();
    if (after - before >= shortest) continue;
    shortest = after - before;
    best = {before + (after - before) / 2, ns};
  }
  return best;
}

double trace_rate(const Moment& now) {
  const Buffer* b = opened.load();
  return now.ns == b->anchor_ns ? 1 : static_cast<double>(now.ticks - b->anchor_ticks) / static_cast<double>(now.ns - b->anchor_ns);
}

int make_trace(uint64_t capacity) {
  const int made = memfd_create("carillon-trace", MFD_CLOEXEC);
  if (made < 0) return -1;
  void* memory = MAP_FAILED;
  if (ftruncate(made, static_cast<off_t>(sizeof(Buffer) + capacity * sizeof(Event))) == 0)
    memory = mmap(nullptr, sizeof(Buffer), PROT_READ | PROT_WRITE, MAP_SHARED, made, 0);
  if (memory == MAP_FAILED) {
    close(made);
    return -1;
  }
  auto* b = static_cast<Buffer*>(memory);
  const Moment now = trace_moment();
  b->magic = Buffer::says;
  b->capacity = capacity;
  b->anchor_ticks = now.ticks;
  b->anchor_ns = now.ns;
  munmap(memory, sizeof(Buffer));
  return made;
}

const char* open_trace(const char* path, uint64_t capacity) {
  const char* problem = nullptr;
  pthread_mutex_lock(&opening);
  if (!opened.load()) {
    const int found = *path ? open(path, O_RDWR | O_CLOEXEC) : make_trace(capacity);
    Buffer* b = found < 0 ? nullptr : map_buffer(found);
    if (!b) problem = strerror(errno);
    if (found >= 0 && (!b || *path)) close(found);
    else if (b) descriptor.store(found);
    if (b) opened.store(b);
  }
  pthread_mutex_unlock(&opening);
  return problem;
}

Buffer* opened_trace() { return opened.load(); }
int own_trace() { return descriptor.load(); }

void begin_trace(Rank* r) {
  Buffer* b = opened.load();
  if (!b) return;
  b->rank = r->rank;
  b->process = static_cast<uint32_t>(getpid());
  strncpy(b->doorbell, doorbell_of(r->bells.kind)->name, sizeof b->doorbell - 1);
  trace::current.store(b);
  trace::record(trace::Kind::world, 0, {});
}

}  // namespace carillon
