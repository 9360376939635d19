// The long copy: a part of a body out of another process's address space. Compiled apart from the engine unit (it may use
// vector registers and block in the kernel), never called under the guard or in a handler.
#pragma once

#include <cstdint>

namespace carillon {

enum class CopyResult : uint8_t { ok, lost, unreadable, forbidden };

// Copies exactly `bytes` from `remote` in the process behind `process` (pidfd) and `pid`. lost: that process has ended,
// nothing copied may be used. unreadable: it lives, but the memory is not there. forbidden: the kernel refuses.
CopyResult copy_from_process(int pid, int process, uint64_t remote, unsigned char* local, uint64_t bytes);

}  // namespace carillon
