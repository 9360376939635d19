// The model of the binding: what a JavaScript thread's loop and the progress thread do around the engine, step for step as
// native/binding does it. What JavaScript wants is in script.cc.
#include <cstdlib>
#include <cstring>

#include "world.h"

namespace sim {
namespace {

// Other callbacks of the loop, or JavaScript that computes: bells are not answered meanwhile.
void compute(Thread&, uint32_t most) {
  for (uint32_t i = world->random.below(most / 8); i > 0; --i) step("compute");
}

bool copy_one(Thread& t, uint64_t most, CompletionQueue* own) {
  Engine& engine = *t.process->engine;
  if (!engine.try_enter()) return false;
  Request* request = engine.next_pull(most);
  if (own && request) engine.leave_to_copy(own);
  else engine.leave(own);
  if (!request) return false;
  if (request->lent) {
    // Mapping, as binding/lease.cc does it: refused now and then, else the memory is there at once.
    Pull mapped = Pull::more;
    unsigned char* to = request->landing;  // or copied out of a mapping
    if (!to) {
      free(request->stage);
      to = request->stage = static_cast<unsigned char*>(malloc(request->got_bytes));
    }
    step("map");
    if (world->random.chance(100)) {
      request->lent = false;
    } else {
      if (copy(request->from, 0, request->remote, to, request->got_bytes) == CopyResult::unreadable)
        memset(to, 0, request->got_bytes);  // a hostile peer's
      mapped = engine.mapped(request);
      request->mapped = mapped == Pull::complete && !request->landing;
    }
    if (mapped == Pull::revoked && request->takes != Takes::courier) reinterpret_cast<Operation*>(request)->requeued = true;
    request->submission_kind = SubmissionKind::pulled;
    request->pull_result = static_cast<uint8_t>(mapped);
    step("mapped");
    engine.submit(request, own);
    return true;
  }
  if (!request->landing) {
    free(request->stage);
    request->stage = static_cast<unsigned char*>(malloc(request->got_bytes));
    request->stage_bytes = request->got_bytes;
    request->landing = request->stage;
  }
  Pull result = Pull::more;
  do result = own && engine.better_pushed(request) ? Pull::pushed : engine.pull(request);
  while (result == Pull::more && own && !request->abandon.load());
  if ((result == Pull::revoked || result == Pull::lost || result == Pull::forbidden || result == Pull::pushed) &&
      request->takes != Takes::courier)
    reinterpret_cast<Operation*>(request)->requeued = true;
  request->submission_kind = SubmissionKind::pulled;
  request->pull_result = static_cast<uint8_t>(result);
  step("copied");
  engine.submit(request, own);
  return true;
}

bool has_records(Thread& t) {
  return reinterpret_cast<std::atomic<uint32_t>*>(t.words)->load() != t.consumed;
}

void resume_streams(Thread& t) {
  Engine& engine = *t.process->engine;
  while (!t.resume.empty()) {
    Operation* o = t.operations[t.resume.back()];
    t.resume.pop_back();
    if (!o || !o->request.taker || o->taker.shared) continue;
    enter_waiting(engine);
    engine.resume(&o->request);
    engine.leave(t.queue);
    after_leave(t);
  }
}

void nudge(Process& p) {
  ++p.nudge;
  wake(p.progress());
}

void adaptive_wait(Thread& t) {
  Engine& engine = *t.process->engine;
  if (!engine.try_enter()) return;
  t.queue->drains = true;
  engine.step(t.queue);
  for (uint32_t i = world->random.below(60); i > 0 && !has_records(t) && !taken(t) && !t.copies_wait; --i) {
    if (engine.pending() || engine.look()) engine.step(t.queue, world->random.chance(300));
    if (world->random.chance(50)) engine.take_over(world->random.chance(500));
    spin("adaptive");
  }
  if (world->random.chance(500)) engine.take_over(true);
  say_running(t, has_records(t) || taken(t));
  engine.set_idle(world->random.chance(300));
  engine.leave(t.queue);
  after_leave(t);
}

void before_blocking(Thread& t) {
  Engine& engine = *t.process->engine;
  for (int turn = 0; engine.running() || engine.interruptible(); ++turn) {
    say_running(t, false);
    t.queue->drains = true;
    engine.poll(t.queue);
    after_leave(t);
    if (turn == 8) {  // the loop's other callbacks first
      ++t.notify;
      return;
    }
    drain(t);
  }
}

// The last thread says goodbye for its process.
void close_process(Thread& t) {
  Process& p = *t.process;
  enter_waiting(*p.engine);
  p.engine->revoke_all();
  step("closed.publish");
  shm::header(p.segment)->closed.exchange(1);
  p.engine->touch_all();
  p.engine->leave(nullptr);
  p.closed = true;
  plan_departure(p, Ending::closed);
  spin("gone");
}

}  // namespace

void say_running(Thread& t, bool runs) {
  if (runs) t.queue->drains = false;
  step("say.running");
  t.process->engine->set_running(runs && world->one_thread);
  step("say.interruptible");
  if (t.process->bell != Bell::eventfd) t.process->engine->set_interruptible(runs);
}

void enter_waiting(Engine& engine) {
  while (!engine.try_enter()) spin("enter.wait");
}

void free_spent(Engine& engine) {
  for (Submission* s = engine.take_spent(); s;) {
    auto* parcel = static_cast<Parcel*>(s);
    s = s->next_submission;
    free(parcel);
  }
}

void after_leave(Thread& t) {
  free_spent(*t.process->engine);
  while (t.copies_wait) {
    t.copies_wait = false;
    if (!copy_one(t, world->short_copy, t.queue)) {
      nudge(*t.process);
      t.copies_wait = false;
    }
  }
}

void drain(Thread& t) {
  Engine& engine = *t.process->engine;
  auto* tail = reinterpret_cast<std::atomic<uint32_t>*>(t.words + queue_layout::tail);
  while (has_records(t) || t.queue->waits.load() > 0 || (!t.leaving && (taken(t) || !t.resume.empty()))) {
    if (!t.leaving) say_running(t, true);
    if (!t.leaving && !t.resume.empty()) resume_streams(t);
    if (!t.leaving && taken(t)) take_rings(t);
    while (has_records(t)) {
      const uint32_t* record = t.words + queue_layout::records + t.consumed % queue_layout::capacity * queue_layout::record_words;
      Operation* o = record[0] < t.operations.size() ? t.operations[record[0]] : nullptr;
      if (!o) fail("record of request %u that is not outstanding", record[0]);
      if (t.queue->emitted[t.consumed % queue_layout::capacity] != &o->request) fail("record and request differ");
      t.operations[record[0]] = nullptr;
      if (!consume(t, o, record)) t.free_indices.push_back(record[0]);
      tail->store(++t.consumed);
      t.queue->reaped.store(t.consumed - t.lag);
    }
    step("drained");
    if (t.queue->waits.load() > 0) {
      enter_waiting(engine);
      engine.refill(t.queue);
      engine.leave(t.queue);
      after_leave(t);
    }
  }
  if (!t.taken.empty() && (world->phase != World::Phase::script || world->random.chance(500))) {
    for (Block* b : t.taken) engine.pool().give_back(b);
    t.taken.clear();
  }
  if (engine.pool().any_returned()) {
    engine.poll(t.queue);
    after_leave(t);
    if (has_records(t) || (taken(t) && !t.leaving)) drain(t);  // what that completed was not told
  }
}

void tear_down(Thread& t) {
  Process& p = *t.process;
  t.leaving = true;
  say_running(t, false);
  forget_offers(t);
  for (;;) {
    enter_waiting(*p.engine);
    bool done = p.engine->detach(t.queue);
    p.engine->leave(t.queue);
    if (done) break;
    spin("detach.wait");
  }
  drain(t);
  for (Block* b : t.taken) p.engine->pool().give_back(b);
  t.taken.clear();
  p.engine->poll(nullptr);
  nudge(p);  // for bodies of other threads that we were told of while we left
  for (Operation* o : t.operations)
    if (o) fail("request %u did not end with its thread", o->request.index);
  delete t.queue;
  t.queue = nullptr;
  free(t.words);
  t.words = nullptr;
}

void run_javascript(void* argument) {
  Thread& t = *static_cast<Thread*>(argument);
  Process& p = *t.process;
  World& w = *world;
  while (p.connected + 1 < w.size && !p.closing) spin("join");
  int patience = 40;
  for (;;) {
    // A turn: what JavaScript does, then the loop's other callbacks.
    if (p.closing) {
      if (t.outstanding_sends == 0 || --patience < 0 || w.phase != World::Phase::script) t.want_teardown = true;
      else t.wake_at = w.steps + 50;
    } else if (w.phase == World::Phase::cancel) {
      cancel_all(t);
    } else if (w.phase == World::Phase::script) {
      for (uint32_t burst = 1 + w.random.below(w.random.chance(200) ? 12 : 3); burst > 0 && t.script > 0; --burst, --t.script)
        act(t);
    }
    if (t.want_teardown) break;
    if (w.random.chance(300)) compute(t, 60);
    drain(t);
    if (w.adaptive && w.random.chance(600)) adaptive_wait(t);
    do {
      drain(t);
      before_blocking(t);
    } while (w.phase == World::Phase::drain && !p.closing && act_draining(t));

    if (!p.closing && t.script > 0 && w.phase == World::Phase::script) t.wake_at = w.steps + 1 + w.random.below(300);
    recompute_due();
    sleep_in_epoll(t);
    if (w.random.chance(500)) say_running(t, true);
    bool rung = t.ready;
    t.ready = false;
    t.wake_at = 0;
    t.timeout = false;
    if (w.random.chance(150)) compute(t, 400);
    else if (w.random.chance(20)) compute_long(t);
    if (rung) {
      step("bell");
      t.queue->drains = true;
      p.engine->poll(t.queue);
      after_leave(t);
      drain(t);
      if (w.random.chance(150)) compute(t, 100);
    }
    if (t.notify > 0) {
      t.notify = 0;
      step("notify.read");
      t.queue->signalled.exchange(0);
      step("notify.clear");
      drain(t);
    }
  }
  tear_down(t);
  Thread& other = p.threads[1 - t.number];
  if (other.ended) {
    p.closing = true;
    close_process(t);
  }
  t.ended = true;
  other.timeout = true;
  wake(other);
  for (;;) spin("ended");
}

void run_progress(void* argument) {
  Thread& t = *static_cast<Thread*>(argument);
  Process& p = *t.process;
  World& w = *world;
  for (;;) {
    sleep_in_epoll(t);
    step("progress.wakes");
    t.ready = false;
    p.escalation = 0;
    p.nudge = 0;
    if (p.timer_ready) {
      p.timer_ready = false;
      enter_waiting(*p.engine);
      p.engine->timer_fired();
      p.engine->leave(nullptr);
    }
    for (size_t i = 0; i < p.departures.size();) {
      Departure d = p.departures[i];
      if (d.due > w.steps) {
        ++i;
        continue;
      }
      p.departures.erase(p.departures.begin() + static_cast<long>(i));
      step(d.ending == Ending::none ? "arrival" : "departure");
      enter_waiting(*p.engine);
      if (d.ending == Ending::none) {
        Process& other = w.processes[d.peer];
        if (!shm::connect(&p.ports[d.peer], p.segment, other.segment, shm::segment_bytes(w.size, w.ring_bytes), d.peer,
                          &p.cells))
          fail("cannot connect");
        p.engine->connect(d.peer, &shm::driver, &p.ports[d.peer], {.how = &doorbell, .bell = d.peer, .escalation = d.peer});
        ++p.connected;
      } else {
        p.engine->end_peer(d.peer, d.ending);
      }
      p.engine->leave(nullptr);
      i = 0;  // in order: others came meanwhile
    }
    p.engine->poll(nullptr);
    while (copy_one(t, UINT64_MAX, nullptr)) p.engine->poll(nullptr);
  }
}

}  // namespace sim
