// Memory on its way between threads of this process: a consignment is what one task of a pool takes along and brings back. While it is
// on its way no ArrayBuffer lies over it; the thread that claims it gets one over the same pages.
// Responsible for memory being claimed once or released, whichever thread ends or closes the consignment when; not for what a
// task is (src/pool.ts) nor for the ArrayBuffers (lease.h).
#pragma once

#include <node_api.h>

namespace carillon {

struct Environment;

// The thread ends: what it opened is closed.
void close_consignments_of(Environment*);

void define_consignments(napi_env, napi_value exports);

}  // namespace carillon
