// The driver contract: how bytes move between this process and one peer.
//
// A driver knows nothing of the core. Packets are opaque bytes; what peers need to know of each other is an address that
// bootstrap carries; what a driver can do is data (Capabilities) that the core reads to choose a protocol.
// Unless an entry says otherwise it is called under the guard, allocates nothing, waits for nothing and is safe in an
// interrupt handler. A port belongs to the core from connect to disconnect.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace carillon {

// How a thread can wait for a driver's events.
enum class Wait : uint8_t {
  word,        // the peer rings this process's doorbell after it looked at our attention word
  descriptor,  // a descriptor for the progress thread's epoll set
  call,        // a blocking call with a wake-up of its own, on a thread of its own
  timer,       // nothing: only looking helps
};

struct Capabilities {
  uint32_t max_packet;      // bytes of the largest packet, header included
  uint32_t bodies;          // offers that may be open to one peer at a time
  bool reads_peer_memory;   // pull copies straight from the sender's address space
  bool matches;             // the network matches tags itself (none yet)
  Wait wait;
};

enum class Peek : uint8_t { empty, packet, broken };
// Which packets look tells of: none; so many that the sender may soon find no room; any.
enum class Packets : uint8_t { none, crowd, any };
enum class Accept : uint8_t { accepted, revoked };
// forbidden: this process may not read the peer's memory, now or ever: the body has to come in parts.
// pushed: it shall come in parts (said by the puller, not by drivers).
enum class Pull : uint8_t { more, complete, revoked, lost, unreadable, forbidden, pushed };

// What a receiver tells the sender of an offer it has claimed. All but push end the offer.
enum class Outcome : uint8_t {
  pulled = 1,
  refused = 2,
  failed = 3,
  push = 4,    // send the body, or the rest of it, in parts; another outcome follows
  mapped = 5,  // the receiver has the leased memory itself
};

// A body is pulled in parts of this many bytes, and what is pushed of it begins after one of the first `most_parts`.
#ifdef CARILLON_SIM
constexpr uint64_t pull_part = 512;  // the simulator's bodies are small
#else
constexpr uint64_t pull_part = 1 << 20;
#endif
constexpr uint32_t most_parts = 255;

constexpr uint32_t board_words = 96;
constexpr uint32_t max_cells = 8;  // of a rank, for parts of bodies

struct Ticket {
  uint16_t slot;
  uint32_t generation;
};

constexpr uint32_t max_loans = 256;    // leases that may be out at one peer
constexpr uint32_t max_regions = 256;  // of a rank's leased memory, that its peers may keep mapped

// Memory that a sender lends for a body, or shows to be copied, for a receiver that can map it. Made and read outside the core (leases/leases.h);
// the core and the drivers only carry it.
struct Loan {
  uint64_t inode;       // of the memory, which is a file without a name
  uint64_t bytes;       // its size
  int32_t descriptor;   // its number in the sender's process
  uint32_t generation;  // of the loan word
  uint16_t slot;        // which of the pair's loan words says that it came back
  uint16_t region;      // which of the sender's region words says that the memory lives on
  uint32_t read_only;   // 1: to be copied from `offset` on; no loan, nothing comes back
  uint64_t offset;
};
static_assert(sizeof(Loan) == 40);

// One connected peer. Drivers extend it; what the core reads on its hot path is data here, not a call.
struct Port {
  uint32_t rank = 0;
  // The peer's attention (Attention in doorbell/attention.h), written by the peer. Never null once connected.
  const std::atomic<uint64_t>* attention = nullptr;
  // The processor the peer last sent from, written by the peer; a hint.
  const std::atomic<uint32_t>* processor = nullptr;
  // Nonzero once the peer has said that it leaves.
  const std::atomic<uint32_t>* closed = nullptr;
  // Bytes of packets that may be on their way at once, about.
  uint64_t window = 0;
  // What the peer holds for us at most, as it said when it formatted its memory; checked by connect.
  uint64_t quota_bytes = 0, quota_envelopes = 0;
  // Leased memory; null: this driver cannot hand it over. By slot of a loan the generation that came back last: from us to
  // the peer, and from the peer to us. By region the inode of memory of the peer's that lives, or 0.
  std::atomic<uint32_t>* returned = nullptr;
  const std::atomic<uint32_t>* came_back = nullptr;
  const std::atomic<uint64_t>* regions = nullptr;
  // A body of this peer's has been pulled: another may be, too, or the rest of one that comes in packets.
  std::atomic<bool> readable{false};
  // The peer wrote what no driver writes: nothing can be sent or received any more.
  bool broken = false;
};

struct Driver {
  const char* name;
  Capabilities capabilities;

  // --- packets -----------------------------------------------------------------------------------------------------
  // Room for a packet of `bytes` (<= max_packet), to be filled and committed before anything else is sent through the
  // port. Null: no room now; the driver has told the peer to ring when there is.
  void* (*claim)(Port*, uint32_t bytes);
  void (*commit)(Port*);
  // The oldest packet not yet released. Its memory may be the peer's: read once, check, then use. broken: the peer
  // wrote what no driver writes; the port is dead.
  Peek (*peek)(Port*, const unsigned char** packet, uint32_t* bytes);
  void (*release)(Port*);
  // Publishes what was released and posted since the last call. True: the peer waits for that and should be rung.
  bool (*publish)(Port*);
  // Room apart from the ring for a part of a body: asked for `*bytes`, which then says how many fit. The next packet committed
  // carries its number to the peer, and when the peer releases that packet the cell is free again. Null: the peer has as many
  // as it may have, and rings when it gives one back; or, with `*bytes` 0, all are at other peers, and the ring has to do.
  unsigned char* (*claim_cell)(Port*, uint32_t* number, uint64_t* bytes);
  // The peer's cell that a packet named. Its memory is the peer's. Null: it has none such, or not as large.
  const unsigned char* (*cell)(const Port*, uint32_t number, uint64_t bytes);
  // The peer has ended: what it has not released is free.
  void (*end)(Port*);
  // Sender: asks the peer to ring when it publishes something, or no longer. Look at what was missing once more after
  // asking. A claim that finds no room asks by itself; it is for the core to say when nobody waits any more.
  void (*block)(Port*, bool blocked);

  // --- the board: words that one side writes and the other reads; what they mean is the core's ---------------------
  // Own word, index < board_words. The peer sees it after the next publish or notice.
  void (*post)(Port*, uint32_t index, uint64_t value);
  // The peer's word, unchecked.
  uint64_t (*read)(const Port*, uint32_t index);
  // The peer shall look at the board: its look is true until it calls noticed. It should be rung, too.
  void (*notice)(Port*);
  // Was there a notice since the last call? Call it before reading the board, not after.
  bool (*noticed)(Port*);

  // --- bodies ------------------------------------------------------------------------------------------------------
  // Sender: a free offer word, now `offered`. False: all are open.
  bool (*offer)(Port*, Ticket*);
  // Sender: takes an offer back. True: nobody had claimed it, the ticket is free. False: the receiver had; its outcome
  // (refused, or pulled) follows.
  bool (*revoke)(Port*, Ticket);
  // Sender: has the receiver claimed it, as far as can be seen now?
  bool (*claimed)(const Port*, Ticket);
  // Sender: the next outcome; of push, how many parts the receiver has already. False: none. Calls with a ticket or parts that the peer
  // invented are reported as they are; the core checks.
  bool (*outcome)(Port*, Ticket*, Outcome*, uint32_t* parts);
  // Receiver: does an offer stand, for now? Claims nothing.
  bool (*stands)(const Port*, Ticket);
  // Receiver: claims an offer.
  Accept (*accept)(Port*, Ticket);
  // Receiver: copies the next part of a body, at most pull_part. NOT under the guard, never in a handler, may block in
  // the kernel. `done` counts bytes copied so far. Checks the offer and the peer's life after the copy.
  Pull (*pull)(Port*, Ticket, uint64_t remote, unsigned char* local, uint64_t bytes, uint64_t* done);
  // Receiver: tells the sender how it ended, or that it shall push, after so many parts.
  void (*finish)(Port*, Ticket, Outcome, uint32_t parts);

  // --- waiting -----------------------------------------------------------------------------------------------------
  // Is there a packet (or a crowd of them, as asked for), an outcome or a notice that was not there at the last
  // peek/outcome/noticed, or something published since block? Loads sequentially consistent: pairs with the peer's
  // publications before it looks at our attention. Less than a crowd leaves its sender room for any packet.
  bool (*look)(const Port*, Packets);
};

}  // namespace carillon
