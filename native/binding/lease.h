// Leased memory as JavaScript has it: ArrayBuffers over pages, what holds them meanwhile, and their detaching. Likewise stages,
// which a received body may be.
// Responsible for an ArrayBuffer never outliving its pages, whoever releases, sends, closes or collects; not for whose the
// pages are (leases/leases.h). Used by the environment's own thread only, except where said.
#pragma once

#include <node_api.h>

#include "../core/request.h"
#include "../drivers/driver.h"
#include "../leases/leases.h"

namespace carillon {

struct Environment;
struct Rank;
struct Holding;

// What lies under an ArrayBuffer of ours: leased pages, or a stage (stages.h), or nothing any more.
struct Held {
  leases::Pages* pages = nullptr;
  unsigned char* stage = nullptr;
  uint64_t stage_bytes = 0;
};
void release_held(const Held&);

// The ArrayBuffers of one thread that lie over such memory, by where they begin.
struct Holdings {
  static constexpr uint32_t kBins = 256;
  Holding* bins[kBins] = {};
};

// An ArrayBuffer over the first `bytes` of this memory, which is its from now on. Null: JavaScript cannot have one, and
// the memory is still the caller's.
napi_value hold(Environment*, const Held&, uint64_t bytes);
napi_value hold_pages(Environment*, leases::Pages*, uint64_t bytes);
// The leased pages under this view, or null.
leases::Pages* pages_under(Environment*, napi_value view);
// Detaches the buffer of this view; its pages, if it has any, are the caller's.
leases::Pages* detach_pages(Environment*, napi_value view);
// The pages of a view's buffer for a message: taken at once, while the buffer is detached when this object goes, which is
// after the message has left. What the runtime does then (it may collect garbage for large memory) is not its peer's to wait for.
class TakenPages {
 public:
  TakenPages() = default;
  TakenPages(const TakenPages&) = delete;
  TakenPages& operator=(const TakenPages&) = delete;
  ~TakenPages();
  leases::Pages* take(Environment*, napi_value view);  // null: no lease lies there
  // Any memory of ours, and how much of it the buffer has. False: there is none, or requests use it.
  bool take(Environment*, napi_value view, Held*, uint64_t* bytes);

 private:
  napi_env env_ = nullptr;
  napi_value buffer_ = nullptr;
};
// The thread ends: what its ArrayBuffers hold is given back when the runtime lets go of them.
void forget_holdings(Environment*);

// A request that reads or writes leased memory keeps it until it is freed.
void use_pages(Request*, leases::Pages*);
// A request is freed: what becomes of the pages it handed over, received or used.
void settle_pages(Request*);
// Any thread. Of a body of so many bytes that follows it; or of the pages it carries, which are its from now on. Null: no memory.
Parcel* make_parcel(uint64_t bytes, leases::Pages*);
void free_parcel(Parcel*);
// The same for all whose bodies are in shared rings by now.
void free_spent(Rank*);

// Any thread, outside the guard: maps the body of a request that was taken for it, or copies a part of it out of a mapping.
// Pull::more: call again, or, when it is not `lent` any more, it cannot be mapped: copy it by other means.
Pull map_body(Rank*, Request*);

}  // namespace carillon
