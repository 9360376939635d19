// The long copy by process_vm_readv; see copy.h.
#include "copy.h"

#include <errno.h>
#include <poll.h>
#include <sys/uio.h>

namespace carillon {

CopyResult copy_from_process(int pid, int process, uint64_t remote, unsigned char* local, uint64_t bytes) {
  CopyResult result = CopyResult::ok;
  while (bytes > 0) {
    iovec to = {local, bytes};
    iovec from = {reinterpret_cast<void*>(remote), bytes};
    ssize_t copied = process_vm_readv(pid, &to, 1, &from, 1, 0);
    if (copied <= 0) {
      if (copied < 0 && errno == EINTR) continue;
      if (copied < 0 && errno == ESRCH) return CopyResult::lost;
      // Or the pid is somebody else's by now, which the check below tells.
      result = copied < 0 && (errno == EPERM || errno == ENOSYS) ? CopyResult::forbidden : CopyResult::unreadable;
      break;
    }
    local += copied;
    remote += static_cast<uint64_t>(copied);
    bytes -= static_cast<uint64_t>(copied);
  }
  // After the copy: if the peer is still alive, the pid was its own all the time.
  pollfd life = {process, POLLIN, 0};
  int ended = -1;
  do ended = poll(&life, 1, 0);
  while (ended < 0 && errno == EINTR);  // a signal, which may be our own doorbell
  return ended != 0 ? CopyResult::lost : result;
}

}  // namespace carillon
