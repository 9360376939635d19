// What JavaScript calls about standing takers: to begin one, to resume it, and to stop it, with what it has taken and nobody has read going
// back. What it takes JavaScript reads from the ring by itself (src/taker.ts, src/queue.ts). No protocol logic.
#include "../core/taker.h"

#include <string.h>

#include <new>

#include "arguments.h"
#include "lease.h"
#include "operations.h"

namespace carillon {
namespace {

struct Asked {  // the call area: Call in src/native.ts
  int32_t peer, tag;
  uint32_t context, encoding;
};

// A ring as JavaScript passes it. Not to be trusted: only its size is.
struct Given {
  uint32_t* words = nullptr;
  size_t capacity = 0;
};

bool ring_of(napi_env env, napi_value value, Given* ring) {
  size_t length;
  auto* words = static_cast<uint32_t*>(typed_array(env, value, napi_int32_array, &length));
  if (!words || length <= ring_layout::records) return false;
  *ring = {words, (length - ring_layout::records) * 4};
  return ring->capacity >= 1024 && !(ring->capacity & (ring->capacity - 1)) && ring->capacity <= 1u << 30;
}

// Messages on their way back, in order of arrival.
struct Returned {
  Parcel* first = nullptr;
  Parcel* last = nullptr;

  bool add(const Asked& as, const unsigned char* body, uint64_t bytes, const uint32_t* arrival) {
    Parcel* parcel = make_parcel(bytes, nullptr);
    if (!parcel) return false;
    if (bytes > 0) memcpy(parcel->body(), body, bytes);
    Block& b = parcel->envelope;
    b.source = as.peer;
    b.tag = as.tag;
    b.context = as.context;
    b.encoding = as.encoding;
    memcpy(&b.arrival, arrival, sizeof b.arrival);
    if (last) last->next_submission = parcel;
    else first = parcel;
    last = parcel;
    return true;
  }

  // What lies in this ring from where it was read to `head`.
  bool add(const Given& ring, uint32_t head, uint32_t context, uint32_t ranks) {
    uint32_t at = ring.words[ring_layout::read];
    if (head - at > ring.capacity) return true;
    while (at != head) {
      const uint32_t offset = at & (ring.capacity - 1);
      const uint32_t* record = ring.words + ring_layout::records + offset / 4;
      const uint32_t length = record[0] & ~1u;
      if (length < 8 || length % 8 || length > head - at || length > ring.capacity - offset) return true;
      if (!(record[0] & 1)) {
        const uint32_t bytes = record[4];
        if (bytes > length || Taker::record_bytes(bytes) != length || record[1] >= ranks || static_cast<int32_t>(record[2]) < 0) return true;
        const Asked as = {static_cast<int32_t>(record[1]), static_cast<int32_t>(record[2]), context, record[3]};
        if (!add(as, reinterpret_cast<const unsigned char*>(record + ring_layout::header_words), bytes, record + 5)) return false;
      }
      at += length;
    }
    return true;
  }

  void drop() {
    while (Parcel* parcel = first) {
      first = static_cast<Parcel*>(parcel->next_submission);
      free_parcel(parcel);
    }
  }
};

napi_value begin_taking(napi_env env, napi_callback_info info) {
  Environment* e = environment_of(env);
  napi_value a[2];
  Given ring;
  bool shared;
  if (!e || !e->rank || !arguments(env, info, a) || !ring_of(env, a[0], &ring) || napi_get_value_bool(env, a[1], &shared) != napi_ok)
    return fail(env, "beginTaking");
  const auto& asked = *reinterpret_cast<const Asked*>(e->queue.words + queue_layout::call);
  if (asked.peer < any_source || asked.peer >= static_cast<int32_t>(e->rank->size) || asked.tag < any_tag)
    return fail(env, "beginTaking: arguments");
  auto* taker = new (std::nothrow) Taker;
  auto* courier = taker && shared ? new (std::nothrow) Request : nullptr;
  Request* r = taker && (courier || !shared) ? allocate_request(e) : nullptr;
  if (!r) {
    delete courier;
    delete taker;
    return fail_for_memory(env);
  }
  taker->words = ring.words;
  taker->capacity = static_cast<uint32_t>(ring.capacity);
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

// Copied out of the ring in between, outside the guard, when nothing more goes into it.
napi_value stop_taking(napi_env env, napi_callback_info info) {
  Environment* e = environment_of(env);
  napi_value a[3];
  Given ring;
  if (!arguments(env, info, a) || !ring_of(env, a[1], &ring)) return fail(env, "stopTaking");
  if (!e || !e->rank) return nullptr;
  Engine& engine = e->rank->engine;
  const Asked asked = *reinterpret_cast<const Asked*>(e->queue.words + queue_layout::call);
  Request* r = request_argument(env, e, a[0]);
  if (r && (!r->taker || r->taker->words != ring.words)) r = nullptr;  // it has ended, and its number is another's perhaps
  if (r) {
    enter_waiting(engine);
    engine.halt_taking(r);
    engine.leave(&e->queue);
  }
  napi_valuetype type;
  void* alone;
  size_t bytes;
  Returned back;
  bool all = true;
  if (napi_typeof(env, a[2], &type) == napi_ok && type != napi_undefined) {
    napi_typedarray_type kind;
    if (napi_get_typedarray_info(env, a[2], &kind, &bytes, &alone, nullptr, nullptr) != napi_ok || kind != napi_uint8_array ||
        asked.peer < 0 || asked.peer >= static_cast<int32_t>(e->rank->size) || asked.tag < 0)
      return fail(env, "stopTaking: a message");
    all = back.add(asked, static_cast<const unsigned char*>(alone), bytes, ring.words + ring_layout::alone);
  }
  all = all && back.add(ring, r ? r->taker->head : ring.words[ring_layout::head], asked.context, e->rank->size);
  if (!all) back.drop();
  enter_waiting(engine);
  engine.stop_taking(r, back.first);
  engine.leave(&e->queue);
  after_leave(e);
  show_records(e);
  return all ? nullptr : fail_for_memory(env, "out of memory: messages are lost");
}

}  // namespace

void define_taking(napi_env env, napi_value exports) {
  define(env, exports, {{"beginTaking", begin_taking}, {"resumeTaking", resume_taking}, {"stopTaking", stop_taking}});
}

}  // namespace carillon
