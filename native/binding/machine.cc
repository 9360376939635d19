// What this machine has: each doorbell and each driver, available or why not, for `carillon info`.
// Says only what was probed here and now, and what this version does not have yet.
#include <errno.h>
#include <fcntl.h>
#include <napi.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <string>

#include "../bootstrap/segment.h"
#include "bells.h"
#include "../leases/memory.h"
#include "operations.h"

namespace carillon {
namespace {

Napi::Object row(Napi::Env env, const char* name, bool available, const std::string& detail) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", name);
  object.Set("available", available);
  object.Set("detail", detail);
  return object;
}

Napi::Value doorbells(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array rows = Napi::Array::New(env);
  uint32_t i = 0;
  for (BellKind kind : every_bell) {
    std::string detail;
    const std::string problem = bell_problem(kind, &detail);
    rows[i++] = row(env, doorbell_of(kind)->name, problem.empty(), problem.empty() ? detail : problem);
  }
  return rows;
}

// The two things shm needs from the kernel: memory that only its writer can write, and reading a peer's memory.
std::string try_shared_memory() {
  bootstrap::Segment segment = bootstrap::segment_create(4096);
  if (!segment.base) return std::string("sealed shared memory is refused: ") + strerror(errno);
  munmap(segment.base, segment.bytes);
  close(segment.descriptor);
  return "";
}

std::string try_reading() {
  char from = 1, to = 0;
  iovec local = {&to, 1}, remote = {&from, 1};
  if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1)
    return std::string("process_vm_readv is refused: ") + strerror(errno);
  if (FILE* file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re")) {
    int scope = 0;
    int found = fscanf(file, "%d", &scope);
    fclose(file);
    if (found == 1 && scope >= 2)
      return "kernel.yama.ptrace_scope is " + std::to_string(scope) + ": only privileged processes may read a peer's memory";
  }
  return "";
}

Napi::Value drivers(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array rows = Napi::Array::New(env);
  uint32_t i = 0;
  rows[i++] = row(env, "self", true, "messages to one's own rank are handed over in memory");
  std::string leases = leases::can_take_descriptors()
                           ? "; leases are handed over"
                           : std::string("; leases are copied (pidfd_getfd is refused: ") + strerror(errno) + ")";
  std::string memory = try_shared_memory(), reading = memory.empty() ? try_reading() : "";
  rows[i++] = !memory.empty() ? row(env, "shm", false, memory)
              : !reading.empty()
                  ? row(env, "shm", true, "sealed shared memory on this node; larger bodies in packets through the ring, since " + reading)
                  : row(env, "shm", true,
                        "sealed shared memory on this node; larger bodies by process_vm_readv, one copy" + leases);
  rows[i++] = row(env, "bxi", false, "Portals 4 is not in this version");
  rows[i++] = row(env, "ofi", false, "libfabric is not in this version");
  return rows;
}

}  // namespace

void define_machine(napi_env env, napi_value exports) {
  Napi::Object object(env, exports);
  object.Set("doorbells", Napi::Function::New(env, doorbells, "doorbells"));
  object.Set("drivers", Napi::Function::New(env, drivers, "drivers"));
}

}  // namespace carillon
