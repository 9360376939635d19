// A receive into several views; see scatter.h.
#include "scatter.h"

#include "rank.h"

#include <stdlib.h>
#include <string.h>

#include <new>

namespace carillon {

namespace {
constexpr uint64_t kTurn = 256 * 1024;  // bytes before others' bodies get theirs, as in the driver
constexpr uint32_t kHeader = 4096;      // of gathered views that is looked at; more of them take the long way
}  // namespace

struct Scatter {
  unsigned char header[kHeader];
  uint64_t segments;            // of the body, by the header; a body that is not gathered is one
  uint64_t segment, segment_at; // where the next bytes come from: segment, and its place in the body ...
  uint64_t segment_done;
  uint32_t view;                // ... and where they go
  uint64_t view_done;
  bool gathered;
  uint32_t count;
  Part views[];

  uint64_t segment_bytes(uint64_t i, uint64_t all) const {
    if (!gathered) return all;
    uint32_t words[2];
    memcpy(words, header + 8 * (i + 1), sizeof words);
    return uint64_t{words[0] >> 8} << 32 | words[1];
  }
};

Scatter* make_scatter(const Part* views, uint32_t count) {
  void* memory = malloc(sizeof(Scatter) + count * sizeof(Part));
  if (!memory) return nullptr;
  auto* s = new (memory) Scatter;
  s->count = count;
  memcpy(s->views, views, count * sizeof(Part));
  return s;
}

namespace {

Pull part(Engine& engine, const Request* r, uint64_t from, unsigned char* to, uint64_t bytes, uint64_t* done) {
  Peer& p = engine.peer(static_cast<uint32_t>(r->from));
  return p.driver->pull(p.port, {r->slot, r->generation}, r->remote + from, to, bytes, done);
}

// Reads the header, which its sender wrote: is it one, and do the views hold what it says?
Pull begin(Engine& engine, Request* r, Scatter* s, bool* sound) {
  uint64_t contents = contents_of(r->got_bytes, r->got_encoding);
  uint64_t added = r->got_bytes - contents;
  s->gathered = added > 0;
  s->segments = 1;
  s->segment = s->segment_at = s->segment_done = s->view_done = 0;
  s->view = 0;
  *sound = contents <= r->bytes;
  if (!s->gathered) return Pull::complete;
  uint64_t done = 0, read = added < kHeader ? added : kHeader;
  Pull result = part(engine, r, 0, s->header, read, &done);
  if (result != Pull::complete) return result;
  uint32_t count = 0;
  if (read >= sizeof count) memcpy(&count, s->header, sizeof count);
  *sound = *sound && count > 0 && (uint64_t{count} + 1) * 8 <= read;
  uint64_t at = (uint64_t{count} + 1) * 8, sum = 0;
  for (uint32_t i = 0; *sound && i < count; ++i) {
    uint64_t bytes = s->segment_bytes(i, 0);
    sum += bytes;
    at += (bytes + 7) & ~uint64_t{7};
    *sound = at <= r->got_bytes;
  }
  *sound = *sound && sum == contents && at == r->got_bytes;
  s->segments = count;
  s->segment_at = (uint64_t{count} + 1) * 8;
  return Pull::complete;
}

}  // namespace

Pull pull_scattered(Engine& engine, Request* r, Scatter* s) {
  if (r->pulled == 0 && !r->landing) {
    bool sound;
    Pull result = begin(engine, r, s, &sound);
    if (result != Pull::complete) return result;
    r->scattered = sound;
    if (!sound && !land_in_stage(r)) return Pull::unreadable;
  }
  if (r->landing) return engine.pull(r);
  for (uint64_t turn = 0; turn < kTurn;) {
    uint64_t left = 0;
    while (s->segment < s->segments && !(left = s->segment_bytes(s->segment, r->got_bytes) - s->segment_done)) {
      s->segment_at += (s->segment_done + 7) & ~uint64_t{7};
      s->segment_done = 0;
      ++s->segment;
    }
    if (s->segment == s->segments) return Pull::complete;
    while (s->view_done == s->views[s->view].bytes) {  // their sum was compared with the contents
      s->view_done = 0;
      ++s->view;
    }
    const Part& view = s->views[s->view];
    uint64_t room = view.bytes - s->view_done, done = 0;
    Pull result = part(engine, r, s->segment_at + s->segment_done, const_cast<unsigned char*>(view.data) + s->view_done,
                       left < room ? left : room, &done);
    if (result != Pull::complete && result != Pull::more) return result;
    s->segment_done += done;
    s->view_done += done;
    r->pulled += done;
    turn += done;
  }
  return Pull::more;
}

}  // namespace carillon
