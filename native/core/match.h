// Matching: which receive takes which message, by (communicator, source, tag) with wildcards.
//
// Posted receives lie in hash bins by what they ask for, each bin in the order posted; an arriving message looks into the
// four bins that could hold its taker and takes the one posted first. Unexpected envelopes lie in four lists each (exact,
// by source, by tag, all of a communicator), so that any receive finds the one that came first. Both cost a few
// look-ups whatever the number waiting. Used under the guard only; nothing is allocated after init.
#pragma once

#include <cstdint>

#include "pool.h"
#include "request.h"

namespace carillon {

class Matcher {
 public:
  static constexpr uint32_t kBins = 1024;
  struct Bins {
    RequestList posted[kBins];
    List<Block, &Block::exact> exact[kBins];
    List<Block, &Block::by_source> by_source[kBins];
    List<Block, &Block::by_tag> by_tag[kBins];
    List<Block, &Block::in_order> in_order[kBins];
  };

  void init(Bins* bins) { bins_ = bins; }

  // The posted receive that a message would go to now; it stays posted.
  Request* find_posted(uint32_t context, int32_t source, int32_t tag) const;
  // In line by its sequence number (given by next_sequence when first posted).
  void post(Request* receive);
  void withdraw(Request* receive);
  uint64_t next_sequence() { return ++sequence_; }
  uint64_t next_arrival() { return ++arrival_; }

  // The unexpected envelope that a receive would take now; it stays.
  Block* find_unexpected(uint32_t context, int32_t source, int32_t tag) const;
  // In all lists at its place by `arrival` (given by next_arrival when it came).
  void add_unexpected(Block* envelope);
  void remove_unexpected(Block* envelope);

  // Visits every posted receive; the visitor may withdraw the one it is given.
  template <typename Visit>
  void each_posted(Visit visit) {
    for (uint32_t i = 0; i < kBins; ++i)
      for (Request *r = bins_->posted[i].first(), *next; r; r = next) {
        next = RequestList::next(r);
        visit(r);
      }
  }
  // Visits every unexpected envelope; the visitor may remove the one it is given.
  template <typename Visit>
  void each_unexpected(Visit visit) {
    for (uint32_t i = 0; i < kBins; ++i)
      for (Block *b = bins_->in_order[i].first(), *next; b; b = next) {
        next = List<Block, &Block::in_order>::next(b);
        visit(b);
      }
  }

 private:
  static uint32_t bin(uint32_t context, int32_t source, int32_t tag) {
    uint32_t h = context * 0x9e3779b1u ^ static_cast<uint32_t>(source) * 0x85ebca6bu ^ static_cast<uint32_t>(tag) * 0xc2b2ae35u;
    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    return (h ^ h >> 13) % kBins;
  }
  Request* first_in(uint32_t context, int32_t source, int32_t tag) const;

  Bins* bins_ = nullptr;
  uint64_t sequence_ = 0, arrival_ = 0;
};

}  // namespace carillon
