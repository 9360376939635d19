// Matching; see match.h.
#include "match.h"

#include "taker.h"

namespace carillon {

namespace {
bool fits(const Key& asked, const Key& said) {
  return asked.context == said.context && (asked.source == any_source || asked.source == said.source) &&
         (asked.tag == any_tag || asked.tag == said.tag);
}

uint64_t bytes_here(const Block* b) { return b->offer ? 0 : b->bytes; }
}  // namespace

void Matcher::init(const Bins& bins) {
  auto table = [&](uint32_t number) { return bins.memory + size_t{number} * bins.each; };
  by_asked_.init(reinterpret_cast<Request**>(table(0)), bins.each);
  exact_.init(reinterpret_cast<Block**>(table(1)), bins.each);
  by_source_.init(reinterpret_cast<Block**>(table(2)), bins.each);
  by_tag_.init(reinterpret_cast<Block**>(table(3)), bins.each);
  by_context_.init(reinterpret_cast<Block**>(table(4)), bins.each);
}

Request* Matcher::find_posted(uint32_t context, int32_t source, int32_t tag) const {
  Request* best = nullptr;
  if (!posted_indexed_) {
    for (best = first_posted(); best; best = next_posted(best))
      if (fits(asked(best), {context, source, tag})) break;
    return best;
  }
  for (int32_t s : {source, any_source})
    for (int32_t t : {tag, any_tag}) {
      if (posted_kinds_[kind(s, t)] == 0) continue;
      Request* r = by_asked_.first({context, s, t});
      if (r && (!best || r->sequence < best->sequence)) best = r;
    }
  return best;
}

void Matcher::post(Request* receive) {
  posted_.insert_in_order<&Request::sequence>(receive);
  ++posted_kinds_[kind(receive->peer, receive->tag)];
  ++posted_count_;
  if (posted_indexed_) {
    by_asked_.insert(receive);
  } else if (posted_count_ > walked) {
    posted_indexed_ = true;
    each_posted([&](Request* r) { by_asked_.insert(r); });
  }
}

void Matcher::withdraw(Request* receive) {
  posted_.remove(receive);
  --posted_kinds_[kind(receive->peer, receive->tag)];
  --posted_count_;
  if (!posted_indexed_) return;
  by_asked_.remove(receive);
  if (posted_count_ > few) return;
  posted_indexed_ = false;
  each_posted([&](Request* r) { by_asked_.remove(r); });
}

Block* Matcher::find_unexpected(uint32_t context, int32_t source, int32_t tag) const {
  const Key key = {context, source, tag};
  if (!unexpected_indexed_) {
    Block* b = first_unexpected();
    while (b && !fits(key, said<true, true>(b))) b = next_unexpected(b);
    return b;
  }
  if (source != any_source) return tag != any_tag ? exact_.first(key) : by_source_.first(key);
  return tag != any_tag ? by_tag_.first(key) : by_context_.first(key);
}

void Matcher::index(Block* b) {
  exact_.insert(b);
  by_source_.insert(b);
  by_tag_.insert(b);
  by_context_.insert(b);
}

void Matcher::forget(Block* b) {
  exact_.remove(b);
  by_source_.remove(b);
  by_tag_.remove(b);
  by_context_.remove(b);
}

void Matcher::add_unexpected(Block* envelope) {
  unexpected_.insert_in_order<&Block::arrival>(envelope);
  waiting_.bytes += bytes_here(envelope);
  if (++waiting_.messages > waiting_.most_messages) waiting_.most_messages = waiting_.messages;
  if (waiting_.bytes > waiting_.most_bytes) waiting_.most_bytes = waiting_.bytes;
  if (unexpected_indexed_) {
    index(envelope);
  } else if (waiting_.messages > walked) {
    unexpected_indexed_ = true;
    each_unexpected([&](Block* b) { index(b); });
  }
}

bool Matcher::wants(const Request* receive, const Block* envelope) { return fits(asked(receive), said<true, true>(envelope)); }

void Matcher::remove_unexpected(Block* envelope) {
  unexpected_.remove(envelope);
  if (envelope->taker) {
    envelope->taker->taker->backlog.remove(envelope);
    envelope->taker = nullptr;
  }
  --waiting_.messages;
  waiting_.bytes -= bytes_here(envelope);
  if (!unexpected_indexed_) return;
  forget(envelope);
  if (waiting_.messages > few) return;
  unexpected_indexed_ = false;
  each_unexpected([&](Block* b) { forget(b); });
}

}  // namespace carillon
