// What JavaScript calls about matched probes: a look that does not wait, and giving back what a probe took. Waiting probes and
// the receive of what one took are receives (messages.cc). No protocol logic.
#include "arguments.h"
#include "operations.h"

namespace carillon {
namespace {

// The call area, where the answer is put: Call in src/native.ts.
struct Probed {
  int32_t peer, tag;
  uint32_t context, encoding, flags, capacity, held, bytes_low, bytes_high;
};

napi_value try_probe(napi_env env, napi_callback_info) {
  Environment* e = environment_of(env);
  if (!e || !e->rank) return fail(env, "tryProbe");
  auto& area = *reinterpret_cast<Probed*>(e->queue.words + queue_layout::call);
  if (area.peer < any_source || area.peer >= static_cast<int32_t>(e->rank->size) || area.tag < any_tag)
    return fail(env, "tryProbe: peer");
  Request* r = allocate_request(e);
  if (!r) return fail_for_memory(env);
  r->is_send = false;
  r->takes = Takes::envelope;
  r->peer = area.peer;
  r->tag = area.tag;
  r->context = area.context;
  r->memory = nullptr;
  r->bytes = UINT64_MAX;
  int32_t index = -1;
  enter_waiting(e->rank->engine);
  if (e->rank->engine.probe_now(r)) {
    r->state = RequestState::held;
    index = static_cast<int32_t>(r->index);
    area.peer = r->from;
    area.tag = r->got_tag;
    area.encoding = r->got_encoding;
    area.bytes_low = static_cast<uint32_t>(r->got_bytes);
    area.bytes_high = static_cast<uint32_t>(r->got_bytes >> 32);
  }
  e->rank->engine.leave(&e->queue);
  if (index < 0) free_request(e, r);
  after_leave(e);
  show_records(e);
  napi_value result;
  napi_create_int32(env, index, &result);
  return result;
}

napi_value give_back(napi_env env, napi_callback_info info) {
  Environment* e = environment_of(env);
  napi_value a[1];
  size_t given = 1;
  uint32_t index;
  if (!e || !e->rank || napi_get_cb_info(env, info, &given, a, nullptr, nullptr) != napi_ok || given != 1 ||
      napi_get_value_uint32(env, a[0], &index) != napi_ok)
    return fail(env, "giveBack");
  reap(e);  // the probe may have been drained just now
  Request* r = request_at(e, index);
  if (!r || r->state != RequestState::held) return fail(env, "giveBack: nothing held");
  enter_waiting(e->rank->engine);
  e->rank->engine.give_back(r);
  e->rank->engine.leave(&e->queue);
  free_request(e, r);
  after_leave(e);
  show_records(e);
  return nullptr;
}

}  // namespace

void define_probing(napi_env env, napi_value exports) {
  define(env, exports, {{"tryProbe", try_probe}, {"giveBack", give_back}});
}

}  // namespace carillon
