// Receiving: packets become deliveries, unexpected envelopes or pulls (pull.cc); posted receives take what is there already.
#include "bytes.h"
#include "engine.h"

namespace carillon {

namespace {
constexpr int kBudget = 256;   // packets of one peer before the next one's turn ...
constexpr int kCellCost = 64;  // ... of which a part of a body in a cell counts for as many
constexpr uint64_t kEnvelope = 32;   // bytes that an empty message counts for, in what its sender has not heard of
}  // namespace

bool Engine::fits(const Request* r, uint64_t bytes, uint32_t encoding) const {
  return (r->list ? contents_of(bytes, encoding) : bytes) <= r->bytes;
}

void Engine::free_block(Block* b) {
  if (b->parcel) return;  // freed by the thread that takes or drops it
  if (!b->offer) credit(peers_[b->source], bucket_of(b->context, b->tag), charge_of(b->bytes), 0);
  pool_.free(b);
  if (any_stalled_) retry_ = true;
}

// Blocks whose bodies JavaScript has copied out.
void Engine::collect_returned() {
  for (Block* b = pool_.take_returned(); b;) {
    Block* next = b->next;
    free_block(b);
    b = next;
  }
}

// Nobody waits for a message: what is left in its ring costs no block, goes straight to the receive that will ask for it, and is
// nothing to be woken for. A sender shall not run out of room as long as it has credit, so a crowd is taken out: at once, or where
// JavaScript runs, which is likely to receive it next, unless an interval of the timer passes in which it receives nothing.
bool Engine::leaves(const Peer& p) {
  if (matcher_.first_posted() || probing_ || p.ending != Ending::none || !p.incoming.empty()) return false;
  if (!p.driver->look(p.port, Packets::crowd)) return true;
  if (!running_here()) return false;
  if (!crowded_) {
    crowded_ = true;
    received_then_ = counters_.received;
    start_timer();
  }
  return true;
}

// False: there may be more.
bool Engine::receive(Peer& p) {
  p.left = false;
  for (int budget = handler_ ? static_cast<int>(limits_.handler_packets) : kBudget; budget > 0; --budget) {
    if (p.stalled) return true;
    if (leaves(p)) {
      p.left = any_left_ = true;
      return true;
    }
    const unsigned char* packet;
    uint32_t bytes;
    Peek peek = p.driver->peek(p.port, &packet, &bytes);
    if (peek == Peek::empty) return true;
    bool sound = peek == Peek::packet && bytes >= sizeof(PacketHeader);
    PacketHeader h = {};
    if (sound) {
      copy_bytes(&h, packet, sizeof h);  // the peer may write to it meanwhile: from here on only the copy counts
      uint64_t body = bytes - sizeof h;
      sound = h.tag >= 0 && ((h.kind == PacketKind::eager && h.bytes == body && body <= limits_.most_eager_bytes) ||
                             (((h.kind == PacketKind::offer && (body == 0 || (body == h.bytes && body <= inline_bytes))) ||
                               (h.kind == PacketKind::lease && body == sizeof(Loan))) &&
                              h.bytes <= limits_.max_message && h.slot < p.driver->capabilities.bodies && h.generation != 0) ||
                             (h.kind == PacketKind::part && h.bytes == body && take_part(p, h, packet + sizeof h)) ||
                             (h.kind == PacketKind::cell && body == 0 && take_part(p, h, p.driver->cell(p.port, h.cell, h.bytes))));
    }
    if (sound && (h.kind == PacketKind::part || h.kind == PacketKind::cell)) {
      p.driver->release(p.port);
      if (h.kind == PacketKind::part) continue;
      publish(p);  // its sender may fill it again meanwhile
      budget -= kCellCost;
      continue;
    }
    // Nor may it take more of the pool than its quota, and what we let pass: the rest is the others'.
    uint64_t charge = sound && h.kind == PacketKind::eager ? charge_of(h.bytes) : 0;
    if (!sound || p.held_envelopes >= limits_.quota_envelopes + wants ||
        p.held_bytes + charge > limits_.quota_bytes + wants * charge_of(limits_.most_eager_bytes)) {
      p.ending = Ending::protocol;
      return true;
    }
    p.held_bytes += charge;
    ++p.held_envelopes;
    const bool elsewhere = h.kind == PacketKind::offer && bytes == sizeof h;
    if (!arrive(p, h, elsewhere ? nullptr : packet + sizeof h)) {
      p.held_bytes -= charge;
      --p.held_envelopes;
      p.stalled = any_stalled_ = true;
      pull_rest(p);  // parts behind this packet would wait, too
      return true;
    }
    if (trace::on()) ++p.traced_in;
    if (h.passed) want_again(p, h.passed - 1);
    last_peer_ = p.rank;
    p.unpublished += kEnvelope + bytes;
    p.driver->release(p.port);
  }
  return false;
}

// What was left in the rings may be for this receive, which has just been posted.
// False: it was; it may be its thread's again.
bool Engine::look_for(Request* r) {
  const bool any = r->peer == any_source;
  const uint32_t first = any ? next_left_ : static_cast<uint32_t>(r->peer), count = any ? size_ : 1;
  sought_ = r;
  for (uint32_t i = 0; i < count; ++i) {
    Peer& p = peers_[(first + i) % size_];
    if (!p.left) continue;
    if (!receive(p) || p.ending != Ending::none) retry_ = true;
    next_left_ = p.rank + 1;
    if (!sought_) {
      taken_from(p, 0);
      return false;
    }
    publish(p);
  }
  if (any) any_left_ = false;
  sought_ = nullptr;
  return true;
}

// False: the pool is empty, the packet stays in its ring. `body` null: it is at its sender. That of an offer that nobody waits for is not kept, but
// pulled when somebody asks for it.
bool Engine::arrive(Peer& p, const PacketHeader& h, const unsigned char* body) {
  int32_t source = static_cast<int32_t>(p.rank);
  if (h.kind != PacketKind::eager && p.ending != Ending::none) return true;  // its body can come no more
  const uint64_t begin = trace::begin();
  Request* probe = nullptr;  // takes it, as if it were unexpected, in a block
  Request* taker = nullptr;  // will take it, when it is no longer behind
  Behind why = Behind::no;
  while (Request* r = matcher_.find_posted(h.context, source, h.tag)) {
    if (!fits(r, h.bytes, h.encoding)) {
      // Too large for this one: it hears of it, the message goes on down the line.
      withdraw(r);
      describe(r, source, h.tag, h.encoding, h.bytes);
      complete(r, Status::truncated);
      continue;
    }
    if (r->takes == Takes::stream) {
      why = r->taker->behind;
      const uint64_t arrival = why == Behind::no ? matcher_.next_arrival() : 0;
      if (why == Behind::no) why = give(r, source, h.tag, h.encoding, h.kind == PacketKind::eager ? body : nullptr, h.bytes, arrival);
      taker = r;
      if (why != Behind::no) break;
      if (begin) trace_arrival(trace::Kind::match, begin, p, h, r->sequence, arrival);
      credit(p, bucket_of(h.context, h.tag), charge_of(h.bytes), 1);
      return true;
    }
    if (r->takes == Takes::envelope) {
      probe = r;
      break;
    }
    const uint64_t sequence = r->sequence;
    if (begin) r->traced = p.traced_in + 1;
    if (h.kind == PacketKind::eager) {
      const bool taken = take_eager(r, h, body, p);
      if (begin && taken) trace_arrival(trace::Kind::match, begin, p, h, sequence, 0);
      return taken;
    }
    if (p.driver->accept(p.port, {h.slot, h.generation}) == Accept::revoked) {
      credit(p, bucket_of(h.context, h.tag), 0, 1);
      p.touched = true;
      return true;
    }
    withdraw(r);
    start_pull(r, source, h, body, h.kind == PacketKind::offer && body);
    if (begin) trace_arrival(trace::Kind::match, begin, p, h, sequence, 0);
    return true;
  }
  bool eager = h.kind == PacketKind::eager;
  if (probe && !eager && !p.driver->stands(p.port, {h.slot, h.generation})) {
    credit(p, bucket_of(h.context, h.tag), 0, 1);
    p.touched = true;
    return true;
  }
  Block* b = pool_.allocate(eager ? h.bytes : sizeof(Offered));
  if (!b) return false;
  b->offer = !eager;
  b->lent = h.kind == PacketKind::lease;
  b->bytes = h.bytes;
  b->source = source;
  b->tag = h.tag;
  b->context = h.context;
  b->encoding = h.encoding;
  b->slot = h.slot;
  b->generation = h.generation;
  if (eager) {
    copy_bytes(b->body(), body, h.bytes);
  } else {
    auto* offered = reinterpret_cast<Offered*>(b->body());
    offered->remote = h.address;
    if (b->lent) copy_bytes(&offered->loan, body, sizeof(Loan));
  }
  b->arrival = matcher_.next_arrival();
  if (begin) trace_arrival(trace::Kind::arrive, begin, p, h, 0, b->arrival);
  if (probe) {
    withdraw(probe);
    hold(probe, b);
    return true;
  }
  matcher_.add_unexpected(b);
  if (taker) put_behind(taker, b, why);
  ++counters_.unexpected;
  return true;
}

bool Engine::take_eager(Request* r, const PacketHeader& h, const unsigned char* body, Peer& p) {
  if (h.bytes == 0) {
    r->storage = Storage::none;
  } else if (r->memory) {
    copy_bytes(r->memory, body, h.bytes);
    r->storage = Storage::none;
  } else if (h.bytes <= inline_bytes) {
    copy_bytes(r->inlined, body, h.bytes);
    r->storage = Storage::in_record;
  } else {
    Block* b = pool_.allocate(h.bytes);
    if (!b) return false;
    b->bytes = h.bytes;
    b->source = static_cast<int32_t>(p.rank);
    b->tag = h.tag;
    b->context = h.context;
    copy_bytes(b->body(), body, h.bytes);
    r->block = b;
    r->storage = Storage::block;
  }
  withdraw(r);
  describe(r, static_cast<int32_t>(p.rank), h.tag, h.encoding, h.bytes);
  credit(p, bucket_of(h.context, h.tag), r->block ? 0 : charge_of(h.bytes), 1);
  ++counters_.received;
  counters_.bytes_received += h.bytes;
  complete(r, Status::ok);
  return true;
}

// An eager block or a parcel that is in no list (any more) goes to a receive that is in none either.
void Engine::take_block(Request* r, Block* b) {
  if (trace::on()) trace_match(0, b, r->sequence);
  describe(r, b->source, b->tag, b->encoding, b->bytes);
  ++counters_.received;
  counters_.bytes_received += b->bytes;
  if (!b->parcel) credit(peers_[b->source], bucket_of(b->context, b->tag), 0, 1);
  if (b->parcel) {
    // Copied by the receiving thread when it settles, `into` shared memory too: it may be long.
    r->parcel = b->parcel;
    r->storage = b->bytes <= inline_bytes ? Storage::in_record : b->parcel->pages ? Storage::lease : Storage::block;
    if (r->storage == Storage::in_record) copy_bytes(r->inlined, b->parcel->body(), b->bytes);
    if (Request* sender = b->parcel->sender) {
      b->parcel->sender = nullptr;
      sender->parcel = nullptr;
      complete(sender, Status::ok);
    }
  } else if (r->memory || b->bytes <= inline_bytes) {
    copy_bytes(r->memory ? r->memory : r->inlined, b->body(), b->bytes);
    r->storage = r->memory || b->bytes == 0 ? Storage::none : Storage::in_record;
    free_block(b);
  } else {
    r->block = b;
    r->storage = Storage::block;
  }
  complete(r, Status::ok);
}

// The same, and its sender may send again. A sender that waits for that is not woken for each message, but for several: or when
// this rank waits itself, makes progress, or after one interval of the timer.
void Engine::take_waiting(Request* r, Block* b) {
  Peer* p = b->parcel ? nullptr : &peers_[b->source];
  const uint64_t bytes = kEnvelope + b->bytes;
  take_block(r, b);
  if (p) taken_from(*p, bytes);
}

void Engine::taken_from(Peer& p, uint64_t bytes) {
  p.unpublished += bytes;
  if (p.unpublished >= p.publish_at) {
    retry_ = true;  // and looks, so that nobody has to ring for what has come meanwhile
    return publish(p);
  }
  deferred_ = true;
  start_timer();
}

void Engine::publish(Peer& p) {
  p.unpublished = 0;
  if (p.driver->publish(p.port)) p.told = true;
}

void Engine::publish_deferred() {
  deferred_ = false;
  for (uint32_t i = 0; i < size_; ++i)
    if (peers_[i].unpublished) publish(peers_[i]);
}

void Engine::match_or_post(Request* r) {
  if (r->takes == Takes::stream) return begin_taking(r);
  while (Block* b = matcher_.find_unexpected(r->context, r->peer, r->tag)) {
    if (r->takes == Takes::envelope) {
      matcher_.remove_unexpected(b);
      if (stands(b)) return hold(r, b);
      drop(b);
      continue;
    }
    if (!fits(r, b->bytes, b->encoding)) {
      describe(r, b->source, b->tag, b->encoding, b->bytes);
      return complete(r, Status::truncated);
    }
    matcher_.remove_unexpected(b);
    if (!b->offer) return take_waiting(r, b);
    Peer& p = peers_[b->source];
    if (pull_block(r, b)) return;
    drop(b);
    p.driver->publish(p.port);
    p.touched = true;
  }
  if (r->peer != any_source && peers_[r->peer].ended) {
    r->from = r->peer;
    return complete(r, status_of(peers_[r->peer]));
  }
  if (r->peer == any_source && alone()) {
    r->from = any_source;
    return complete(r, any_lost_ ? Status::peer_lost : Status::peer_closed);
  }
  r->state = RequestState::posted;
  matcher_.post(r);
  if (any_left_ && !look_for(r)) return;
  if (holding_peers_ > 0) want(r);
  if (deferred_) publish_deferred();
  if (any_stalled_) retry_ = true;  // what it waits for may be next in a stalled ring
}

bool Engine::receive_now(Request* r) {
  r->at_once = true;
  accept_submission(r);
  r->at_once = false;
  if (r->state != RequestState::completed) return false;
  if (r->status == Status::ok && (r->storage == Storage::none || r->storage == Storage::in_record)) return true;
  emit(r);
  return false;
}

}  // namespace carillon
