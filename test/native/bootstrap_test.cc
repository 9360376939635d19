// How ranks meet, tested with real processes: joining, every reason to be refused, departures and deaths, rubbish, and the
// seals. Prints one line per check; the exit code is 1 when one failed. An argument is the size of one more job to join.
#include <string>
#include <sys/resource.h>

#include "bootstrap_rubbish.h"
#include "bootstrap_segments.h"
#include "bootstrap_support.h"

using namespace test;

static Refusal refusal_at(const char* address, uint32_t rank, uint32_t size) {
  const Resources own(rank);
  Refusal refusal = Refusal::none;
  Client* client = client_open(address, rank, size, own.segment.descriptor, own.bell, own.escalation, own.bell, &refusal);
  if (client == nullptr) return refusal;
  const Event event = next_event(client);
  client_close(client);
  return event.kind == EventKind::refused ? event.refusal : Refusal::none;
}

static void joins(uint32_t size) {
  char what[80];
  const int before = open_descriptors();
  {
    Job job(size);
    snprintf(what, sizeof what, "%u joined and every peer is right", size);
    check(job.join_all(), what);
    bool clean = true;
    for (Process& member : job.members) {
      member.tell(Order::goodbye);
      member.tell(Order::leave);
    }
    for (Process& member : job.members) {
      Report last = member.hear();
      while (last.what == Report::event) last = member.hear();
      clean = clean && last.descriptors == 0;
      clean = member.end() == 0 && clean;
    }
    snprintf(what, sizeof what, "%u closed without a descriptor left over", size);
    check(clean, what);
  }
  check(open_descriptors() == before, "hub closed every descriptor");
}

static void refusals() {
  Job job(2);
  check(refusal_at(job.address(), 0, 3) == Refusal::bad_rank, "size other than the hub's is refused");
  check(refusal_at(job.address(), 5, 6) == Refusal::bad_rank, "rank outside the hub's is refused");
  check(refusal_at(job.address(), 2, 2) == Refusal::bad_rank, "rank outside its own size is refused");
  check(job.start(0), "rank 0 says hello");
  check(refusal_at(job.address(), 0, 2) == Refusal::rank_taken, "second hello of a rank before the hand-out is refused");
  check(job.start(1), "rank 1 says hello");
  for (const Process& member : job.members) member.tell(Order::join);
  check(job.all_hear(EventKind::joined, 0, {1}) && job.all_hear(EventKind::joined, 1, {0}), "job forms nevertheless");
  check(refusal_at(job.address(), 1, 2) == Refusal::rank_taken, "second hello of a joined rank is refused");
  job.members[0].tell(Order::goodbye);
  check(job.members[1].hears(EventKind::peer_left, 0), "rank 0 left");
  check(refusal_at(job.address(), 0, 2) == Refusal::rank_taken, "hello of a rank that left is refused");
  job.members[1].kill_hard();
  job.members[1].end();
  check(refusal_at(job.address(), 1, 2) == Refusal::rank_taken, "hello of a rank that died is refused");
  check(refusal_at("carillon-nobody", 0, 1) == Refusal::hub_gone, "no hub at the address");
  check(refusal_at("", 0, 1) == Refusal::hub_gone, "empty address");
  check(refusal_at(std::string(300, 'x').c_str(), 0, 1) == Refusal::hub_gone, "address too long");
  errno = 0;
  check(hub_open(0) == nullptr && errno == EINVAL && hub_open(max_ranks + 1) == nullptr, "size out of range");
}

static void ended_before_joining() {
  const auto all_refused = [](const Job& job, uint32_t rank, int32_t code, int32_t signal) {
    bool all = true;
    for (uint32_t i = 0; i < job.members.size(); ++i) {
      if (i == rank) continue;
      const Report news = job.members[i].hear();
      all = all && news.kind == EventKind::refused && news.refusal == Refusal::rank_ended && news.rank == rank &&
            news.code == code && news.signal == signal;
    }
    return all;
  };
  {
    Job job(4);
    for (uint32_t rank = 0; rank < 3; ++rank) job.start(rank), job.members[rank].tell(Order::join);
    hub_rank_ended(job.hub, 3, 7, 0);
    check(all_refused(job, 3, 7, 0), "rank reported ended before its hello: all who wait are refused, with its exit code");
    check(refusal_at(job.address(), 3, 4) == Refusal::rank_ended, "later hello gets the same refusal");
    check(refusal_at(job.address(), 0, 4) == Refusal::rank_ended, "of a rank that was refused too");
    hub_rank_ended(job.hub, 2, 1, 0);
    hub_rank_ended(job.hub, 4711, 1, 0);
  }
  {
    Job job(3);
    for (uint32_t rank = 0; rank < 2; ++rank) job.start(rank), job.members[rank].tell(Order::join);
    job.members[0].kill_hard();
    check(all_refused(job, 0, 0, SIGKILL), "rank killed between hello and hand-out: refused, with the signal");
    check(refusal_at(job.address(), 2, 3) == Refusal::rank_ended, "later hello gets the same refusal");
  }
  {
    Job job(3);
    for (uint32_t rank = 0; rank < 2; ++rank) job.start(rank);
    job.members[1].tell(Order::join);
    job.members[0].tell(Order::fork_and_die);
    check(all_refused(job, 0, 0, 0), "rank ended while its child holds the socket: refused, with exit code 0");
  }
  {
    Job job(2);
    job.start(0);
    job.members[0].tell(Order::join);
    const Resources own(1);
    Refusal refusal;
    job.members.push_back(Process{});
    Process brief = Process::start([&](int control) {
      client_open(job.address(), 1, 3, own.segment.descriptor, own.bell, own.escalation, own.bell, &refusal);
      report(control, Report{});
    });
    brief.hear();
    brief.end();
    hub_rank_ended(job.hub, 1, 0, SIGSEGV);
    check(all_refused(job, 1, 0, SIGSEGV), "rank refused and then reported ended: the others hear how");
  }
}

static void departures() {
  const int before = open_descriptors();
  {
    Job job(5);
    check(job.join_all(), "5 joined");
    job.members[2].kill_hard();
    check(job.all_hear(EventKind::peer_lost, 2, {2}), "killed: everyone else hears peer_lost");
    job.members[2].end();
    hub_rank_ended(job.hub, 2, 0, SIGKILL);
    // Departures are told in order: a second peer_lost would come before this.
    job.members[4].tell(Order::goodbye);
    check(job.all_hear(EventKind::peer_left, 4, {2, 4}), "goodbye: everyone else hears peer_left, peer_lost came once");
    job.members[4].tell(Order::leave);
    job.members[4].hear();
    job.members[4].end();
    job.members[0].tell(Order::fork_and_die);
    check(job.all_hear(EventKind::peer_lost, 0, {0, 2, 4}), "dead while its child holds the socket: peer_lost; peer_left came once");
    // Hub: listener, epoll, wake, and for each of the two living a socket and a pidfd; ours: five control sockets less two.
    check(open_descriptors() == before + 3 + 2 * 2 + 3, "hub keeps a socket and a pidfd of the living, nothing of the dead");
    job.members[1].tell(Order::leave);
    check(job.members[3].hears(EventKind::peer_lost, 1), "hung up without goodbye: peer_lost");
    hub_close(job.hub);
    job.hub = nullptr;
    check(job.members[3].hears(EventKind::hub_gone, 0), "hub closed: hub_gone");
  }
  check(open_descriptors() == before, "hub closed every descriptor");
}

// One that does not read costs nobody else anything, and gets everything in order when it does.
static void slow_member() {
  Job job(24);
  check(job.start_all(), "24 say hello");
  for (uint32_t rank = 0; rank < 24; ++rank)
    if (rank != 5) job.members[rank].tell(Order::join);
  bool joined = true;
  for (uint32_t rank = 0; rank < 24; ++rank)
    if (rank != 5) joined = job.members[rank].hears(EventKind::joined, rank) && joined;
  check(joined, "all join but the one that does not read");
  job.members[7].kill_hard();
  check(job.all_hear(EventKind::peer_lost, 7, {5, 7}), "and hear of a death");
  job.members[5].tell(Order::join);
  const Report news = job.members[5].hear();
  check(news.kind == EventKind::joined && news.right == 23, "it joins when it reads, the dead peer's descriptors included");
  check(job.members[5].hears(EventKind::peer_lost, 7), "and hears of the death after that");
}

static void hub_dies() {
  Process launcher = Process::start([](int control) {
    Hub* hub = hub_open(1);
    send(control, hub_address(hub), strlen(hub_address(hub)) + 1, 0);
    while (readable(control)) {
      char order;
      if (recv(control, &order, 1, 0) <= 0) break;
    }
  });
  char address[64] = {};
  if (recv(launcher.control, address, sizeof address - 1, 0) <= 0) abort();
  const Resources own(0);
  Refusal refusal;
  Client* client = client_open(address, 0, 1, own.segment.descriptor, own.bell, own.escalation, own.bell, &refusal);
  check(client != nullptr && next_event(client).kind == EventKind::joined, "a world of one joins at once");
  launcher.kill_hard();
  launcher.end();
  check(next_event(client).kind == EventKind::hub_gone, "launcher killed: hub_gone");
  client_goodbye(client);
  client_close(client);
  check(refusal_at(address, 0, 1) == Refusal::hub_gone, "and nobody can join any more");
}

static void users() {
  if (geteuid() != 0) return (void)printf("skip another user: needs root\n");
  constexpr uid_t nobody = 65534;
  Job job(1);
  Process stranger = Process::start([&](int control) {
    Report news;
    if (setresuid(nobody, nobody, nobody) == 0) news.refusal = refusal_at(job.address(), 0, 1);
    report(control, news);
  });
  // The hub refuses the stranger; which of the two notices first is left open: both say the same.
  check(stranger.hear().refusal == Refusal::not_our_user, "another user's hub and another user's rank are refused");
  stranger.end();
  Process raw = Process::start([&](int control) {
    Report news;
    if (setresuid(nobody, nobody, nobody) == 0) news.refusal = answer_to(job.address(), "x", 1, 0);
    report(control, news);
  });
  const Refusal said = raw.hear().refusal;
  check(said == Refusal::not_our_user || said == Refusal::none, "the hub does not listen to another user");
  raw.end();
  check(job.join_all(), "and its own rank joins");
}

// A hub process with few descriptors says so at once, or takes the rank later.
static void few_descriptors() {
  rlimit limit, small;
  getrlimit(RLIMIT_NOFILE, &limit);
  small = limit;
  small.rlim_cur = 100;
  setrlimit(RLIMIT_NOFILE, &small);
  errno = 0;
  check(hub_open(64) == nullptr && errno == EMFILE, "a hub that could not hold its ranks is not opened");
  {
    Job job(2);
    const Resources own(0);
    Refusal refusal;
    std::vector<int> used;
    Client* client = client_open(job.address(), 0, 2, own.segment.descriptor, own.bell, own.escalation, own.bell, &refusal);
    check(refusal_at(job.address(), 0, 2) == Refusal::rank_taken, "rank 0 is taken");
    for (int copy; (copy = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0;) used.push_back(copy);
    for (int i = 0; i < 3 && !used.empty(); ++i) close(used.back()), used.pop_back();
    Refusal second;
    Client* other = client_open(job.address(), 1, 2, own.segment.descriptor, own.bell, own.escalation, own.bell, &second);
    for (const int copy : used) close(copy);
    // Which of the two ran out first is open; what counts is that nobody hangs and nothing is taken for something else.
    bool told = false;
    if (other != nullptr) {
      const Event event = next_event(other);
      told = event.kind == EventKind::peer ? peer_is_right(event)
                                           : event.kind == EventKind::refused && event.refusal == Refusal::no_resources;
      client_close(other);
    } else {
      told = second == Refusal::no_resources;
    }
    check(told, "out of descriptors: joined later or refused as such");
    if (client != nullptr) client_close(client);
  }
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char** argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  signal(SIGPIPE, SIG_IGN);
  rlimit limit;  // as Node does
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) limit.rlim_cur = limit.rlim_max, setrlimit(RLIMIT_NOFILE, &limit);
  segments();
  for (const uint32_t size : {1U, 4U, 64U}) joins(size);
  if (argc > 1) joins(static_cast<uint32_t>(atoi(argv[1])));
  refusals();
  rubbish();
  out_of_turn();
  rubbish_from_hub();
  ended_before_joining();
  departures();
  slow_member();
  hub_dies();
  users();
  few_descriptors();
  return finish();
}
