// What JavaScript asks to see of its rank from outside: counters, and how its peers have ended. Their meaning is in src/stats.ts.
// Reads only: what a snapshot shows may be a few operations old, and taking it holds up nobody.
#include "arguments.h"
#include "operations.h"

namespace carillon {
namespace {

// One order, for names and values.
template <typename Visit>
void each_counter(Environment* e, Visit visit) {
  uint32_t at = 0;
  const Engine& engine = e->rank->engine;
  const Counters& c = engine.counters();
  const Matcher::Waiting& u = engine.unexpected();
  reap(e);
  const Interrupts reached = interrupts();
  const uintr::Withheld withheld = uintr::withheld();
  const leases::Counts l = e->rank->leases->counts();
  const struct {
    const char* name;
    uint64_t value;
  } rows[] = {
      {"sent", c.eager_sent + c.offers_sent + c.local_sent},
      {"bytesSent", c.bytes_sent},
      {"eagerSent", c.eager_sent},
      {"offersSent", c.offers_sent},
      {"localSent", c.local_sent},
      {"queued", c.queued},
      {"heldUp", e->queue.held_up},
      {"received", c.received},
      {"bytesReceived", c.bytes_received},
      {"offersReceived", c.bodies},
      {"pushed", c.pushed},
      {"bytesPushed", c.bytes_pushed},
      {"bytesReceivedInParts", c.bytes_parted},
      {"unexpected", c.unexpected},
      {"unexpectedNow", u.messages},
      {"unexpectedMost", u.most_messages},
      {"unexpectedBytesNow", u.bytes},
      {"unexpectedBytesMost", u.most_bytes},
      {"rings", c.rings},
      {"interrupts", c.interrupts},
      {"escalations", c.escalations},
      {"ringsSaved", c.rings_saved},
      {"handlerRuns", reached.all},
      {"handlerRunsOnMainThread", reached.main_thread},
      {"handled", c.handled},
      {"withheld", withheld.withheld},
      {"late", withheld.late},
      {"wakes", e->wakes},
      {"waitsWon", e->waits_won},
      {"waitsLost", e->waits_lost},
      {"outstanding", e->outstanding},
      {"requests", e->requests},
      {"peersConnected", engine.connected()},
      {"leasesLent", l.lent},
      {"leasesOut", l.out},
      {"leasesMapped", l.mapped},
      {"leasesMappedAnew", l.mapped_anew},
      {"leasesCopied", l.refused},
      {"leaseMapNs", l.map_ns},
      {"leaseLentAtNs", l.lent_at},
      {"leaseMappedAtNs", l.mapped_at},
      {"leaseIdleBytes", l.idle_bytes},
      {"leaseMappingsKept", l.cached},
  };
  for (const auto& row : rows) visit(at++, row.name, row.value);
}

napi_value counter_names(napi_env env, napi_callback_info) {
  napi_value result;
  Environment* e = environment_of(env);
  if (!e || !e->rank) return fail(env, "counterNames");
  napi_create_array(env, &result);
  each_counter(e, [&](uint32_t at, const char* name, uint64_t) {
    napi_value value;
    napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &value);
    napi_set_element(env, result, at, value);
  });
  return result;
}

// Their values: setting properties by name from here takes ten times as long.
napi_value counters(napi_env env, napi_callback_info info) {
  napi_value a[1];
  size_t length;
  Environment* e = environment_of(env);
  if (!e || !e->rank || !arguments(env, info, a)) return fail(env, "counters");
  auto* values = static_cast<double*>(typed_array(env, a[0], napi_float64_array, &length));
  if (!values) return fail(env, "counters: values");
  each_counter(e, [&](uint32_t at, const char*, uint64_t value) {
    if (at < length) values[at] = static_cast<double>(value);
  });
  return nullptr;
}

// How each rank has ended, a byte each: Ending in src/native.ts.
napi_value endings(napi_env env, napi_callback_info info) {
  napi_value a[1];
  size_t length;
  Environment* e = environment_of(env);
  if (!e || !e->rank || !arguments(env, info, a)) return fail(env, "endings");
  auto* ended = static_cast<uint8_t*>(typed_array(env, a[0], napi_uint8_array, &length));
  if (!ended || length != e->rank->size) return fail(env, "endings: ranks");
  Engine& engine = e->rank->engine;
  enter_waiting(engine);
  for (uint32_t i = 0; i < length; ++i) ended[i] = static_cast<uint8_t>(engine.ending_of(i));
  engine.leave(&e->queue);
  after_leave(e);
  return nullptr;
}

}  // namespace

void define_observing(napi_env env, napi_value exports) {
  define(env, exports, {{"counterNames", counter_names}, {"counters", counters}, {"endings", endings}});
}

}  // namespace carillon
