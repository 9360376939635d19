// The rank's end of the socket to the hub: see client.h. Each packet is turned into one event as it is read, so nothing is
// stored and a rank that closes early has no descriptors to give back but those still in the socket, which the kernel
// closes. What the hub writes is checked like anything from another process: size, descriptors, and whether it may come now.
#include "client.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <poll.h>
#include <sys/time.h>

#include "wire.h"

namespace carillon::bootstrap {
namespace {

// A hub takes connections at once unless its process is stopped; a join may not hang on that for ever.
constexpr int patience_seconds = 5;
constexpr int crowded_retry_ms = 5;

enum class Known : uint8_t { no, here, departed };

// Whether the process at the other end belongs to us. For a connected socket that is the user who called listen.
bool same_user(int socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 && credentials.uid == geteuid();
}

Refusal refusal_of(const Message& message) {
  const auto refusal = static_cast<Refusal>(message.value);
  return refusal > Refusal::none && refusal <= last_refusal ? refusal : Refusal::protocol;
}

Refusal connect_to(int socket, const char* address) {
  sockaddr_un name;
  const socklen_t length = abstract_address(address, &name);
  if (length == 0) return Refusal::hub_gone;
  const timeval patience{patience_seconds, 0};
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  int result;
  do result = connect(socket, reinterpret_cast<const sockaddr*>(&name), length);
  while (result != 0 && errno == EINTR);
  if (result != 0) return errno == ENOMEM || errno == ENOBUFS ? Refusal::no_resources : Refusal::hub_gone;
  if (!same_user(socket)) return Refusal::not_our_user;
  const int flags = fcntl(socket, F_GETFL);
  return fcntl(socket, F_SETFL, flags | O_NONBLOCK) == 0 ? Refusal::none : Refusal::no_resources;
}

Refusal say_hello(int socket, const Message& hello, const int (&descriptors)[hello_descriptors]) {
  Sent sent = Sent::crowded;
  for (int waited = 0; waited < patience_seconds * 1000; waited += crowded_retry_ms) {
    sent = send_message(socket, hello, descriptors, hello_descriptors);
    if (sent != Sent::crowded) break;
    poll(nullptr, 0, crowded_retry_ms);
  }
  if (sent == Sent::done) return Refusal::none;
  if (sent != Sent::failed) return Refusal::no_resources;
  // The hub hung up before it read anything: it may have said why.
  Message message;
  Descriptors passed;
  switch (receive_message(socket, &message, &passed)) {
    case Received::message: return message.kind == Kind::refused ? refusal_of(message) : Refusal::protocol;
    case Received::foreign: return Refusal::wrong_version;
    case Received::malformed: return Refusal::protocol;
    default: return Refusal::hub_gone;
  }
}

}  // namespace

struct Client {
  int socket;
  uint32_t rank, size;
  uint32_t peers = 0;      // how many `peer` events were given
  bool joined = false;
  bool over = false;       // refused or hub_gone was given: nothing follows
  Known known[max_ranks] = {};

  static Event event(EventKind kind, uint32_t rank = 0) {
    return Event{kind, rank, Refusal::none, 0, 0, PeerDescriptors{0, -1, -1, -1, -1, -1}};
  }

  // Hanging up here lets the hub know, while the descriptor stays the caller's until client_close.
  Event end(EventKind kind, Refusal refusal) {
    over = true;
    shutdown(socket, SHUT_RDWR);
    Event last = event(kind);
    last.refusal = refusal;
    return last;
  }

  Event refused(const Message& message) {
    Event last = end(EventKind::refused, refusal_of(message));
    last.rank = message.rank;
    last.code = message.code;
    last.signal = message.signal;
    return last;
  }

  Event peer(const Message& message, Descriptors& passed) {
    known[message.rank] = Known::here;
    ++peers;
    Event introduced = event(EventKind::peer, message.rank);
    introduced.peer = PeerDescriptors{message.code, passed.take(0), passed.take(1), passed.take(2), passed.take(3), passed.take(4)};
    return introduced;
  }

  Event departed(const Message& message) {
    known[message.rank] = Known::departed;
    return event(message.kind == Kind::left ? EventKind::peer_left : EventKind::peer_lost, message.rank);
  }

  Event understand(const Message& message, Descriptors& passed) {
    const bool another = message.rank < size && message.rank != rank;
    const uint32_t count = passed.count();
    switch (message.kind) {
      case Kind::peer:
        if (joined || !another || known[message.rank] != Known::no || message.code <= 0 || count != peer_descriptors) break;
        return peer(message, passed);
      case Kind::joined:
        if (joined || count != 0 || message.value != size || peers != size - 1) break;
        joined = true;
        return event(EventKind::joined, rank);
      case Kind::left:
      case Kind::lost:
        if (!joined || count != 0 || !another || known[message.rank] != Known::here) break;
        return departed(message);
      case Kind::abort: {
        if (!joined || count != 0 || !another || message.code <= 0 || message.code > 255) break;
        Event last = end(EventKind::aborted, Refusal::none);
        last.rank = message.rank;
        last.code = message.code;
        return last;
      }
      case Kind::refused:
        if (joined || count != 0 || message.rank >= max_ranks) break;
        return refused(message);
      default: break;
    }
    return end(EventKind::refused, Refusal::protocol);
  }
};

Client* client_open(const char* address, uint32_t rank, uint32_t size, int segment, int bell, int escalation, int interrupt,
                    Refusal* refusal) {
  if (size == 0 || size > max_ranks || rank >= size) {
    *refusal = Refusal::bad_rank;
    return nullptr;
  }
  Client* client = nullptr;
  *refusal = Refusal::no_resources;
  const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (socket < 0) return nullptr;
  *refusal = connect_to(socket, address);
  if (*refusal == Refusal::none) {
    Message hello;
    hello.kind = Kind::hello;
    hello.rank = rank;
    hello.value = size;
    *refusal = say_hello(socket, hello, {segment, bell, escalation, interrupt});
  }
  if (*refusal == Refusal::none) {
    client = new (std::nothrow) Client{socket, rank, size};
    if (client == nullptr) *refusal = Refusal::no_resources;
  }
  if (client == nullptr) close(socket);
  return client;
}

int client_descriptor(const Client* client) { return client->socket; }

Event client_next(Client* client) {
  if (client->over) return Client::event(EventKind::again);
  Message message;
  Descriptors passed;
  switch (receive_message(client->socket, &message, &passed)) {
    case Received::message: return client->understand(message, passed);
    case Received::again: return Client::event(EventKind::again);
    case Received::ended: return client->end(EventKind::hub_gone, Refusal::hub_gone);
    case Received::foreign: return client->end(EventKind::refused, Refusal::wrong_version);
    case Received::no_room: return client->end(EventKind::refused, Refusal::no_resources);
    case Received::malformed: break;
  }
  return client->end(EventKind::refused, Refusal::protocol);
}

void client_goodbye(Client* client) {
  Message goodbye;
  goodbye.kind = Kind::goodbye;
  send_message(client->socket, goodbye);
}

void client_abort(Client* client, int32_t code) {
  Message message;
  message.kind = Kind::abort;
  message.code = code;
  send_message(client->socket, message);
}

void client_close(Client* client) {
  close(client->socket);
  delete client;
}

bool is_thread_of(int descriptor, int32_t pid) {
  char path[64], line[128];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", descriptor);
  FILE* file = fopen(path, "re");
  int thread = -1;
  while (file && thread <= 0 && fgets(line, sizeof line, file)) sscanf(line, "Pid: %d", &thread);
  if (file) fclose(file);
  if (thread <= 0) return false;
  snprintf(path, sizeof path, "/proc/%d/task/%d", pid, thread);
  return access(path, F_OK) == 0;
}

bool is_eventfd(int descriptor) {
  char path[64], line[128];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", descriptor);
  FILE* file = fopen(path, "re");
  bool found = false;
  while (file && !found && fgets(line, sizeof line, file)) found = strncmp(line, "eventfd-count:", 14) == 0;
  if (file) fclose(file);
  return found;
}

}  // namespace carillon::bootstrap
