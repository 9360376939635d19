// See tracing.h. What JavaScript calls, and the waits of event loops.
#include "tracing.h"

#include <errno.h>
#include <string.h>

#include "arguments.h"
#include "operations.h"

namespace carillon {
namespace {

using trace::Buffer;

napi_value word(napi_env env, const char* text) {
  napi_value result;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &result);
  return result;
}

napi_value make_trace_buffer(napi_env env, napi_callback_info info) {
  napi_value a[1];
  int64_t capacity;
  if (!arguments(env, info, a) || napi_get_value_int64(env, a[0], &capacity) != napi_ok || capacity < 1) return fail(env, "makeTraceBuffer");
  const int made = make_trace(static_cast<uint64_t>(capacity));
  return made < 0 ? word(env, strerror(errno)) : number(env, made);
}

// Once a process: later calls find what the first one opened.
napi_value open_trace_buffer(napi_env env, napi_callback_info info) {
  napi_value a[2];
  char path[256];
  size_t length;
  int64_t capacity;
  if (!arguments(env, info, a) || napi_get_value_string_utf8(env, a[0], path, sizeof path, &length) != napi_ok ||
      napi_get_value_int64(env, a[1], &capacity) != napi_ok || capacity < 1)
    return fail(env, "openTraceBuffer");
  const char* problem = open_trace(path, static_cast<uint64_t>(capacity));
  napi_value result;
  if (problem) return word(env, problem);
  napi_get_undefined(env, &result);
  return result;
}

napi_value traced(napi_env env, napi_callback_info) {
  napi_value result;
  napi_get_boolean(env, trace::on(), &result);
  return result;
}

napi_value own_trace_buffer(napi_env env, napi_callback_info) { return number(env, own_trace()); }

napi_value trace_clocks(napi_env env, napi_callback_info) {
  napi_value result, value;
  const Moment now = trace_moment();
  napi_create_array(env, &result);
  napi_create_bigint_uint64(env, now.ticks, &value);
  napi_set_element(env, result, 0, value);
  napi_create_bigint_uint64(env, now.ns, &value);
  napi_set_element(env, result, 1, value);
  return result;
}

// This thread has this name in the timeline, and if it is in a world, its loop's sleeps are recorded.
napi_value trace_thread(napi_env env, napi_callback_info info) {
  napi_value a[1];
  char name[sizeof trace::Thread::name];
  size_t length;
  if (!arguments(env, info, a) || napi_get_value_string_utf8(env, a[0], name, sizeof name, &length) != napi_ok) return fail(env, "traceThread");
  trace::name_thread(name);
  Environment* e = environment_of(env);
  if (!e || !e->rank || e->trace_check || !trace::on()) return nullptr;
  e->trace_check = new uv_check_t;
  uv_check_init(e->loop, e->trace_check);
  e->trace_check->data = e;
  e->slept_from = 0;
  uv_check_start(e->trace_check, [](uv_check_t* check) { trace_awake(static_cast<Environment*>(check->data), Woken::other); });
  uv_unref(reinterpret_cast<uv_handle_t*>(e->trace_check));
  return nullptr;
}

// A place in the table of names, filled for good.
napi_value trace_name(napi_env env, napi_callback_info info) {
  napi_value a[1];
  char name[sizeof Buffer::name[0]];
  size_t length;
  if (!arguments(env, info, a) || napi_get_value_string_utf8(env, a[0], name, sizeof name, &length) != napi_ok) return fail(env, "traceName");
  Buffer* b = opened_trace();
  const uint32_t at = b ? b->names.fetch_add(1) + 1 : 0;
  if (at == 0 || at >= trace::max_names) return number(env, 0);
  memcpy(b->name[at], name, length + 1);
  return number(env, at);
}

// A span of JavaScript's: kind, name, when it began by CLOCK_MONOTONIC and how long it took, in ms.
napi_value trace_span(napi_env env, napi_callback_info info) {
  napi_value a[4];
  uint32_t kind, name;
  double began, duration;
  if (!arguments(env, info, a) || napi_get_value_uint32(env, a[0], &kind) != napi_ok || napi_get_value_uint32(env, a[1], &name) != napi_ok ||
      napi_get_value_double(env, a[2], &began) != napi_ok || napi_get_value_double(env, a[3], &duration) != napi_ok ||
      !(began >= 0 && began < 1e12 && duration >= 0 && duration < 1e12))
    return fail(env, "traceSpan");
  if (!trace::on()) return nullptr;
  const Moment now = trace_moment();
  const double rate = trace_rate(now), ago = static_cast<double>(now.ns) - began * 1e6;
  const uint64_t begin = now.ticks - static_cast<uint64_t>(static_cast<int64_t>(ago * rate));
  trace::record(static_cast<trace::Kind>(kind), begin, {.detail = name}, begin + static_cast<uint64_t>(duration * 1e6 * rate));
  return nullptr;
}

}  // namespace

void trace_sleeps(Environment* e) {
  e->slept_from = trace::ticks();
  e->idle_before = uv_metrics_idle_time(e->loop);
}

void trace_awake(Environment* e, Woken by) {
  if (const uint64_t from = e->slept_from) {
    e->slept_from = 0;
    if (const uint64_t idle = uv_metrics_idle_time(e->loop) - e->idle_before) {
      const Moment now = trace_moment();
      const uint64_t end = from + static_cast<uint64_t>(static_cast<double>(idle) * trace_rate(now));
      trace::record(trace::Kind::sleep, from, {}, end < now.ticks ? end : now.ticks);
    }
  }
  if (by != Woken::other) trace::record(trace::Kind::wake, 0, {.detail = static_cast<uint32_t>(by)});
}

void define_tracing(napi_env env, napi_value exports) {
  define(env, exports,
         {{"makeTraceBuffer", make_trace_buffer}, {"openTraceBuffer", open_trace_buffer}, {"traced", traced}, {"ownTraceBuffer", own_trace_buffer},
          {"traceClocks", trace_clocks}, {"traceThread", trace_thread}, {"traceName", trace_name}, {"traceSpan", trace_span}});
}

}  // namespace carillon
