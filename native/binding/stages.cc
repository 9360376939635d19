// Stages by size class; see stages.h. Four classes to a doubling, so that at most a quarter of a stage is unused.
#include "stages.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <bit>

namespace carillon {
namespace {

constexpr uint64_t smallest = 64 << 10;      // below, malloc is as good
constexpr uint64_t largest = 64 << 20;       // above, nothing is kept
constexpr uint64_t most_kept = 64 << 20;     // bytes in all
constexpr uint64_t huge_page = 2 << 20;
constexpr unsigned classes = 41;             // 64 KiB, 80, 96, 112, 128, ... 64 MiB

// Trivial statics only: threads may still be at work when the process ends.
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
unsigned char* kept[classes] = {};           // linked through their first word
uint64_t kept_bytes = 0;

uint64_t size_of(unsigned k) { return (smallest << k / 4) / 4 * (4 + k % 4); }

unsigned class_of(uint64_t bytes) {
  if (bytes <= smallest) return 0;
  unsigned k = static_cast<unsigned>(std::bit_width((bytes - 1) / smallest) - 1) * 4;  // the doubling it lies in
  while (size_of(k) < bytes) ++k;
  return k;
}

unsigned char* map(uint64_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (bytes >= huge_page) madvise(memory, bytes, MADV_HUGEPAGE);
  return static_cast<unsigned char*>(memory);
}

}  // namespace

unsigned char* take_stage(uint64_t bytes, uint64_t* capacity) {
  *capacity = bytes;
  if (bytes < smallest) return static_cast<unsigned char*>(malloc(bytes ? bytes : 1));
  if (bytes > largest) return map(bytes);
  unsigned k = class_of(bytes);
  *capacity = size_of(k);
  pthread_mutex_lock(&mutex);
  unsigned char* stage = kept[k];
  if (stage) {
    kept[k] = *reinterpret_cast<unsigned char**>(stage);
    kept_bytes -= size_of(k);
  }
  pthread_mutex_unlock(&mutex);
  return stage ? stage : map(size_of(k));
}

void give_stage(unsigned char* stage, uint64_t capacity) {
  if (capacity < smallest) return free(stage);
  if (capacity <= largest) {
    unsigned k = class_of(capacity);
    pthread_mutex_lock(&mutex);
    bool keep = kept_bytes + capacity <= most_kept;
    if (keep) {
      *reinterpret_cast<unsigned char**>(stage) = kept[k];
      kept[k] = stage;
      kept_bytes += capacity;
    }
    pthread_mutex_unlock(&mutex);
    if (keep) return;
  }
  munmap(stage, capacity);
}

void drop_stages() {
  pthread_mutex_lock(&mutex);
  for (unsigned k = 0; k < classes; ++k)
    while (unsigned char* stage = kept[k]) {
      kept[k] = *reinterpret_cast<unsigned char**>(stage);
      munmap(stage, size_of(k));
    }
  kept_bytes = 0;
  pthread_mutex_unlock(&mutex);
}

}  // namespace carillon
