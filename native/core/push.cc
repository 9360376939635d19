// Bodies that come in packets: where this process may not read its peers' memory, the receiver of an offer has its sender
// push the body through the ring, part by part. The parts need no credit: the memory they go to is there before the first.
#include "bytes.h"
#include "engine.h"

namespace carillon {

namespace {
constexpr int kParts = 16;  // of one peer before somebody else's turn
}

// ---- as sender ------------------------------------------------------------------------------------------------------

void Engine::start_push(Peer& p, Request* r) {
  r->state = RequestState::pushing;
  ++counters_.pushed;
  r->pulled = 0;
  p.pushes.append(r);
  push(p);
}

// As much as there is room for; several bodies take turns.
void Engine::push(Peer& p) {
  uint64_t most = limits_.most_eager_bytes;
  for (int parts = 0; Request* r = p.pushes.first(); ++parts) {
    if (parts == kParts) {
      retry_ = true;
      return;
    }
    uint64_t bytes = r->bytes - r->pulled < most ? r->bytes - r->pulled : most;
    auto* packet = static_cast<unsigned char*>(p.driver->claim(p.port, static_cast<uint32_t>(sizeof(PacketHeader) + bytes)));
    if (!packet) {
      if (p.port->broken) retry_ = true;
      return;
    }
    *reinterpret_cast<PacketHeader*>(packet) = {bytes, r->pulled, r->tag, r->context, r->encoding, r->generation, r->slot,
                                                PacketKind::part, 0, 0};
    copy_bytes(packet + sizeof(PacketHeader), r->memory + r->pulled, bytes);
    p.driver->commit(p.port);
    p.touched = true;
    r->pulled += bytes;
    p.pushes.remove(r);
    if (r->pulled < r->bytes) p.pushes.append(r);
    else r->state = RequestState::offered;  // the receiver's answer ends it
  }
  stop_asking(p);
}

// ---- as receiver ----------------------------------------------------------------------------------------------------

// A part for a receive that has gone meanwhile is dropped. False: no peer sends such a part.
bool Engine::take_part(Peer& p, const PacketHeader& h, const unsigned char* body) {
  for (Request* r = p.incoming.first(); r; r = RequestList::next(r)) {
    if (r->slot != h.slot || r->generation != h.generation) continue;
    if (h.address != r->pulled || h.bytes == 0 || h.bytes > r->got_bytes - r->pulled) return false;
    copy_bytes(r->landing + r->pulled, body, h.bytes);
    r->pulled += h.bytes;
    if (r->pulled == r->got_bytes) {
      p.incoming.remove(r);
      pulled(r, Pull::complete);
    }
    return true;
  }
  return true;
}

// Senders that have taken their bodies back in the middle.
void Engine::look_at_incoming(Peer& p) {
  for (Request *r = p.incoming.first(), *next; r; r = next) {
    next = RequestList::next(r);
    if (p.driver->stands(p.port, {r->slot, r->generation})) continue;
    p.incoming.remove(r);
    pulled(r, Pull::revoked);
  }
}

bool Engine::incoming_revoked(const Peer& p) const {
  for (Request* r = p.incoming.first(); r; r = RequestList::next(r))
    if (!p.driver->stands(p.port, {r->slot, r->generation})) return true;
  return false;
}

}  // namespace carillon
