// The shm driver: rings, offers and credits in memory that one process writes and the other reads.
// Responsible for moving opaque packets and claiming bodies; not for what they mean (core) nor for getting the memory
// (bootstrap/segment.h). A peer's words are input: every value is checked against what this side knows before it is used.
#include "shm.h"

#include "../core/bytes.h"
#include "../core/step.h"

namespace carillon::shm {
namespace {

constexpr uint32_t cell = 64;  // packets start on cache lines, so that a small one touches one line
constexpr uint32_t filler = 0xffffffff;

// In front of each packet in the ring.
struct Frame {
  uint32_t length;  // ring bytes to the next frame, a multiple of cell
  uint32_t bytes;   // of the packet, or filler: skip to the ring's start
};

ShmPort* self(Port* port) { return static_cast<ShmPort*>(port); }
const ShmPort* self(const Port* port) { return static_cast<const ShmPort*>(port); }

constexpr auto sequential = std::memory_order_seq_cst;

// Reads the peer's tail; false if it is impossible.
bool refresh_tail(ShmPort* p) {
  CARILLON_STEP("shm.tail.load");
  uint64_t tail = p->theirs->tail.load(sequential);
  if (tail < p->tail_seen || tail > p->head || tail % cell) {
    p->broken = true;
    return false;
  }
  p->tail_seen = tail;
  return true;
}

bool credits(Port* port, uint64_t* bytes, uint64_t* envelopes) {
  ShmPort* p = self(port);
  CARILLON_STEP("shm.credits.load");
  uint64_t b = p->theirs->free_bytes.load(sequential);
  uint64_t e = p->theirs->free_envelopes.load(sequential);
  if (b < p->bytes_seen || e < p->envelopes_seen) {
    p->broken = true;
    return false;
  }
  *bytes = p->bytes_seen = b;
  *envelopes = p->envelopes_seen = e;
  return true;
}

void block(Port* port, bool blocked) {
  ShmPort* p = self(port);
  p->blocked = blocked;
  if (!blocked) {
    p->mine->blocked.store(0, std::memory_order_relaxed);
    return;
  }
  CARILLON_STEP("shm.blocked.set");
  p->mine->blocked.exchange(1, sequential);  // pairs with publish: tail, then blocked
  uint64_t bytes, envelopes;
  if (refresh_tail(p)) credits(p, &bytes, &envelopes);  // from here on, look tells what is new
}

void* claim(Port* port, uint32_t bytes) {
  ShmPort* p = self(port);
  uint32_t length = static_cast<uint32_t>(round_up(sizeof(Frame) + bytes, cell));
  uint32_t offset = static_cast<uint32_t>(p->head % p->ring_bytes);
  uint32_t to_end = p->ring_bytes - offset;
  uint32_t skip = to_end < length ? to_end : 0;
  auto room = [&] { return p->ring_bytes - (p->head - p->tail_seen) >= skip + length; };
  if (!room() && (!refresh_tail(p) || !room())) {
    if (p->broken) return nullptr;
    block(port, true);
    if (p->broken || !room()) return nullptr;
  }
  if (p->blocked) block(port, false);
  if (skip) {
    *reinterpret_cast<Frame*>(p->ring_out + offset) = {skip, filler};
    offset = 0;
  }
  auto* frame = reinterpret_cast<Frame*>(p->ring_out + offset);
  *frame = {length, bytes};
  p->claimed = skip + length;
  return frame + 1;
}

void commit(Port* port) {
  ShmPort* p = self(port);
  p->head += p->claimed;
  p->claimed = 0;
  CARILLON_STEP("shm.head.publish");
  p->mine->head.exchange(p->head, sequential);  // pairs with look: attention armed, then head
}

Peek peek(Port* port, const unsigned char** packet, uint32_t* bytes) {
  ShmPort* p = self(port);
  for (;;) {
    if (p->broken) return Peek::broken;
    CARILLON_STEP("shm.head.load");
    uint64_t head = p->theirs->head.load(sequential);
    if (head == p->tail) return Peek::empty;
    uint32_t offset = static_cast<uint32_t>(p->tail % p->ring_bytes);
    uint64_t there = head - p->tail;
    const auto* shared = reinterpret_cast<const volatile Frame*>(p->ring_in + offset);
    Frame frame = {shared->length, shared->bytes};
    bool sound = head > p->tail && there <= p->ring_bytes && frame.length >= cell && frame.length % cell == 0 &&
                 frame.length <= there && frame.length <= p->ring_bytes - offset &&
                 (frame.bytes == filler ? offset > 0 && offset + frame.length == p->ring_bytes  // at most one a look
                                        : frame.bytes <= frame.length - sizeof(Frame));
    if (!sound) {
      p->broken = true;
      return Peek::broken;
    }
    if (frame.bytes == filler) {
      p->tail += frame.length;
      continue;
    }
    p->current = frame.length;
    *packet = p->ring_in + offset + sizeof(Frame);
    *bytes = frame.bytes;
    return Peek::packet;
  }
}

void release(Port* port) {
  ShmPort* p = self(port);
  p->tail += p->current;
  p->current = 0;
}

bool publish(Port* port) {
  ShmPort* p = self(port);
  if (p->tail == p->tail_published && !p->credit_changed) return false;
  if (p->credit_changed) {
    p->mine->free_bytes.store(p->free_bytes, std::memory_order_release);
    p->mine->free_envelopes.store(p->free_envelopes, std::memory_order_release);
    p->credit_changed = false;
  }
  p->tail_published = p->tail;
  CARILLON_STEP("shm.tail.publish");
  p->mine->tail.exchange(p->tail, sequential);  // also orders the credits before the load below
  CARILLON_STEP("shm.blocked.load");
  return p->theirs->blocked.load(sequential) != 0;
}

void credit(Port* port, uint64_t bytes, uint64_t envelopes) {
  ShmPort* p = self(port);
  p->free_bytes += bytes;
  p->free_envelopes += envelopes;
  p->credit_changed = true;
}

// --- bodies ----------------------------------------------------------------------------------------------------------

uint64_t offer_word(uint32_t generation, OfferState state) { return uint64_t{generation} << 2 | state; }
uint64_t claim_word(uint32_t generation) { return uint64_t{generation} << 2 | 1; }

bool offer(Port* port, Ticket* ticket) {
  ShmPort* p = self(port);
  for (uint32_t tried = 0; tried < slots; ++tried) {
    uint16_t slot = p->next_slot;
    p->next_slot = static_cast<uint16_t>((slot + 1) % slots);
    uint64_t mine = p->mine->offer[slot].load(std::memory_order_relaxed);
    if ((mine & 3) == offered) continue;
    // Revoked, but the receiver claimed it after we looked: its outcome must come before the slot is used again.
    if ((mine & 3) == revoked && p->theirs->claim[slot].load(sequential) == claim_word(p->generations[slot])) continue;
    uint32_t generation = ++p->generations[slot];
    CARILLON_STEP("shm.offer");
    p->mine->offer[slot].exchange(offer_word(generation, offered), sequential);
    *ticket = {slot, generation};
    return true;
  }
  return false;
}

bool revoke(Port* port, Ticket ticket) {
  ShmPort* p = self(port);
  CARILLON_STEP("shm.revoke");
  p->mine->offer[ticket.slot].exchange(offer_word(ticket.generation, revoked), sequential);
  CARILLON_STEP("shm.claim.load");
  // Pairs with accept: claim, then offer. At least one of the two sees the other.
  return p->theirs->claim[ticket.slot].load(sequential) != claim_word(ticket.generation);
}

bool outcome(Port* port, Ticket* ticket, Outcome* result) {
  ShmPort* p = self(port);
  CARILLON_STEP("shm.outcome.load");
  uint64_t head = p->theirs->outcome_head.load(sequential);
  if (head == p->outcome_tail) return false;
  if (head < p->outcome_tail || head - p->outcome_tail > outcomes) {
    p->broken = true;
    return false;
  }
  uint64_t word = p->theirs->outcome[p->outcome_tail++ % outcomes].load(std::memory_order_relaxed);
  *ticket = {static_cast<uint16_t>(word >> 8 & 0xffff), static_cast<uint32_t>(word >> 32)};
  *result = static_cast<Outcome>(word & 0xff);
  // A slot that was answered is free, whoever revoked it meanwhile.
  if (ticket->slot < slots && p->generations[ticket->slot] == ticket->generation)
    p->mine->offer[ticket->slot].store(offer_word(ticket->generation, free), std::memory_order_relaxed);
  return true;
}

void finish(Port* port, Ticket ticket, Outcome result) {
  ShmPort* p = self(port);
  uint64_t word = uint64_t{ticket.generation} << 32 | uint64_t{ticket.slot} << 8 | static_cast<uint64_t>(result);
  p->mine->outcome[p->outcome_head % outcomes].store(word, std::memory_order_relaxed);
  CARILLON_STEP("shm.outcome.publish");
  p->mine->outcome_head.exchange(++p->outcome_head, sequential);
}

Accept accept(Port* port, Ticket ticket) {
  ShmPort* p = self(port);
  if (ticket.slot >= slots) return Accept::revoked;
  CARILLON_STEP("shm.offer.load");
  if (p->theirs->offer[ticket.slot].load(sequential) != offer_word(ticket.generation, offered)) return Accept::revoked;
  CARILLON_STEP("shm.claim");
  p->mine->claim[ticket.slot].exchange(claim_word(ticket.generation), sequential);
  CARILLON_STEP("shm.offer.again");
  uint64_t now = p->theirs->offer[ticket.slot].load(sequential);
  if (now == offer_word(ticket.generation, offered)) return Accept::accepted;
  // Revoked between the two looks: the sender may have seen the claim and wait for an answer. If it did not, the answer
  // is one too many; it is ignored there, and a slot can cause only one such before outcomes are read: hence 2 * slots.
  if (now == offer_word(ticket.generation, revoked)) finish(port, ticket, Outcome::refused);
  return Accept::revoked;
}

Pull pull(Port* port, Ticket ticket, uint64_t remote, unsigned char* local, uint64_t bytes, uint64_t* done) {
  constexpr uint64_t chunk = 256 * 1024;
  ShmPort* p = self(port);
  uint64_t part = bytes - *done < chunk ? bytes - *done : chunk;
  CopyResult copied = CopyResult::ok;
  if (part > 0) {
    CARILLON_STEP("shm.pull");
    copied = p->copy(p->pid, p->process, remote + *done, local + *done, part);
  }
  CARILLON_STEP("shm.pull.check");
  // After the copy: what was copied counts only if the body still was the sender's to offer.
  bool standing = p->theirs->offer[ticket.slot].load(sequential) == offer_word(ticket.generation, offered);
  if (!standing) return Pull::revoked;  // even if it has ended since: it took the body back first
  if (copied == CopyResult::lost) return Pull::lost;
  if (copied == CopyResult::unreadable) return Pull::unreadable;
  *done += part;
  return *done == bytes ? Pull::complete : Pull::more;
}

bool look(const Port* port, bool packets) {
  const ShmPort* p = self(port);
  const Lane* theirs = p->theirs;
  CARILLON_STEP("shm.look");
  if (p->broken) return true;
  if (packets && theirs->head.load(sequential) != p->tail) return true;
  if (theirs->outcome_head.load(sequential) != p->outcome_tail) return true;
  return p->blocked && (theirs->tail.load(sequential) != p->tail_seen ||
                        theirs->free_envelopes.load(sequential) != p->envelopes_seen);
}

}  // namespace

void format(unsigned char* base, uint32_t rank, uint32_t size, uint32_t ring_bytes) {
  Header* h = header(base);
  h->magic = magic;
  h->version = layout_version;
  h->rank = rank;
  h->size = size;
  h->ring_bytes = ring_bytes;
}

bool connect(ShmPort* port, unsigned char* own, const unsigned char* peer, size_t peer_bytes, uint32_t peer_rank) {
  const Header* mine = header(static_cast<const unsigned char*>(own));
  const Header* theirs = header(peer);
  if (peer_bytes < segment_bytes(mine->size, mine->ring_bytes) || theirs->magic != magic ||
      theirs->version != layout_version || theirs->rank != peer_rank || theirs->size != mine->size ||
      theirs->ring_bytes != mine->ring_bytes)
    return false;
  size_t lane = lane_bytes(mine->ring_bytes);
  unsigned char* out = own + page + peer_rank * lane;
  const unsigned char* in = peer + page + mine->rank * lane;
  port->rank = peer_rank;
  port->attention = &theirs->attention;
  port->processor = &theirs->processor;
  port->closed = &theirs->closed;
  port->mine = reinterpret_cast<Lane*>(out);
  port->theirs = reinterpret_cast<const Lane*>(in);
  port->ring_out = out + round_up(sizeof(Lane), page);
  port->ring_in = in + round_up(sizeof(Lane), page);
  port->ring_bytes = mine->ring_bytes;
  port->returned = port->mine->returned;
  port->came_back = port->theirs->returned;
  port->regions = theirs->region;
  return true;
}

const Driver driver = {
    .name = "shm",
    .capabilities = {.max_packet = 16 * 1024,
                     .bodies = slots,
                     .reads_peer_memory = true,
                     .matches = false,
                     .wait = Wait::word},
    .claim = claim,
    .commit = commit,
    .peek = peek,
    .release = release,
    .publish = publish,
    .credit = credit,
    .credits = credits,
    .block = block,
    .offer = offer,
    .revoke = revoke,
    .outcome = outcome,
    .accept = accept,
    .pull = pull,
    .finish = finish,
    .look = look,
};

}  // namespace carillon::shm
