// How the functions that JavaScript calls read what they were given and answer. The arguments were validated in TypeScript, so
// what is wrong here is a bug of the package: an internal error, and nothing done; or memory has run out. Not for what the functions do.
#pragma once

#include <node_api.h>

#include "environment.h"

namespace carillon {

inline napi_value fail(napi_env env, const char* what) {
  napi_throw_error(env, "ERR_CARILLON_INTERNAL", what);
  return nullptr;
}

inline napi_value fail_for_memory(napi_env env, const char* what = "out of memory") {
  napi_throw_error(env, "ERR_CARILLON_OUT_OF_MEMORY", what);
  return nullptr;
}

inline napi_value number(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int32(env, static_cast<int32_t>(value), &result);  // request indices are small
  return result;
}

template <size_t count>
bool arguments(napi_env env, napi_callback_info info, napi_value (&values)[count]) {
  size_t given = count;
  return napi_get_cb_info(env, info, &given, values, nullptr, nullptr) == napi_ok && given == count;
}

// The memory of a typed array of this type, and how many elements it has. Null: it is none.
inline void* typed_array(napi_env env, napi_value value, napi_typedarray_type wanted, size_t* length) {
  napi_typedarray_type type;
  void* data;
  const bool read = napi_get_typedarray_info(env, value, &type, length, &data, nullptr, nullptr) == napi_ok;
  return read && type == wanted ? data : nullptr;
}

inline Request* request_argument(napi_env env, Environment* e, napi_value value) {
  uint32_t index;
  if (!e || napi_get_value_uint32(env, value, &index) != napi_ok) return nullptr;
  Request* r = request_at(e, index);
  return r && r->state != RequestState::idle ? r : nullptr;
}

// Functions of the addon, by name.
struct Exported {
  const char* name;
  napi_callback function;
};

template <size_t count>
void define(napi_env env, napi_value exports, const Exported (&functions)[count]) {
  for (const Exported& f : functions) {
    napi_value function;
    napi_create_function(env, f.name, NAPI_AUTO_LENGTH, f.function, nullptr, &function);
    napi_set_named_property(env, exports, f.name, function);
  }
}

}  // namespace carillon
