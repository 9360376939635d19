// What JavaScript calls about messages: send, recv, cancel, and fetching what came. Responsible for turning arguments into
// requests and for what memory a body travels in; not for protocols (core) nor for matched probes (probing.cc).
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <new>

#include "arguments.h"
#include "operations.h"
#include "scatter.h"
#include "stages.h"

namespace carillon {
namespace {

constexpr uint32_t kParts = 64;
constexpr int32_t kDone = -1, kInUse = -2, kFailed = -16;
enum Flag : uint32_t { synchronous = 1, stable = 2, lease = 4 };
enum ReceiveFlag : uint32_t { envelope = 1, held = 2, list = 4, next = 8 };

// A typed array or DataView, over shared memory or not. False: it is neither.
bool view_of(napi_env env, napi_value value, Part* part) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) == napi_ok) {
    static constexpr uint8_t shifts[] = {0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3};
    size_t shift = static_cast<size_t>(type) < sizeof shifts ? shifts[type] : 1;  // the one after these: Float16Array
    *part = {static_cast<unsigned char*>(data), length << shift};
    return true;
  }
  if (napi_get_dataview_info(env, value, &length, &data, nullptr, nullptr) != napi_ok) return false;
  *part = {static_cast<unsigned char*>(data), length};
  return true;
}

// A view, or an array of at most kParts views.
bool parts_of(napi_env env, napi_value value, Part* parts, uint32_t* count) {
  *count = 1;
  if (view_of(env, value, parts)) return true;
  if (napi_get_array_length(env, value, count) != napi_ok || *count > kParts) return false;
  for (uint32_t i = 0; i < *count; ++i) {
    napi_value element;
    if (napi_get_element(env, value, i, &element) != napi_ok || !view_of(env, element, &parts[i])) return false;
  }
  return true;
}

void gather(unsigned char* to, const Part* parts, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (parts[i].bytes) memcpy(to, parts[i].data, parts[i].bytes);
    to += parts[i].bytes;
  }
}

napi_value post(Environment* e, Request* r) {
  count_outstanding(e, r);
  uint32_t index = r->index;  // another thread may have completed it when submit returns
  e->rank->engine.submit(r, &e->queue);
  after_leave(e);
  show_records(e);
  return number(e->env, index);
}

// Where this rank runs: a peer on the same processor does not wait awake for it, nor is a body copied there while it computes.
void publish_place(Environment* e) {
  Rank* rank = e->rank;
  uint32_t processor = static_cast<uint32_t>(sched_getcpu()) + 1;
  auto& word = rank->header()->processor;
  if (word.load(std::memory_order_relaxed) != processor) word.store(processor, std::memory_order_relaxed);
  if (rank->sender.load(std::memory_order_relaxed) != e->thread) rank->sender.store(e->thread, std::memory_order_relaxed);
}

napi_value send_to_oneself(Environment* e, int32_t tag, uint32_t context, uint32_t encoding, uint32_t flags,
                           const Part* parts, uint32_t count, uint64_t bytes, leases::Pages* pages) {
  Request* sender = flags & synchronous ? allocate_request(e) : nullptr;
  Parcel* parcel = flags & synchronous && !sender ? nullptr : make_parcel(bytes, pages);
  if (!parcel) {
    if (sender) free_request(e, sender);
    return number(e->env, kFailed - static_cast<int32_t>(Status::out_of_memory));
  }
  if (!pages) gather(parcel->body(), parts, count);
  Block& b = parcel->envelope;
  b.source = static_cast<int32_t>(e->rank->rank);
  b.tag = tag;
  b.context = context;
  b.encoding = encoding;
  parcel->sender = sender;
  uint32_t index = 0;
  if (sender) {
    sender->is_send = true;
    sender->peer = b.source;
    index = sender->index;
    count_outstanding(e, sender);
  }
  e->rank->engine.submit(parcel, &e->queue);
  after_leave(e);
  show_records(e);
  return number(e->env, sender ? int64_t{index} : kDone);
}

// The call area of the completion queue's memory: Call in src/native.ts.
struct Call {
  int32_t peer, tag;
  uint32_t context, encoding, flags;
  int32_t bytes;
  uint32_t held;
  uint32_t unused[9];
  unsigned char body[inline_bytes];
};

const Call& call_of(Environment* e) { return *reinterpret_cast<const Call*>(e->queue.words + queue_layout::call); }

// From this size on mapping memory and copying out of it takes less than process_vm_readv, which handles each page.
constexpr uint64_t kShownLeast = 64 << 10;

// A copy that is about to be made by this thread in native code takes microseconds, after which it looks: nobody shall ring.
constexpr uint64_t kAwakeLeast = 64 << 10;

void stay_awake(Environment* e) {
  if (e->rank->engine.try_enter()) e->rank->engine.leave_to_copy(&e->queue);
}

napi_value send(napi_env env, napi_callback_info info) {
  Environment* e = environment_of(env);
  if (!e || !e->rank) return fail(env, "send");
  const Call call = call_of(e);
  Part parts[kParts];
  uint32_t count = 1;
  napi_value payload[1] = {};
  if (call.bytes >= 0) {
    parts[0] = {call.body, static_cast<uint64_t>(call.bytes)};
    if (call.bytes > static_cast<int32_t>(inline_bytes)) return fail(env, "send: inline");
  } else {
    if (!arguments(env, info, payload) || !parts_of(env, payload[0], parts, &count)) return fail(env, "send: payload");
  }
  if (call.peer < 0 || call.peer >= static_cast<int32_t>(e->rank->size) || call.tag < 0) return fail(env, "send: peer");
  Engine& engine = e->rank->engine;
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < count; ++i) bytes += parts[i].bytes;
  if (bytes > engine.limits().max_message) return fail(env, "message too large");
  // Handed over from here on, whatever comes: its pages are the message's, and the buffer is detached before this returns.
  leases::Pages* pages = nullptr;
  TakenPages taken;
  if (call.flags & lease) {
    reap(e);  // what JavaScript has seen end uses it no longer
    pages = pages_under(e, payload[0]);
    if (!pages || count != 1) return fail(env, "send: no lease");
    if (pages->uses > 0) return number(env, kInUse);
    taken.take(e, payload[0]);
  }
  if (call.peer == static_cast<int32_t>(e->rank->rank))
    return send_to_oneself(e, call.tag, call.context, call.encoding, call.flags, parts, count, bytes, pages);

  say_running(e, true);
  publish_place(e);
  if (!(call.flags & synchronous) && bytes <= engine.limits().eager_bytes && engine.try_enter()) {
    Status failure = Status::ok;
    Sent sent = engine.send_now(call.peer, call.tag, call.context, call.encoding, parts, count, &failure);
    engine.leave(&e->queue);
    after_leave(e);
    if (pages && sent != Sent::later) pages->home->release(pages);
    if (sent == Sent::done) return number(env, kDone);
    if (sent == Sent::failed) return number(env, kFailed - static_cast<int32_t>(failure));
  }
  // It has to wait or to be pulled: from memory that cannot vanish.
  Request* r = allocate_request(e);
  unsigned char* memory = nullptr;
  if (r && bytes <= inline_bytes) {
    memory = r->inlined;
    gather(memory, parts, count);
  } else if (r && call.flags & (stable | lease) && count == 1) {
    memory = const_cast<unsigned char*>(parts[0].data);
    leases::Pages* used = pages ? nullptr : pages_under(e, payload[0]);
    if (used) {
      use_pages(r, used);
      r->lent = bytes >= kShownLeast && e->rank->settings.reads_peers && e->rank->leases->show(used, memory, &r->loan);
    }
  } else if (r) {
    if (bytes >= kAwakeLeast) stay_awake(e);
    r->owned = memory = take_stage(bytes, &r->owned_bytes);
    if (memory) gather(memory, parts, count);
  }
  if (!memory) {
    if (r) free_request(e, r);
    if (pages) pages->home->release(pages);
    engine.poll(&e->queue);  // it stayed awake for a copy that is not made
    after_leave(e);
    return number(env, kFailed - static_cast<int32_t>(Status::out_of_memory));
  }
  r->submission_kind = SubmissionKind::send;
  r->is_send = true;
  r->pages = pages;
  if (pages) r->lent = bytes > inline_bytes && e->rank->leases->lend(pages, static_cast<uint32_t>(call.peer), &r->loan);
  r->synchronous = call.flags & synchronous;
  r->peer = call.peer;
  r->tag = call.tag;
  r->context = call.context;
  r->encoding = call.encoding;
  r->memory = memory;
  r->bytes = bytes;
  return post(e, r);
}

// Receives what is here already and short without a place in the queue: its record is put into the call area. Else posts as ever.
napi_value receive(Environment* e, Request* r) {
  Engine& engine = e->rank->engine;
  if (!engine.try_enter()) return post(e, r);
  const uint32_t index = r->index;
  const bool here = engine.receive_now(r);
  if (!here) count_outstanding(e, r);  // before this thread drains or reaps
  engine.leave(&e->queue);
  if (here) {
    fill_record(e->queue.words + queue_layout::call, r);
    free_request(e, r);
  }
  after_leave(e);
  show_records(e);
  return number(e->env, here ? kDone : int64_t{index});
}

napi_value recv(napi_env env, napi_callback_info info) {
  Environment* e = environment_of(env);
  if (!e || !e->rank) return fail(env, "recv");
  const Call& call = call_of(e);
  if (call.peer < any_source || call.peer >= static_cast<int32_t>(e->rank->size) || call.tag < any_tag)
    return fail(env, "recv: peer");
  Part into = {nullptr, call.bytes < 0 ? UINT64_MAX : static_cast<uint64_t>(call.bytes)};
  napi_value a[2];
  size_t given = 2;
  napi_get_cb_info(env, info, &given, a, nullptr, nullptr);
  Part views[kParts];
  uint32_t count = 0;  // views of shared memory, to be filled in order
  if (given == 2 && call.flags & list) {
    if (!parts_of(env, a[1], views, &count)) return fail(env, "recv: list");
    into.bytes = 0;
    for (uint32_t i = 0; i < count; ++i) into.bytes += views[i].bytes;
  } else if (given == 2 && !view_of(env, a[1], &into)) {
    return fail(env, "recv: into");
  }
  int64_t capacity;
  if (given == 1) {
    if (napi_get_value_int64(env, a[0], &capacity) != napi_ok || capacity < 0) return fail(env, "recv: capacity");
    into.bytes = static_cast<uint64_t>(capacity);
  }
  Scatter* scatter = count > 0 ? make_scatter(views, count) : nullptr;
  if (call.flags & held) reap(e);  // the probe may have been drained just now
  Request* r = count > 0 && !scatter ? nullptr : call.flags & held ? request_at(e, call.held) : allocate_request(e);
  if (!r || (call.flags & held && r->state != RequestState::held)) {
    free(scatter);
    return r ? fail(env, "recv: nothing held") : fail_for_memory(env);
  }
  r->is_send = false;
  say_running(e, true);
  if (call.flags & next) {
    Request* taker = request_at(e, call.held);
    r->takes = Takes::held;
    r->peer = call.peer;
    r->tag = call.tag;
    r->context = call.context;
    r->bytes = UINT64_MAX;
    r->memory = nullptr;
    r->list = false;
    count_outstanding(e, r);
    enter_waiting(e->rank->engine);
    if (taker && taker->taker) e->rank->engine.take_next(taker, r);
    else e->rank->engine.complete(r, Status::taken_back);
    e->rank->engine.leave(&e->queue);
    after_leave(e);
    show_records(e);
    return number(env, r->index);
  }
  if (call.flags & held) {
    r->submission_kind = SubmissionKind::claim;
    r->takes = Takes::held;
    r->state = RequestState::submitted;
    r->keeps_alive = true;
  } else {
    r->submission_kind = SubmissionKind::receive;
    r->takes = call.flags & envelope ? Takes::envelope : Takes::message;
    r->peer = call.peer;
    r->tag = call.tag;
    r->context = call.context;
  }
  r->list = call.flags & list;
  r->owned = scatter;
  r->memory = into.data && into.bytes > 0 ? const_cast<unsigned char*>(into.data) : nullptr;
  if (leases::Pages* used = r->memory ? pages_under(e, a[1]) : nullptr) use_pages(r, used);
  r->bytes = into.bytes;
  return call.flags & (held | envelope) ? post(e, r) : receive(e, r);
}

napi_value cancel(napi_env env, napi_callback_info info) {
  napi_value a[1], result;
  Environment* e = environment_of(env);
  if (!arguments(env, info, a)) return fail(env, "cancel");
  Request* r = request_argument(env, e, a[0]);
  bool cancelled = false;
  if (r && e->rank) {
    enter_waiting(e->rank->engine);
    cancelled = e->rank->engine.cancel(r);
    e->rank->engine.leave(&e->queue);
    after_leave(e);
    show_records(e);
  }
  napi_get_boolean(env, cancelled, &result);
  return result;
}

napi_value take(napi_env env, napi_callback_info info) {
  napi_value a[3];
  Part target;
  int64_t from;
  Environment* e = environment_of(env);
  if (!arguments(env, info, a)) return fail(env, "take");
  Request* r = request_argument(env, e, a[0]);
  if (!r || r->state != RequestState::completed || !view_of(env, a[1], &target) ||
      napi_get_value_int64(env, a[2], &from) != napi_ok || from < 0 || static_cast<uint64_t>(from) > r->got_bytes ||
      target.bytes > r->got_bytes - static_cast<uint64_t>(from))
    return fail(env, "take");
  const unsigned char* body = r->parcel  ? r->parcel->body()
                              : r->block ? r->block->body()
                              : r->pages ? static_cast<leases::Pages*>(r->pages)->memory.base
                              : r->stage ? r->stage
                                         : nullptr;
  if (!body) return fail(env, "take: nothing there");
  if (target.bytes >= kAwakeLeast && e->rank) {
    stay_awake(e);
    memcpy(const_cast<unsigned char*>(target.data), body + from, target.bytes);
    e->rank->engine.poll(&e->queue);
    after_leave(e);
  } else if (target.bytes) {
    memcpy(const_cast<unsigned char*>(target.data), body + from, target.bytes);
  }
  return nullptr;
}

napi_value adopt(napi_env env, napi_callback_info info) {
  napi_value a[1], result;
  Environment* e = environment_of(env);
  if (!arguments(env, info, a)) return fail(env, "adopt");
  Request* r = request_argument(env, e, a[0]);
  leases::Pages* pages = !r ? nullptr : static_cast<leases::Pages*>(r->parcel ? r->parcel->pages : r->pages);
  if (r && r->state == RequestState::completed && r->storage == Storage::lease && pages) {
    if (napi_value buffer = hold_pages(e, pages, r->got_bytes)) {
      (r->parcel ? r->parcel->pages : r->pages) = nullptr;
      return buffer;
    }
    void* copy;
    if (napi_create_arraybuffer(env, r->got_bytes, &copy, &result) != napi_ok) return nullptr;
    memcpy(copy, pages->memory.base, r->got_bytes);
    return result;
  }
  if (!r || r->state != RequestState::completed || !r->stage) return fail(env, "adopt");
  result = hold(e, {.stage = r->stage, .stage_bytes = r->stage_bytes}, r->got_bytes);
  if (result) {
    r->stage = nullptr;
    return result;
  }
  // A runtime that forbids external memory (Electron): a copy, and the stage goes with the request.
  void* copy;
  if (napi_create_arraybuffer(env, r->got_bytes, &copy, &result) != napi_ok) return nullptr;
  memcpy(copy, r->stage, r->got_bytes);
  return result;
}

}  // namespace

void define_messages(napi_env env, napi_value exports) {
  define(env, exports, {{"send", send}, {"recv", recv}, {"cancel", cancel}, {"take", take}, {"adopt", adopt}});
}

}  // namespace carillon
