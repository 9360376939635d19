// What the processes of a job share beside Carillon: what the harness decided, and a note of every send that had
// completed, which outlives its sender. Each note has one writer.
#pragma once

#include <atomic>
#include <cstdint>

namespace kill_test {

constexpr uint32_t max_ranks = 8;
constexpr uint32_t most_messages = 4096;  // of one stream
enum Protocol : uint32_t {
  eager,           // taken as fast as it comes
  in_line,         // eager, but the receiver is slow: quota spent, sends in line
  into_nothing,    // rendezvous, into memory the puller allocates
  into_ordinary,   // rendezvous, the same with a capacity: the caller copies by itself
  into_shared,     // rendezvous, into memory that cannot vanish
  synchronous,     // of every size
  gathered,        // of several parts
  from_anybody,    // received with ANY_SOURCE
  taken_back,      // some are cancelled
  protocols,
};

struct Ledger {
  std::atomic<uint32_t> stop;                 // survivors finish
  std::atomic<uint32_t> survivors;            // ranks below this are never killed
  std::atomic<uint32_t> leaves[max_ranks];    // told to leave before it was killed: it may count as closed
  std::atomic<uint32_t> harmed;
  std::atomic<uint64_t> delivered[max_ranks], lost[max_ranks];  // by rank: what it saw, for the report
  // The send with this number had completed at its sender.
  std::atomic<uint8_t> done[max_ranks][max_ranks][protocols][most_messages];
};

}  // namespace kill_test
