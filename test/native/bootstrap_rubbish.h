// Checks of bootstrap_test.cc: what a hub and a rank do about another process that writes rubbish.
#pragma once

#include "bootstrap_support.h"

namespace test {

inline int connect_raw(const char* address) {
  sockaddr_un name;
  const socklen_t length = abstract_address(address, &name);
  const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (connect(socket, reinterpret_cast<sockaddr*>(&name), length) != 0) abort();
  return socket;
}

// One packet with `count` copies of `descriptor`: whatever it takes to be out of order.
inline bool send_raw(int socket, const void* bytes, size_t length, int descriptor, int count) {
  iovec data{const_cast<void*>(bytes), length};
  alignas(cmsghdr) char control[CMSG_SPACE(64 * sizeof(int))] = {};
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
    for (int i = 0; i < count; ++i) memcpy(CMSG_DATA(rights) + i * sizeof(int), &descriptor, sizeof descriptor);
  }
  return sendmsg(socket, &header, MSG_NOSIGNAL) >= 0;
}

// What a hub answers to these bytes with so many descriptors; none: it hung up without a word.
inline Refusal answer_to(const char* address, const void* bytes, size_t length, int descriptors) {
  const int socket = connect_raw(address);
  Refusal refusal = Refusal::none;
  if (send_raw(socket, bytes, length, socket, descriptors) && readable(socket)) {
    Message message;
    Descriptors received;
    if (receive_message(socket, &message, &received) == Received::message && message.kind == Kind::refused)
      refusal = static_cast<Refusal>(message.value);
  }
  close(socket);
  return refusal;
}

inline void rubbish() {
  const int before = open_descriptors();
  {
    Job job(2);
    check(job.start(0), "rank 0 says hello");
    const char* address = job.address();
    const std::vector<char> large(65536, 'r');
    Message hello;
    hello.rank = 1;
    hello.value = 2;
    Message other_version = hello, other_kind = hello;
    other_version.version = wire_version + 1;
    other_kind.kind = static_cast<Kind>(4711);
    struct { Message message; char more = 0; } longer{hello};
    check(answer_to(address, "x", 1, 0) == Refusal::protocol, "one byte");
    check(answer_to(address, large.data(), large.size(), 4) == Refusal::protocol, "64 KiB of rubbish");
    check(answer_to(address, "", 0, 4) == Refusal::none, "empty packet with descriptors");
    check(answer_to(address, &hello, sizeof hello - 1, 4) == Refusal::protocol, "hello cut short");
    check(answer_to(address, &longer, sizeof longer, 4) == Refusal::protocol, "hello too long");
    check(answer_to(address, &other_kind, sizeof hello, 4) == Refusal::protocol, "unknown kind");
    check(answer_to(address, &other_version, sizeof hello, 4) == Refusal::wrong_version, "another version");
    check(answer_to(address, &other_version, 9, 0) == Refusal::wrong_version, "another version, another size");
    for (const int count : {0, 1, 2, 3, 5, 6, 20, 64})
      check(answer_to(address, &hello, sizeof hello, count) == Refusal::protocol, "hello with another number of descriptors");
    std::vector<int> silent;  // more than the hub holds: the oldest go, nobody else suffers
    for (int i = 0; i < 300; ++i) silent.push_back(connect_raw(address));
    check(job.start(1), "rank 1 says hello beside 300 who say nothing");
    for (const Process& member : job.members) member.tell(Order::join);
    check(job.all_hear(EventKind::joined, 0, {1}) && job.all_hear(EventKind::joined, 1, {0}), "job forms nevertheless");
    for (const int socket : silent) close(socket);
  }
  check(open_descriptors() == before, "hub kept nothing of it");
}

// A member that writes out of turn is lost to the others; one that writes while it waits hears why.
inline void out_of_turn() {
  Job job(2);
  const Resources own(0);
  Refusal refusal = Refusal::none;
  Client* client = client_open(job.address(), 0, 2, own.segment.descriptor, own.bell, own.escalation, own.bell, &refusal);
  check(client != nullptr && job.start(1), "both say hello");
  job.members[0].tell(Order::join);
  check(peer_is_right(next_event(client)) && next_event(client).kind == EventKind::joined, "both join");
  check(job.members[0].hears(EventKind::joined, 1), "the other too");
  send(client_descriptor(client), "rubbish", 7, MSG_NOSIGNAL);
  check(job.members[0].hears(EventKind::peer_lost, 0), "rubbish after joining: lost");
  check(next_event(client).kind == EventKind::hub_gone && client_next(client).kind == EventKind::again, "and cut off");
  client_close(client);

  Job waiting(2);
  client = client_open(waiting.address(), 0, 2, own.segment.descriptor, own.bell, own.escalation, own.bell, &refusal);
  send(client_descriptor(client), "rubbish", 7, MSG_NOSIGNAL);
  const Event event = next_event(client);
  check(event.kind == EventKind::refused && event.refusal == Refusal::protocol, "rubbish while waiting: refused");
  client_close(client);
}

// A hub that is none: the client believes nothing that is out of place.
inline void rubbish_from_hub() {
  struct Case { const char* what; Message message; int descriptors; size_t length; Refusal refusal; };
  const auto make = [](Kind kind, uint32_t rank, uint32_t value, int32_t code) {
    Message message;
    message.kind = kind;
    message.rank = rank;
    message.value = value;
    message.code = code;
    return message;
  };
  Message newer = make(Kind::joined, 0, 2, 0);
  newer.version = wire_version + 1;
  const size_t whole = sizeof(Message);
  const Case cases[] = {
      {"peer with too few descriptors", make(Kind::peer, 1, 0, 1), 4, whole, Refusal::protocol},
      {"peer with too many descriptors", make(Kind::peer, 1, 0, 1), 9, whole, Refusal::protocol},
      {"peer that is itself", make(Kind::peer, 0, 0, 1), 5, whole, Refusal::protocol},
      {"peer outside the job", make(Kind::peer, 2, 0, 1), 5, whole, Refusal::protocol},
      {"peer without a process", make(Kind::peer, 1, 0, 0), 5, whole, Refusal::protocol},
      {"joined before the peers", make(Kind::joined, 0, 2, 0), 0, whole, Refusal::protocol},
      {"departure before joined", make(Kind::lost, 1, 0, 0), 0, whole, Refusal::protocol},
      {"hello from the hub", make(Kind::hello, 1, 2, 0), 4, whole, Refusal::protocol},
      {"unknown refusal", make(Kind::refused, 1, 4711, 0), 0, whole, Refusal::protocol},
      {"refusal", make(Kind::refused, 1, static_cast<uint32_t>(Refusal::rank_taken), 0), 0, whole, Refusal::rank_taken},
      {"packet cut short", make(Kind::joined, 0, 2, 0), 0, whole - 3, Refusal::protocol},
      {"another version", newer, 0, whole, Refusal::wrong_version},
  };
  const int before = open_descriptors();
  const Resources own(0);
  char address[64];
  snprintf(address, sizeof address, "carillon-test-%d", static_cast<int>(getpid()));
  sockaddr_un name;
  const socklen_t length = abstract_address(address, &name);
  const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (bind(listener, reinterpret_cast<sockaddr*>(&name), length) != 0 || listen(listener, 1) != 0) abort();
  for (const Case& each : cases) {
    Refusal refusal = Refusal::none;
    Client* client = client_open(address, 0, 2, own.segment.descriptor, own.bell, own.escalation, own.bell, &refusal);
    const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    send_raw(socket, &each.message, each.length, own.bell, each.descriptors);
    close(socket);
    const Event event = next_event(client);
    check(event.kind == EventKind::refused && event.refusal == each.refusal, each.what);
    check(client_next(client).kind == EventKind::again, "  and nothing after it");
    client_close(client);
  }
  close(listener);
  check(open_descriptors() == before + 3, "no descriptor of theirs is left");
}

}  // namespace test
