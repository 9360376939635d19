// `engine_test depth`: what matching costs by how much waits, in ns. Not a test; nothing here passes or fails.
// Build it for measuring: g++ -O2 -std=c++20 -pthread test/native/engine_*.cc native/engine_unit.cc
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "engine_test.h"

using namespace carillon;

namespace {

constexpr uint32_t depths[] = {1, 10, 1000, 100000};
constexpr int rounds = 9;

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

struct Shape {
  const char* what;
  void (*waiting)(uint32_t i, int32_t* source, int32_t* tag);  // what item i of those that wait says
  void (*asked)(uint32_t i, int32_t* source, int32_t* tag);    // and what comes for it
};

// A steady depth: each turn takes one and puts one in its place at the end. Median of the rounds, by turn.
template <typename Turn>
double per_turn(uint32_t turns, Turn turn) {
  std::vector<double> times;
  uint32_t at = 0;
  for (int round = 0; round < rounds; ++round) {
    double start = now();
    for (uint32_t i = 0; i < turns; ++i) turn(at++);
    times.push_back((now() - start) / turns);
  }
  std::sort(times.begin(), times.end());
  return times[rounds / 2];
}

double posted(const Shape& shape, uint32_t depth) {
  MatcherBins memory(1 << 20);
  Matcher matcher;
  matcher.init(memory.bins);
  std::vector<Request> all(depth);
  auto post = [&](Request* r, uint32_t i) {
    shape.waiting(i, &r->peer, &r->tag);
    r->sequence = matcher.next_sequence();
    matcher.post(r);
  };
  for (uint32_t i = 0; i < depth; ++i) post(&all[i], i);
  return per_turn(std::max(depth, 20000u), [&](uint32_t i) {
    int32_t source, tag;
    shape.asked(i % depth, &source, &tag);
    Request* r = matcher.find_posted(0, source, tag);
    matcher.withdraw(r);
    post(r, i % depth);
  });
}

double unexpected(const Shape& shape, uint32_t depth) {
  MatcherBins memory(1 << 20);
  Matcher matcher;
  matcher.init(memory.bins);
  std::vector<Block> all(depth);
  auto add = [&](Block* b, uint32_t i) {
    shape.asked(i, &b->source, &b->tag);
    b->arrival = matcher.next_arrival();
    matcher.add_unexpected(b);
  };
  for (uint32_t i = 0; i < depth; ++i) add(&all[i], i);
  return per_turn(std::max(depth, 20000u), [&](uint32_t i) {
    int32_t source, tag;
    shape.waiting(i % depth, &source, &tag);
    Block* b = matcher.find_unexpected(0, source, tag);
    matcher.remove_unexpected(b);
    add(b, i % depth);
  });
}

}  // namespace

void measure_depth() {
  auto one_tag = [](uint32_t, int32_t* source, int32_t* tag) { *source = 1, *tag = 7; };
  auto own_tag = [](uint32_t i, int32_t* source, int32_t* tag) { *source = 1, *tag = static_cast<int32_t>(i); };
  const Shape shapes[] = {
      {"same source and tag", one_tag, one_tag},
      {"all tags different", own_tag, own_tag},
      {"any tag", [](uint32_t, int32_t* source, int32_t* tag) { *source = 1, *tag = any_tag; }, own_tag},
      {"any source",
       [](uint32_t i, int32_t* source, int32_t* tag) { *source = any_source, *tag = static_cast<int32_t>(i); }, own_tag},
      {"any source and tag", [](uint32_t, int32_t* source, int32_t* tag) { *source = any_source, *tag = any_tag; }, own_tag},
      {"a quarter of each kind",
       [](uint32_t i, int32_t* source, int32_t* tag) {
         *source = i % 4 & 1 ? any_source : static_cast<int32_t>(i % 4);
         *tag = i % 4 & 2 ? any_tag : static_cast<int32_t>(i);
       },
       [](uint32_t i, int32_t* source, int32_t* tag) {
         *source = static_cast<int32_t>(i % 4);
         *tag = static_cast<int32_t>(i);
       }},
      {"one tag beside another that has all the others",
       [](uint32_t i, int32_t* source, int32_t* tag) { *source = 1, *tag = i == 0 ? 8 : 7; },
       [](uint32_t i, int32_t* source, int32_t* tag) { *source = 1, *tag = i == 0 ? 8 : 7; }},
  };
  printf("%-79s", "ns, by how many wait:");
  for (uint32_t depth : depths) printf("%9u", depth);
  printf("\n");
  for (const Shape& shape : shapes) {
    printf("posted, match, withdraw, post: %-48s", shape.what);
    for (uint32_t depth : depths) printf("%9.1f", posted(shape, depth));
    printf("\n");
  }
  for (const Shape& shape : shapes) {
    printf("unexpected, find, remove, add: %-48s", shape.what);
    for (uint32_t depth : depths) printf("%9.1f", unexpected(shape, depth));
    printf("\n");
  }
}
