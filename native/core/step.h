// Named scheduling points. In the addon they are nothing; in the simulator (test/native/sim) every one is a place where
// another thread may run, a handler may fire or the process may die. Not a tracing facility.
#pragma once

#ifdef CARILLON_SIM
extern "C" void carillon_sim_step(const char* name);
#define CARILLON_STEP(name) carillon_sim_step(name)
#else
#define CARILLON_STEP(name) ((void)0)
#endif
