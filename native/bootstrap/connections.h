// The hub's sockets: a fixed table of connections and the epoll set that watches them, the ranks' processes, the listener
// and the wake-up. Not responsible for what is read or written on them (hub.cc).
#pragma once

#include <cstdint>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "roster.h"

namespace carillon::bootstrap {

// Connections that have not said hello yet; beyond that the one that has been silent longest makes room. Every rank says
// hello as soon as it is connected, so only somebody else's connection is ever silent for long.
constexpr uint32_t most_silent = max_ranks;
constexpr uint32_t most_connections = max_ranks + most_silent;

enum class Source : uint8_t { listener, wake, connection, process };

struct Connection {
  int socket = -1;
  uint32_t generation = 0;   // tells an event for this connection from one for its predecessor in the slot
  uint32_t rank = no_rank;
  int32_t pid = 0;
  uint64_t arrival = 0;
  bool awaits_room = false;  // EPOLLOUT is watched
};

class Connections {
 public:
  ~Connections() {
    for (uint32_t slot = 0; slot < most_connections; ++slot) hang_up(slot);
    if (epoll_ >= 0) close(epoll_);
  }

  bool open() { return (epoll_ = epoll_create1(EPOLL_CLOEXEC)) >= 0; }

  int wait(epoll_event* events, int count, int timeout) { return epoll_wait(epoll_, events, count, timeout); }
  static Source source(const epoll_event& event) { return static_cast<Source>(event.data.u64 & 0xff); }
  static uint32_t index(const epoll_event& event) { return static_cast<uint32_t>(event.data.u64) >> 8; }
  // Whether the event is about the connection that is in its slot now.
  bool current(const epoll_event& event) const {
    const Connection& connection = at[index(event)];
    return connection.socket >= 0 && connection.generation == event.data.u64 >> 32;
  }

  bool watch(int descriptor, Source source, uint32_t index = 0) {
    return control(EPOLL_CTL_ADD, descriptor, EPOLLIN, source, index, 0);
  }
  // Before a descriptor is closed that others may hold a copy of (a pidfd always): closing alone would leave it watched.
  void unwatch(int descriptor) { epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr); }
  bool pause(int descriptor, Source source) { return control(EPOLL_CTL_MOD, descriptor, 0, source, 0, 0); }
  bool resume(int descriptor, Source source) { return control(EPOLL_CTL_MOD, descriptor, EPOLLIN, source, 0, 0); }

  // Takes the socket over and gives it a slot.
  uint32_t add(int socket, int32_t pid) {
    const uint32_t slot = free_slot();
    at[slot].socket = socket;
    at[slot].pid = pid;
    at[slot].arrival = ++arrivals_;
    return slot;
  }
  bool watch_connection(uint32_t slot) {
    return control(EPOLL_CTL_ADD, at[slot].socket, EPOLLIN, Source::connection, slot, at[slot].generation);
  }
  void await_room(uint32_t slot, bool wanted) {
    if (at[slot].awaits_room == wanted) return;
    at[slot].awaits_room = wanted;
    const uint32_t events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN;
    control(EPOLL_CTL_MOD, at[slot].socket, events, Source::connection, slot, at[slot].generation);
  }

  void hang_up(uint32_t slot) {
    Connection& connection = at[slot];
    if (connection.socket < 0) return;
    unwatch(connection.socket);
    shutdown(connection.socket, SHUT_RDWR);  // also where a child between fork and exec holds a copy
    close(connection.socket);
    const uint32_t generation = connection.generation + 1;
    connection = Connection{};
    connection.generation = generation;
  }

  Connection at[most_connections];

 private:
  bool control(int operation, int descriptor, uint32_t events, Source source, uint32_t index, uint32_t generation) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = uint64_t{generation} << 32 | uint64_t{index} << 8 | static_cast<uint8_t>(source);
    return epoll_ctl(epoll_, operation, descriptor, &event) == 0;
  }

  uint32_t free_slot() {
    uint32_t free = most_connections, silent = 0, oldest = most_connections;
    for (uint32_t slot = 0; slot < most_connections; ++slot) {
      if (at[slot].socket < 0) {
        free = slot;
      } else if (at[slot].rank == no_rank) {
        ++silent;
        if (oldest == most_connections || at[slot].arrival < at[oldest].arrival) oldest = slot;
      }
    }
    if (silent < most_silent) return free;  // there is one: at most max_ranks are not silent
    hang_up(oldest);
    return oldest;
  }

  int epoll_ = -1;
  uint64_t arrivals_ = 0;
};

}  // namespace carillon::bootstrap
