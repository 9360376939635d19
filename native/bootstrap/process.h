// A handle on the process at the other end of a socket, and how such a process ended. Linux details of the hub only.
#pragma once

#include <cerrno>
#include <cstdint>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "roster.h"

// Older headers lack these; the kernel's numbers are fixed.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

namespace carillon::bootstrap {

// The pidfd of whoever connected this socket; -1 with errno ESRCH when that process is over and gone.
inline int open_process_at(int socket, int32_t pid) {
  // The kernel's own answer (6.5 and later) cannot be about another process that was given the same number since.
  int process = -1;
  socklen_t length = sizeof process;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &process, &length) == 0) return process;
  if (errno == EINVAL) errno = ESRCH;
  if (errno != ENOPROTOOPT) return -1;
  process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  // By number: right if its socket is still connected *after* the open.
  pollfd connection{socket, 0, 0};
  if (process < 0 || poll(&connection, 1, 0) == 0) return process;
  close(process);
  errno = ESRCH;
  return -1;
}

// How a child of ours ended, if it has; leaves it to be reaped by whoever started it.
inline bool how_process_ended(int process, Ending* how) {
  constexpr auto by_pidfd = static_cast<idtype_t>(3);  // P_PIDFD
  siginfo_t status{};
  if (process < 0 || waitid(by_pidfd, static_cast<id_t>(process), &status, WEXITED | WNOHANG | WNOWAIT) != 0) return false;
  if (status.si_pid == 0) return false;
  const bool exited = status.si_code == CLD_EXITED;
  *how = Ending{true, exited ? status.si_status : 0, exited ? 0 : status.si_status};
  return true;
}

}  // namespace carillon::bootstrap
