// The table of consignments and the functions that JavaScript calls; see consignments.h. `openConsignment`, `consign`, `claim`,
// `closeConsignment` and `isLeaseInUse` of src/native.ts.
#include "consignments.h"

#include <pthread.h>
#include <sys/random.h>

#include <new>

#include "arguments.h"
#include "lease.h"

namespace carillon {
namespace {

struct Ticket {
  uint32_t number;
  Held held;
  uint64_t bytes;  // of its ArrayBuffer
  Ticket* next;
};

struct Consignment {
  uint64_t key;
  const Environment* opener;
  uint32_t tickets = 0;  // ever
  Ticket* unclaimed = nullptr;
  Consignment* next = nullptr;
};

// Trivial statics only: threads may still be at work when the process ends.
constexpr uint32_t kBins = 64;
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
Consignment* table[kBins] = {};
uint64_t keys[32];
uint32_t keys_left = 0;

class Lock {
 public:
  Lock() { pthread_mutex_lock(&mutex); }
  ~Lock() { pthread_mutex_unlock(&mutex); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
};

// All below that says so: under the mutex.

Consignment** place_of(uint64_t key) {
  Consignment** place = &table[key % kBins];
  while (*place && (*place)->key != key) place = &(*place)->next;
  return place;
}

// Random, for a key is all that a thread needs to claim memory. 0: none to be had.
uint64_t fresh_key() {
  for (;;) {
    if (keys_left == 0) {
      if (getrandom(keys, sizeof keys, 0) != static_cast<ssize_t>(sizeof keys)) return 0;
      keys_left = sizeof keys / sizeof keys[0];
    }
    const uint64_t key = keys[--keys_left];
    if (key != 0 && !*place_of(key)) return key;
  }
}

// Outside the mutex: gives memory back to the kernel.
void discard(Consignment* consignment) {
  while (Ticket* ticket = consignment->unclaimed) {
    consignment->unclaimed = ticket->next;
    release_held(ticket->held);
    delete ticket;
  }
  delete consignment;
}

bool read_key(napi_env env, napi_value value, uint64_t* key) {
  bool lossless = false;
  return napi_get_value_bigint_uint64(env, value, key, &lossless) == napi_ok && lossless;
}

napi_value open_consignment(napi_env env, napi_callback_info) {
  auto* consignment = new (std::nothrow) Consignment{};
  if (!consignment) return fail(env, "openConsignment");
  consignment->opener = environment_of(env);
  {
    Lock lock;
    consignment->key = fresh_key();
    if (consignment->key != 0) *place_of(consignment->key) = consignment;
  }
  const uint64_t key = consignment->key;
  napi_value result;
  if (key != 0 && napi_create_bigint_uint64(env, key, &result) == napi_ok) return result;
  if (key == 0) delete consignment;
  return fail(env, "openConsignment");
}

// Whatever the answer, memory that has no ticket is as it was.
napi_value consign(napi_env env, napi_callback_info info) {
  constexpr int none = -1, closed = -2;
  napi_value a[2];
  uint64_t key;
  Environment* e = environment_of(env);
  if (!arguments(env, info, a) || !read_key(env, a[0], &key)) return fail(env, "consign");
  auto* ticket = new (std::nothrow) Ticket{};
  if (!e || !ticket) {
    delete ticket;
    return number(env, none);
  }
  TakenPages taken;  // detaches when it goes: after the mutex
  int answer = closed;
  {
    Lock lock;
    if (Consignment* consignment = *place_of(key)) {
      answer = none;
      if (taken.take(e, a[1], &ticket->held, &ticket->bytes)) {
        answer = static_cast<int>(ticket->number = consignment->tickets++);
        ticket->next = consignment->unclaimed;
        consignment->unclaimed = ticket;
        ticket = nullptr;
      }
    }
  }
  delete ticket;
  return number(env, answer);
}

napi_value claim(napi_env env, napi_callback_info info) {
  napi_value a[2], result;
  uint64_t key;
  uint32_t wanted;
  Environment* e = environment_of(env);
  if (!e || !arguments(env, info, a) || !read_key(env, a[0], &key) ||
      napi_get_value_uint32(env, a[1], &wanted) != napi_ok)
    return fail(env, "claim");
  Ticket* ticket = nullptr;
  {
    Lock lock;
    if (Consignment* consignment = *place_of(key)) {
      Ticket** place = &consignment->unclaimed;
      while (*place && (*place)->number != wanted) place = &(*place)->next;
      ticket = *place;
      if (ticket) *place = ticket->next;
    }
  }
  if (!ticket) {
    napi_get_null(env, &result);
    return result;
  }
  result = hold(e, ticket->held, ticket->bytes);
  if (!result) release_held(ticket->held);  // the thread is being terminated
  delete ticket;
  return result ? result : fail(env, "claim");
}

napi_value close_consignment(napi_env env, napi_callback_info info) {
  napi_value a[1];
  uint64_t key;
  if (!arguments(env, info, a) || !read_key(env, a[0], &key)) return fail(env, "closeConsignment");
  Consignment* consignment;
  {
    Lock lock;
    Consignment** place = place_of(key);
    consignment = *place;
    if (consignment) *place = consignment->next;
  }
  if (consignment) discard(consignment);
  return nullptr;
}

napi_value is_lease_in_use(napi_env env, napi_callback_info info) {
  napi_value a[1], result;
  Environment* e = environment_of(env);
  if (!arguments(env, info, a)) return fail(env, "isLeaseInUse");
  if (e && e->rank) reap(e);  // what JavaScript has seen end uses it no longer
  const leases::Pages* pages = e ? pages_under(e, a[0]) : nullptr;
  napi_get_boolean(env, pages && pages->uses > 0, &result);
  return result;
}

}  // namespace

void close_consignments_of(Environment* e) {
  Consignment* closed = nullptr;
  {
    Lock lock;
    for (Consignment*& bin : table)
      for (Consignment** place = &bin; *place;) {
        Consignment* consignment = *place;
        if (consignment->opener != e) {
          place = &consignment->next;
          continue;
        }
        *place = consignment->next;
        consignment->next = closed;
        closed = consignment;
      }
  }
  while (Consignment* consignment = closed) {
    closed = consignment->next;
    discard(consignment);
  }
}

void define_consignments(napi_env env, napi_value exports) {
  define(env, exports,
         {{"openConsignment", open_consignment},
          {"consign", consign},
          {"claim", claim},
          {"closeConsignment", close_consignment},
          {"isLeaseInUse", is_lease_in_use}});
}

}  // namespace carillon
