// ArrayBuffers over leased pages; see lease.h. The functions `allocate` and `release` of src/native.ts.
#include "lease.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <new>

#include "arguments.h"
#include "operations.h"
#include "stages.h"

namespace carillon {

using leases::Pages;

// What an ArrayBuffer's finalizer finds. It runs on the ArrayBuffer's thread, after everything else has let go, perhaps
// long after the pages were sent or released, and perhaps after the environment.
struct Holding {
  unsigned char* base;
  Held held;               // nothing: sent, released or handed over
  Holdings* table;         // null: not in it
  Holding* next = nullptr;
};

namespace {

Holding** bin_of(Holdings* table, const void* base) {
  return &table->bins[reinterpret_cast<uintptr_t>(base) / 4096 % Holdings::kBins];
}

void unlink(Holding* holding) {
  if (!holding->table) return;
  Holding** place = bin_of(holding->table, holding->base);
  while (*place != holding) place = &(*place)->next;
  *place = holding->next;
  holding->table = nullptr;
}

void finalize(napi_env, void*, void* hint) {
  auto* holding = static_cast<Holding*>(hint);
  unlink(holding);
  release_held(holding->held);
  delete holding;
}

// Out of the table, and what it held.
Held let_go(Holding* holding) {
  unlink(holding);
  const Held held = holding->held;
  holding->held = {};
  return held;
}

// The ArrayBuffer of a view, and where its memory begins.
bool buffer_of(napi_env env, napi_value view, napi_value* buffer, unsigned char** base) {
  napi_typedarray_type type;
  size_t length, offset;
  void* data;
  if (napi_get_typedarray_info(env, view, &type, &length, &data, buffer, &offset) != napi_ok &&
      napi_get_dataview_info(env, view, &length, &data, buffer, &offset) != napi_ok)
    return false;
  *base = static_cast<unsigned char*>(data) - offset;
  return true;
}

// Of leased pages, unless any memory is meant.
Holding* holding_at(Environment* e, const void* base, bool any = false) {
  for (Holding* h = *bin_of(&e->holdings, base); h; h = h->next)
    if (h->base == base && (h->held.pages || (any && h->held.stage))) return h;
  return nullptr;
}

napi_value allocate(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  size_t given = 1;
  int64_t bytes;
  Environment* e = environment_of(env);
  if (!e || !e->rank || napi_get_cb_info(env, info, &given, &argument, nullptr, nullptr) != napi_ok || given != 1 ||
      napi_get_value_int64(env, argument, &bytes) != napi_ok || bytes <= 0) {
    return fail(env, "allocate");
  }
  Pages* pages = e->rank->leases->allocate(static_cast<uint64_t>(bytes));
  if (!pages) {
    napi_create_string_utf8(env, strerror(errno), NAPI_AUTO_LENGTH, &result);
    return result;
  }
  if (napi_value buffer = hold_pages(e, pages, static_cast<uint64_t>(bytes))) return buffer;
  pages->home->release(pages);
  napi_create_string_utf8(env, "this runtime allows no external memory", NAPI_AUTO_LENGTH, &result);
  return result;
}

napi_value release(napi_env env, napi_callback_info info) {
  napi_value view;
  size_t given = 1;
  Environment* e = environment_of(env);
  if (napi_get_cb_info(env, info, &given, &view, nullptr, nullptr) != napi_ok || given != 1) return fail(env, "release");
  napi_value buffer;
  unsigned char* base;
  if (e) {
    if (Pages* pages = detach_pages(e, view)) pages->home->release(pages);
  } else if (buffer_of(env, view, &buffer, &base)) {
    napi_detach_arraybuffer(env, buffer);  // a thread that never attached has no memory of ours
  }
  return nullptr;
}

}  // namespace

void release_held(const Held& held) {
  if (held.pages) held.pages->home->release(held.pages);
  else if (held.stage) give_stage(held.stage, held.stage_bytes);
}

napi_value hold(Environment* e, const Held& held, uint64_t bytes) {
  unsigned char* base = held.pages ? held.pages->memory.base : held.stage;
  auto* holding = new (std::nothrow) Holding{base, held, &e->holdings};
  if (!holding) return nullptr;
  napi_value buffer;
  if (napi_create_external_arraybuffer(e->env, base, bytes, finalize, holding, &buffer) != napi_ok) {
    delete holding;
    return nullptr;
  }
  Holding** bin = bin_of(&e->holdings, holding->base);
  holding->next = *bin;
  *bin = holding;
  return buffer;
}

napi_value hold_pages(Environment* e, Pages* pages, uint64_t bytes) { return hold(e, {.pages = pages}, bytes); }

Pages* pages_under(Environment* e, napi_value view) {
  napi_value buffer;
  unsigned char* base;
  if (!buffer_of(e->env, view, &buffer, &base)) return nullptr;
  Holding* holding = holding_at(e, base);
  return holding ? holding->held.pages : nullptr;
}

Pages* detach_pages(Environment* e, napi_value view) {
  napi_value buffer;
  unsigned char* base;
  if (!buffer_of(e->env, view, &buffer, &base)) return nullptr;
  // A buffer that was transferred is empty, and whoever has its memory now is not known here: the finalizer is.
  Holding* holding = base ? holding_at(e, base) : nullptr;
  if (napi_detach_arraybuffer(e->env, buffer) != napi_ok || !holding) return nullptr;
  return let_go(holding).pages;
}

Pages* TakenPages::take(Environment* e, napi_value view) {
  unsigned char* base;
  if (!buffer_of(e->env, view, &buffer_, &base)) return nullptr;
  Holding* holding = base ? holding_at(e, base) : nullptr;
  if (!holding) return nullptr;
  env_ = e->env;
  return let_go(holding).pages;
}

bool TakenPages::take(Environment* e, napi_value view, Held* held, uint64_t* bytes) {
  unsigned char* base;
  if (!buffer_of(e->env, view, &buffer_, &base)) return false;
  Holding* holding = base ? holding_at(e, base, true) : nullptr;
  void* data;
  size_t length;
  if (!holding || (holding->held.pages && holding->held.pages->uses > 0) ||
      napi_get_arraybuffer_info(e->env, buffer_, &data, &length) != napi_ok)
    return false;
  env_ = e->env;
  *bytes = length;
  *held = let_go(holding);
  return true;
}

TakenPages::~TakenPages() {
  // An external buffer can always be detached; memory that is a peer's now must never be reachable from JavaScript.
  if (env_ && napi_detach_arraybuffer(env_, buffer_) != napi_ok)
    napi_fatal_error("carillon", NAPI_AUTO_LENGTH, "leased memory cannot be detached", NAPI_AUTO_LENGTH);
}

void forget_holdings(Environment* e) {
  for (Holding*& bin : e->holdings.bins)
    while (Holding* holding = bin) {
      bin = holding->next;
      holding->table = nullptr;
    }
}

void define_leases(napi_env env, napi_value exports) {
  define(env, exports, {{"allocate", allocate}, {"release", release}});
}

}  // namespace carillon
