// The bookkeeping of leases; see leases.h. Maps and unmaps outside the mutex.
#include "leases.h"

#include <cerrno>
#include <new>
#include <time.h>

namespace carillon::leases {
namespace {

class Lock {
 public:
  explicit Lock(pthread_mutex_t* mutex) : mutex_(mutex) { pthread_mutex_lock(mutex_); }
  ~Lock() { pthread_mutex_unlock(mutex_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  pthread_mutex_t* mutex_;
};

uint64_t now_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

// Generations wrap.
bool reached(uint32_t word, uint32_t generation) { return static_cast<int32_t>(word - generation) >= 0; }

}  // namespace

Leases* Leases::open(uint32_t size, std::atomic<uint64_t>* regions) {
  auto* leases = new (std::nothrow) Leases;
  if (!leases) return nullptr;
  leases->size_ = size;
  leases->regions_ = regions;
  leases->borrowers_ = new (std::nothrow) Borrower[size];
  if (leases->borrowers_) return leases;
  delete leases;
  return nullptr;
}

Leases::~Leases() { delete[] borrowers_; }

void Leases::connect(uint32_t peer, int process, const Port* port) {
  Lock lock(&mutex_);
  if (!port->came_back) return;
  borrowers_[peer].process = process;
  borrowers_[peer].port = port;
}

void Leases::end_peer(uint32_t peer) {
  PagesList dead;
  {
    Lock lock(&mutex_);
    borrowers_[peer].port = nullptr;
    for (Pages *p = out_.first(), *next; p; p = next) {
      next = PagesList::next(p);
      if (p->peer != peer) continue;
      out_.remove(p);
      retire(p, &dead);
    }
    sweep(&dead);
  }
  let_go(&dead);
}

void Leases::close() {
  PagesList dead;
  bool last;
  {
    Lock lock(&mutex_);
    for (PagesList* list : {&idle_, &out_, &cache_})
      while (Pages* p = list->pop()) retire(p, &dead);
    for (uint32_t i = 0; i < size_; ++i) borrowers_[i].port = nullptr;
    closed_ = true;
    last = held_ == 0;
  }
  let_go(&dead, last);
}

// ---- own memory -----------------------------------------------------------------------------------------------------

Pages* Leases::allocate(uint64_t bytes) {
  PagesList dead;
  Pages* best = nullptr;
  {
    Lock lock(&mutex_);
    collect(&dead);
    // The smallest that holds it, unless that wastes more than it uses.
    for (Pages* p = idle_.first(); p; p = PagesList::next(p))
      if (p->memory.bytes >= bytes && p->memory.bytes / 2 <= bytes + 65536 &&
          (!best || p->memory.bytes <= best->memory.bytes))
        best = p;
    if (best) {
      idle_.remove(best);
      counts_.idle_bytes -= best->memory.bytes;
      ++held_;
    }
  }
  let_go(&dead);
  if (best) return best;

  auto* pages = new (std::nothrow) Pages;
  if (!pages) {
    errno = ENOMEM;
    return nullptr;
  }
  pages->memory = create(bytes);
  if (!pages->memory.base) {
    // What is kept may be what is missing: memory, or descriptors.
    {
      Lock lock(&mutex_);
      while (Pages* p = idle_.pop()) retire(p, &dead);
      counts_.idle_bytes = 0;
    }
    let_go(&dead);
    pages->memory = create(bytes);
  }
  if (!pages->memory.base) {
    delete pages;
    return nullptr;
  }
  pages->home = this;
  pages->own = true;
  Lock lock(&mutex_);
  ++held_;
  for (uint16_t i = 0; i < max_regions && !closed_; ++i) {
    if (regions_[i].load(std::memory_order_relaxed) != 0) continue;
    regions_[i].store(pages->memory.inode, std::memory_order_release);
    pages->region = i;
    break;
  }
  return pages;
}

// Takes home what peers have given back.
void Leases::collect(PagesList* dead) {
  for (Pages *p = out_.first(), *next; p; p = next) {
    next = PagesList::next(p);
    // After the peer dropped its copies and its threads their views; pairs with keep_mapping.
    if (!reached(borrowers_[p->peer].port->came_back[p->slot].load(std::memory_order_acquire), p->generation)) continue;
    out_.remove(p);
    keep(p, dead);
  }
}

void Leases::keep(Pages* p, PagesList* dead) {
  end_loan(p);
  p->released = false;
  if (closed_ || p->memory.bytes > kIdleBytes) return retire(p, dead);
  idle_.append(p);
  counts_.idle_bytes += p->memory.bytes;
  while (counts_.idle_bytes > kIdleBytes) {
    Pages* oldest = idle_.pop();
    counts_.idle_bytes -= oldest->memory.bytes;
    retire(oldest, dead);
  }
}

void Leases::release(Pages* p) {
  if (p->uses > 0) {
    p->released = true;
    return;
  }
  // Before anybody hears that it is back. May take long, so not under the mutex.
  const bool clean = p->own || p->reading || drop_copies(p->memory.base, p->memory.bytes);
  PagesList dead;
  bool last;
  {
    Lock lock(&mutex_);
    --held_;
    if (p->own) {
      keep(p, &dead);
    } else {
      if (!clean) p->region = max_regions;
      keep_mapping(p, &dead);
    }
    last = closed_ && held_ == 0;
  }
  let_go(&dead, last);
}

// ---- loans ----------------------------------------------------------------------------------------------------------

bool Leases::lend(Pages* p, uint32_t peer, Loan* loan) {
  PagesList dead;
  bool found = false;
  {
    Lock lock(&mutex_);
    collect(&dead);
    Borrower& b = borrowers_[peer];
    for (uint32_t tried = 0; b.port && tried < max_loans && !found; ++tried) {
      const uint32_t slot = b.next;
      b.next = (slot + 1) % max_loans;
      if (b.loans[slot]) continue;
      found = true;
      b.loans[slot] = p;
      p->on_loan = true;
      p->peer = peer;
      p->slot = static_cast<uint16_t>(slot);
      p->generation = ++b.generations[slot];
      *loan = {p->memory.inode, p->memory.bytes, p->memory.descriptor, p->generation, p->slot, p->region, 0, 0};
      ++counts_.lent;
      counts_.lent_at = now_ns();
    }
  }
  let_go(&dead);
  return found;
}

void Leases::lent(Pages* p) {
  PagesList dead;
  bool last;
  {
    Lock lock(&mutex_);
    --held_;
    if (borrowers_[p->peer].port) out_.append(p);
    else retire(p, &dead);
    last = closed_ && held_ == 0;
  }
  let_go(&dead, last);
}

void Leases::discard(Pages* p) {
  PagesList dead;
  bool last;
  {
    Lock lock(&mutex_);
    --held_;
    retire(p, &dead);
    last = closed_ && held_ == 0;
  }
  let_go(&dead, last);
}

void Leases::end_loan(Pages* p) {
  if (p->on_loan && p->own) borrowers_[p->peer].loans[p->slot] = nullptr;
  p->on_loan = false;
}

// ---- what peers lend ------------------------------------------------------------------------------------------------

// Whether its owner still has the memory, so that it may come again.
bool Leases::lives(const Pages* p) const {
  const Port* port = borrowers_[p->peer].port;
  return port && p->region < max_regions &&
         port->regions[p->region].load(std::memory_order_relaxed) == p->memory.inode;
}

bool Leases::show(const Pages* p, const unsigned char* at, Loan* loan) {
  if (!p->own) return false;
  const auto offset = static_cast<uint64_t>(at - p->memory.base);
  *loan = {p->memory.inode, p->memory.bytes, p->memory.descriptor, 0, 0, p->region, 1, offset};
  return true;
}

Pages* Leases::map(uint32_t peer, const Loan& loan, uint64_t bytes, bool reading) {
  const uint64_t begin = now_ns();
  PagesList dead;
  Pages* pages = nullptr;
  int process = -1;
  {
    Lock lock(&mutex_);
    sweep(&dead);
    const bool fits = loan.offset <= loan.bytes && bytes <= loan.bytes - loan.offset;
    if (borrowers_[peer].port && loan.slot < max_loans && fits && (reading || !loan.read_only)) {
      process = borrowers_[peer].process;
      for (pages = cache_.first(); pages; pages = PagesList::next(pages))
        if (pages->peer == peer && pages->memory.inode == loan.inode && pages->memory.bytes == loan.bytes) break;
      if (pages) {
        cache_.remove(pages);
        cached_bytes_ -= pages->memory.bytes;
      }
    }
  }
  let_go(&dead);
  const bool anew = !pages && process >= 0;
  if (anew && (pages = new (std::nothrow) Pages)) {
    pages->memory = {leases::map(process, loan), loan.bytes, loan.inode, -1};
    if (!pages->memory.base) {
      delete pages;
      pages = nullptr;
    }
  }
  Lock lock(&mutex_);
  counts_.mapped_at = now_ns();
  counts_.map_ns += counts_.mapped_at - begin;
  if (!pages) {
    ++counts_.refused;
    return nullptr;
  }
  ++counts_.mapped;
  if (anew) ++counts_.mapped_anew;
  ++held_;
  pages->home = this;
  pages->on_loan = !reading;
  pages->reading = reading;
  pages->peer = peer;
  pages->region = loan.region;
  pages->slot = loan.slot;
  pages->generation = loan.generation;
  return pages;
}

void Leases::keep_mapping(Pages* p, PagesList* dead) {
  if (const Port* port = borrowers_[p->peer].port; port && p->on_loan) {
    // The slot may have been lent again since, if its owner never heard that we mapped this.
    std::atomic<uint32_t>& word = port->returned[p->slot];
    if (!reached(word.load(std::memory_order_relaxed), p->generation)) word.store(p->generation, std::memory_order_release);
  }
  p->on_loan = p->released = false;
  if (lives(p) && !closed_) {
    cache_.append(p);
    cached_bytes_ += p->memory.bytes;
  } else {
    retire(p, dead);
  }
  sweep(dead);
}

// Forgets mappings of what no longer lives, and the oldest of too many.
void Leases::sweep(PagesList* dead) {
  uint64_t count = 0;
  for (Pages *p = cache_.first(), *next; p; p = next) {
    next = PagesList::next(p);
    ++count;
    if (lives(p)) continue;
    cache_.remove(p);
    cached_bytes_ -= p->memory.bytes;
    --count;
    retire(p, dead);
  }
  for (; count > kCached || cached_bytes_ > kCachedBytes; --count) {
    Pages* oldest = cache_.pop();
    cached_bytes_ -= oldest->memory.bytes;
    retire(oldest, dead);
  }
}

// ---- ends -----------------------------------------------------------------------------------------------------------

void Leases::retire(Pages* p, PagesList* dead) {
  end_loan(p);
  if (p->own && p->region < max_regions && !closed_) regions_[p->region].store(0, std::memory_order_release);
  dead->append(p);
}

void Leases::let_go(PagesList* dead, bool last) {
  while (Pages* p = dead->pop()) {
    if (p->own) destroy(p->memory);
    else unmap(p->memory.base, p->memory.bytes);
    delete p;
  }
  if (last) delete this;
}

Counts Leases::counts() {
  Lock lock(&mutex_);
  Counts counts = counts_;
  counts.out = 0;
  for (Pages* p = out_.first(); p; p = PagesList::next(p)) ++counts.out;
  counts.cached = 0;
  for (Pages* p = cache_.first(); p; p = PagesList::next(p)) ++counts.cached;
  return counts;
}

}  // namespace carillon::leases
