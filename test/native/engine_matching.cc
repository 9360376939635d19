// Matching against a plain model: few and many, all kinds of wildcards, what is given back, and indexes that grow.
#include <memory>
#include <vector>

#include "engine_test.h"

using namespace carillon;

namespace {

bool fits(const Request* r, uint32_t context, int source, int tag) {
  return r->context == context && (r->peer == any_source || r->peer == source) && (r->tag == any_tag || r->tag == tag);
}

template <typename T>
void erase(std::vector<T*>& from, T* item) {
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i] == item) {
      from.erase(from.begin() + static_cast<long>(i));
      break;
    }
  delete item;
}

struct Model {
  MatcherBins bins{Matcher::least_bins};  // fewer than there are keys at times
  Matcher matcher;
  std::vector<Request*> posted;    // in line
  std::vector<Block*> unexpected;  // in order of arrival
  std::vector<Request*> held_receives;  // taken, may be given back
  std::vector<Block*> held_blocks;
  bool same_posted = true, same_unexpected = true, same_order = true;

  Request* expected_posted(uint32_t context, int source, int tag) const {
    for (Request* r : posted)
      if (fits(r, context, source, tag)) return r;
    return nullptr;
  }
  Block* expected_unexpected(const Request& asked) const {
    for (Block* b : unexpected)
      if (fits(&asked, b->context, b->source, b->tag)) return b;
    return nullptr;
  }

  void post() {
    auto* r = new Request;
    r->context = below(2);
    r->peer = static_cast<int>(below(4)) - 1;
    r->tag = static_cast<int>(below(21)) - 1;
    r->sequence = matcher.next_sequence();
    matcher.post(r);
    posted.push_back(r);
  }
  void add() {
    auto* b = new Block;
    b->context = below(2);
    b->source = static_cast<int>(below(3));
    b->tag = static_cast<int>(below(20));
    b->arrival = matcher.next_arrival();
    matcher.add_unexpected(b);
    unexpected.push_back(b);
  }
  template <typename T>
  static void back_in(std::vector<T*>& line, std::vector<T*>& held, uint64_t T::* order, size_t which) {
    T* item = held[which];
    held.erase(held.begin() + static_cast<long>(which));
    auto place = line.begin();
    while (place != line.end() && (*place)->*order < item->*order) ++place;
    line.insert(place, item);
  }
  template <typename T>
  static void take_out(std::vector<T*>& line, std::vector<T*>& held, T* item) {
    for (auto place = line.begin();; ++place)
      if (*place == item) {
        line.erase(place);
        break;
      }
    held.push_back(item);
  }

  // A message: taken, or taken and perhaps given back later.
  void arrive(bool hold) {
    uint32_t context = below(2);
    int source = static_cast<int>(below(3)), tag = static_cast<int>(below(20));
    Request* found = matcher.find_posted(context, source, tag);
    same_posted &= found == expected_posted(context, source, tag);
    if (!found) return;
    matcher.withdraw(found);
    if (hold) take_out(posted, held_receives, found);
    else erase(posted, found);
  }
  void receive(bool hold) {
    Request asked;
    asked.context = below(2);
    asked.peer = static_cast<int>(below(4)) - 1;
    asked.tag = static_cast<int>(below(21)) - 1;
    Block* found = matcher.find_unexpected(asked.context, asked.peer, asked.tag);
    same_unexpected &= found == expected_unexpected(asked);
    if (!found) return;
    matcher.remove_unexpected(found);
    if (hold) take_out(unexpected, held_blocks, found);
    else erase(unexpected, found);
  }
  void give_back() {
    if (!held_receives.empty()) {
      size_t which = below(static_cast<uint32_t>(held_receives.size()));
      matcher.post(held_receives[which]);
      back_in(posted, held_receives, &Request::sequence, which);
    }
    if (!held_blocks.empty()) {
      size_t which = below(static_cast<uint32_t>(held_blocks.size()));
      matcher.add_unexpected(held_blocks[which]);
      back_in(unexpected, held_blocks, &Block::arrival, which);
    }
  }
  // From anywhere in line: cancelled, or ended with its peer.
  void withdraw() {
    if (!posted.empty()) {
      Request* r = posted[below(static_cast<uint32_t>(posted.size()))];
      matcher.withdraw(r);
      erase(posted, r);
    }
    if (!unexpected.empty()) {
      Block* b = unexpected[below(static_cast<uint32_t>(unexpected.size()))];
      matcher.remove_unexpected(b);
      erase(unexpected, b);
    }
  }
  void compare_order() {
    size_t i = 0, k = 0;
    for (Request* r = matcher.first_posted(); r; r = Matcher::next_posted(r))
      same_order &= i < posted.size() && posted[i++] == r;
    for (Block* b = matcher.first_unexpected(); b; b = Matcher::next_unexpected(b))
      same_order &= k < unexpected.size() && unexpected[k++] == b;
    same_order &= i == posted.size() && k == unexpected.size();
  }
  ~Model() {
    for (Request* r : held_receives) delete r;
    for (Block* b : held_blocks) delete b;
  }
};

void against_model() {
  auto model = std::make_unique<Model>();
  Model& m = *model;
  m.matcher.init(m.bins.bins);
  // It fills and empties by turns, so that what is walked and what is indexed both have their time.
  for (int turn = 0; turn < 60000; ++turn) {
    uint32_t filling = turn / 3000 % 2 ? 7 : 1 + static_cast<uint32_t>(turn / 6000) % 3;
    if (below(10) < filling) below(2) ? m.post() : m.add();
    switch (below(8)) {
      case 0:
      case 1: m.arrive(below(4) == 0); break;
      case 2:
      case 3: m.receive(below(4) == 0); break;
      case 4: m.give_back(); break;
      case 5: m.withdraw(); break;
      default: break;
    }
    if (turn % 50 == 0) m.compare_order();
  }
  check(m.same_posted, "an arriving message goes to the first receive posted that fits, wildcards included");
  check(m.same_unexpected, "a receive takes the first unexpected message that fits, wildcards included");
  check(m.same_order, "all that waits is in line, and what is given back returns to its place");
  size_t visited = 0;
  m.matcher.each_posted([&](Request* r) {
    m.matcher.withdraw(r);
    ++visited;
    delete r;
  });
  check(visited == m.posted.size() && !m.matcher.first_posted(),
        "every posted receive is visited once, and may be withdrawn meanwhile");
  visited = 0;
  m.matcher.each_unexpected([&](Block* b) {
    m.matcher.remove_unexpected(b);
    ++visited;
    delete b;
  });
  check(visited == m.unexpected.size() && !m.matcher.first_unexpected(),
        "every unexpected message is visited once, and may be removed meanwhile");
}

// 200,000 keys of one kind each, in bins for all of them and in too few.
void growth(uint32_t bins_each, const char* what) {
  constexpr uint32_t keys = 200000;
  MatcherBins bins(bins_each);
  Matcher matcher;
  matcher.init(bins.bins);
  uint32_t count = bins_each < keys ? keys / 20 : keys;
  std::vector<Request> receives(count);
  std::vector<Block> blocks(count);
  auto tag = [](uint32_t i) { return static_cast<int32_t>(i * 2654435761u >> 1); };
  for (uint32_t i = 0; i < count; ++i) {
    receives[i].peer = i % 5 == 0 ? any_source : 3;
    blocks[i].source = 3;
    receives[i].tag = blocks[i].tag = tag(i);
    receives[i].sequence = matcher.next_sequence();
    blocks[i].arrival = matcher.next_arrival();
    matcher.post(&receives[i]);
    matcher.add_unexpected(&blocks[i]);
  }
  bool found = true;
  for (uint32_t i = count; i-- > 0;) {
    found &= matcher.find_posted(0, 3, tag(i)) == &receives[i] && matcher.find_unexpected(0, 3, tag(i)) == &blocks[i] &&
             matcher.find_unexpected(0, any_source, tag(i)) == &blocks[i];
    found &= matcher.find_posted(0, 4, tag(i)) == (i % 5 == 0 ? &receives[i] : nullptr);
    matcher.withdraw(&receives[i]);
    matcher.remove_unexpected(&blocks[i]);
    found &= !matcher.find_posted(0, 3, tag(i)) && !matcher.find_unexpected(0, 3, tag(i));
  }
  check(found && !matcher.find_unexpected(0, any_source, any_tag), what);
}

}  // namespace

void test_matching() {
  against_model();
  growth(1 << 19, "200,000 keys are found, each by itself, while they come and go");
  growth(Matcher::least_bins, "so are more keys than there is room for bins");
}
