// The least a message can be moved in: a copy within one process, memory that stays where it is. As many buffers in turn
// as the other peers use (one, or two each for `bulk`), so that all of them ask as much of the caches.
#include "harness.h"

#define MOST_BUFFERS 2

static unsigned char* sources[MOST_BUFFERS];
static unsigned char* targets[MOST_BUFFERS];
static size_t bytes;
static unsigned buffers, turn;

static unsigned char* filled(int value) {
  unsigned char* memory = aligned_alloc(4096, bytes);
  if (!memory) fail("aligned_alloc");
  memset(memory, value, bytes);
  return memory;
}

static void begin(const struct batch* batch) {
  buffers = strcmp(batch->kind, "bulk") == 0 ? 2 : 1;
  size_t wanted = batch->bytes ? batch->bytes : MEBIBYTE;
  if (wanted == bytes) return;
  bytes = wanted;
  for (unsigned i = 0; i < MOST_BUFFERS; i++) {
    free(sources[i]);
    free(targets[i]);
    sources[i] = filled(1);
    targets[i] = filled(2);
  }
}

static void pass(void) {
  unsigned char* source = sources[turn];
  unsigned char* target = targets[turn];
  turn = (turn + 1) % buffers;
  source[0]++;
  memcpy(target, source, bytes);
  __asm__ volatile("" : : "r"(target) : "memory");  // the copy is wanted, whatever the optimiser thinks
}

int main(void) {
  ready(0, 0);
  serve(&(struct steps){.begin = begin, .pass = pass});
  return 0;
}
