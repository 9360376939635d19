// The engine's events of the timeline (trace/trace.h): what of a message and a request they say. Called only while events are recorded.
#include "engine.h"

namespace carillon {

using trace::How;

void Engine::trace_receive(Request* r) {
  r->traced = 0;
  trace::record(trace::Kind::receive, 0, {.peer = r->peer, .tag = r->tag, .key = r->sequence, .detail = static_cast<uint32_t>(r->takes)});
}

// A packet of this peer's, the next that is counted.
void Engine::trace_arrival(trace::Kind kind, uint64_t begin, const Peer& p, const PacketHeader& h, uint64_t sequence, uint64_t arrival) {
  const How how = h.kind == PacketKind::eager ? How::eager : h.kind == PacketKind::lease ? How::leased : How::rendezvous;
  trace::record(kind, begin,
                {.how = how,
                 .peer = static_cast<int32_t>(p.rank),
                 .tag = h.tag,
                 .bytes = h.bytes,
                 .number = p.traced_in + 1,
                 .key = sequence,
                 .detail = static_cast<uint32_t>(arrival)});
}

void Engine::trace_complete(const Request* r, Status status) const {
  How how = How::eager;
  if (r->is_send) how = r->mapped ? How::leased : r->state != RequestState::offered && r->state != RequestState::pushing ? How::eager : r->pulled > 0 ? How::pushed : How::pulled;
  else if (r->mapped) how = How::leased;
  else if (r->state == RequestState::incoming) how = How::pushed;
  else if (r->state == RequestState::pulling) how = r->got_bytes <= inline_bytes ? How::rendezvous : How::pulled;
  else if (r->from == static_cast<int32_t>(rank_)) how = How::self;
  trace::record(trace::Kind::complete, 0,
                {.how = how,
                 .peer = r->is_send ? r->peer : r->from,
                 .tag = r->is_send ? r->tag : r->got_tag,
                 .bytes = r->is_send ? r->bytes : r->got_bytes,
                 .number = r->traced,
                 .key = r->is_send ? 0 : r->sequence,
                 .detail = static_cast<uint32_t>(status) << 1 | r->is_send});
}

// A message that was here already goes to a receive, or into the ring of a taker (0: which one is not known).
void Engine::trace_match(uint64_t begin, const Block* b, uint64_t sequence) const {
  const bool own = b->source == static_cast<int32_t>(rank_);
  const How how = own ? How::self : !b->offer ? How::eager : b->lent ? How::leased : How::rendezvous;
  trace::record(trace::Kind::match, begin,
                {.how = how, .peer = b->source, .tag = b->tag, .bytes = b->bytes, .key = sequence, .detail = static_cast<uint32_t>(b->arrival)});
}

}  // namespace carillon
