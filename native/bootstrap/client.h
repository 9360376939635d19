// The rank's side of how ranks meet: says hello to the hub, receives the other ranks' descriptors, hears of departures.
// Never blocks: the progress thread calls client_next whenever the socket is readable.
// Not responsible for what the descriptors are used for (native/drivers) nor for mapping segments (segment.h).
#pragma once

#include <cstdint>

namespace carillon::bootstrap {

constexpr uint32_t max_ranks = 256;

// Why a rank could not join. Values travel on the wire and to TypeScript (src/native.ts): append only.
enum class Refusal : uint32_t {
  none = 0,
  hub_gone = 1,        // nobody listens at the address, or it hung up
  not_our_user = 2,    // the other end belongs to another user
  wrong_version = 3,   // another version of Carillon at the other end
  bad_rank = 4,        // rank outside 0..size-1, or a size other than the hub's
  rank_taken = 5,      // another process has joined as this rank
  rank_ended = 6,      // a rank ended before all had joined: the event's rank, and how: exit code, or signal if not 0;
                       // code -1 without a signal: it left, or nobody could tell how it ended
  protocol = 7,        // the other end wrote what no hub writes
  no_resources = 8,    // out of descriptors or memory here or in the hub, or a kernel without pidfds
};
constexpr Refusal last_refusal = Refusal::no_resources;

// What one process hands to each other process. Descriptors are owned by the receiver of the structure.
struct PeerDescriptors {
  int32_t pid;
  int segment;      // memfd, sealed (segment.h)
  int bell;         // eventfd
  int escalation;   // eventfd
  int interrupt;    // what its kind of doorbell needs besides (an eventfd where that is nothing)
  int process;      // pidfd
};

enum class EventKind : uint32_t {
  again,         // nothing more to read now
  peer,          // descriptors of `rank` (one event per other rank), before joined
  joined,        // every rank has come and every `peer` event was given
  refused,       // see refusal; the connection is over
  peer_left,     // `rank` said goodbye
  peer_lost,     // `rank` died without goodbye, or broke the protocol with the hub
  aborted,       // `rank` ends the whole job, this process included, with exit code `code`
  hub_gone,      // the hub hung up: the launcher has ended; the connection is over
};

struct Event {
  EventKind kind;
  uint32_t rank;
  Refusal refusal;
  int32_t code, signal;
  PeerDescriptors peer;
};

struct Client;

// Connects and says hello with copies of the descriptors (the caller keeps its own). On failure returns nullptr and
// sets *refusal. Checks that the hub belongs to the same user. Waits a few seconds at most, and only for a hub whose
// process does not run.
Client* client_open(const char* address, uint32_t rank, uint32_t size, int segment, int bell, int escalation, int interrupt,
                    Refusal* refusal);
int client_descriptor(const Client*);       // non-blocking socket, for epoll

// Call until `again`. When the connection is over only `again` follows, while the socket stays readable for ever: take it
// out of the epoll set.
Event client_next(Client*);

// Whether a descriptor another process handed over is an eventfd: what else it might be could block its writer.
bool is_eventfd(int descriptor);
// Whether it is a pidfd of a thread of this process, which lives: signals sent through it reach nobody else.
bool is_thread_of(int descriptor, int32_t pid);
// This rank leaves properly; best effort, never blocks. May be called from another thread than client_next.
void client_goodbye(Client*);
// Asks the hub to end every other rank with this exit code; best effort, never blocks, any thread.
void client_abort(Client*, int32_t code);
void client_close(Client*);                 // closes the socket and any descriptor not yet handed out

}  // namespace carillon::bootstrap
