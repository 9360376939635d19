// A rank without Node: the real rank, progress thread and hub connection of native/binding, and in place of a
// JavaScript thread one that posts requests and drains its completion queue. Responsible for that thread; not for what
// it sends (traffic.h).
#pragma once

#include <cstdint>
#include <memory>

#include "../../../native/binding/environment.h"

namespace kill_test {

using namespace carillon;

// What was received, where it lies until the operation has been settled.
struct Body {
  const unsigned char* data;
  uint64_t bytes;
};

// Bytes that nobody has touched yet: clearing them would be most of the work.
struct Memory {
  std::unique_ptr<unsigned char[]> data;
  size_t bytes = 0;
};

struct Operation;

// Hears of every operation that has ended, in the order of the records.
struct Listener {
  virtual void settled(Operation*, const Body&) = 0;

 protected:
  ~Listener() = default;
};

// A request, the memory it needs, and whose it is.
struct Operation : Request {
  Listener* listener = nullptr;
  uint32_t number = 0;  // the listener's: which of its operations
  Memory body;          // send: the body. Receive: where it shall land, or nothing
};

class Member {
 public:
  // False: refused. Waits for the world to form.
  bool join(const char* address, uint32_t rank, uint32_t size);
  // Leaves and gives everything back; what is outstanding is dropped.
  void leave();

  // Eager and at once if that is possible: true. Everything else is posted and settles later.
  bool send(Operation*, int32_t dest, int32_t tag, bool synchronous, uint32_t parts);
  void receive(Operation*, int32_t source, int32_t tag, uint64_t capacity);
  bool cancel(Operation*);

  // Settles what has completed. False: nothing had.
  bool drain();
  // Until something completes, the bell rings or `descriptor` is readable.
  void wait(int descriptor);

  uint32_t outstanding() const { return outstanding_; }

 private:
  void post(Operation*);
  void copy_what_waits();
  bool settle_records();

  Rank* rank_ = nullptr;
  Environment* environment_ = nullptr;  // its queue and descriptor: what the binding knows a thread by
  uint32_t outstanding_ = 0;
  int waits_ = -1;                      // epoll set: notify, bell, and what `wait` was given
  int watched_ = -1;
};

}  // namespace kill_test
