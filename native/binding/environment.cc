// A JavaScript thread comes and goes: its handles, its completion queue, its teardown; see environment.h.
#include "environment.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <new>

#include "consignments.h"

namespace carillon {
namespace {

template <typename Handle>
void close_handle(Environment* e, Handle*& handle) {
  if (!handle) return;
  ++e->closing_handles;
  uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t* closed) {
    auto* environment = static_cast<Environment*>(closed->data);
    delete reinterpret_cast<Handle*>(closed);
    if (--environment->closing_handles == 0 && environment->ending) {
      close(environment->notify_descriptor);
      napi_remove_async_cleanup_hook(environment->cleanup);
      for (uint32_t i = 0; i < environment->chunk_count; ++i) delete[] environment->chunks[i];
      free(environment->chunks);
      delete environment;
    }
  });
  handle = nullptr;
}

// All requests have ended: JavaScript hears of each, however many there are. False: it cannot any more.
bool drain_completely(Environment* e) {
  while (!e->ending && bring_records(e)) {
    show_records(e);
    napi_value receiver, function, result;
    napi_get_global(e->env, &receiver);
    napi_get_reference_value(e->env, e->drain, &function);
    if (napi_call_function(e->env, receiver, function, 0, nullptr, &result) != napi_ok) return false;
  }
  return !e->ending;
}

// The thread goes without looking: its messages are lost with it, their memory and their credit are not.
void forget_requests(Environment* e) {
  for (uint32_t i = 0; i < e->chunk_count * Environment::kChunk; ++i) {
    Request* r = request_at(e, i);
    if (r->state != RequestState::idle) free_request(e, r);
  }
  e->queue.waiting = {};
  e->queue.waits.store(0, std::memory_order_relaxed);
  e->queue.reaped.store(e->queue.head, std::memory_order_relaxed);
  e->outstanding = e->keeping_alive = 0;
  e->rank->engine.poll(&e->queue);
  if (!e->ending) update_reference(e);
}

// The thread ends, orderly or by terminate: nothing of ours may touch its memory from here on.
void on_cleanup(napi_async_cleanup_hook_handle, void* argument) {
  auto* e = static_cast<Environment*>(argument);
  e->ending = true;
  detach_from_rank(e);
  close_consignments_of(e);
  forget_holdings(e);
  napi_set_instance_data(e->env, nullptr, nullptr, nullptr);
  close_handle(e, e->notify);
  close_handle(e, e->prepare);
  close_handle(e, e->idle);
}

}  // namespace

Environment* environment_of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return static_cast<Environment*>(data);
}

napi_status attach_environment(napi_env env, napi_value queue, napi_value drain) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  napi_status status = napi_get_typedarray_info(env, queue, &type, &length, &data, nullptr, nullptr);
  if (status != napi_ok) return status;
  auto* e = new (std::nothrow) Environment;
  if (!e) return napi_generic_failure;
  e->env = env;
  e->queue.words = static_cast<uint32_t*>(data);
  e->queue.owner = static_cast<Waker*>(e);
  e->notify_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  e->thread = gettid();
  if (e->notify_descriptor < 0 || napi_get_uv_event_loop(env, &e->loop) != napi_ok) {
    delete e;
    return napi_generic_failure;
  }
  napi_create_reference(env, queue, 1, &e->queue_reference);
  napi_create_reference(env, drain, 1, &e->drain);
  napi_value name;
  napi_create_string_utf8(env, "carillon", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, nullptr, name, &e->context);
  e->notify = new uv_poll_t;
  e->prepare = new uv_prepare_t;
  e->idle = new uv_idle_t;
  uv_poll_init(e->loop, e->notify, e->notify_descriptor);
  uv_prepare_init(e->loop, e->prepare);
  uv_idle_init(e->loop, e->idle);
  e->notify->data = e->prepare->data = e->idle->data = e;
  uv_poll_start(e->notify, UV_READABLE, on_notify);
  uv_prepare_start(e->prepare, on_prepare);
  for (uv_handle_t* h : {reinterpret_cast<uv_handle_t*>(e->notify), reinterpret_cast<uv_handle_t*>(e->prepare),
                         reinterpret_cast<uv_handle_t*>(e->idle)})
    uv_unref(h);
  napi_add_async_cleanup_hook(env, on_cleanup, e, &e->cleanup);
  return napi_set_instance_data(env, e, nullptr, nullptr);
}

void detach_from_rank(Environment* e) {
  if (!e->rank) return;
  Rank* rank = e->rank;
  say_running(e, false);  // the threads that stay may be asleep, and would be rung late
  e->queue.drains = false;
  bool done = false;
  while (!done) {
    enter_waiting(rank->engine);
    for (Request *r = rank->joiners.first(), *next; r; r = next) {
      next = RequestList::next(r);
      if (r->queue != &e->queue) continue;
      rank->joiners.remove(r);
      rank->engine.complete(r, Status::closed);
    }
    done = rank->engine.detach(&e->queue);
    rank->engine.leave(&e->queue);
    if (!done) sched_yield();  // for a chunk of a copy into this thread's memory
  }
  // While the pool still stands: bodies that JavaScript has not seen lie in it.
  if (drain_completely(e)) free_held(e);
  else forget_requests(e);
  e->rank = nullptr;
  e->has_collectives = false;
  close_handle(e, e->bell);
  close_handle(e, e->trace_check);
  if (e->conversation >= 0) close(e->conversation);
  if (e->lull >= 0) close(e->lull);
  e->conversation = e->lull = -1;
  e->lull_set = false;
  e->bell_place = Environment::BellPlace::none;
  e->copies_wait = false;
  e->interrupted = false;
  leave_bells(rank);
  nudge_progress(rank);  // bodies of other threads' requests may wait to be copied
  release_rank(rank);
}

}  // namespace carillon
