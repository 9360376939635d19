// Leases: who has which leased memory. A rank's own regions, in use, lent to a peer or kept for the next lease; and its
// mappings of regions that peers lent it, in use or kept for the next loan of the same region.
//
// A region comes back without a packet and without a ring: the receiver writes the loan's generation into a word of its own
// segment, the owner looks at these words when it allocates. What a peer may still have is never written again: the
// region of a loan whose end nobody heard of is dropped, which takes nothing from the peer's mapping of it.
//
// Has a mutex of its own: called by JavaScript threads and the progress thread, never under the guard nor in a handler.
// Knows neither messages (core) nor ArrayBuffers (binding/lease.h).
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "../core/list.h"
#include "../drivers/driver.h"
#include "memory.h"

namespace carillon::leases {

class Leases;

// Leased memory in this process. Between allocate or map and release, lent or discard it belongs to the caller: one
// JavaScript thread at a time, or the message that carries it.
struct Pages {
  Leases* home = nullptr;
  Memory memory;              // of a mapping: no descriptor
  uint16_t region = max_regions;  // in its owner's table; max_regions: in none, so that nobody keeps it mapped
  uint32_t uses = 0;          // requests that read or write it; of the JavaScript thread that holds it
  bool released = false;      // given back, but for those requests
  bool own = false;
  bool reading = false;       // a mapping that is only copied from

  // A loan, out or being offered (own), or in (a mapping).
  bool on_loan = false;
  uint32_t peer = 0, generation = 0;
  uint16_t slot = 0;

  Link<Pages> link;           // idle or lent
};

struct Counts {
  uint64_t lent = 0, mapped = 0, mapped_anew = 0, refused = 0;  // loans that were offered, bodies that were mapped or not
  uint64_t map_ns = 0;        // spent on mapping, on whatever thread
  uint64_t lent_at = 0, mapped_at = 0;  // when the last loan was made, and the last body mapped (CLOCK_MONOTONIC, ns)
  uint64_t out = 0, idle_bytes = 0, cached = 0;                 // now
};

class Leases {
 public:
  static constexpr uint64_t kIdleBytes = uint64_t{512} << 20;   // own memory kept for the next lease
  static constexpr uint64_t kCachedBytes = uint64_t{4} << 30;   // mappings kept for the next loan: addresses, no memory
  static constexpr uint32_t kCached = 256;

  // `regions`: the rank's table of living regions, which its peers read (Port::regions). Null: out of memory.
  static Leases* open(uint32_t size, std::atomic<uint64_t>* regions);
  void connect(uint32_t peer, int process, const Port*);
  // The peer left or died: what it has is not written again, what it lent stays until it is released.
  void end_peer(uint32_t peer);
  // The rank leaves. Pages that are held outlive this; the object goes with the last of them.
  void close();

  // At least `bytes` bytes of whatever content. Null: errno says why.
  Pages* allocate(uint64_t bytes);
  // Gives back. While requests use the pages: when the last of them has ended.
  void release(Pages*);

  // Makes a loan of held pages. False: the peer has max_loans, or cannot map.
  bool lend(Pages*, uint32_t peer, Loan*);
  // The peer has mapped it. The pages are no longer the caller's.
  void lent(Pages*);
  // Nobody knows whether the peer has. The pages are no longer anybody's.
  void discard(Pages*);

  // Shows a peer what lies in own pages from `at` on, to be copied while the caller keeps them. False: it cannot be shown.
  bool show(const Pages*, const unsigned char* at, Loan*);
  // Maps what a peer lends or shows, at least `bytes` of it; `reading`: to copy from it and release it at once. Null: it cannot
  // be had, copy the body by other means.
  Pages* map(uint32_t peer, const Loan&, uint64_t bytes, bool reading);

  Counts counts();

 private:
  using PagesList = List<Pages, &Pages::link>;
  struct Borrower {
    int process = -1;
    const Port* port = nullptr;  // null: not connected, or ended
    Pages* loans[max_loans] = {};
    uint32_t generations[max_loans] = {};
    uint32_t next = 0;
  };

  Leases() = default;
  ~Leases();
  void collect(PagesList* dead);
  void keep(Pages*, PagesList* dead);
  void keep_mapping(Pages*, PagesList* dead);
  void sweep(PagesList* dead);
  void end_loan(Pages*);
  void retire(Pages*, PagesList* dead);
  void let_go(PagesList* dead, bool last = false);  // destroys them; `last`: this object too
  bool lives(const Pages*) const;

  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  uint32_t size_ = 0;
  std::atomic<uint64_t>* regions_ = nullptr;
  Borrower* borrowers_ = nullptr;
  bool closed_ = false;
  uint64_t held_ = 0;         // pages that belong to callers
  PagesList idle_, out_, cache_;  // oldest first
  uint64_t cached_bytes_ = 0;
  Counts counts_;
};

}  // namespace carillon::leases
