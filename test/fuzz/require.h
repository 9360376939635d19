// What a target demands of the code under test beside what the sanitizers demand.
#pragma once

#include <cstdio>
#include <cstdlib>

#define REQUIRE(condition, ...)                                          \
  do {                                                                   \
    if (!(condition)) {                                                  \
      fprintf(stderr, "%s:%d: not true: %s: ", __FILE__, __LINE__, #condition); \
      fprintf(stderr, __VA_ARGS__);                                      \
      fprintf(stderr, "\n");                                             \
      abort();                                                           \
    }                                                                    \
  } while (0)
