// Runs a rank's command so that it ends when its launcher does, even before it has joined: the kernel is asked to kill
// this process when its parent dies, which holds across execve. Not responsible for starting or watching ranks
// (src/launcher), nor for children that the command starts itself.
//
//   carillon-exec PARENT_PID [--group] [--] COMMAND [ARG...]
//
// --group puts the command into a process group of its own. Exit codes of its own, as env and nohup have them:
// 125 it could not do its part, 126 the command cannot be run, 127 there is no such command.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { cannot = 125, not_runnable = 126, not_found = 127 };

static int usage(void) {
  fputs("usage: carillon-exec PARENT_PID [--group] [--] COMMAND [ARG...]\n", stderr);
  return cannot;
}

// A rank starts as from a shell, whatever the launcher ignores or blocks: both would be inherited across execve.
static void reset_signals(void) {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) signal(number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

int main(int argc, char** argv) {
  char* end = NULL;
  errno = 0;
  const long parent = argc > 1 ? strtol(argv[1], &end, 10) : 0;
  if (argc < 2 || errno != 0 || end == argv[1] || *end != '\0' || parent <= 0) return usage();
  int next = 2, group = 0;
  if (next < argc && strcmp(argv[next], "--group") == 0) group = 1, ++next;
  if (next < argc && strcmp(argv[next], "--") == 0) ++next;
  if (next >= argc) return usage();

  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    fprintf(stderr, "carillon: cannot follow the launcher's end: %s\n", strerror(errno));
    return cannot;
  }
  // The parent may have died before the request: then nobody would ever send the signal.
  if (getppid() != (pid_t)parent) return cannot;

  // EPERM: already the leader of a session, hence of a group.
  if (group && setpgid(0, 0) != 0 && getpgrp() != getpid()) {
    fprintf(stderr, "carillon: cannot make a process group: %s\n", strerror(errno));
    return cannot;
  }
  reset_signals();
  execvp(argv[next], argv + next);
  const int reason = errno;
  fprintf(stderr, "carillon: cannot run %s: %s\n", argv[next], strerror(reason));
  return reason == ENOENT ? not_found : not_runnable;
}
