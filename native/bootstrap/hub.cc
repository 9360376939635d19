// The hub's thread: see hub.h. Responsible for sockets, epoll and time; which rank is where, and what each is still to be
// told, is the roster's (roster.h). Never blocks but in epoll_wait and allocates nothing after hub_open, so a client that
// is slow or writes rubbish costs its own connection and nobody else's.
#include "hub.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <new>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "connections.h"
#include "process.h"
#include "roster.h"
#include "wire.h"

namespace carillon::bootstrap {
namespace {

constexpr int64_t retry_ms = 10;       // after running into a limit that nothing announces the end of
constexpr int64_t how_ended_ms = 100;  // how long a rank's hang-up waits for the news of how its process ended

int64_t now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

struct Hub {
  explicit Hub(uint32_t size) : roster(size) {}
  ~Hub();
  bool open();
  bool turn(int patience);  // one wait of at most so many ms and what came of it; false: told to stop
  int timeout() const;

  char address[48] = {};
  std::atomic<int32_t> aborter{-1};  // written by the hub's thread
  std::mutex mutex;          // guards the next two; everything else belongs to the hub's thread
  bool stop = false;
  Ending reported[max_ranks];
  int wake = -1;
  pthread_t thread = {};

 private:
  void handle(const epoll_event& event);
  void on_time();
  void accept_all();
  void admit(int socket);
  void read_all(uint32_t slot);
  void hello(uint32_t slot, const Message& message, Descriptors& passed);
  void refuse(uint32_t slot, Refusal refusal);
  void rank_over(uint32_t rank);
  void process_ended(uint32_t rank);
  void tell(uint32_t rank);
  void tell_all();
  void fail(uint32_t rank, const Ending& how);
  void look_at_endings();

  Roster roster;
  Connections connections;
  int listener = -1;
  uint32_t gone_early = no_rank;  // hung up before the hand-out; the job fails as soon as it is known how, or at:
  int64_t gone_early_until = 0;
  int64_t tell_again_at = 0;      // 0: no need
  int64_t accept_again_at = 0;
};

Hub::~Hub() {
  if (listener >= 0) shutdown(listener, SHUT_RDWR);  // see Connections::hang_up
  for (const int descriptor : {listener, wake})
    if (descriptor >= 0) close(descriptor);
}

bool Hub::open() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < rlim_t{roster.size} * 6 + 32) {
    errno = EMFILE;
    return false;
  }
  unsigned char random[16];
  if (getrandom(random, sizeof random, 0) != sizeof random) return false;
  int length = snprintf(address, sizeof address, "carillon-");
  for (const unsigned char byte : random) length += snprintf(address + length, sizeof address - length, "%02x", byte);
  sockaddr_un name;
  const socklen_t name_length = abstract_address(address, &name);
  wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (!connections.open() || wake < 0 || listener < 0) return false;
  if (bind(listener, reinterpret_cast<const sockaddr*>(&name), name_length) != 0) return false;
  return listen(listener, 2 * max_ranks) == 0 && connections.watch(listener, Source::listener) &&
         connections.watch(wake, Source::wake);
}

int Hub::timeout() const {
  int64_t next = INT64_MAX;
  if (gone_early != no_rank && gone_early_until < next) next = gone_early_until;
  if (tell_again_at != 0 && tell_again_at < next) next = tell_again_at;
  if (accept_again_at != 0 && accept_again_at < next) next = accept_again_at;
  if (next == INT64_MAX) return -1;
  const int64_t left = next - now_ms();
  return left > 0 ? static_cast<int>(left) : 0;
}

bool Hub::turn(int patience) {
  epoll_event events[64];
  const int count = connections.wait(events, 64, patience);
  for (int i = 0; i < count; ++i) handle(events[i]);
  {
    const std::lock_guard lock(mutex);
    if (stop) return false;
  }
  look_at_endings();
  on_time();
  return true;
}

void Hub::handle(const epoll_event& event) {
  const uint32_t index = Connections::index(event);
  switch (Connections::source(event)) {
    case Source::listener: return accept_all();
    case Source::process: return process_ended(index);
    case Source::wake: {
      uint64_t rings;
      (void)!read(wake, &rings, sizeof rings);  // what it was rung for is looked at after every wait
      return;
    }
    case Source::connection: break;
  }
  if (connections.current(event) && (event.events & ~uint32_t{EPOLLOUT}) != 0) read_all(index);
  if (connections.current(event) && (event.events & EPOLLOUT) != 0) {
    tell(connections.at[index].rank);
    roster.release_when_handed_out();
  }
}

void Hub::on_time() {
  if (tell_again_at != 0 && now_ms() >= tell_again_at) {
    tell_again_at = 0;
    tell_all();
  }
  if (accept_again_at != 0 && now_ms() >= accept_again_at) {
    accept_again_at = 0;
    connections.resume(listener, Source::listener);
  }
}

void Hub::accept_all() {
  for (int i = 0; i < 64; ++i) {
    const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket >= 0) {
      admit(socket);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // The listener stays readable: without a pause this would spin.
      connections.pause(listener, Source::listener);
      accept_again_at = now_ms() + retry_ms;
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

void Hub::admit(int socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0 || credentials.uid != geteuid()) {
    Message message;
    message.kind = Kind::refused;
    message.value = static_cast<uint32_t>(Refusal::not_our_user);
    send_message(socket, message);
    close(socket);  // without a slot: another user can take nobody's place
    return;
  }
  // A small send buffer is the flow control: a few packets under way to each rank and EPOLLOUT for the rest. Descriptors
  // under way count against a limit of the user's (ETOOMANYREFS), and a large job would run into it.
  const int smallest = 1;
  setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &smallest, sizeof smallest);
  const uint32_t slot = connections.add(socket, credentials.pid);
  if (!connections.watch_connection(slot)) refuse(slot, Refusal::no_resources);
}

void Hub::refuse(uint32_t slot, Refusal refusal) {
  Message message;
  message.kind = Kind::refused;
  message.value = static_cast<uint32_t>(refusal);
  if (refusal == Refusal::rank_ended) {
    message.rank = roster.failed_rank;
    message.code = roster.failure.code;
    message.signal = roster.failure.signal;
  }
  send_message(connections.at[slot].socket, message);  // nothing was sent before it, so there is room for it
  connections.hang_up(slot);
}

void Hub::read_all(uint32_t slot) {
  Connection& connection = connections.at[slot];
  const uint32_t generation = connection.generation;
  Message message;
  Descriptors passed;
  // Ends soon whatever the other end writes: a second packet out of place closes the connection.
  while (connection.socket >= 0 && connection.generation == generation) {
    const uint32_t rank = connection.rank;
    const Received received = receive_message(connection.socket, &message, &passed);
    if (received == Received::again) return;
    if (rank == no_rank) {
      if (received == Received::message) hello(slot, message, passed);
      else if (received == Received::ended) connections.hang_up(slot);
      else if (received == Received::foreign) refuse(slot, Refusal::wrong_version);
      else refuse(slot, received == Received::no_room ? Refusal::no_resources : Refusal::protocol);
    } else if (received == Received::message && message.kind == Kind::goodbye && passed.count() == 0 &&
               roster.goodbye(rank)) {
      tell_all();
    } else if (received == Received::message && message.kind == Kind::abort && passed.count() == 0 &&
               roster.abort(rank, message.code)) {
      aborter.store(static_cast<int32_t>(roster.aborter));
      tell_all();
    } else {
      if (received != Received::ended && !roster.handing_out() && message.kind != Kind::goodbye)
        refuse(slot, Refusal::protocol);  // still waits in join: it can be told why
      rank_over(rank);
    }
  }
}

void Hub::hello(uint32_t slot, const Message& message, Descriptors& passed) {
  Connection& connection = connections.at[slot];
  if (message.kind != Kind::hello || passed.count() != hello_descriptors) return refuse(slot, Refusal::protocol);
  if (message.rank >= roster.size || message.value != roster.size) return refuse(slot, Refusal::bad_rank);
  if (roster.failed()) return refuse(slot, Refusal::rank_ended);
  if (roster.ranks[message.rank].presence != Presence::absent) return refuse(slot, Refusal::rank_taken);
  if (connection.pid <= 0) return refuse(slot, Refusal::no_resources);  // in a process namespace we cannot see
  const int process = open_process_at(connection.socket, connection.pid);
  if (process < 0 && errno != ESRCH) return refuse(slot, Refusal::no_resources);
  connection.rank = message.rank;
  roster.arrive(message.rank, slot, connection.pid, passed, process);
  if (process < 0 || !connections.watch(process, Source::process, message.rank)) return rank_over(message.rank);
  roster.ranks[message.rank].process_watched = true;
  if (gone_early == no_rank && roster.complete()) {
    roster.begin_hand_out();
    tell_all();
  }
}

// The rank's connection ended, or its process: whichever was noticed first, and only once.
void Hub::rank_over(uint32_t rank) {
  Rank& over = roster.ranks[rank];
  if (over.presence == Presence::ended) return;
  connections.hang_up(over.connection);
  if (!roster.handing_out()) {
    // Nobody else can join now. How the process ended is mostly known a moment after its sockets were closed.
    over.presence = Presence::ended;
    if (gone_early == no_rank && !roster.failed()) {
      gone_early = rank;
      gone_early_until = now_ms() + how_ended_ms;
    }
    return;
  }
  if (over.process_watched) connections.unwatch(over.process);
  over.process_watched = false;
  roster.end(rank);
  tell_all();
}

void Hub::process_ended(uint32_t rank) {
  Rank& ended = roster.ranks[rank];
  if (!ended.process_watched) return;  // an event that was fetched before the watch ended
  connections.unwatch(ended.process);
  ended.process_watched = false;
  if (ended.presence == Presence::here || ended.presence == Presence::left) {
    read_all(ended.connection);  // its goodbye may be on its way here
    rank_over(rank);             // a child of its may hold the socket open
  }
}

void Hub::tell(uint32_t rank) {
  if (roster.ranks[rank].presence != Presence::here || !roster.handing_out()) return;
  const uint32_t slot = roster.ranks[rank].connection;
  const Sent sent = roster.tell(rank, connections.at[slot].socket);
  if (sent == Sent::crowded && tell_again_at == 0) tell_again_at = now_ms() + retry_ms;
  connections.await_room(slot, sent == Sent::blocked);
}

void Hub::tell_all() {
  for (uint32_t rank = 0; rank < roster.size; ++rank) tell(rank);
  roster.release_when_handed_out();
}

void Hub::fail(uint32_t rank, const Ending& how) {
  gone_early = no_rank;
  roster.fail(rank, how);
  for (uint32_t other = 0; other < roster.size; ++other) {
    Rank& waiting = roster.ranks[other];
    if (waiting.presence == Presence::here) refuse(waiting.connection, Refusal::rank_ended);
    if (waiting.process_watched) connections.unwatch(waiting.process);
    roster.discard(other);
  }
}

// Before the hand-out a rank that ended ends the job: one that the launcher reports and that never came, or one that hung up.
void Hub::look_at_endings() {
  if (roster.failed() || roster.handing_out()) return;
  uint32_t rank = gone_early;
  Ending how;
  {
    const std::lock_guard lock(mutex);
    for (uint32_t i = 0; i < roster.size && rank == no_rank; ++i)
      if (reported[i].known && roster.ranks[i].presence == Presence::absent) rank = i;
    if (rank == no_rank) return;
    how = reported[rank];
  }
  if (how.known || how_process_ended(roster.ranks[rank].process, &how) || now_ms() >= gone_early_until) fail(rank, how);
}

Hub* hub_open(uint32_t size) {
  if (size == 0 || size > max_ranks) {
    errno = EINVAL;
    return nullptr;
  }
  Hub* hub = new (std::nothrow) Hub(size);
  if (hub == nullptr) {
    errno = ENOMEM;
    return nullptr;
  }
  int error = hub->open() ? 0 : errno;
  if (error == 0) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // the new thread inherits it
    const auto run = [](void* of) -> void* {
      auto* self = static_cast<Hub*>(of);
      while (self->turn(self->timeout())) continue;
      return nullptr;
    };
    error = pthread_create(&hub->thread, nullptr, run, hub);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  if (error == 0) {
    pthread_setname_np(hub->thread, "carillon-hub");
    return hub;
  }
  delete hub;
  errno = error;
  return nullptr;
}

const char* hub_address(const Hub* hub) { return hub->address; }

int32_t hub_aborter(const Hub* hub) { return hub->aborter.load(); }

static void wake_up(Hub* hub) {
  const uint64_t one = 1;
  while (write(hub->wake, &one, sizeof one) < 0 && errno == EINTR) continue;
}

void hub_rank_ended(Hub* hub, uint32_t rank, int32_t exit_code, int32_t signal) {
  if (rank >= max_ranks) return;
  {
    const std::lock_guard lock(hub->mutex);
    if (!hub->reported[rank].known) hub->reported[rank] = Ending{true, exit_code, signal};
  }
  wake_up(hub);
}

void hub_close(Hub* hub) {
  {
    const std::lock_guard lock(hub->mutex);
    hub->stop = true;
  }
  wake_up(hub);
  pthread_join(hub->thread, nullptr);
  delete hub;
}

}  // namespace carillon::bootstrap
