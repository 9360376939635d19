// Real processes for bootstrap_test.cc: a member is a forked process that joins and then does what it is told over a
// socket, reporting each event. Nothing here waits by time: who waits, waits for a report, a descriptor or an end.
#pragma once

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "../../native/bootstrap/client.h"
#include "../../native/bootstrap/hub.h"
#include "../../native/bootstrap/segment.h"
#include "../../native/bootstrap/wire.h"
#include "check.h"

namespace test {

using namespace carillon::bootstrap;

constexpr int patience_ms = 30'000;  // only a failing test waits that long
constexpr size_t segment_bytes = 8192;

inline int open_descriptors() {
  DIR* directory = opendir("/proc/self/fd");
  int count = -1;  // the directory's own
  while (const dirent* entry = readdir(directory)) count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

// What a member tells its test.
struct Report {
  enum What : uint32_t { opened, event, done } what = done;
  EventKind kind = EventKind::again;
  Refusal refusal = Refusal::none;
  uint32_t rank = 0;
  int32_t code = 0, signal = 0;
  uint32_t right = 0;       // joined: how many peers were as they should be
  int32_t descriptors = 0;  // done: how many are open
};

enum class Order : uint8_t { join, goodbye, fork_and_die, leave };

struct Resources {
  Segment segment;
  int bell = -1, escalation = -1;
  explicit Resources(uint32_t rank) : segment(segment_create(segment_bytes)) {
    bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    escalation = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (segment.base != nullptr) memcpy(segment.base, &rank, sizeof rank);
  }
  Resources(const Resources&) = delete;
  Resources& operator=(const Resources&) = delete;
  ~Resources() {
    munmap(segment.base, segment.bytes);
    for (const int descriptor : {segment.descriptor, bell, escalation}) close(descriptor);
  }
};

// The number in a pidfd, as the kernel tells it.
inline int pid_of(int process) {
  char path[64], line[128];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", process);
  FILE* info = fopen(path, "re");
  int pid = -1;
  while (info != nullptr && fgets(line, sizeof line, info) != nullptr) sscanf(line, "Pid: %d", &pid);
  if (info != nullptr) fclose(info);
  return pid;
}

// Whether a peer's descriptors are what they should be: readable, its own, and not writable by us. Closes them.
inline bool peer_is_right(const Event& event) {
  const PeerDescriptors& peer = event.peer;
  size_t bytes = 0;
  const unsigned char* base = segment_map_peer(peer.segment, segment_bytes, &bytes);
  uint32_t rank = UINT32_MAX;
  if (base != nullptr) memcpy(&rank, base, sizeof rank);
  void* writable = mmap(nullptr, segment_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, peer.segment, 0);
  const bool sealed = writable == MAP_FAILED && pwrite(peer.segment, "x", 1, 0) < 0 && errno == EPERM &&
                      ftruncate(peer.segment, 0) < 0 && base != nullptr &&
                      mprotect(const_cast<unsigned char*>(base), bytes, PROT_READ | PROT_WRITE) < 0;
  bool right = sealed && bytes == segment_bytes && rank == event.rank && pid_of(peer.process) == peer.pid;
  const uint64_t one = 1;
  for (const int bell : {peer.bell, peer.escalation}) right = right && write(bell, &one, sizeof one) == sizeof one;
  for (const int descriptor : {peer.segment, peer.bell, peer.escalation, peer.interrupt, peer.process})
    right = right && (fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0;
  if (base != nullptr) munmap(const_cast<unsigned char*>(base), bytes);
  for (const int descriptor : {peer.segment, peer.bell, peer.escalation, peer.interrupt, peer.process}) close(descriptor);
  return right;
}

inline bool readable(int descriptor, int timeout = patience_ms) {
  pollfd wanted{descriptor, POLLIN, 0};
  return poll(&wanted, 1, timeout) == 1;
}

// The next event of a client, waiting for it.
inline Event next_event(Client* client) {
  for (;;) {
    const Event event = client_next(client);
    if (event.kind != EventKind::again || !readable(client_descriptor(client))) return event;
  }
}

inline void report(int control, const Report& what) {
  if (send(control, &what, sizeof what, MSG_NOSIGNAL) < 0) _exit(3);
}

// The life of a member process: opens at once, reads nothing from the hub before it is told to.
inline void live(int control, const char* address, uint32_t rank, uint32_t size) {
  const int before = open_descriptors();
  Refusal refusal = Refusal::none;
  Client* client = nullptr;
  {
    const Resources own(rank);
    client = client_open(address, rank, size, own.segment.descriptor, own.bell, own.escalation, own.bell, &refusal);
    Report first;
    first.what = Report::opened;
    first.refusal = refusal;
    report(control, first);
    bool reading = false, over = client == nullptr;
    uint32_t right = 0;
    for (bool living = true; living;) {
      pollfd wanted[2] = {{control, POLLIN, 0}, {reading && !over ? client_descriptor(client) : -1, POLLIN, 0}};
      if (poll(wanted, 2, patience_ms) <= 0) _exit(4);
      if (wanted[1].revents != 0) {
        const Event event = client_next(client);
        if (event.kind == EventKind::peer) right += peer_is_right(event);
        if (event.kind == EventKind::again || event.kind == EventKind::peer) continue;
        over = event.kind == EventKind::refused || event.kind == EventKind::hub_gone;
        Report news;
        news.what = Report::event;
        news.kind = event.kind;
        news.refusal = event.refusal;
        news.rank = event.rank;
        news.code = event.code;
        news.signal = event.signal;
        news.right = right;
        report(control, news);
        continue;  // what the hub said comes before what the test says next
      }
      Order order;
      if (wanted[0].revents != 0 && recv(control, &order, sizeof order, 0) != sizeof order) _exit(5);
      if (wanted[0].revents == 0) continue;
      if (order == Order::join) reading = true;
      if (order == Order::leave) living = false;
      if (order == Order::goodbye) client_goodbye(client);
      if (order == Order::fork_and_die) {
        if (fork() != 0) _exit(0);
        // The grandchild holds every descriptor, the socket to the hub too, until the test ends.
        while (recv(control, &order, sizeof order, 0) > 0) continue;
        _exit(0);
      }
    }
    if (client != nullptr) client_close(client);
  }
  Report last;
  last.what = Report::done;
  last.descriptors = open_descriptors() - before;
  report(control, last);
}

// A forked process with a control socket as its only inherited descriptor besides the standard ones.
struct Process {
  pid_t pid = -1;
  int control = -1;

  template <class Body>
  static Process start(Body body) {
    int ends[2];
    Process process;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) abort();
    fflush(stdout);
    process.pid = fork();
    if (process.pid < 0) abort();
    if (process.pid == 0) {
      dup2(ends[1], 3);
      syscall(SYS_close_range, 4U, ~0U, 0U);
      body(3);
      _exit(0);
    }
    close(ends[1]);
    process.control = ends[0];
    return process;
  }
  static Process member(const char* address, uint32_t rank, uint32_t size) {
    return start([=](int control) { live(control, address, rank, size); });
  }

  void tell(Order order) const { send(control, &order, sizeof order, MSG_NOSIGNAL); }
  Report hear() const {
    Report report;
    report.what = Report::done;
    report.descriptors = -1;
    if (readable(control) && recv(control, &report, sizeof report, 0) != sizeof report) report = Report{};
    return report;
  }
  // The next report is this event about this rank.
  bool hears(EventKind kind, uint32_t rank) const {
    const Report news = hear();
    return news.what == Report::event && news.kind == kind && news.rank == rank;
  }
  void kill_hard() const { kill(pid, SIGKILL); }
  int end() {
    if (control >= 0) close(control);
    control = -1;
    int status = -1;
    if (pid > 0) waitpid(pid, &status, 0);
    pid = -1;
    return status;
  }
};

// A job in this process's hub.
struct Job {
  Hub* hub;
  uint32_t size;
  std::vector<Process> members;

  explicit Job(uint32_t ranks) : hub(hub_open(ranks)), size(ranks) {}
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  ~Job() {
    for (Process& member : members)
      if (member.pid > 0) member.kill_hard(), member.end();
    if (hub != nullptr) hub_close(hub);
  }
  const char* address() const { return hub_address(hub); }
  // Starts rank `rank` and waits until it has said hello.
  bool start(uint32_t rank) {
    members.push_back(Process::member(address(), rank, size));
    const Report first = members.back().hear();
    return first.what == Report::opened && first.refusal == Refusal::none;
  }
  bool start_all() {
    bool all = true;
    for (uint32_t rank = 0; rank < size; ++rank) all = start(rank) && all;
    return all;
  }
  // Everyone joins and has found every peer right.
  bool join_all() {
    if (!start_all()) return false;
    for (const Process& member : members) member.tell(Order::join);
    bool all = true;
    for (const Process& member : members) {
      const Report news = member.hear();
      all = all && news.what == Report::event && news.kind == EventKind::joined && news.right == size - 1;
    }
    return all;
  }
  // Everybody but `except` hears this next.
  bool all_hear(EventKind kind, uint32_t rank, std::initializer_list<uint32_t> except) const {
    bool all = true;
    for (uint32_t i = 0; i < members.size(); ++i) {
      bool skip = false;
      for (const uint32_t other : except) skip = skip || other == i;
      if (!skip && !members[i].hears(kind, rank)) all = false;
    }
    return all;
  }
};

}  // namespace test
