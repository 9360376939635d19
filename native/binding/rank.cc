// The rank's life; see rank.h.
#include "rank.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <new>

#include "../doorbell/system_call.h"
#include "bell_targets.h"
#include "environment.h"
#include "lease.h"
#include "stages.h"
#include "trace_buffer.h"

#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

namespace carillon {
namespace {

// Trivial statics only: destructors of statics run while threads are still at work.
pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
std::atomic<Rank*> current{nullptr};
std::atomic<bool> left{false}, abandoned{false};

// Under Yama's scope 1 only ancestors may read our memory; the launcher's other descendants are our peers.
void allow_reading(int socket) {
  ucred launcher = {};
  socklen_t length = sizeof launcher;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &launcher, &length) == 0)
    prctl(PR_SET_PTRACER, static_cast<unsigned long>(launcher.pid), 0, 0, 0);
}

// Two for each of half a million keys that wait at once, in address space; the cost beyond rises slowly.
constexpr uint32_t bins_each = 1 << 20;
constexpr size_t bins_bytes = size_t{Matcher::tables} * bins_each * sizeof(void*);

template <typename T>
T* make_array(size_t count) {
  return new (std::nothrow) T[count]();
}

void close_descriptor(int& descriptor) {
  if (descriptor >= 0) close(descriptor);
  descriptor = -1;
}

void destroy(Rank* r) {
  if (r->client) bootstrap::client_close(r->client);
  if (r->leases) r->leases->close();  // reads and writes words of the segments below
  for (uint32_t i = 0; r->descriptors && i < r->size; ++i) {
    bootstrap::PeerDescriptors& d = r->descriptors[i];
    if (r->peers) forget_target(&r->peers[i].bell);  // which uses them
    close_descriptor(d.segment);
    close_descriptor(d.bell);
    close_descriptor(d.escalation);
    close_descriptor(d.interrupt);
    close_descriptor(d.process);
    if (r->mapped && r->mapped[i]) munmap(const_cast<unsigned char*>(r->mapped[i]), r->mapped_bytes[i]);
  }
  close_bells(r);
  if (r->segment.base) munmap(r->segment.base, r->segment.bytes);
  close_descriptor(r->segment.descriptor);
  close_descriptor(r->bell);
  close_descriptor(r->escalation);
  close_descriptor(r->nudge);
  close_descriptor(r->timer);
  close_descriptor(r->epoll);
  if (r->pool) munmap(r->pool, r->pool_bytes);
  if (r->bins.memory) munmap(r->bins.memory, bins_bytes);
  delete[] r->peers;
  delete[] r->ports;
  delete[] r->descriptors;
  delete[] r->mapped;
  delete[] r->mapped_bytes;
  delete r;
}

void* reserve(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

// A peer's share of what may wait here: at most a sixteenth, so that a few peers do not touch all of it for nothing.
Limits limits_for(uint32_t size, const Settings& settings) {
  Limits limits;
  uint64_t peers = size > 1 ? size - 1 : 1;
  constexpr uint64_t all_envelopes = 65536;
  limits.eager_bytes = settings.eager_bytes;
  limits.quota_bytes = settings.max_unexpected_bytes / (peers > 16 ? peers : 16);
  if (limits.quota_envelopes > all_envelopes / peers) limits.quota_envelopes = all_envelopes / peers;
  return limits;
}

Rank* create(const char* address, uint32_t rank, uint32_t size, const Settings& settings, bootstrap::Refusal* refusal) {
  *refusal = bootstrap::Refusal::protocol;
  auto* r = new (std::nothrow) Rank;
  if (!r) return nullptr;
  r->rank = rank;
  r->size = size;
  r->settings = settings;
  r->segment = bootstrap::segment_create(shm::segment_bytes(size, shm::ring_bytes_for(size)));
  r->peers = make_array<Peer>(size);
  r->ports = make_array<shm::ShmPort>(size);
  r->descriptors = make_array<bootstrap::PeerDescriptors>(size);
  r->mapped = make_array<const unsigned char*>(size);
  r->mapped_bytes = make_array<size_t>(size);
  for (uint32_t i = 0; r->descriptors && i < size; ++i) r->descriptors[i] = {0, -1, -1, -1, -1, -1};
  Limits limits = limits_for(size, settings);
  // Reserved for all that the quotas allow, touched only as far as it is used.
  uint64_t allowed = limits.quota_bytes + wants * charge_of(limits.most_eager_bytes) + Pool::smallest * (limits.quota_envelopes + wants);
  r->pool_bytes = Pool::reservation(allowed * size);
  r->pool = static_cast<unsigned char*>(reserve(r->pool_bytes));
  r->bins = {static_cast<void**>(reserve(bins_bytes)), bins_each};
  r->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  r->escalation = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  r->nudge = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  r->epoll = epoll_create1(EPOLL_CLOEXEC);
  bool sound = r->segment.base && r->peers && r->ports && r->descriptors && r->mapped && r->mapped_bytes && r->pool &&
               r->bins.memory && r->bell >= 0 && r->escalation >= 0 && r->nudge >= 0 && r->timer >= 0 && r->epoll >= 0 && open_bells(r);
  if (!sound) {
    destroy(r);
    return nullptr;
  }
  shm::format(r->segment.base, rank, size, shm::ring_bytes_for(size), limits.quota_bytes, limits.quota_envelopes);
  r->header()->bell = static_cast<uint32_t>(r->bells.kind);
  r->header()->signal = r->bells.signal;
  r->leases = leases::Leases::open(size, r->header()->region);
  if (!r->leases) {
    destroy(r);
    return nullptr;
  }
  r->engine.init(rank, size, r->peers, r->bins, r->pool, r->pool_bytes, &r->header()->attention,
                 platform_of(r), limits);
  if (*address) {
    const int interrupt = r->bells.interrupt >= 0 ? r->bells.interrupt : r->bell;
    r->client = bootstrap::client_open(address, rank, size, r->segment.descriptor, r->bell, r->escalation, interrupt, refusal);
    if (!r->client) {
      destroy(r);
      return nullptr;
    }
    allow_reading(bootstrap::client_descriptor(r->client));
  } else {
    begin_trace(r);
    r->state.store(Rank::State::joined);
  }
  if (!start_bells(r) || !start_progress(r)) {
    stop_bells(r);
    destroy(r);
    *refusal = bootstrap::Refusal::protocol;
    return nullptr;
  }
  return r;
}

}  // namespace

Rank* current_rank() { return current.load(std::memory_order_acquire); }
bool has_left() { return left.load(); }
void abandon() { abandoned.store(true); }

Rank* acquire_rank(const char* address, uint32_t rank, uint32_t size, const Settings& settings,
                   bootstrap::Refusal* refusal) {
  pthread_mutex_lock(&registry);
  Rank* r = current.load();
  if (!r && !*address && size > 1) {
    *refusal = bootstrap::Refusal::hub_gone;  // the rank this thread meant to share has just left
  } else if (!r) {
    r = create(address, rank, size, settings, refusal);
    if (r) current.store(r, std::memory_order_release);
  }
  if (r) {
    enter_waiting(r->engine);
    r->engine.set_handles(++r->handles);
    r->engine.leave(nullptr);
  }
  pthread_mutex_unlock(&registry);
  return r;
}

void say_goodbye(Rank* r) {
  if (abandoned.load() || r->leaving.exchange(true)) return;
  enter_waiting(r->engine);
  r->engine.revoke_all();
  // After everything that was sent: who sees it has seen all of that.
  r->header()->closed.exchange(1, std::memory_order_seq_cst);
  r->engine.touch_all();
  r->engine.leave(nullptr);
  if (r->client) bootstrap::client_goodbye(r->client);
}

void release_rank(Rank* r) {
  pthread_mutex_lock(&registry);
  enter_waiting(r->engine);
  r->engine.set_handles(--r->handles);
  r->engine.leave(nullptr);
  if (r->handles == 0) {
    bool launched = r->client != nullptr && r->state.load() == Rank::State::joined;
    if (r->state.load() == Rank::State::joined) say_goodbye(r);
    stop_bells(r);
    stop_progress(r);
    r->engine.drop_parcels(free_parcel);
    current.store(nullptr, std::memory_order_release);
    if (launched) left.store(true);
    destroy(r);
    drop_stages();
  }
  pthread_mutex_unlock(&registry);
}

void look_at_rank() {
  pthread_mutex_lock(&registry);
  if (Rank* r = current.load(); r && r->state.load() == Rank::State::joined) {
    enter_waiting(r->engine);
    r->engine.step(nullptr);
    r->engine.leave(nullptr);
  }
  pthread_mutex_unlock(&registry);
}

void enter_waiting(Engine& engine) {
  while (!engine.try_enter()) sched_yield();
}

}  // namespace carillon
