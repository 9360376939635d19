// The submission queue: what a thread or handler wants done when it did not get the guard. Many producers, the guard's
// holder consumes. Lock-free push, no ABA (nodes are never re-pushed before they were popped), first in first out.
#pragma once

#include <atomic>

#include "step.h"

namespace carillon {

enum class SubmissionKind : unsigned char { send, receive, claim, parcel, pulled };

// Base of everything that can be submitted: intrusive, so that submitting allocates nothing.
struct Submission {
  Submission* next_submission = nullptr;
  SubmissionKind submission_kind;
};

class SubmissionQueue {
 public:
  void push(Submission* node) {
    Submission* top = top_.load(std::memory_order_relaxed);
    do {
      node->next_submission = top;
      CARILLON_STEP("submission.push");
    } while (!top_.compare_exchange_weak(top, node, std::memory_order_seq_cst, std::memory_order_relaxed));
  }

  bool empty() const { return top_.load(std::memory_order_seq_cst) == nullptr; }

  // Holder: everything pushed so far, oldest first, linked by next_submission.
  Submission* take_all() {
    CARILLON_STEP("submission.take");
    Submission* newest = top_.exchange(nullptr, std::memory_order_seq_cst);
    Submission* oldest = nullptr;
    while (newest) {
      Submission* next = newest->next_submission;
      newest->next_submission = oldest;
      oldest = newest;
      newest = next;
    }
    return oldest;
  }

 private:
  std::atomic<Submission*> top_{nullptr};
};

}  // namespace carillon
