// Matching; see match.h.
#include "match.h"

namespace carillon {

namespace {

// New ones go last; one that was given back goes to its old place, which is near the front.
template <Link<Block> Block::* link>
void insert(List<Block, link>& list, Block* b) {
  Block* place = nullptr;
  if (list.last() && list.last()->arrival > b->arrival) {
    place = list.first();
    while (place->arrival < b->arrival) place = List<Block, link>::next(place);
  }
  list.insert_before(place, b);
}

}  // namespace

Request* Matcher::first_in(uint32_t context, int32_t source, int32_t tag) const {
  for (Request* r = bins_->posted[bin(context, source, tag)].first(); r; r = RequestList::next(r))
    if (r->peer == source && r->tag == tag && r->context == context) return r;
  return nullptr;
}

Request* Matcher::find_posted(uint32_t context, int32_t source, int32_t tag) const {
  Request* best = first_in(context, source, tag);
  Request* others[] = {first_in(context, any_source, tag), first_in(context, source, any_tag),
                       first_in(context, any_source, any_tag)};
  for (Request* r : others)
    if (r && (!best || r->sequence < best->sequence)) best = r;
  return best;
}

void Matcher::post(Request* receive) {
  RequestList& list = bins_->posted[bin(receive->context, receive->peer, receive->tag)];
  // New ones go last; one that was given back goes to its old place, which is near the front.
  Request* place = nullptr;
  if (list.last() && list.last()->sequence > receive->sequence) {
    place = list.first();
    while (place->sequence < receive->sequence) place = RequestList::next(place);
  }
  list.insert_before(place, receive);
}

void Matcher::withdraw(Request* receive) {
  bins_->posted[bin(receive->context, receive->peer, receive->tag)].remove(receive);
}

Block* Matcher::find_unexpected(uint32_t context, int32_t source, int32_t tag) const {
  if (source != any_source && tag != any_tag) {
    for (Block* b = bins_->exact[bin(context, source, tag)].first(); b; b = List<Block, &Block::exact>::next(b))
      if (b->source == source && b->tag == tag && b->context == context) return b;
  } else if (source != any_source) {
    for (Block* b = bins_->by_source[bin(context, source, any_tag)].first(); b;
         b = List<Block, &Block::by_source>::next(b))
      if (b->source == source && b->context == context) return b;
  } else if (tag != any_tag) {
    for (Block* b = bins_->by_tag[bin(context, any_source, tag)].first(); b; b = List<Block, &Block::by_tag>::next(b))
      if (b->tag == tag && b->context == context) return b;
  } else {
    for (Block* b = bins_->in_order[bin(context, any_source, any_tag)].first(); b;
         b = List<Block, &Block::in_order>::next(b))
      if (b->context == context) return b;
  }
  return nullptr;
}

void Matcher::add_unexpected(Block* b) {
  insert(bins_->exact[bin(b->context, b->source, b->tag)], b);
  insert(bins_->by_source[bin(b->context, b->source, any_tag)], b);
  insert(bins_->by_tag[bin(b->context, any_source, b->tag)], b);
  insert(bins_->in_order[bin(b->context, any_source, any_tag)], b);
}

void Matcher::remove_unexpected(Block* b) {
  bins_->exact[bin(b->context, b->source, b->tag)].remove(b);
  bins_->by_source[bin(b->context, b->source, any_tag)].remove(b);
  bins_->by_tag[bin(b->context, any_source, b->tag)].remove(b);
  bins_->in_order[bin(b->context, any_source, any_tag)].remove(b);
}

}  // namespace carillon
