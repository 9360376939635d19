// Leases without Node: two ranks' bookkeeping in one process that lends itself memory. What is refused as a peer's memory, when
// a region may be written again, what is kept, dropped and forgotten. `threads`: the part with threads only.
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>

#include "../../native/leases/leases.h"
#include "check.h"

using namespace carillon;
using namespace carillon::leases;

static int open_descriptors() {
  int count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (readdir(directory)) ++count;
  closedir(directory);
  return count;
}

static int mappings() {
  int count = 0;
  FILE* maps = fopen("/proc/self/maps", "re");
  char line[512];
  while (fgets(line, sizeof line, maps)) count += strstr(line, "memfd:carillon") != nullptr;
  fclose(maps);
  return count;
}

// Rank 0 lends, rank 1 borrows; both are this process.
struct Pair {
  std::atomic<uint64_t> regions[2][max_regions] = {};
  std::atomic<uint32_t> returned[2][max_loans] = {};  // by who writes it
  Port port[2];  // as rank 0, as rank 1 sees the other
  Leases* rank[2];
  int self = static_cast<int>(syscall(434, getpid(), 0u));

  Pair() {
    for (int i = 0; i < 2; ++i) {
      rank[i] = Leases::open(2, regions[i]);
      port[i].returned = returned[i];
      port[i].came_back = returned[1 - i];
      port[i].regions = regions[1 - i];
      rank[i]->connect(1 - static_cast<uint32_t>(i), self, &port[i]);
    }
  }
  ~Pair() {
    rank[0]->close();
    rank[1]->close();
    close(self);
  }
  Leases& owner() { return *rank[0]; }
  Leases& borrower() { return *rank[1]; }

  // Lends the pages and has them mapped.
  Pages* hand_over(Pages* pages, uint64_t bytes) {
    Loan loan;
    if (!owner().lend(pages, 1, &loan)) return nullptr;
    Pages* mapped = borrower().map(0, loan, bytes, false);
    if (mapped) owner().lent(pages);
    return mapped;
  }
};

static void refusals() {
  Pair pair;
  Pages* pages = pair.owner().allocate(10000);
  check(pages && pages->memory.bytes == 12288, "a lease is of whole pages");
  Loan sound;
  check(pair.owner().lend(pages, 1, &sound), "it can be lent");
  const int before = open_descriptors();
  constexpr int future_write = 0x0010;
  constexpr int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | future_write;
  auto memfd = [](size_t bytes, int seals) {
    const int descriptor = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ftruncate(descriptor, static_cast<off_t>(bytes)) != 0 || fcntl(descriptor, F_ADD_SEALS, seals) != 0) abort();
    return descriptor;
  };
  const int unsealed = memfd(12288, F_SEAL_SHRINK), another = memfd(12288, all), event = eventfd(0, EFD_CLOEXEC);
  const struct {
    const char* what;
    Loan loan;
  } rows[] = {
      {"a descriptor there is none", {sound.inode, 12288, 99999, 1, 0, 0, 0, 0}},
      {"a negative descriptor", {sound.inode, 12288, -1, 1, 0, 0, 0, 0}},
      {"what is no memory", {sound.inode, 12288, event, 1, 0, 0, 0, 0}},
      {"memory without the seals", {sound.inode, 12288, unsealed, 1, 0, 0, 0, 0}},
      {"sealed memory that is not what was lent", {sound.inode, 12288, another, 1, 0, 0, 0, 0}},
      {"memory of another size than told", {sound.inode, 8192, sound.descriptor, 1, 0, 0, 0, 0}},
      {"memory larger than it is", {sound.inode, uint64_t{1} << 50, sound.descriptor, 1, 0, 0, 0, 0}},
      {"memory smaller than the body", {sound.inode, 4096, sound.descriptor, 1, 0, 0, 0, 0}},
      {"a loan word there is none", {sound.inode, 12288, sound.descriptor, 1, max_loans, 0, 0, 0}},
      {"a place beyond its end", {sound.inode, 12288, sound.descriptor, 1, 0, 0, 0, 4096}},
      {"a place that overflows", {sound.inode, 12288, sound.descriptor, 1, 0, 0, 0, ~uint64_t{0}}},
      {"what is only shown, to be kept,", {sound.inode, 12288, sound.descriptor, 1, 0, 0, 1, 0}},
  };
  for (const auto& row : rows) {
    char text[128];
    snprintf(text, sizeof text, "%s is not mapped", row.what);
    check(pair.borrower().map(0, row.loan, 10000, false) == nullptr, text);
  }
  for (const int descriptor : {unsealed, another, event}) close(descriptor);
  check(open_descriptors() == before, "and nothing is left of the attempts");
  Loan odd = sound;
  odd.region = 60000;
  Pages* mapped = pair.borrower().map(0, odd, 10000, false);
  check(mapped != nullptr, "a region without a word is mapped");
  pair.borrower().release(mapped);
  check(pair.borrower().counts().cached == 0, "but not kept");
  pair.owner().release(pages);
}

static void hand_overs() {
  Pair pair;
  Pages* pages = pair.owner().allocate(100000);
  unsigned char* own = pages->memory.base;
  memset(own, 1, 100000);
  Pages* mapped = pair.hand_over(pages, 100000);
  check(mapped && mapped->memory.base != own && mapped->memory.base[99999] == 1, "the receiver sees what was written");
  memset(mapped->memory.base, 7, 50000);
  check(own[0] == 1 && mapped->memory.base[0] == 7, "what the receiver writes is its own");
  Pages* other = pair.owner().allocate(100000);
  check(other != pages, "memory that is out is not used again");
  pair.owner().release(other);
  unsigned char* where = mapped->memory.base;
  pair.borrower().release(mapped);
  check(pair.owner().counts().out == 1, "the owner hears of the return when it looks");
  // The one that came back last is the same size: ask for both.
  Pages* first = pair.owner().allocate(100000);
  Pages* second = pair.owner().allocate(100000);
  Pages* again = first->memory.base == own ? first : second;
  check(again->memory.base == own, "memory that came back is used again");
  memset(own, 2, 100000);
  mapped = pair.hand_over(again, 100000);
  check(mapped && mapped->memory.base == where && pair.borrower().counts().mapped_anew == 1, "and its mapping");
  check(mapped->memory.base[0] == 2 && mapped->memory.base[99999] == 2, "which shows what is there now");
  pair.borrower().release(mapped);
  pair.owner().release(first == again ? second : first);
}

static void slots() {
  Pair pair;
  Pages* out[max_loans + 1];
  Pages* in[max_loans + 1];
  bool all = true;
  for (uint32_t i = 0; i < max_loans; ++i) {
    out[i] = pair.owner().allocate(1);
    all &= (in[i] = pair.hand_over(out[i], 1)) != nullptr;
  }
  check(all, "as many leases are out at a peer as there are words");
  out[max_loans] = pair.owner().allocate(1);
  Loan loan;
  check(!pair.owner().lend(out[max_loans], 1, &loan), "and no more");
  pair.borrower().release(in[7]);
  check(pair.owner().lend(out[max_loans], 1, &loan) && loan.slot == 7 && loan.generation == 2, "one back, one more");
  check(pair.owner().counts().out == max_loans - 1, "the others are still out");
  pair.owner().release(out[max_loans]);
  for (uint32_t i = 0; i < max_loans; ++i)
    if (i != 7) pair.borrower().release(in[i]);
  check(!pair.owner().lend(nullptr, 0, &loan), "nobody lends to oneself");
}

// The sender went away between the receiver's claim and its answer: the receiver may have the memory and give it back
// after the slot was lent again.
static void unheard() {
  Pair pair;
  Pages* pages = pair.owner().allocate(4096);
  pages->memory.base[0] = 5;
  Loan loan, next = {};
  pair.owner().lend(pages, 1, &loan);
  Pages* mapped = pair.borrower().map(0, loan, 1, false);
  pair.owner().discard(pages);
  check(mapped->memory.base[0] == 5, "memory that its owner dropped stays with who has it");
  Pages* later = nullptr;
  for (uint32_t i = 0; i < max_loans; ++i) {  // until it is the same slot's turn
    later = pair.owner().allocate(4096);
    pair.owner().lend(later, 1, &next);
    if (next.slot == loan.slot) break;
    pair.owner().release(later);
  }
  check(next.slot == loan.slot && next.generation == loan.generation + 1, "its slot is lent again");
  Pages* newer = pair.borrower().map(0, next, 1, false);
  pair.owner().lent(later);
  pair.borrower().release(newer);
  pair.borrower().release(mapped);
  Pages* back = pair.owner().allocate(4096);
  check(pair.owner().counts().out == 0, "a late return of the old loan does not hide that of the new one");
  pair.owner().release(back);
}

static void ends() {
  const int descriptors = open_descriptors(), before = mappings();
  {
    Pair pair;
    Pages* out = pair.hand_over(pair.owner().allocate(4096), 4096);
    Pages* kept = pair.hand_over(pair.owner().allocate(4096), 4096);
    pair.borrower().release(kept);
    check(pair.borrower().counts().cached == 1, "a mapping is kept");
    pair.owner().end_peer(1);
    check(pair.owner().counts().out == 0 && mappings() == before + 2, "what a peer that ended had is not used again");
    Loan loan;
    Pages* idle = pair.owner().allocate(4096);
    check(!pair.owner().lend(idle, 1, &loan), "and it gets nothing more");
    pair.owner().release(idle);
    // The mapping kept is of memory that lives no more: forgotten at the next occasion.
    pair.borrower().release(out);
    check(pair.borrower().counts().cached == 0, "mappings of what was dropped are forgotten");
  }
  check(mappings() == before && open_descriptors() == descriptors, "closing leaves nothing");
  Pages *own, *mapped;
  {
    Pair pair;
    own = pair.owner().allocate(4096);
    mapped = pair.hand_over(pair.owner().allocate(4096), 4096);
    mapped->memory.base[0] = own->memory.base[0] = 3;
  }
  check(own->memory.base[0] == 3 && mapped->memory.base[0] == 3, "what is held outlives the rank");
  own->home->release(own);
  mapped->home->release(mapped);
  check(mappings() == before && open_descriptors() == descriptors, "and goes when it is released");
  {
    Pair pair;
    Pages* pages = pair.owner().allocate(4096);
    pages->uses = 1;
    pair.owner().release(pages);
    check(pages->released && pair.owner().counts().idle_bytes == 0, "memory in use is given back later");
    pages->uses = 0;
    pair.owner().release(pages);
    check(pair.owner().counts().idle_bytes == 4096, "and then it is");
  }
  {
    Pair pair;
    for (int i = 0; i < 3; ++i) {
      Pages* large[2] = {pair.owner().allocate(Leases::kIdleBytes / 2), pair.owner().allocate(Leases::kIdleBytes / 2 + 4096)};
      for (Pages* p : large) pair.owner().release(p);
    }
    check(pair.owner().counts().idle_bytes <= Leases::kIdleBytes && mappings() == before + 1, "what is kept is bounded");
    errno = 0;
    check(!pair.owner().allocate(uint64_t{1} << 60) && errno != 0, "more than there can be is refused");
  }
}

// Several threads of both ranks at once.
static void threads() {
  Pair pair;
  std::atomic<int> wrong{0};
  struct Job {
    Pair* pair;
    std::atomic<int>* wrong;
    unsigned char mark;
  } jobs[4];
  pthread_t ids[4];
  for (unsigned i = 0; i < 4; ++i) {
    jobs[i] = {&pair, &wrong, static_cast<unsigned char>(i + 1)};
    pthread_create(&ids[i], nullptr, [](void* argument) -> void* {
      auto* job = static_cast<Job*>(argument);
      for (int turn = 0; turn < 500; ++turn) {
        Pages* pages = job->pair->owner().allocate(8192 << turn % 3);
        if (!pages) {
          ++*job->wrong;
          continue;
        }
        memset(pages->memory.base, job->mark, 8192);
        Pages* mapped = job->pair->hand_over(pages, 8192);
        if (!mapped || mapped->memory.base[turn % 8192] != job->mark) ++*job->wrong;
        if (!mapped) continue;
        memset(mapped->memory.base, 0x55, 4096);
        job->pair->borrower().release(mapped);
      }
      return nullptr;
    }, &jobs[i]);
  }
  for (pthread_t id : ids) pthread_join(id, nullptr);
  check(wrong.load() == 0, "threads hand over at once");
}

int main(int count, char** arguments) {
  if (count < 2 || strcmp(arguments[1], "threads") != 0) {
    refusals();
    hand_overs();
    slots();
    unheard();
    ends();
  }
  threads();
  return finish();
}
