// Sending: eager packets, offers, the line behind a peer that has no room, and messages to oneself.
#include "bytes.h"
#include "engine.h"

namespace carillon {

Sent Engine::send_now(int32_t dest, int32_t tag, uint32_t context, uint32_t encoding, const Part* parts, uint32_t count,
                      Status* failure) {
  Peer& p = peers_[dest];
  if (p.ended || p.ending != Ending::none) {
    *failure = status_of(p);
    return Sent::failed;
  }
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < count; ++i) bytes += parts[i].bytes;
  uint32_t bucket = bucket_of(context, tag);
  if (p.lines >> bucket & 1 || bytes > limits_.eager_bytes) return Sent::later;
  if (may_leave(p, bucket, bytes, false) != Leave::eager) {
    refresh_credit(p);
    if (may_leave(p, bucket, bytes, false) != Leave::eager) return Sent::later;
  }
  const uint64_t begin = trace::begin();
  auto* packet = static_cast<unsigned char*>(p.driver->claim(p.port, static_cast<uint32_t>(sizeof(PacketHeader) + bytes)));
  if (!packet) {
    stop_asking(p);  // this one is not in line yet
    return Sent::later;
  }
  *reinterpret_cast<PacketHeader*>(packet) = {bytes, 0, tag, context, encoding, 0, 0, PacketKind::eager, 0, 0};
  packet += sizeof(PacketHeader);
  for (uint32_t i = 0; i < count; ++i) {
    copy_bytes(packet, parts[i].data, parts[i].bytes);
    packet += parts[i].bytes;
  }
  p.driver->commit(p.port);
  p.credit.spend(bucket, charge_of(bytes));
  p.told = true;
  last_peer_ = p.rank;
  ++counters_.eager_sent;
  counters_.bytes_sent += bytes;
  if (begin)
    trace::record(trace::Kind::send, begin, {.how = trace::How::eager, .peer = dest, .tag = tag, .bytes = bytes, .number = ++p.traced_out});
  return Sent::done;
}

void Engine::enqueue(Request* r) {
  Peer& p = peers_[r->peer];
  r->from = r->peer;
  if (p.ended || p.ending != Ending::none) return complete(r, status_of(p));
  uint32_t bucket = bucket_of(r->context, r->tag);
  r->state = RequestState::queued;
  bool first = !(p.lines >> bucket & 1);
  join_line(p, r);
  ++counters_.queued;
  offer_to_wants(p, r);
  if (first || p.unanswered) flush(p);  // else those before it wait for something, and so does it
  if (p.line[bucket].last() == r) count_held_up(r, true);  // not its state: if it has left it is its thread's again
  // The peer was not rung, perhaps, for what it has to release. Once: those that join the line wait for what its first waits for, and a
  // million sends that nobody takes rang 166,000 times.
  if (first && p.lines >> bucket & 1) p.told = true;
}

// Sends of one thread that wait for room or credit: it is told when the first comes to wait and when none does any more, if it asked.
void Engine::count_held_up(Request* r, bool waits) {
  using namespace queue_layout;
  CompletionQueue* queue = r->queue;
  auto at = [queue](uint32_t index) -> std::atomic<uint32_t>& { return *reinterpret_cast<std::atomic<uint32_t>*>(queue->words + index); };
  r->held_up = waits;
  const uint32_t before = queue->held_up;
  waits ? ++queue->held_up : --queue->held_up;
  CARILLON_STEP("send.held_up");
  at(held_up).store(queue->held_up, std::memory_order_seq_cst);  // then look if it asked; the thread asks, then looks at this
  if ((before == 0 || queue->held_up == 0) && at(hears_of_room).load(std::memory_order_seq_cst) != 0) tell_news(queue);
}

void Engine::join_line(Peer& p, Request* r) {
  uint32_t bucket = bucket_of(r->context, r->tag);
  r->sequence = ++p.waited;
  p.line[bucket].append(r);
  p.lines |= 1u << bucket;
  p.waiting_as.insert(r);
  p.waiting_in.insert(r);
}

void Engine::leave_line(Peer& p, Request* r) {
  uint32_t bucket = bucket_of(r->context, r->tag);
  p.line[bucket].remove(r);
  if (p.line[bucket].empty()) p.lines &= ~(1u << bucket);
  p.waiting_as.remove(r);
  p.waiting_in.remove(r);
  if (r->held_up) count_held_up(r, false);
}

// Nothing waits for room or credit any more, so nobody asks for it: look() would see it come for ever.
void Engine::stop_asking(Peer& p) {
  if (p.lines != 0) return;
  hold_nothing(p);
  if (p.pushes.empty()) p.driver->block(p.port, false);
}

// Writes the packet of a request that waits in line. False: there is no room for it, or no offer word.
bool Engine::put(Peer& p, Request* r, Leave how, uint32_t passed) {
  const uint64_t begin = trace::begin();
  bool eager = how == Leave::eager, lent = !eager && r->lent;
  // A short body goes with its offer: whoever matches it, an interrupt handler too, has it at once.
  uint64_t body = eager || (!lent && r->bytes <= inline_bytes) ? r->bytes : lent ? sizeof(Loan) : 0;
  uint32_t bucket = bucket_of(r->context, r->tag);
  auto* packet = static_cast<unsigned char*>(p.driver->claim(p.port, static_cast<uint32_t>(sizeof(PacketHeader) + body)));
  Ticket ticket = {0, 0};
  if (!packet || (!eager && !p.driver->offer(p.port, &ticket))) return false;
  *reinterpret_cast<PacketHeader*>(packet) = {r->bytes,
                                              eager ? 0 : reinterpret_cast<uint64_t>(r->memory),
                                              r->tag,
                                              r->context,
                                              r->encoding,
                                              ticket.generation,
                                              ticket.slot,
                                              eager ? PacketKind::eager : lent ? PacketKind::lease : PacketKind::offer,
                                              0,
                                              passed};
  copy_bytes(packet + sizeof(PacketHeader), lent ? reinterpret_cast<const unsigned char*>(&r->loan) : r->memory, body);
  p.driver->commit(p.port);
  p.credit.spend(bucket, eager ? charge_of(body) : 0);
  (eager ? p.told : p.touched) = true;
  last_peer_ = p.rank;
  counters_.bytes_sent += r->bytes;
  if (begin) {
    r->traced = ++p.traced_out;
    const trace::How travels = eager ? trace::How::eager : lent && !r->loan.read_only ? trace::How::leased : trace::How::rendezvous;
    trace::record(trace::Kind::send, begin, {.how = travels, .peer = r->peer, .tag = r->tag, .bytes = r->bytes, .number = r->traced});
  }
  leave_line(p, r);
  if (eager) {
    ++counters_.eager_sent;
    complete(r, Status::ok);
    return true;
  }
  ++counters_.offers_sent;
  r->slot = ticket.slot;
  r->generation = ticket.generation;
  r->state = RequestState::offered;
  p.offers[ticket.slot] = r;
  p.offer_generation[ticket.slot] = ticket.generation;
  p.offer_bucket[ticket.slot] = static_cast<uint8_t>(bucket);
  ++p.open_offers;
  ++p.bucket_offers[bucket];
  return true;
}

// The slot is free again; what was offered in it, unless its thread has gone.
Request* Engine::close_offer(Peer& p, uint16_t slot) {
  Request* r = p.offers[slot];
  p.offers[slot] = nullptr;
  p.offer_generation[slot] = 0;
  --p.open_offers;
  --p.bucket_offers[p.offer_bucket[slot]];
  return r;
}

// What may leave the lines, in turn. `stuck`: buckets whose head found no offer word. False also: it is enough for a handler.
bool Engine::send_lines(Peer& p, uint32_t* stuck) {
  uint32_t first = p.next_line;
  bool fresh = false;
  uint32_t budget = handler_ ? limits_.handler_packets : UINT32_MAX;
  for (uint32_t i = 0; i < buckets; ++i) {
    uint32_t b = (first + i) % buckets;
    while (Request* r = p.line[b].first()) {
      Leave how = may_leave(p, b, r->bytes, r->synchronous);
      if (how != Leave::eager && !fresh) {
        // What waited for room in the ring may have credit by now: nothing is offered for want of a look.
        refresh_credit(p);
        if (p.port->broken) return true;
        fresh = true;
        how = may_leave(p, b, r->bytes, r->synchronous);
      }
      if (how == Leave::not_now) break;
      if (budget == 0) {
        p.next_line = b;
        platform_.more(platform_.self);
        return false;
      }
      --budget;
      if (put(p, r, how, 0)) continue;
      if (p.port->broken) retry_ = true;  // have progress find out and end it
      p.next_line = b;
      if (how == Leave::eager) return false;
      *stuck |= 1u << b;
      break;
    }
  }
  return true;
}

// Sends from the heads of the lines until something is missing: room, credit, an offer word. Whatever it is, the peer's
// next publication of it makes look() true.
void Engine::flush(Peer& p) {
  uint32_t stuck = 0;
  for (;;) {
    if (!send_lines(p, &stuck)) return;
    if (p.lines == 0) return stop_asking(p);
    hold_back(p);
    if (p.unanswered) answer_wants(p);
    if (p.lines == 0) return stop_asking(p);
    p.driver->block(p.port, true);
    refresh_credit(p);
    if (p.port->broken) {
      retry_ = true;
      return;
    }
    bool again = false;
    for (uint32_t b = 0; b < buckets && !again; ++b) {
      const Request* r = stuck >> b & 1 ? nullptr : p.line[b].first();
      again = r && may_leave(p, b, r->bytes, r->synchronous) != Leave::not_now;
    }
    if (!again) return;
  }
}

bool Engine::outcomes(Peer& p) {
  Ticket ticket;
  Outcome outcome;
  uint32_t parts;
  for (uint32_t budget = handler_ ? limits_.handler_packets : 2 * max_slots; budget > 0; --budget) {  // a peer that goes on and on holds nobody up
    if (!p.driver->outcome(p.port, &ticket, &outcome, &parts)) return true;
    if (ticket.slot >= max_slots || ticket.generation == 0 || p.offer_generation[ticket.slot] != ticket.generation)
      continue;  // answers what was taken back meanwhile
    if (outcome == Outcome::push) {
      Request* r = p.offers[ticket.slot];
      if (!r || r->state != RequestState::offered) continue;
      if (parts * pull_part < r->bytes) start_push(p, r, parts * pull_part);
      else complete(close_offer(p, ticket.slot), Status::peer_protocol);
      continue;
    }
    Request* r = close_offer(p, ticket.slot);
    if (!r) continue;
    if (r->state == RequestState::pushing) {
      p.pushes.remove(r);
      stop_asking(p);
    }
    switch (outcome) {
      case Outcome::pulled: complete(r, Status::ok); break;
      case Outcome::mapped:
        r->mapped = r->lent;
        complete(r, r->lent ? Status::ok : Status::peer_protocol);
        break;
      case Outcome::failed: complete(r, Status::unreadable); break;
      case Outcome::refused:
        complete(r, r->state == RequestState::revoking ? Status::cancelled : Status::peer_protocol);
        break;
      default: complete(r, Status::peer_protocol);
    }
  }
  return false;
}

// A message to oneself is always buffered: it was copied when it was sent, and is handed over as it is.
void Engine::deliver_parcel(Parcel* parcel) {
  Block* b = &parcel->envelope;
  ++counters_.local_sent;
  if (parcel->sender) {
    parcel->sender->queue->known.append(parcel->sender);
    parcel->sender->from = static_cast<int32_t>(rank_);
    parcel->sender->state = RequestState::handed;
    parcel->sender->parcel = parcel;
  }
  counters_.bytes_sent += b->bytes;
  b->arrival = matcher_.next_arrival();
  if (trace::on())
    trace::record(trace::Kind::send, 0, {.how = trace::How::self, .peer = b->source, .tag = b->tag, .bytes = b->bytes, .number = b->arrival, .detail = static_cast<uint32_t>(b->arrival)});
  const uint64_t before = matcher_.unexpected().messages;
  line_up(b);  // or to who waits for it
  if (matcher_.unexpected().messages > before) ++counters_.unexpected;
}

}  // namespace carillon
