// Fuzz target: both ends of how ranks meet, over real sockets, with records, bytes and descriptors from the fuzzer.
//
// The first byte chooses: a rank's client whose hub writes what the input says, or the hub with connections that write what
// the input says beside ranks that behave. The hub runs in this thread, turn by turn, by a clock of the fuzzer's, so that an
// input is always the same run. Demanded besides silence of the sanitizers: events only in the order the contract has
// them; a hub never gets a good client to complain of its protocol; every descriptor is closed in the end.
#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstring>

#include "input.h"
#include "require.h"

namespace fuzz {
static int64_t clock_ms = 1000;
static int fuzzed_clock(clockid_t, timespec* now) {
  *now = {clock_ms / 1000, clock_ms % 1000 * 1'000'000};
  return 0;
}
}  // namespace fuzz

// The hub whole, to run it without its thread. Its standard headers first: they know the real clock.
#include <csignal>
#include <ctime>
#include <mutex>
#define clock_gettime ::fuzz::fuzzed_clock
#include "../../native/bootstrap/hub.cc"
#undef clock_gettime

#include "../../native/bootstrap/client.h"
#include "../../native/bootstrap/segment.h"

namespace fuzz {
namespace {

using namespace carillon::bootstrap;

constexpr size_t own_bytes = 8192;

int open_descriptors() {
  DIR* folder = opendir("/proc/self/fd");
  int count = -1;  // the folder's own
  while (const dirent* entry = readdir(folder)) count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}

// Descriptors to hand over, right and wrong: open for the whole process.
struct Stock {
  Segment segment = segment_create(own_bytes);
  int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  int process = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  char address[64];

  Stock() {
    snprintf(address, sizeof address, "carillon-fuzz-%d", static_cast<int>(getpid()));
    sockaddr_un name;
    const socklen_t length = abstract_address(address, &name);
    REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&name), length) == 0 && listen(listener, 8) == 0, "no listener");
    REQUIRE(segment.base && bell >= 0 && unsealed >= 0 && nothing >= 0 && process >= 0, "no descriptors");
  }
  int pick(uint32_t which) const {
    const int all[] = {segment.descriptor, bell, unsealed, nothing, process, segment.descriptor, bell, bell};
    return all[which % 8];
  }
};

Stock& stock() {
  static Stock one;
  return one;
}

// A record, or what is almost one, with whatever descriptors; never waits.
void write_record(int socket, Input& in, uint32_t size) {
  struct {
    Message message;
    unsigned char more[40] = {};
  } bytes;
  Message& m = bytes.message;
  const uint8_t how = in.u8();
  const uint8_t wrong = how & 0x80 ? in.u8() : 0;
  m.kind = static_cast<Kind>(1 + (how & 7));
  m.rank = in.u8() % (size + 1);
  m.value = m.kind == Kind::refused ? in.u8() % 12 : size;
  m.code = m.kind == Kind::peer ? 1 : in.u8();
  uint32_t count = m.kind == Kind::hello ? hello_descriptors : m.kind == Kind::peer ? peer_descriptors : 0;
  size_t length = sizeof m;
  if (wrong & 1) m.magic = in.u32();
  if (wrong & 2) m.version = in.u16();
  if (wrong & 4) m.kind = static_cast<Kind>(in.u16());
  if (wrong & 8) m.rank = in.u32();
  if (wrong & 16) m.value = in.u32();
  if (wrong & 32) m.code = static_cast<int32_t>(in.u32());
  if (wrong & 64) count = in.u8() % 12;
  if (wrong & 128) length = in.u8() % sizeof bytes;
  const bool as_it_should = how & 0x40;

  iovec data{&bytes, length};
  alignas(cmsghdr) char control[CMSG_SPACE(12 * sizeof(int))] = {};
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
    const int good[] = {stock().segment.descriptor, stock().bell, stock().bell, stock().process};
    for (uint32_t i = 0; i < count; ++i) {
      const int descriptor = as_it_should ? good[i % 4] : stock().pick(in.u8());
      memcpy(CMSG_DATA(rights) + i * sizeof(int), &descriptor, sizeof descriptor);
    }
  }
  sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void take_descriptors(const PeerDescriptors& peer) {
  size_t bytes = 0;
  if (const unsigned char* base = segment_map_peer(peer.segment, own_bytes, &bytes)) {
    REQUIRE(bytes >= own_bytes, "a segment too small");
    [[maybe_unused]] volatile unsigned char last = base[bytes - 1];
    munmap(const_cast<unsigned char*>(base), bytes);
  }
  is_eventfd(peer.bell);
  for (const int descriptor : {peer.segment, peer.bell, peer.escalation, peer.interrupt, peer.process}) {
    REQUIRE(descriptor >= 0, "a descriptor that is none");
    close(descriptor);
  }
}

// A rank that behaves: reads its events and holds them against the contract.
struct Member {
  Client* client = nullptr;
  uint32_t rank = 0, size = 0;
  bool joined = false, over = false;
  bool introduced[max_ranks] = {}, departed[max_ranks] = {};

  bool come(const char* address, uint32_t as, uint32_t of) {
    Refusal refusal = Refusal::none;
    rank = as;
    size = of;
    client = client_open(address, as, of, stock().segment.descriptor, stock().bell, stock().bell, stock().bell, &refusal);
    REQUIRE(client != nullptr || refusal != Refusal::none, "no reason");
    return client != nullptr;
  }
  // `honest`: the hub is a real one.
  void listen(bool honest) {
    for (;;) {
      const Event event = client_next(client);
      if (event.kind == EventKind::again) return;
      REQUIRE(!over, "something after the end");
      const bool other = event.rank < size && event.rank != rank;
      switch (event.kind) {
        case EventKind::peer:
          take_descriptors(event.peer);
          REQUIRE(!joined && other && !introduced[event.rank] && event.peer.pid > 0, "a peer out of turn");
          introduced[event.rank] = true;
          break;
        case EventKind::joined:
          REQUIRE(!joined, "joined twice");
          for (uint32_t i = 0; i < size; ++i) REQUIRE(i == rank || introduced[i], "joined without %u", i);
          joined = true;
          break;
        case EventKind::peer_left:
        case EventKind::peer_lost:
          REQUIRE(joined && other && !departed[event.rank], "a departure out of turn");
          departed[event.rank] = true;
          break;
        case EventKind::refused:
          REQUIRE(event.refusal > Refusal::none && event.refusal <= last_refusal, "a refusal there is none");
          REQUIRE(!honest || (!joined && event.refusal != Refusal::protocol && event.refusal != Refusal::wrong_version),
                  "a real hub is not understood");
          over = true;
          break;
        default: over = true;
      }
    }
  }
  void go() {
    if (client) client_close(client);
    *this = Member{};
  }
};

void client_against_rubbish(Input& in) {
  const uint32_t size = 1 + in.below(4);
  Member member;
  if (!member.come(stock().address, in.u8() % size, size)) return;
  int hub = accept4(stock().listener, nullptr, nullptr, SOCK_CLOEXEC);
  REQUIRE(hub >= 0, "nobody connects");
  while (in.more() && hub >= 0) switch (in.below(8)) {
      case 0: member.listen(false); break;
      case 1: client_goodbye(member.client); break;
      case 2:
        if (in.u8() % 4) break;
        close(hub);
        hub = -1;
        break;
      case 3: shutdown(hub, in.u8() % 2 ? SHUT_WR : SHUT_RD); break;
      default: write_record(hub, in, size);
    }
  member.listen(false);
  if (hub >= 0) close(hub);
  if (!member.over) member.listen(false);
  REQUIRE(member.over, "the hub hung up");
  member.go();
}

void hub_against_rubbish(Input& in) {
  constexpr uint32_t most = 8;
  const uint32_t size = 1 + in.below(most);
  Hub* hub = new Hub(size);
  REQUIRE(hub->open(), "no hub");
  int rude[most];
  for (int& socket : rude) socket = -1;
  Member members[most];
  sockaddr_un name;
  const socklen_t length = abstract_address(hub->address, &name);

  while (in.more()) {
    const uint8_t what = in.u8();
    const uint32_t who = what >> 5;
    int& socket = rude[who];
    Member& member = members[who];
    switch (what % 32 % 12) {
      case 0:
        if (socket >= 0) close(socket);
        socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(socket, reinterpret_cast<sockaddr*>(&name), length);
        break;
      case 1:
      case 2:
      case 3:
        if (socket >= 0) write_record(socket, in, size);
        break;
      case 4: {
        Message message;
        Descriptors passed;
        if (socket >= 0) receive_message(socket, &message, &passed);
        break;
      }
      case 5:
        if (socket >= 0) close(socket);
        socket = -1;
        break;
      case 6:
        if (!member.client) member.come(hub->address, in.u8() % size, size);
        break;
      case 7:
        if (member.client) member.listen(true);
        break;
      case 8:
        if (member.client && in.u8() % 2) client_goodbye(member.client);
        else if (member.client) member.go();
        break;
      case 9: hub_rank_ended(hub, in.u8() % (size + 1), in.u8(), in.u8() % 2 ? 0 : 9); break;
      case 10: clock_ms += in.u8(); [[fallthrough]];
      default: hub->turn(0);
    }
  }
  // Everything that is under way arrives; who is here hears the end of the story.
  for (uint32_t i = 0; i < 2 * most; ++i) {
    clock_ms += 200;
    hub->turn(0);
    for (Member& member : members)
      if (member.client) member.listen(true);
  }
  delete hub;
  for (Member& member : members)
    if (member.client) {
      member.listen(true);
      REQUIRE(member.over, "the hub hung up");
      member.go();
    }
  for (const int socket : rude)
    if (socket >= 0) close(socket);
}

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using namespace fuzz;
  if (bytes > 1024) return 0;
  stock();
  clock_ms = 1000;
  Input in(data, bytes);
  const int before = open_descriptors();
  if (in.u8() & 1) client_against_rubbish(in);
  else hub_against_rubbish(in);
  const int after = open_descriptors();
  REQUIRE(after == before, "%d descriptors before, %d after", before, after);
  return 0;
}
