// What the ranks of a kill test say to each other: every protocol, from each rank to each other, and what must hold of
// it when any of them may die at any moment. Responsible for messages, order and endings; not for processes (main.cc).
#pragma once

#include <memory>
#include <vector>

#include "ledger.h"
#include "member.h"

namespace kill_test {

// Ends this process with a report: something promised did not hold.
[[noreturn]] void harm(const char* format, ...) __attribute__((format(printf, 1, 2)));

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(next() >> 20) % n; }
  bool chance(uint32_t percent) { return below(100) < percent; }

 private:
  uint64_t state_;
};

class Outgoing;
class Incoming;

// Everything one rank sends and receives.
class Traffic {
 public:
  Traffic(Member&, Ledger&, uint32_t rank, uint32_t size, uint64_t seed);
  ~Traffic();
  // Posts what may be posted. False: there was nothing.
  bool turn();
  // Survivors, once told to stop: everything has been said and heard, or has ended.
  bool finished();
  // Then: asks those that have gone once more; takes back what still waits for anybody (false: it got something, so
  // again); and when all that has settled: nothing that had been sent here is missing.
  void sweep();
  bool take_back();
  void check() const;
  // For a test that hangs.
  void describe() const;

  Member& member;
  Ledger& ledger;
  const uint32_t rank, size;
  Random random;
  bool stopping = false;
  bool leaving = false;  // with requests outstanding, which end as closed

  bool survives(uint32_t other) const { return other < ledger.survivors.load(); }
  // How a request that named `other` may end when that one has gone.
  bool is_loss(uint32_t other, Status) const;

 private:
  std::vector<std::unique_ptr<Outgoing>> outgoing_;
  std::vector<std::unique_ptr<Incoming>> incoming_;
};

}  // namespace kill_test
