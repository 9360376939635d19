// The engine as one unit: core, drivers and doorbells that progress reaches, compiled once, without vector registers and
// without calls into the C library (flags in binding.gyp), so that it may run in an interrupt handler.
// Not in it: long copies (drivers/copy.cc), bootstrap, the binding.
#include "core/completion.cc"
#include "core/endings.cc"
#include "core/engine.cc"
#include "core/flow.cc"
#include "core/match.cc"
#include "core/probe.cc"
#include "core/pull.cc"
#include "core/push.cc"
#include "core/receive.cc"
#include "core/send.cc"
#include "core/taker.cc"
#include "doorbell/eventfd.cc"
#include "doorbell/futex.cc"
#include "doorbell/poll.cc"
#include "doorbell/signal.cc"
#include "drivers/shm.cc"
