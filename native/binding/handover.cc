// What requests do to leased pages: keep them, hand them over, take them, settle whose they are in the end. No JavaScript
// here; see lease.h.
#include <stdlib.h>
#include <string.h>

#include <new>

#include "lease.h"
#include "rank.h"

namespace carillon {

using leases::Pages;

void use_pages(Request* r, Pages* pages) {
  ++pages->uses;
  r->used_pages = pages;
}

void settle_pages(Request* r) {
  if (auto* held = static_cast<Pages*>(r->used_pages)) {
    r->used_pages = nullptr;
    if (--held->uses == 0 && held->released) held->home->release(held);
  }
  auto* pages = static_cast<Pages*>(r->pages);
  r->pages = nullptr;
  if (pages) {
    if (!r->is_send) pages->home->release(pages);
    else if (r->status == Status::ok && r->mapped) pages->home->lent(pages);
    else if (r->status == Status::ok || r->status == Status::cancelled) pages->home->release(pages);
    else pages->home->discard(pages);  // its receiver may have it, and will never say
  }
  r->lent = r->mapped = false;
}

Parcel* make_parcel(uint64_t bytes, Pages* pages) {
  void* memory = malloc(sizeof(Parcel) + (pages ? 0 : bytes));
  if (!memory) return nullptr;
  auto* parcel = new (memory) Parcel;
  if (pages) {
    parcel->pages = pages;
    parcel->leased = pages->memory.base;
  }
  parcel->submission_kind = SubmissionKind::parcel;
  parcel->envelope.parcel = parcel;
  parcel->envelope.bytes = bytes;
  return parcel;
}

void free_parcel(Parcel* parcel) {
  if (auto* pages = static_cast<Pages*>(parcel->pages)) pages->home->release(pages);
  free(parcel);
}

void free_spent(Rank* r) {
  for (Submission* s = r->engine.take_spent(); s;) {
    auto* parcel = static_cast<Parcel*>(s);
    s = s->next_submission;
    free_parcel(parcel);
  }
}

namespace {

// A part of a body out of the sender's memory, which is mapped here.
Pull copy_mapped(Rank* rank, Request* r, const unsigned char* from) {
  const uint64_t rest = r->got_bytes - r->pulled, bytes = rest < pull_part ? rest : pull_part;
  memcpy(r->landing + r->pulled, from + r->pulled, bytes);
  if (!rank->engine.stands(r)) return Pull::revoked;
  r->pulled += bytes;
  return r->pulled == r->got_bytes ? Pull::complete : Pull::more;
}

}  // namespace

Pull map_body(Rank* rank, Request* r) {
  const bool reading = r->landing || r->loan.read_only;
  if (reading && !land_in_stage(r)) return Pull::unreadable;
  Pages* pages = rank->leases->map(static_cast<uint32_t>(r->from), r->loan, r->got_bytes, reading);
  if (!pages) {
    r->lent = false;
    return Pull::more;
  }
  Pull result = reading ? copy_mapped(rank, r, pages->memory.base + r->loan.offset) : rank->engine.mapped(r);
  r->mapped = !reading && result == Pull::complete;
  if (r->mapped) r->pages = pages;
  else pages->home->release(pages);
  return result;
}

}  // namespace carillon
