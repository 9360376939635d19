// The least 1 MiB can be moved in: a copy within one process, memory that stays where it is.
#include "harness.h"

#define MEBIBYTE (1u << 20)

static unsigned char* source;
static unsigned char* target;

static void pass(void) {
  source[0]++;
  memcpy(target, source, MEBIBYTE);
  __asm__ volatile("" : : "r"(target) : "memory");  // the copy is wanted, whatever the optimiser thinks
}

int main(void) {
  source = aligned_alloc(4096, MEBIBYTE);
  target = aligned_alloc(4096, MEBIBYTE);
  if (!source || !target) fail("aligned_alloc");
  memset(source, 1, MEBIBYTE);
  memset(target, 2, MEBIBYTE);
  serve(0, pass, NULL, NULL);
  return 0;
}
