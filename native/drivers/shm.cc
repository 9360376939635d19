// The shm driver: rings, offers and credits in memory that one process writes and the other reads.
// Responsible for moving opaque packets and claiming bodies; not for what they mean (core) nor for getting the memory
// (bootstrap/segment.h). A peer's words are input: every value is checked against what this side knows before it is used.
#include "shm.h"

#include "../core/bytes.h"
#include "../core/step.h"

namespace carillon::shm {
namespace {

constexpr uint32_t line = 64;  // packets start on cache lines, so that a small one touches one line
constexpr uint32_t filler = 0xffffffff;

// In front of each packet in the ring.
struct Frame {
  uint32_t length;  // ring bytes to the next frame, a multiple of line
  uint32_t bytes;   // of the packet, or filler: skip to the ring's start
};

// What the peer has read is in its cache. Asked for a packet or two ahead, it is here when it is written (64 bytes one way: 2.1 million a
// second without, 3.1 with); a load would fetch it as shared, and gain nothing.
void will_write(const unsigned char* at) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*at));
#elif defined(__aarch64__)
  asm volatile("prfm pstl1keep, [%0]" : : "r"(at));
#endif
}

ShmPort* self(Port* port) { return static_cast<ShmPort*>(port); }
const ShmPort* self(const Port* port) { return static_cast<const ShmPort*>(port); }

constexpr auto sequential = std::memory_order_seq_cst;

void collect_cells(ShmPort* p) {
  for (; p->cells_back != p->cells_sent; ++p->cells_back) {
    const auto& out = p->cells_out[p->cells_back % ShmPort::most_cells];
    if (out.until > p->tail_seen) return;
    p->cells->free |= 1u << out.number;
  }
}

// Reads the peer's tail; false if it is impossible.
bool refresh_tail(ShmPort* p) {
  CARILLON_STEP("shm.tail.load");
  uint64_t tail = p->theirs->tail.load(sequential);
  if (tail < p->tail_seen || tail > p->head || tail % line) {
    p->broken = true;
    return false;
  }
  p->tail_seen = tail;
  collect_cells(p);
  return true;
}

void ask_for_ring(ShmPort* p, bool asked, bool no_room) {
  p->asked = asked;
  p->no_room = no_room;
  if (!asked && !no_room) {
    p->mine->blocked.store(0, std::memory_order_relaxed);
    return;
  }
  CARILLON_STEP("shm.blocked.set");
  p->mine->blocked.exchange(1, sequential);  // pairs with publish: tail, then blocked
  refresh_tail(p);  // from here on, look tells what is new
  p->posted_seen = p->theirs->posted.load(sequential);
}

void block(Port* port, bool blocked) { ask_for_ring(self(port), blocked, false); }

void* claim(Port* port, uint32_t bytes) {
  ShmPort* p = self(port);
  uint32_t length = static_cast<uint32_t>(round_up(sizeof(Frame) + bytes, line));
  uint32_t offset = static_cast<uint32_t>(p->head % p->ring_bytes);
  uint32_t to_end = p->ring_bytes - offset;
  uint32_t skip = to_end < length ? to_end : 0;
  auto room = [&] { return p->ring_bytes - (p->head - p->tail_seen) >= skip + length; };
  if (!room() && (!refresh_tail(p) || !room())) {
    if (p->broken) return nullptr;
    bool waits = p->no_room;  // somebody else does already
    ask_for_ring(p, p->asked, true);
    if (p->broken || !room()) return nullptr;
    if (!waits) ask_for_ring(p, p->asked, false);  // it came in that moment
  }
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
  if (p->claimed_cell >= 0) {
    p->cells->free &= ~(1u << p->claimed_cell);
    p->cells_out[p->cells_sent++ % ShmPort::most_cells] = {p->head, static_cast<uint32_t>(p->claimed_cell)};
    p->claimed_cell = -1;
  }
  will_write(p->ring_out + (p->head + 4 * line) % p->ring_bytes);
  will_write(p->ring_out + (p->head + 5 * line) % p->ring_bytes);
  CARILLON_STEP("shm.head.publish");
  p->mine->head.exchange(p->head, sequential);  // pairs with look: attention armed, then head
}

unsigned char* claim_cell(Port* port, uint32_t* number, uint64_t* bytes) {
  ShmPort* p = self(port);
  if (!p->cells) {
    *bytes = 0;
    return nullptr;
  }
  auto any = [&] { return p->cells_sent - p->cells_back < ShmPort::most_cells && p->cells->free != 0; };
  if (!any() && (!refresh_tail(p) || !any())) {
    if (p->cells_sent == p->cells_back) *bytes = 0;
    if (p->broken || *bytes == 0) return nullptr;
    bool waits = p->no_room;
    ask_for_ring(p, p->asked, true);
    if (p->broken || !any()) return nullptr;
    if (!waits) ask_for_ring(p, p->asked, false);
  }
  *number = static_cast<uint32_t>(__builtin_ctz(p->cells->free));
  if (*bytes > p->cell_bytes) *bytes = p->cell_bytes;
  p->claimed_cell = static_cast<int32_t>(*number);
  return p->cells->memory + size_t{*number} * p->cell_bytes;
}

const unsigned char* cell(const Port* port, uint32_t number, uint64_t bytes) {
  const ShmPort* p = self(port);
  if (number >= max_cells || bytes > p->cell_bytes) return nullptr;
  return p->cells_in + size_t{number} * p->cell_bytes;
}

void end(Port* port) {
  ShmPort* p = self(port);
  for (; p->cells_back != p->cells_sent; ++p->cells_back)
    p->cells->free |= 1u << p->cells_out[p->cells_back % ShmPort::most_cells].number;
}

Peek peek(Port* port, const unsigned char** packet, uint32_t* bytes) {
  ShmPort* p = self(port);
  for (;;) {
    if (p->broken) return Peek::broken;
    if (p->tail == p->head_seen) {  // once for all packets that are there: each look costs the sender its cache line
      CARILLON_STEP("shm.head.load");
      uint64_t head = p->theirs->head.load(sequential);
      if (head == p->tail) return Peek::empty;
      if (head < p->tail || head - p->tail > p->ring_bytes) {
        p->broken = true;
        return Peek::broken;
      }
      p->head_seen = head;
    }
    uint32_t offset = static_cast<uint32_t>(p->tail % p->ring_bytes);
    uint64_t there = p->head_seen - p->tail;
    const auto* shared = reinterpret_cast<const volatile Frame*>(p->ring_in + offset);
    Frame frame = {shared->length, shared->bytes};
    bool sound = frame.length >= line && frame.length % line == 0 &&
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
  if (p->tail == p->tail_published && !p->posts_changed) return false;
  if (p->posts_changed) {
    p->mine->posted.store(++p->posted, std::memory_order_release);
    p->posts_changed = false;
  }
  p->tail_published = p->tail;
  CARILLON_STEP("shm.tail.publish");
  p->mine->tail.exchange(p->tail, sequential);  // also orders the board's words before the load below
  CARILLON_STEP("shm.blocked.load");
  return p->theirs->blocked.load(sequential) != 0;
}

// --- the board -------------------------------------------------------------------------------------------------------

void post(Port* port, uint32_t index, uint64_t value) {
  ShmPort* p = self(port);
  p->mine->board[index].store(value, std::memory_order_release);
  p->posts_changed = true;
}

uint64_t read(const Port* port, uint32_t index) {
  CARILLON_STEP("shm.board.load");
  return self(port)->theirs->board[index].load(sequential);
}

void notice(Port* port) {
  CARILLON_STEP("shm.notice");
  self(port)->mine->notices.fetch_add(1, sequential);  // pairs with look: attention armed, then notices
}

bool noticed(Port* port) {
  ShmPort* p = self(port);
  CARILLON_STEP("shm.notices.load");
  uint64_t now = p->theirs->notices.load(sequential);
  if (now == p->notices_seen) return false;
  p->notices_seen = now;
  return true;
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

bool claimed(const Port* port, Ticket ticket) {
  CARILLON_STEP("shm.claim.look");
  return self(port)->theirs->claim[ticket.slot].load(sequential) == claim_word(ticket.generation);
}

bool outcome(Port* port, Ticket* ticket, Outcome* result, uint32_t* parts) {
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
  *parts = static_cast<uint32_t>(word >> 24 & 0xff);
  // A slot that was answered is free, whoever revoked it meanwhile.
  if (*result != Outcome::push && ticket->slot < slots && p->generations[ticket->slot] == ticket->generation)
    p->mine->offer[ticket->slot].store(offer_word(ticket->generation, free), std::memory_order_relaxed);
  return true;
}

void finish(Port* port, Ticket ticket, Outcome result, uint32_t parts) {
  ShmPort* p = self(port);
  static_assert(slots <= 1 << 16 && most_parts <= 0xff);
  uint64_t word = uint64_t{ticket.generation} << 32 | uint64_t{parts} << 24 | uint64_t{ticket.slot} << 8 | static_cast<uint64_t>(result);
  p->mine->outcome[p->outcome_head % outcomes].store(word, std::memory_order_relaxed);
  CARILLON_STEP("shm.outcome.publish");
  p->mine->outcome_head.exchange(++p->outcome_head, sequential);
}

bool stands(const Port* port, Ticket ticket) {
  CARILLON_STEP("shm.offer.look");
  return ticket.slot < slots &&
         self(port)->theirs->offer[ticket.slot].load(sequential) == offer_word(ticket.generation, offered);
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
  // is one too many; it is ignored there, and a slot can cause only one such before outcomes are read.
  if (now == offer_word(ticket.generation, revoked)) finish(port, ticket, Outcome::refused, 0);
  return Accept::revoked;
}

Pull pull(Port* port, Ticket ticket, uint64_t remote, unsigned char* local, uint64_t bytes, uint64_t* done) {
  ShmPort* p = self(port);
  if (*done < bytes && !p->reads.load(std::memory_order_relaxed)) return Pull::forbidden;
  uint64_t part = bytes - *done < pull_part ? bytes - *done : pull_part;
  CopyResult copied = CopyResult::ok;
  if (part > 0) {
    CARILLON_STEP("shm.pull");
    copied = p->copy(p->pid, p->process, remote + *done, local + *done, part);
  }
  CARILLON_STEP("shm.pull.check");
  // After the copy: what was copied counts only if the body still was the sender's to offer.
  if (!stands(port, ticket)) return Pull::revoked;  // even if it has ended since: it took the body back first
  if (copied == CopyResult::lost) return Pull::lost;
  if (copied == CopyResult::forbidden) {
    p->reads.store(false, std::memory_order_relaxed);
    return Pull::forbidden;
  }
  if (copied == CopyResult::unreadable) return Pull::unreadable;
  *done += part;
  if (part > 0 && !p->readable.load(std::memory_order_relaxed)) p->readable.store(true, std::memory_order_relaxed);
  return *done == bytes ? Pull::complete : Pull::more;
}

bool look(const Port* port, Packets packets) {
  const ShmPort* p = self(port);
  const Lane* theirs = p->theirs;
  CARILLON_STEP("shm.look");
  if (p->broken) return true;
  if (packets == Packets::any && (p->head_seen != p->tail || theirs->head.load(sequential) != p->tail)) return true;
  if (packets == Packets::crowd && theirs->head.load(sequential) - p->tail > p->no_crowd) return true;
  if (theirs->outcome_head.load(sequential) != p->outcome_tail) return true;
  if (theirs->notices.load(sequential) != p->notices_seen) return true;
  return (p->asked || p->no_room) && (theirs->tail.load(sequential) != p->tail_seen || theirs->posted.load(sequential) != p->posted_seen);
}

}  // namespace

void format(unsigned char* base, uint32_t rank, uint32_t size, uint32_t ring_bytes, uint64_t quota_bytes,
            uint64_t quota_envelopes) {
  Header* h = header(base);
  h->magic = magic;
  h->version = layout_version;
  h->rank = rank;
  h->size = size;
  h->ring_bytes = ring_bytes;
  h->quota_bytes = quota_bytes;
  h->quota_envelopes = quota_envelopes;
}

bool connect(ShmPort* port, unsigned char* own, const unsigned char* peer, size_t peer_bytes, uint32_t peer_rank, Cells* cells) {
  const Header* mine = header(static_cast<const unsigned char*>(own));
  const Header* theirs = header(peer);
  constexpr uint64_t most = uint64_t{1} << 40;  // far from overflow in the core's arithmetic
  const uint64_t quota_bytes = *const_cast<const volatile uint64_t*>(&theirs->quota_bytes);
  const uint64_t quota_envelopes = *const_cast<const volatile uint64_t*>(&theirs->quota_envelopes);
  if (peer_bytes < segment_bytes(mine->size, mine->ring_bytes) || theirs->magic != magic ||
      theirs->version != layout_version || theirs->rank != peer_rank || theirs->size != mine->size ||
      theirs->ring_bytes != mine->ring_bytes || quota_bytes > most || quota_envelopes == 0 ||
      quota_envelopes > most)
    return false;
  size_t lane = lane_bytes(mine->ring_bytes);
  unsigned char* out = own + page + peer_rank * lane;
  const unsigned char* in = peer + page + mine->rank * lane;
  port->rank = peer_rank;
  port->attention = &theirs->attention;
  port->processor = &theirs->processor;
  port->closed = &theirs->closed;
  port->quota_bytes = quota_bytes;
  port->quota_envelopes = quota_envelopes;
  port->mine = reinterpret_cast<Lane*>(out);
  port->theirs = reinterpret_cast<const Lane*>(in);
  port->ring_out = out + round_up(sizeof(Lane), page);
  port->ring_in = in + round_up(sizeof(Lane), page);
  port->ring_bytes = mine->ring_bytes;
  // A packet needs at most twice its length, when it does not fit before the ring's end.
  const uint32_t room = 2 * static_cast<uint32_t>(round_up(sizeof(Frame) + driver.capabilities.max_packet, line));
  port->no_crowd = mine->ring_bytes / 2 >= room ? mine->ring_bytes / 2 : 0;
  port->window = mine->ring_bytes;
  port->cell_bytes = cell_bytes(mine->ring_bytes);
  port->cells_in = peer + cells_offset(mine->size, mine->ring_bytes);
  port->cells = cells;
  if (cells) cells->memory = own + cells_offset(mine->size, mine->ring_bytes);
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
    .claim_cell = claim_cell,
    .cell = cell,
    .end = end,
    .block = block,
    .post = post,
    .read = read,
    .notice = notice,
    .noticed = noticed,
    .offer = offer,
    .revoke = revoke,
    .claimed = claimed,
    .outcome = outcome,
    .stands = stands,
    .accept = accept,
    .pull = pull,
    .finish = finish,
    .look = look,
};

}  // namespace carillon::shm
