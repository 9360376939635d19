// What travels between a rank and the hub: one fixed record per packet of a SOCK_SEQPACKET socket, descriptors beside it.
// Responsible for framing, for passing descriptors and for refusing whatever is not such a record; not for which message
// may come when (hub.cc, client.cc).
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace carillon::bootstrap {

constexpr uint32_t wire_magic = 0x4c524143;  // "CARL"
constexpr uint16_t wire_version = 2;
constexpr uint32_t hello_descriptors = 4;    // segment, bell, escalation, interrupt
constexpr uint32_t peer_descriptors = 5;     // the same and the pidfd
constexpr uint32_t most_descriptors = 6;     // even, as the kernel rounds up the room for them
static_assert(most_descriptors >= peer_descriptors);

enum class Kind : uint16_t {
  hello = 1,    // rank → hub: rank, value = size, with hello_descriptors
  goodbye = 2,  // rank → hub: leaves properly
  peer = 3,     // hub → rank: rank, code = pid, with peer_descriptors
  joined = 4,   // hub → rank: value = size
  refused = 5,  // hub → rank: value = Refusal; for rank_ended rank, code and signal of the one that ended
  left = 6,     // hub → rank: rank said goodbye
  lost = 7,     // hub → rank: rank died without goodbye
  abort = 8,    // rank → hub: the whole job ends with code; hub → rank: rank asked for that
};

// One record for every kind, so that a receiver has one size to check. The first two words keep their meaning in every
// version: they are how a receiver tells another version from rubbish. Both ends run on one machine: host byte order.
struct Message {
  uint32_t magic = wire_magic;
  uint16_t version = wire_version;
  Kind kind = Kind::hello;
  uint32_t rank = 0;
  uint32_t value = 0;
  int32_t code = 0;
  int32_t signal = 0;
};
static_assert(sizeof(Message) == 24);

// Received descriptors; whatever is not taken is closed.
class Descriptors {
 public:
  Descriptors() = default;
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;
  ~Descriptors() { clear(); }
  uint32_t count() const { return count_; }
  int take(uint32_t index) { return std::exchange(descriptor_[index], -1); }
  void add(int descriptor) {
    if (count_ < most_descriptors) descriptor_[count_++] = descriptor;
    else close(descriptor);
  }
  void clear() {
    for (uint32_t i = 0; i < count_; ++i)
      if (descriptor_[i] >= 0) close(descriptor_[i]);
    count_ = 0;
  }

 private:
  int descriptor_[most_descriptors];
  uint32_t count_ = 0;
};

enum class Sent {
  done,
  blocked,   // the socket is full: EPOLLOUT will tell
  crowded,   // too many descriptors of this user are under way (ETOOMANYREFS): nothing will tell, try again later
  failed,    // the other end is gone
};

inline Sent send_message(int socket, const Message& message, const int* descriptors = nullptr, uint32_t count = 0) {
  iovec data{const_cast<Message*>(&message), sizeof message};
  alignas(cmsghdr) char control[CMSG_SPACE(most_descriptors * sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (count > 0) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(rights), descriptors, count * sizeof(int));
  }
  for (;;) {
    if (sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Sent::done;
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == ENOBUFS) return errno == EAGAIN ? Sent::blocked : Sent::crowded;
    return errno == ETOOMANYREFS || errno == ENOMEM ? Sent::crowded : Sent::failed;
  }
}

enum class Received {
  message,
  again,      // nothing there now
  ended,      // the other end hung up (an empty packet looks the same and is treated so)
  foreign,    // ours by its magic, but of another version: only magic and version of the message are filled in
  malformed,  // no record of ours
  no_room,    // this process could not hold the descriptors that came with it
};

inline Received receive_message(int socket, Message* message, Descriptors* descriptors) {
  descriptors->clear();
  *message = Message{};
  // The control buffer holds exactly most_descriptors: what is sent beyond that the kernel closes and flags.
  alignas(cmsghdr) char control[CMSG_SPACE(most_descriptors * sizeof(int))];
  static_assert(sizeof control - CMSG_LEN(0) == most_descriptors * sizeof(int));
  iovec data{message, sizeof *message};
  msghdr header{};
  ssize_t bytes = -1;
  // When the other end closes with packets of ours unread, the socket reports ECONNRESET once, *before* what is queued
  // here: a goodbye or a refusal would be lost if that were taken for the end.
  for (int attempt = 0; bytes < 0 && attempt < 4; ++attempt) {
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    bytes = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (bytes < 0 && errno == EAGAIN) return Received::again;
    if (bytes < 0 && errno != ECONNRESET && errno != EINTR) return Received::ended;
  }
  if (bytes < 0) return Received::ended;
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const size_t held = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < held; ++i) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(item) + i * sizeof(int), sizeof descriptor);
      descriptors->add(descriptor);
    }
  }
  if (bytes == 0) return Received::ended;
  if (static_cast<size_t>(bytes) < 8 || message->magic != wire_magic) return Received::malformed;
  if (message->version != wire_version) return Received::foreign;
  if (static_cast<size_t>(bytes) != sizeof *message || (header.msg_flags & MSG_TRUNC) != 0) return Received::malformed;
  if ((header.msg_flags & MSG_CTRUNC) != 0)
    return descriptors->count() == most_descriptors ? Received::malformed : Received::no_room;
  return Received::message;
}

// The abstract address of a hub; 0 when the name does not fit.
inline socklen_t abstract_address(const char* name, sockaddr_un* address) {
  const size_t length = strlen(name);
  *address = sockaddr_un{};
  if (length == 0 || length + 1 > sizeof address->sun_path) return 0;
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path + 1, name, length);  // sun_path[0] stays NUL: a name in no file system
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
}

}  // namespace carillon::bootstrap
