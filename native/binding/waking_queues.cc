// How the readers of shared rings (message queues) are woken: only JavaScript can, so a worker thread of ours waits in its loop for
// this bell and then calls Atomics.notify (workers/notifier.ts). Responsible for that bell; not for what is in the rings (core/taker.cc).
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include <new>

#include "arguments.h"
#include "operations.h"

namespace carillon {
namespace {

struct Watch {
  napi_env env;
  napi_ref news;
  napi_async_context context = nullptr;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  uv_poll_t poll;
  int descriptor = -1;
  uint32_t place = 0;
};

void on_news(uv_poll_t* handle, int, int) {
  auto* w = static_cast<Watch*>(handle->data);
  uint64_t count;
  (void)!read(w->descriptor, &count, sizeof count);
  napi_handle_scope scope;
  if (napi_open_handle_scope(w->env, &scope) != napi_ok) return;
  napi_value receiver, function, result;
  napi_get_global(w->env, &receiver);
  napi_get_reference_value(w->env, w->news, &function);
  napi_status status = napi_make_callback(w->env, w->context, receiver, function, 0, nullptr, &result);
  napi_value error;
  if (status == napi_pending_exception && napi_get_and_clear_last_exception(w->env, &error) == napi_ok) napi_fatal_exception(w->env, error);
  napi_close_handle_scope(w->env, scope);
}

// The descriptor is closed last: a ringer may still be about to write to it, and then it shall be nobody else's.
void on_cleanup(napi_async_cleanup_hook_handle, void* argument) {
  auto* w = static_cast<Watch*>(argument);
  queue_bells[w->place].store(0, std::memory_order_seq_cst);
  uv_close(reinterpret_cast<uv_handle_t*>(&w->poll), [](uv_handle_t* closed) {
    auto* watch = static_cast<Watch*>(closed->data);
    napi_remove_async_cleanup_hook(watch->cleanup);
    look_at_rank();  // whoever rings is in the guard
    close(watch->descriptor);
    delete watch;
  });
}

// False: there are as many already as there may be.
bool take_place(Watch* w) {
  for (w->place = 0; w->place < kQueueBells; ++w->place) {
    int none = 0;
    if (queue_bells[w->place].compare_exchange_strong(none, w->descriptor + 1, std::memory_order_seq_cst)) return true;
  }
  return false;
}

napi_value watch_queues(napi_env env, napi_callback_info info) {
  napi_value a[1], name;
  uv_loop_t* loop;
  if (!arguments(env, info, a) || napi_get_uv_event_loop(env, &loop) != napi_ok) return fail(env, "watchQueues");
  auto* w = new (std::nothrow) Watch;
  if (!w) return fail_for_memory(env);
  w->env = env;
  w->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (w->descriptor < 0 || !take_place(w)) {
    if (w->descriptor >= 0) close(w->descriptor);
    delete w;
    return fail(env, "watchQueues: no descriptor, or 64 threads do so already");
  }
  napi_create_reference(env, a[0], 1, &w->news);
  napi_create_string_utf8(env, "carillon", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, nullptr, name, &w->context);
  uv_poll_init(loop, &w->poll, w->descriptor);
  w->poll.data = w;
  uv_poll_start(&w->poll, UV_READABLE, on_news);
  uv_unref(reinterpret_cast<uv_handle_t*>(&w->poll));
  napi_add_async_cleanup_hook(env, on_cleanup, w, &w->cleanup);
  return nullptr;
}

// Readers have made room.
napi_value feed_queues(napi_env, napi_callback_info) {
  look_at_rank();
  return nullptr;
}

}  // namespace

void define_queue_waking(napi_env env, napi_value exports) {
  define(env, exports, {{"watchQueues", watch_queues}, {"feedQueues", feed_queues}});
}

}  // namespace carillon
