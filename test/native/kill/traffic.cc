// Streams of numbered messages that say by themselves what they should be; see traffic.h.
#include "traffic.h"

#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace kill_test {
namespace {

struct Head {
  uint32_t from, to, protocol, number;
  uint32_t last;  // the stream ends with this one
  uint32_t words;  // that follow
};

uint64_t pattern_of(const Head& h) {
  uint64_t x = (uint64_t{h.from} << 48 | uint64_t{h.to} << 40 | uint64_t{h.protocol} << 32 | h.number) + 1;
  x *= 0x9e3779b97f4a7c15;
  return x ^ x >> 29;
}

constexpr uint64_t stride = 0xd1342543de82ef95;

Memory memory_of(size_t bytes) { return {std::unique_ptr<unsigned char[]>(new unsigned char[bytes]), bytes}; }

Memory message_of(const Head& head) {
  Memory memory = memory_of(sizeof head + size_t{head.words} * 8);
  memcpy(memory.data.get(), &head, sizeof head);
  uint64_t word = pattern_of(head);
  unsigned char* at = memory.data.get() + sizeof head;
  for (uint32_t i = 0; i < head.words; ++i, word += stride) memcpy(at + size_t{i} * 8, &word, 8);
  return memory;
}

Head read_message(const Body& body) {
  Head head;
  if (body.bytes < sizeof head) harm("a message of %lu bytes was delivered", body.bytes);
  memcpy(&head, body.data, sizeof head);
  if (body.bytes != sizeof head + uint64_t{head.words} * 8) harm("a message has lost its length");
  uint64_t word = pattern_of(head);
  const unsigned char* at = body.data + sizeof head;
  for (uint32_t i = 0; i < head.words; ++i, word += stride)
    if (memcmp(at + size_t{i} * 8, &word, 8) != 0)
      harm("message %u of protocol %u from %u is torn at word %u of %u", head.number, head.protocol, head.from, i,
           head.words);
  return head;
}

constexpr uint32_t largest = 600'000;
constexpr int32_t tag_of(uint32_t protocol) { return static_cast<int32_t>(protocol) + 10; }

struct Habit {
  uint32_t least, most;     // bytes
  uint32_t sends, receives; // outstanding at a time
};
constexpr Habit habits[protocols] = {
    {24, 3000, 8, 6},         // eager
    {2000, 15900, 160, 2},    // in_line
    {17000, largest, 3, 2},   // into_nothing
    {17000, largest, 2, 2},   // into_ordinary
    {17000, largest, 2, 2},   // into_shared
    {24, 60000, 4, 3},        // synchronous
    {100, 40000, 4, 3},       // gathered
    {24, 60000, 3, 6},        // from_anybody
    {24, 300000, 4, 3},       // taken_back
};

}  // namespace

void harm(const char* format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text - 1, format, arguments);
  va_end(arguments);
  text[length < static_cast<int>(sizeof text) - 1 ? length : static_cast<int>(sizeof text) - 2] = '\n';
  fprintf(stdout, "HARM in process %d: %s", getpid(), text);
  fflush(stdout);
  _exit(9);
}

// A stream to one peer.
class Outgoing final : public Listener {
 public:
  Outgoing(Traffic& traffic, uint32_t dest, Protocol protocol) : traffic_(traffic), dest_(dest), protocol_(protocol) {}

  bool turn() {
    bool any = false;
    for (uint32_t burst = 1 + traffic_.random.below(8); burst > 0 && may_send(); --burst, any = true) send_one();
    if (protocol_ == taken_back && last_posted_ && traffic_.random.chance(10)) {
      if (traffic_.member.cancel(last_posted_)) last_posted_ = nullptr;
      any = true;
    }
    return any;
  }

  bool finished() const { return outstanding_ == 0 && (ended_ || sent_last_); }

  void settled(Operation* o, const Body&) override {
    if (traffic_.leaving && o->status == Status::closed) return;
    --outstanding_;
    if (o == last_posted_) last_posted_ = nullptr;
    conclude(o->number, o->status);
  }

  void describe() const {
    if (!finished())
      printf("  to %u, protocol %u: sent %u, outstanding %u%s\n", dest_, protocol_, next_, outstanding_,
             ended_ ? ", ended" : "");
  }

 private:
  bool may_send() const {
    if (ended_ || sent_last_ || outstanding_ >= habits[protocol_].sends) return false;
    return traffic_.stopping || next_ + 1 < most_messages;
  }

  void send_one() {
    const Habit& habit = habits[protocol_];
    auto* o = new Operation;
    o->listener = this;
    o->number = next_++;
    const bool last = traffic_.stopping;
    // As many small ones as large ones.
    uint32_t spread = (habit.most - habit.least) >> traffic_.random.below(8);
    uint32_t bytes = habit.least + traffic_.random.below(spread + 1);
    uint32_t words = bytes > sizeof(Head) ? (bytes - static_cast<uint32_t>(sizeof(Head))) / 8 : 0;
    o->body = message_of({traffic_.rank, dest_, protocol_, o->number, last, words});
    sent_last_ = last;
    uint32_t parts = protocol_ == gathered ? 1 + traffic_.random.below(8) : 1;
    bool waits = protocol_ == synchronous || (protocol_ == taken_back && traffic_.random.chance(50));
    Operation* posted = o;
    ++outstanding_;
    if (traffic_.member.send(o, static_cast<int32_t>(dest_), tag_of(protocol_), waits, parts)) {
      --outstanding_;
      conclude(o->number, o->status);
      delete o;
    } else if (!last) {
      last_posted_ = posted;
    }
  }

  void conclude(uint32_t number, Status status) {
    if (status == Status::ok) {
      traffic_.ledger.done[traffic_.rank][dest_][protocol_][number].store(1);
    } else if (status == Status::cancelled && protocol_ == taken_back) {
      return;
    } else if (traffic_.is_loss(dest_, status)) {
      ended_ = true;
      traffic_.ledger.lost[traffic_.rank].fetch_add(1);
    } else {
      harm("a send of protocol %u to %u ended with status %d", protocol_, dest_, static_cast<int>(status));
    }
  }

  Traffic& traffic_;
  const uint32_t dest_;
  const Protocol protocol_;
  uint32_t next_ = 0, outstanding_ = 0;
  bool ended_ = false, sent_last_ = false;
  Operation* last_posted_ = nullptr;
};

// What comes from one peer, or from anybody, with one tag.
class Incoming final : public Listener {
 public:
  Incoming(Traffic& traffic, int32_t source, Protocol protocol)
      : traffic_(traffic),
        source_(source),
        protocol_(protocol),
        got_(traffic.size),
        highest_(traffic.size, -1),
        lasts_(traffic.size) {
    for (auto& each : got_) each.resize(most_messages);
  }

  bool turn() {
    bool any = false;
    while (may_post()) {
      post_one();
      any = true;
    }
    return any;
  }

  // From anybody: not before everybody's streams have ended, which Traffic knows.
  bool finished() const {
    if (source_ == any_source) {
      for (uint32_t i = 0; i < traffic_.size; ++i)
        if (i != traffic_.rank && traffic_.survives(i) && !lasts_[i]) return false;
      return true;
    }
    return over_ && posted_.empty();
  }

  // A copy that was cut off ends like its peer, though more of that peer may be in the ring: ask once more at the end.
  void sweep() {
    if (source_ == any_source || traffic_.survives(static_cast<uint32_t>(source_))) return;
    over_ = false;
    sweep_from_ = next_;
  }

  // From anybody, at the end: true if something still waited, so that nothing was there for it.
  bool take_back() {
    if (source_ != any_source) return true;
    bool waited = false;
    for (Operation* o : posted_) waited = traffic_.member.cancel(o) || waited;
    over_ = waited;
    return waited;
  }

  void settled(Operation* o, const Body& body) override {
    if (traffic_.leaving && o->status == Status::closed) return;
    const Request& r = *o;
    for (size_t i = 0; i < posted_.size(); ++i)
      if (posted_[i] == o) posted_.erase(posted_.begin() + static_cast<long>(i));
    if (r.status == Status::ok) return deliver(o, body);
    if (source_ == any_source) {
      if (over_ && r.status == Status::cancelled) return;
      harm("a receive from anybody ended with status %d, of rank %d", static_cast<int>(r.status), r.from);
    }
    if (r.status == Status::cancelled && over_) return;
    if (!traffic_.is_loss(static_cast<uint32_t>(source_), r.status) || r.from != source_)
      harm("a receive of protocol %u from %d ended with status %d, of rank %d", protocol_, source_,
           static_cast<int>(r.status), r.from);
    traffic_.ledger.lost[traffic_.rank].fetch_add(1);
    // What it had sent before is still to be had: over when a receive posted after this one ends so too.
    over_ = o->number >= sweep_from_;
    if (sweep_from_ == UINT32_MAX) sweep_from_ = next_;
  }

  void check() const {
    for (uint32_t from = 0; from < traffic_.size; ++from) {
      if (from == traffic_.rank || (source_ != any_source && source_ != static_cast<int32_t>(from))) continue;
      for (uint32_t i = 0; i < most_messages; ++i)
        if (traffic_.ledger.done[from][traffic_.rank][protocol_][i].load() && !got_[from][i])
          harm("message %u of protocol %u from %u had been sent and was never delivered", i, protocol_, from);
    }
  }

  void describe() const {
    if (finished()) return;
    printf("  from %d, protocol %u: posted %zu of %u, highest", source_, protocol_, posted_.size(), next_);
    for (int32_t each : highest_) printf(" %d", each);
    printf("%s\n", sweep_from_ == UINT32_MAX ? "" : ", lost");
  }

 private:
  bool may_post() {
    if (over_) return false;
    if (sweep_from_ != UINT32_MAX) return posted_.empty();  // one at a time, until it is told that there is no more
    if (posted_.size() >= habits[protocol_].receives) return false;
    if (protocol_ == in_line && !traffic_.stopping && traffic_.random.chance(80)) return false;
    return true;
  }

  void post_one() {
    auto* o = new Operation;
    o->listener = this;
    o->number = next_++;
    const bool lands = protocol_ == into_shared || (protocol_ == from_anybody && traffic_.random.chance(50));
    if (lands) o->body = memory_of(largest);
    uint64_t capacity = protocol_ == into_ordinary ? largest : UINT64_MAX;
    posted_.push_back(o);
    traffic_.member.receive(o, source_, tag_of(protocol_), capacity);
  }

  void deliver(const Operation* o, const Body& body) {
    const Head head = read_message(body);
    const uint32_t from = head.from;
    if (head.to != traffic_.rank || head.protocol != protocol_ || o->from != static_cast<int32_t>(from) ||
        from >= traffic_.size || (source_ != any_source && source_ != o->from) || head.number >= most_messages)
      harm("a message of protocol %u from %u to %u came to a receive of protocol %u from %d", head.protocol, from,
           head.to, protocol_, source_);
    if (got_[from][head.number])
      harm("message %u of protocol %u from %u was delivered twice", head.number, protocol_, from);
    got_[from][head.number] = true;
    // Bodies are copied side by side, so only the order in which receives were posted tells.
    const bool gaps = protocol_ == taken_back || protocol_ == from_anybody || !traffic_.survives(from);
    if (!gaps && head.number != o->number)
      harm("receive %u of protocol %u from %u got message %u", o->number, protocol_, from, head.number);
    // A copy that is cut off sends a receive back to its place in line, where a later message finds it: in these two.
    if (protocol_ != taken_back && protocol_ != from_anybody)
      for (const auto& [receive, number] : order_)
        if (number.first == from && (receive < o->number) != (number.second < head.number))
          harm("message %u of protocol %u from %u was overtaken by %u", head.number, protocol_, from, number.second);
    order_.push_back({o->number, {from, head.number}});
    if (order_.size() > 64) order_.erase(order_.begin());
    if (highest_[from] < static_cast<int32_t>(head.number)) highest_[from] = static_cast<int32_t>(head.number);
    traffic_.ledger.delivered[traffic_.rank].fetch_add(1);
    if (!head.last) return;
    lasts_[from] = true;
    if (source_ == any_source) return;
    over_ = true;
    for (Operation* each : posted_)
      if (each->number > o->number) traffic_.member.cancel(each);
  }

  Traffic& traffic_;
  const int32_t source_;
  const Protocol protocol_;
  uint32_t next_ = 0;
  uint32_t sweep_from_ = UINT32_MAX;  // the first receive posted after the loss was heard of
  bool over_ = false;
  std::vector<Operation*> posted_;
  std::vector<std::vector<bool>> got_;
  std::vector<int32_t> highest_;
  std::vector<bool> lasts_;
  std::vector<std::pair<uint32_t, std::pair<uint32_t, uint32_t>>> order_;  // the latest: receive, (from, number)
};

Traffic::Traffic(Member& m, Ledger& l, uint32_t own, uint32_t all, uint64_t seed)
    : member(m), ledger(l), rank(own), size(all), random(seed * 64 + own) {
  for (uint32_t other = 0; other < size; ++other)
    for (uint32_t p = 0; p < protocols; ++p) {
      if (other == rank) continue;
      outgoing_.push_back(std::make_unique<Outgoing>(*this, other, static_cast<Protocol>(p)));
      if (p == from_anybody) continue;
      incoming_.push_back(std::make_unique<Incoming>(*this, static_cast<int32_t>(other), static_cast<Protocol>(p)));
    }
  incoming_.push_back(std::make_unique<Incoming>(*this, any_source, from_anybody));
}

Traffic::~Traffic() = default;

bool Traffic::is_loss(uint32_t other, Status status) const {
  if (survives(other)) return false;
  return status == Status::peer_lost || (status == Status::peer_closed && ledger.leaves[other].load());
}

bool Traffic::turn() {
  bool any = false;
  for (auto& each : incoming_) any = each->turn() || any;
  for (auto& each : outgoing_) any = each->turn() || any;
  return any;
}

bool Traffic::finished() {
  if (!stopping) return false;
  for (const auto& each : outgoing_)
    if (!each->finished()) return false;
  for (const auto& each : incoming_)
    if (!each->finished()) return false;
  return true;
}

void Traffic::sweep() {
  for (const auto& each : incoming_) each->sweep();
}

bool Traffic::take_back() {
  bool all = true;
  for (const auto& each : incoming_) all = each->take_back() && all;
  return all;
}

void Traffic::check() const {
  for (const auto& each : incoming_) each->check();
}

void Traffic::describe() const {
  printf("rank %u of %u (process %d), %s, %u outstanding\n", rank, size, getpid(), stopping ? "stopping" : "running",
         member.outstanding());
  for (const auto& each : outgoing_) each->describe();
  for (const auto& each : incoming_) each->describe();
  fflush(stdout);
}

}  // namespace kill_test
