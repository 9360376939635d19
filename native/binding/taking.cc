// What JavaScript calls about standing takers: to begin one, and to resume it. What it takes JavaScript reads from the ring by
// itself (src/taker.ts, src/queue.ts). No protocol logic.
#include "../core/taker.h"

#include <new>

#include "arguments.h"
#include "operations.h"

namespace carillon {
namespace {

struct Asked {  // the call area: Call in src/native.ts
  int32_t peer, tag;
  uint32_t context;
};

napi_value begin_taking(napi_env env, napi_callback_info info) {
  Environment* e = environment_of(env);
  napi_value a[2];
  napi_typedarray_type type;
  size_t length;
  void* words;
  bool shared;
  if (!e || !e->rank || !arguments(env, info, a) ||
      napi_get_typedarray_info(env, a[0], &type, &length, &words, nullptr, nullptr) != napi_ok || type != napi_int32_array ||
      napi_get_value_bool(env, a[1], &shared) != napi_ok)
    return fail(env, "beginTaking");
  const auto& asked = *reinterpret_cast<const Asked*>(e->queue.words + queue_layout::call);
  const size_t capacity = length > ring_layout::records ? (length - ring_layout::records) * 4 : 0;
  if (asked.peer < any_source || asked.peer >= static_cast<int32_t>(e->rank->size) || asked.tag < any_tag || capacity < 1024 ||
      (capacity & (capacity - 1)) || capacity > (1u << 30))
    return fail(env, "beginTaking: arguments");
  auto* taker = new (std::nothrow) Taker;
  auto* courier = taker && shared ? new (std::nothrow) Request : nullptr;
  Request* r = taker && (courier || !shared) ? allocate_request(e) : nullptr;
  if (!r) {
    delete courier;
    delete taker;
    return fail(env, "out of memory");
  }
  taker->words = static_cast<uint32_t*>(words);
  taker->capacity = static_cast<uint32_t>(capacity);
  taker->shared = shared;
  taker->stream = r;
  taker->courier = courier;
  if (courier) courier->taker = taker;
  r->is_send = false;
  r->submission_kind = SubmissionKind::receive;
  r->takes = Takes::stream;
  r->taker = taker;
  r->peer = asked.peer;
  r->tag = asked.tag;
  r->context = asked.context;
  r->memory = nullptr;
  r->bytes = UINT64_MAX;
  count_outstanding(e, r);
  uint32_t index = r->index;
  if (shared) ask_main_thread(e);
  e->rank->engine.submit(r, &e->queue);
  after_leave(e);
  show_records(e);
  return number(env, index);
}

napi_value resume_taking(napi_env env, napi_callback_info info) {
  Environment* e = environment_of(env);
  napi_value a[1];
  if (!arguments(env, info, a)) return fail(env, "resumeTaking");
  Request* r = request_argument(env, e, a[0]);
  if (!r || !r->taker || !e->rank) return nullptr;  // it has just ended
  enter_waiting(e->rank->engine);
  e->rank->engine.resume(r);
  e->rank->engine.leave(&e->queue);
  after_leave(e);
  show_records(e);
  return nullptr;
}

}  // namespace

void define_taking(napi_env env, napi_value exports) {
  define(env, exports, {{"beginTaking", begin_taking}, {"resumeTaking", resume_taking}});
}

}  // namespace carillon
