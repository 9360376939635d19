// Test only. inUse(): bytes that this process has from malloc and not given back, all threads together. What is resident says less: it
// depends on what the allocator keeps.
#include <malloc.h>
#include <node_api.h>

static napi_value in_use(napi_env env, napi_callback_info) {
  const struct mallinfo2 info = mallinfo2();
  napi_value bytes;
  napi_create_double(env, static_cast<double>(info.uordblks + info.hblkhd), &bytes);
  return bytes;
}

extern "C" napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function;
  napi_create_function(env, "inUse", NAPI_AUTO_LENGTH, in_use, nullptr, &function);
  napi_set_named_property(env, exports, "inUse", function);
  return exports;
}
