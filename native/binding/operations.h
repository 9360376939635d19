// The functions that JavaScript calls, as declared in src/native.ts.
#pragma once

#include <node_api.h>

namespace carillon {

void define_operations(napi_env, napi_value exports);   // operations.cc
void define_observing(napi_env, napi_value exports);    // observing.cc
void define_messages(napi_env, napi_value exports);     // messages.cc
void define_probing(napi_env, napi_value exports);      // probing.cc
void define_taking(napi_env, napi_value exports);       // taking.cc
void define_queue_waking(napi_env, napi_value exports); // waking_queues.cc
void define_hub(napi_env, napi_value exports);          // hub_object.cc
void define_machine(napi_env, napi_value exports);      // machine.cc
void define_tracing(napi_env, napi_value exports);      // tracing.cc
void define_leases(napi_env, napi_value exports);       // lease.cc

}  // namespace carillon
