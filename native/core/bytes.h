// Copying and clearing without the C library: progress may run in an interrupt handler that has not saved the vector
// registers, and glibc's memcpy uses them. Not for long copies (drivers/copy.h), which never run under the guard.
#pragma once

#include <cstddef>
#include <cstdint>

// A sanitizer does not see what an assembler instruction reads and writes: under one, the plain loop.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CARILLON_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CARILLON_SANITIZED 1
#endif
#endif

namespace carillon {

inline void copy_bytes(void* to, const void* from, size_t bytes) {
  auto* d = static_cast<unsigned char*>(to);
  auto* s = static_cast<const unsigned char*>(from);
#if defined(__x86_64__) && !defined(CARILLON_SANITIZED)
  if (bytes > 128) {
    asm volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(bytes) : : "memory");
    return;
  }
#endif
  for (; bytes >= 8; bytes -= 8, d += 8, s += 8) {
    uint64_t word;
    __builtin_memcpy(&word, s, 8);  // constant size: one load, one store
    __builtin_memcpy(d, &word, 8);
    asm volatile("" : : : "memory");  // keeps the loop from being turned into a call of memcpy
  }
  for (; bytes; --bytes) {
    *d++ = *s++;
    asm volatile("" : : : "memory");
  }
}

}  // namespace carillon
