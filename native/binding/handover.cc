// What requests do to leased pages: keep them, hand them over, take them, settle whose they are in the end. No JavaScript
// here; see lease.h.
#include <stdlib.h>

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

void free_parcel(Parcel* parcel) {
  if (auto* pages = static_cast<Pages*>(parcel->pages)) pages->home->release(pages);
  free(parcel);
}

Pull map_body(Rank* rank, Request* r) {
  Pages* pages = rank->leases->map(static_cast<uint32_t>(r->from), r->loan, r->got_bytes);
  if (!pages) {
    r->lent = false;
    return Pull::more;
  }
  Pull result = rank->engine.mapped(r);
  r->mapped = result == Pull::complete;
  if (r->mapped) r->pages = pages;
  else pages->home->release(pages);
  return result;
}

}  // namespace carillon
