// Matching: which receive takes which message, by (communicator, source, tag) with wildcards.
//
// Posted receives lie in one list in the order posted, unexpected envelopes in one in order of arrival. While there
// are few, the list is walked; when there are more, everything in it is indexed too: posted receives by what they ask
// for (an arriving message looks for the four keys it could be asked by, and takes the receive posted first),
// unexpected envelopes by the four keys they could be asked by (a receive looks for its own). So a call costs a few
// look-ups, whatever waits. Used under the guard only; nothing is allocated.
#pragma once

#include <cstdint>

#include "key_index.h"
#include "request.h"

namespace carillon {

class Matcher {
 public:
  static constexpr uint32_t tables = 5, least_bins = 16;
  // Zeroed memory for `tables` times `each` bins, at least least_bins each. Two are used for each key that waits,
  // from the start of each table on; when there are more keys, calls cost more.
  struct Bins {
    void** memory = nullptr;
    uint32_t each = 0;
  };

  void init(const Bins& bins);

  // The posted receive that a message would go to now; it stays posted.
  Request* find_posted(uint32_t context, int32_t source, int32_t tag) const;
  // In line by its sequence number (given by next_sequence when first posted).
  void post(Request* receive);
  void withdraw(Request* receive);
  uint64_t next_sequence() { return ++sequence_; }
  uint64_t next_standing() { return standing | ++sequence_; }  // of a taker: behind all receives, whenever posted

  // The unexpected envelope that a receive would take now; it stays.
  Block* find_unexpected(uint32_t context, int32_t source, int32_t tag) const;
  // In order of arrival (given by next_arrival when it first came): what was given back returns to its place.
  void add_unexpected(Block* envelope);
  void remove_unexpected(Block* envelope);
  uint64_t next_arrival() { return ++arrival_; }

  // Does this receive ask for such a message?
  static bool wants(const Request* receive, const Block* envelope);

  // Those that wait now, and the most that ever did. Bytes of bodies that are here: that of an offer is at its sender.
  struct Waiting {
    uint64_t messages = 0, bytes = 0, most_messages = 0, most_bytes = 0;
  };
  const Waiting& unexpected() const { return waiting_; }

  // All of them in order.
  Request* first_posted() const { return posted_.first(); }
  static Request* next_posted(const Request* receive) { return RequestList::next(receive); }
  Request* last_posted() const { return posted_.last(); }
  static Request* previous_posted(const Request* receive) { return RequestList::previous(receive); }
  Block* first_unexpected() const { return unexpected_.first(); }
  static Block* next_unexpected(const Block* envelope) { return BlockList::next(envelope); }

  // Visits every posted receive in order; the visitor may withdraw the one it is given.
  template <typename Visit>
  void each_posted(Visit visit) {
    for (Request *r = first_posted(), *next; r; r = next) {
      next = next_posted(r);
      visit(r);
    }
  }
  // Visits every unexpected envelope in order; the visitor may remove the one it is given.
  template <typename Visit>
  void each_unexpected(Visit visit) {
    for (Block *b = first_unexpected(), *next; b; b = next) {
      next = next_unexpected(b);
      visit(b);
    }
  }

 private:
  // More than `walked` are indexed, until only `few` are left: a number that goes up and down by one changes nothing.
  static constexpr uint32_t walked = 16, few = 8;
  static constexpr uint64_t standing = uint64_t{1} << 63;

  static Key asked(const Request* r) { return {r->context, r->peer, r->tag}; }
  template <bool by_source, bool by_tag>
  static Key said(const Block* b) {
    return {b->context, by_source ? b->source : any_source, by_tag ? b->tag : any_tag};
  }
  static unsigned kind(int32_t source, int32_t tag) { return (source == any_source) + 2 * (tag == any_tag); }
  void index(Block*);
  void forget(Block*);

  RequestList posted_;
  KeyIndex<Request, &Request::place, asked, &Request::sequence> by_asked_;
  uint32_t posted_kinds_[4] = {};  // how many of each kind: what nobody asks is not looked for
  uint32_t posted_count_ = 0;
  bool posted_indexed_ = false;

  BlockList unexpected_;
  KeyIndex<Block, &Block::exact, said<true, true>, &Block::arrival> exact_;
  KeyIndex<Block, &Block::by_source, said<true, false>, &Block::arrival> by_source_;
  KeyIndex<Block, &Block::by_tag, said<false, true>, &Block::arrival> by_tag_;
  KeyIndex<Block, &Block::by_context, said<false, false>, &Block::arrival> by_context_;
  Waiting waiting_;
  bool unexpected_indexed_ = false;

  uint64_t sequence_ = 0, arrival_ = 0;
};

}  // namespace carillon
