// A fuzzer's bytes, read as numbers. Past the end everything is zero, so any input is a whole program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t bytes) : at_(data), end_(data + bytes) {}

  bool more() const { return at_ < end_; }
  uint8_t u8() { return static_cast<uint8_t>(take(1)); }
  uint16_t u16() { return static_cast<uint16_t>(take(2)); }
  uint32_t u32() { return static_cast<uint32_t>(take(4)); }
  uint64_t u64() { return take(8); }
  uint32_t below(uint32_t n) { return n <= 256 ? u8() % n : u16() % n; }

  // The next bytes, to be read later; zeros where there are none.
  void copy(uint8_t* to, size_t bytes) {
    memset(to, 0, bytes);
    size_t there = static_cast<size_t>(end_ - at_) < bytes ? static_cast<size_t>(end_ - at_) : bytes;
    if (there > 0) memcpy(to, at_, there);
    at_ += there;
  }

 private:
  uint64_t take(size_t bytes) {
    uint64_t value = 0;
    copy(reinterpret_cast<uint8_t*>(&value), bytes);
    return value;
  }

  const uint8_t* at_;
  const uint8_t* end_;
};

}  // namespace fuzz
