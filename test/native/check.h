// For native tests whose main is a list of checks: a line for each, and how many there were.
#pragma once

#include <stdio.h>

inline int passed = 0, failed = 0;

inline void check(bool holds, const char* what) {
  ++(holds ? passed : failed);
  printf("%s %s\n", holds ? "ok  " : "FAIL", what);
}

// The last line of a program, and its exit code.
inline int finish() {
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
