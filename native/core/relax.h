// What a thread does between two looks at a word that another processor writes.
#pragma once

namespace carillon {

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  asm volatile("yield");
#endif
}

}  // namespace carillon
