// What JavaScript calls on its thread and its rank: attach, join, leave, keep-alive, abort. Messages are in messages.cc,
// statistics in observing.cc.
// Responsible for reading arguments (arguments.h) and for what a thread's coming and going asks of its rank. No protocol logic.
#include "operations.h"

#include <unistd.h>

#include "arguments.h"

namespace carillon {
namespace {

constexpr int32_t kFailed = -16;  // FAILED in src/native.ts

napi_value attach(napi_env env, napi_callback_info info) {
  napi_value a[2];
  if (!arguments(env, info, a)) return fail(env, "attach");
  if (environment_of(env)) return fail(env, "attached already");
  if (attach_environment(env, a[0], a[1]) != napi_ok) return fail(env, "this thread cannot be attached");
  return nullptr;
}

napi_value wait_adaptively(napi_env env, napi_callback_info info) {
  napi_value a[1];
  Environment* e = environment_of(env);
  if (!e || !arguments(env, info, a) || napi_get_value_bool(env, a[0], &e->adaptive) != napi_ok)
    return fail(env, "waitAdaptively");
  return nullptr;
}

napi_value join(napi_env env, napi_callback_info info) {
  napi_value a[8];
  char address[128], bell[32];
  size_t length;
  uint32_t rank, size;
  int64_t unexpected;
  Settings settings;
  Environment* e = environment_of(env);
  if (!e || e->rank || !arguments(env, info, a) ||
      napi_get_value_string_utf8(env, a[0], address, sizeof address, &length) != napi_ok ||
      napi_get_value_uint32(env, a[1], &rank) != napi_ok || napi_get_value_uint32(env, a[2], &size) != napi_ok ||
      napi_get_value_int64(env, a[3], &unexpected) != napi_ok || unexpected < 0 ||
      napi_get_value_uint32(env, a[4], &settings.eager_bytes) != napi_ok || settings.eager_bytes > Limits{}.most_eager_bytes ||
      napi_get_value_bool(env, a[5], &settings.reads_peers) != napi_ok ||
      napi_get_value_string_utf8(env, a[6], bell, sizeof bell, &length) != napi_ok || !bell_named(bell, &settings.bell) ||
      napi_get_value_bool(env, a[7], &settings.interrupts_progress) != napi_ok)
    return fail(env, "join");
  settings.max_unexpected_bytes = static_cast<uint64_t>(unexpected);
  bootstrap::Refusal refusal = bootstrap::Refusal::none;
  Request* r = allocate_request(e);
  if (!r) return fail_for_memory(env);
  e->rank = acquire_rank(address, rank, size, settings, &refusal);
  if (!e->rank) {
    free_request(e, r);
    return number(env, kFailed - static_cast<int32_t>(refusal));
  }
  e->interrupted = interrupts_me(e->rank);
  watch_bell(e);
  count_outstanding(e, r);
  Engine& engine = e->rank->engine;
  enter_waiting(engine);
  engine.hear_of_ends(&e->queue);
  e->queue.known.append(r);
  switch (e->rank->state.load()) {
    case Rank::State::joined: engine.complete(r, Status::ok); break;
    case Rank::State::joining: e->rank->joiners.append(r); break;
    case Rank::State::refused:
      r->from = static_cast<int32_t>(e->rank->refusal.rank);
      r->detail = static_cast<int32_t>(e->rank->refusal.refusal);
      r->code = e->rank->refusal.code;
      r->signal = e->rank->refusal.signal;
      engine.complete(r, Status::refused);
  }
  uint32_t index = r->index;
  engine.leave(&e->queue);
  after_leave(e);
  show_records(e);
  return number(env, index);
}

napi_value joined(napi_env env, napi_callback_info) {
  napi_value result, value;
  Rank* rank = current_rank();
  if (!rank) {
    napi_get_null(env, &result);
    return result;
  }
  napi_create_object(env, &result);
  napi_create_uint32(env, rank->rank, &value);
  napi_set_named_property(env, result, "rank", value);
  napi_create_uint32(env, rank->size, &value);
  napi_set_named_property(env, result, "size", value);
  return result;
}

// How this process's rank is rung, or null.
napi_value doorbell(napi_env env, napi_callback_info) {
  napi_value result;
  Rank* rank = current_rank();
  if (rank) napi_create_string_utf8(env, doorbell_of(rank->bells.kind)->name, NAPI_AUTO_LENGTH, &result);
  else napi_get_null(env, &result);
  return result;
}

napi_value left(napi_env env, napi_callback_info) {
  napi_value result;
  napi_get_boolean(env, has_left(), &result);
  return result;
}

napi_value reference(napi_env env, napi_callback_info info) {
  napi_value a[2];
  bool keeps;
  Environment* e = environment_of(env);
  if (!arguments(env, info, a) || napi_get_value_bool(env, a[1], &keeps) != napi_ok) return fail(env, "reference");
  if (Request* r = request_argument(env, e, a[0])) keep_alive(e, r, keeps);
  return nullptr;
}

napi_value reference_all(napi_env env, napi_callback_info info) {
  napi_value a[1];
  Environment* e = environment_of(env);
  if (!e || !arguments(env, info, a) || napi_get_value_bool(env, a[0], &e->may_keep_alive) != napi_ok)
    return fail(env, "referenceAll");
  update_reference(e);
  return nullptr;
}

napi_value leave(napi_env env, napi_callback_info) {
  Environment* e = environment_of(env);
  if (!e) return nullptr;
  detach_from_rank(e);
  show_records(e);
  return nullptr;
}

napi_value goodbye(napi_env, napi_callback_info) {
  if (Rank* rank = current_rank())
    if (rank->state.load() == Rank::State::joined) say_goodbye(rank);
  return nullptr;
}

// The world's collectives belong to the first thread that asks, as long as this process is in the world: no other can know
// how many there have been.
napi_value claim_collectives(napi_env env, napi_callback_info) {
  napi_value result;
  Environment* e = environment_of(env);
  if (!e || !e->rank) return fail(env, "claimCollectives");
  if (!e->has_collectives) e->has_collectives = !e->rank->collectives.exchange(true);
  napi_get_boolean(env, e->has_collectives, &result);
  return result;
}

// Ends this process at once, whichever thread asks, and by the hub every other rank.
napi_value abort_job(napi_env env, napi_callback_info info) {
  napi_value a[1];
  int32_t code;
  if (!arguments(env, info, a) || napi_get_value_int32(env, a[0], &code) != napi_ok || code < 1 || code > 255)
    return fail(env, "abort");
  Environment* e = environment_of(env);
  if (e && e->rank && e->rank->client) bootstrap::client_abort(e->rank->client, code);
  _exit(code);
}

napi_value abandon(napi_env, napi_callback_info) {
  carillon::abandon();
  return nullptr;
}

}  // namespace

void define_operations(napi_env env, napi_value exports) {
  define(env, exports,
         {{"attach", attach}, {"waitAdaptively", wait_adaptively}, {"join", join}, {"joined", joined}, {"doorbell", doorbell}, {"left", left},
          {"reference", reference}, {"referenceAll", reference_all}, {"leave", leave}, {"goodbye", goodbye},
          {"abandon", abandon}, {"claimCollectives", claim_collectives}, {"abort", abort_job}});
  napi_value most;
  napi_create_double(env, static_cast<double>(Limits{}.max_message), &most);
  napi_set_named_property(env, exports, "maxMessageBytes", most);
}

}  // namespace carillon
