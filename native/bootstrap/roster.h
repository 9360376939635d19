// Who has come, what everybody is still to be told, and the descriptors meanwhile. What a rank is to be told is two
// cursors (the next peer, the next departure), not a queue: a rank that reads slowly costs no memory and delays nobody.
// Not responsible for when to read or write: the hub's thread (hub.cc) decides that.
#pragma once

#include <cstdint>

#include "client.h"
#include "wire.h"

namespace carillon::bootstrap {

constexpr uint32_t no_rank = UINT32_MAX;

struct Ending {
  bool known = false;
  int32_t code = -1, signal = 0;
};

enum class Presence : uint8_t {
  absent,
  here,
  left,   // said goodbye; its connection is watched until it hangs up
  ended,  // hung up or died; never comes back
};

struct Rank {
  Presence presence = Presence::absent;
  bool process_watched = false;
  bool told_joined = false;
  bool told_abort = false;
  uint32_t connection = 0;
  uint32_t next_peer = 0;
  uint32_t next_departure = 0;
  int32_t pid = 0;
  int shared[hello_descriptors] = {-1, -1, -1, -1};  // in the order of the hello
  int process = -1;
};

class Roster {
 public:
  explicit Roster(uint32_t ranks_expected) : size(ranks_expected) {}
  ~Roster() {
    for (uint32_t rank = 0; rank < size; ++rank) discard(rank);
  }

  bool handing_out() const { return phase_ == Phase::handing_out; }
  bool failed() const { return phase_ == Phase::failed; }
  bool complete() const { return phase_ == Phase::gathering && arrived_ == size; }

  // Takes the descriptors over.
  void arrive(uint32_t rank, uint32_t connection, int32_t pid, Descriptors& passed, int process) {
    Rank& newcomer = ranks[rank];
    newcomer.presence = Presence::here;
    newcomer.connection = connection;
    newcomer.pid = pid;
    newcomer.process = process;
    for (uint32_t i = 0; i < hello_descriptors; ++i) newcomer.shared[i] = passed.take(i);
    ++arrived_;
  }

  void begin_hand_out() { phase_ = Phase::handing_out; }

  // Whether this was the time for a goodbye; everybody is to be told.
  bool goodbye(uint32_t rank) {
    if (!handing_out() || ranks[rank].presence != Presence::here) return false;
    ranks[rank].presence = Presence::left;
    departures_[departed_++] = Departure{rank, Kind::left};
    return true;
  }

  // After begin_hand_out. Its descriptors stay until everyone has them: the others hear of its end in order, after it.
  void end(uint32_t rank) {
    if (ranks[rank].presence == Presence::here) departures_[departed_++] = Departure{rank, Kind::lost};
    ranks[rank].presence = Presence::ended;
    if (released_) discard(rank);
  }

  // The first one counts. Whether this was the time for it; everybody but the hub's own process is to be told.
  bool abort(uint32_t rank, int32_t code) {
    if (!handing_out() || code <= 0 || code > 255) return false;
    if (aborter != no_rank) return true;
    aborter = rank;
    abort_code_ = code;
    return true;
  }

  void fail(uint32_t rank, const Ending& how) {
    phase_ = Phase::failed;
    failed_rank = rank;
    failure = how;
  }

  // Writes what this rank is still to be told; Sent::done when nothing is left.
  Sent tell(uint32_t rank, int socket) {
    Rank& told = ranks[rank];
    Sent sent = Sent::done;
    for (; told.next_peer < size; ++told.next_peer)
      if (told.next_peer != rank && (sent = introduce(told.next_peer, socket)) != Sent::done) return sent;
    if (!told.told_joined) {
      Message message;
      message.kind = Kind::joined;
      message.value = size;
      if ((sent = send_message(socket, message)) != Sent::done) return sent;
      told.told_joined = true;
    }
    if (aborter != no_rank && aborter != rank && told.pid != own_pid_ && !told.told_abort) {
      Message message;
      message.kind = Kind::abort;
      message.rank = aborter;
      message.code = abort_code_;
      if ((sent = send_message(socket, message)) != Sent::done) return sent;
      told.told_abort = true;
    }
    for (; told.next_departure < departed_; ++told.next_departure) {
      const Departure& departure = departures_[told.next_departure];
      if (departure.rank == rank) continue;
      Message message;
      message.kind = departure.kind;
      message.rank = departure.rank;
      if ((sent = send_message(socket, message)) != Sent::done) return sent;
    }
    return Sent::done;
  }

  // Once everyone here has everything, the hub's copies go: a hub that keeps them would keep dead ranks' memory. Only the
  // pidfds of the living stay, to hear of their end.
  void release_when_handed_out() {
    if (released_ || !handing_out()) return;
    for (uint32_t rank = 0; rank < size; ++rank)
      if (ranks[rank].presence == Presence::here && ranks[rank].next_peer < size) return;
    released_ = true;
    for (uint32_t rank = 0; rank < size; ++rank) {
      drop_shared(rank);
      if (ranks[rank].presence == Presence::ended) discard(rank);
    }
  }

  // Closes every descriptor of a rank. The caller has stopped watching the pidfd.
  void discard(uint32_t rank) {
    drop_shared(rank);
    if (ranks[rank].process >= 0) close(std::exchange(ranks[rank].process, -1));
    ranks[rank].process_watched = false;
    ranks[rank].presence = Presence::ended;
  }

  const uint32_t size;
  Rank ranks[max_ranks];
  uint32_t failed_rank = no_rank;
  uint32_t aborter = no_rank;
  Ending failure;

 private:
  enum class Phase : uint8_t { gathering, handing_out, failed };
  struct Departure {
    uint32_t rank;
    Kind kind;
  };

  Sent introduce(uint32_t rank, int socket) {
    const Rank& peer = ranks[rank];
    Message message;
    message.kind = Kind::peer;
    message.rank = rank;
    message.code = peer.pid;
    const int descriptors[peer_descriptors] = {peer.shared[0], peer.shared[1], peer.shared[2], peer.shared[3], peer.process};
    return send_message(socket, message, descriptors, peer_descriptors);
  }

  void drop_shared(uint32_t rank) {
    for (int& descriptor : ranks[rank].shared)
      if (descriptor >= 0) close(std::exchange(descriptor, -1));
  }

  Phase phase_ = Phase::gathering;
  bool released_ = false;
  const int32_t own_pid_ = getpid();
  int32_t abort_code_ = 0;
  uint32_t arrived_ = 0;
  uint32_t departed_ = 0;
  Departure departures_[max_ranks];
};

}  // namespace carillon::bootstrap
