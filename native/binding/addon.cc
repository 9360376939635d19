// The addon's entry: runs once in every thread that loads it. Everything a thread owns hangs on its environment; what
// the process shares hangs on the rank (rank.h).
#include <napi.h>

#include "consignments.h"
#include "operations.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  carillon::define_operations(env, exports);
  carillon::define_observing(env, exports);
  carillon::define_messages(env, exports);
  carillon::define_probing(env, exports);
  carillon::define_taking(env, exports);
  carillon::define_queue_waking(env, exports);
  carillon::define_hub(env, exports);
  carillon::define_machine(env, exports);
  carillon::define_leases(env, exports);
  carillon::define_tracing(env, exports);
  carillon::define_consignments(env, exports);
  return exports;
}

NODE_API_MODULE(carillon, Init)
