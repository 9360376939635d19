// Flow control between two ranks: what a sender may have waiting at a receiver, and how a receiver that waits for a message
// gets it past others that fill the quota. Responsible for the words and the arithmetic; flow.cc has the protocol.
//
// Credit is kept by bucket of (communicator, tag): a tag that nobody receives spends at most half of what the others left
// free (the dynamic threshold of Choudhury and Hahne, 1998), so other tags go on at full speed. What does not fit waits at its
// sender, in a line a bucket, and then the board says so (`held`). A receiver with posted receives answers by *wants*: for
// each it names (communicator, tag), and the sender lets the first message that fits pass, whatever the quota says: it
// will be taken at once. So a receive is never starved by messages that nobody takes, whatever their number.
#pragma once

#include <cstdint>

namespace carillon {

constexpr uint32_t buckets = 16;
constexpr uint32_t wants = 16;  // receives that one peer is asked for at a time

// Neighbouring tags never share a bucket.
constexpr uint32_t bucket_of(uint32_t context, int32_t tag) { return (static_cast<uint32_t>(tag) + context * 5) % buckets; }

// The words of the board. As receiver: what was given free, and what is wanted. As sender: what is held back.
namespace board {
constexpr uint32_t free_bytes = 0;                    // + bucket: cumulative, as charged
constexpr uint32_t free_envelopes = buckets;          // + bucket: cumulative
constexpr uint32_t want_key = 2 * buckets;            // + slot: context << 32 | tag (all ones: any)
constexpr uint32_t want = want_key + wants;           // + slot: its generation, 0: nothing wanted
constexpr uint32_t want_version = want + wants;       // counts changes of the wants
constexpr uint32_t partial = want_version + 1;        // 1: more receives wait than the slots can name
constexpr uint32_t held = partial + 1;                // messages wait here for credit: counts news of them; 0: none do
constexpr uint32_t checked = held + 1;                // the want_version for which nothing (more) was found here
constexpr uint32_t words = checked + 1;
}  // namespace board

// As sender: what was charged to the peer, by bucket, and what it has given free.
struct Credit {
  uint64_t sent_bytes[buckets] = {}, freed_bytes[buckets] = {};
  uint64_t sent_envelopes[buckets] = {}, freed_envelopes[buckets] = {};
  uint64_t out_bytes = 0, out_envelopes = 0;  // the differences' sums
  uint64_t quota_bytes = 0, quota_envelopes = 0;

  bool has_envelope(uint32_t b) const {
    return out_envelopes < quota_envelopes && sent_envelopes[b] - freed_envelopes[b] < quota_envelopes - out_envelopes;
  }
  bool has_bytes(uint32_t b, uint64_t charge) const {
    return out_bytes <= quota_bytes && sent_bytes[b] - freed_bytes[b] + charge <= quota_bytes - out_bytes;
  }
  void spend(uint32_t b, uint64_t charge) {
    sent_bytes[b] += charge;
    out_bytes += charge;
    ++sent_envelopes[b];
    ++out_envelopes;
  }
  // Notes what the peer says it has given free in all. False: that is impossible.
  bool note(uint32_t b, uint64_t bytes, uint64_t envelopes) {
    if (bytes < freed_bytes[b] || bytes > sent_bytes[b] || envelopes < freed_envelopes[b] || envelopes > sent_envelopes[b])
      return false;
    out_bytes -= bytes - freed_bytes[b];
    out_envelopes -= envelopes - freed_envelopes[b];
    freed_bytes[b] = bytes;
    freed_envelopes[b] = envelopes;
    return true;
  }
};

}  // namespace carillon
