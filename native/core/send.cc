// Sending: eager packets, offers, the line behind a peer that has no room, and messages to oneself.
#include "bytes.h"
#include "engine.h"

namespace carillon {

bool Engine::has_envelope_credit(Peer& p, bool ask) {
  auto enough = [&] { return p.sent_envelopes - p.free_envelopes < limits_.quota_envelopes; };
  if (enough()) return true;
  p.driver->credits(p.port, &p.free_bytes, &p.free_envelopes);
  if (!enough() && ask) {
    p.driver->block(p.port, true);
    p.driver->credits(p.port, &p.free_bytes, &p.free_envelopes);
  }
  if (p.free_envelopes > p.sent_envelopes || p.free_bytes > p.sent_bytes) {
    p.port->broken = true;  // gave free what was never sent
    return false;
  }
  return enough();
}

bool Engine::has_byte_credit(Peer& p, uint64_t bytes) {
  auto enough = [&] { return p.sent_bytes + charge_of(bytes) - p.free_bytes <= limits_.quota_bytes; };
  if (enough()) return true;
  p.driver->credits(p.port, &p.free_bytes, &p.free_envelopes);
  if (p.free_envelopes > p.sent_envelopes || p.free_bytes > p.sent_bytes) {
    p.port->broken = true;
    return false;
  }
  return enough();
}

Sent Engine::send_now(int32_t dest, int32_t tag, uint32_t context, uint32_t encoding, const Part* parts, uint32_t count,
                      Status* failure) {
  Peer& p = peers_[dest];
  if (p.ended || p.ending != Ending::none) {
    *failure = status_of(p);
    return Sent::failed;
  }
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < count; ++i) bytes += parts[i].bytes;
  if (!p.line.empty() || bytes > limits_.eager_bytes || !has_envelope_credit(p, false) || !has_byte_credit(p, bytes))
    return Sent::later;
  auto* packet = static_cast<unsigned char*>(p.driver->claim(p.port, static_cast<uint32_t>(sizeof(PacketHeader) + bytes)));
  if (!packet) {
    p.driver->block(p.port, false);  // nobody is in line yet
    return Sent::later;
  }
  *reinterpret_cast<PacketHeader*>(packet) = {bytes, 0, tag, context, encoding, 0, 0, PacketKind::eager, 0, 0};
  packet += sizeof(PacketHeader);
  for (uint32_t i = 0; i < count; ++i) {
    copy_bytes(packet, parts[i].data, parts[i].bytes);
    packet += parts[i].bytes;
  }
  p.driver->commit(p.port);
  p.sent_bytes += charge_of(bytes);
  ++p.sent_envelopes;
  p.touched = true;
  last_peer_ = p.rank;
  ++counters_.eager_sent;
  counters_.bytes_sent += bytes;
  return Sent::done;
}

void Engine::enqueue(Request* r) {
  Peer& p = peers_[r->peer];
  r->from = r->peer;
  if (p.ended || p.ending != Ending::none) return complete(r, status_of(p));
  r->state = RequestState::queued;
  p.line.append(r);
  ++counters_.queued;
  flush(p);
}

// Sends from the head of the line until something is missing: room, an offer word, an envelope's credit. Whatever it is,
// the peer's next publication of it makes look() true.
void Engine::flush(Peer& p) {
  while (Request* r = p.line.first()) {
    if (!has_envelope_credit(p, true)) {
      if (p.port->broken) retry_ = true;  // have progress find out and end it
      return;
    }
    bool eager = !r->synchronous && r->bytes <= limits_.eager_bytes && has_byte_credit(p, r->bytes);
    bool lent = !eager && r->lent;
    uint64_t body = eager ? r->bytes : lent ? sizeof(Loan) : 0;
    auto* packet = static_cast<unsigned char*>(p.driver->claim(p.port, static_cast<uint32_t>(sizeof(PacketHeader) + body)));
    if (!packet) {
      if (p.port->broken) retry_ = true;
      return;
    }
    Ticket ticket = {0, 0};
    if (!eager && !p.driver->offer(p.port, &ticket)) return;
    *reinterpret_cast<PacketHeader*>(packet) = {r->bytes,
                                                eager ? 0 : reinterpret_cast<uint64_t>(r->memory),
                                                r->tag,
                                                r->context,
                                                r->encoding,
                                                ticket.generation,
                                                ticket.slot,
                                                eager ? PacketKind::eager : lent ? PacketKind::lease : PacketKind::offer,
                                                0,
                                                0};
    copy_bytes(packet + sizeof(PacketHeader), lent ? reinterpret_cast<const unsigned char*>(&r->loan) : r->memory, body);
    p.line.remove(r);
    if (!eager) {
      r->slot = ticket.slot;
      r->generation = ticket.generation;
      r->state = RequestState::offered;
      p.offers[ticket.slot] = r;
      ++counters_.offers_sent;
    } else {
      ++counters_.eager_sent;
    }
    p.driver->commit(p.port);
    if (eager) p.sent_bytes += charge_of(body);
    ++p.sent_envelopes;
    p.touched = true;
    last_peer_ = p.rank;
    counters_.bytes_sent += r->bytes;
    if (eager) complete(r, Status::ok);
  }
}

bool Engine::outcomes(Peer& p) {
  Ticket ticket;
  Outcome outcome;
  for (uint32_t budget = 2 * max_slots; budget > 0; --budget) {  // a peer that goes on and on holds nobody up
    if (!p.driver->outcome(p.port, &ticket, &outcome)) return true;
    Request* r = ticket.slot < max_slots ? p.offers[ticket.slot] : nullptr;
    if (!r || r->generation != ticket.generation) continue;  // answers what was taken back meanwhile
    p.offers[ticket.slot] = nullptr;
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
  while (Request* r = matcher_.find_posted(b->context, b->source, b->tag)) {
    matcher_.withdraw(r);
    if (b->bytes <= r->bytes) return take_block(r, b);
    r->from = b->source;
    r->got_tag = b->tag;
    r->got_bytes = b->bytes;
    complete(r, Status::truncated);
  }
  matcher_.add_unexpected(b);
}

}  // namespace carillon
