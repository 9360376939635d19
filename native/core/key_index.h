// An index by key: a hash table whose entries are the distinct keys, each with its items in order.
//
// It allocates nothing and cannot run out: the first item of a key stands for the key in its bin's chain, the others
// hang in a ring behind it. The bins grow by one with each key too many (linear hashing: bin n takes its share of bin
// n - 2^k), so that no call pays for all; when the memory given for them is used up, chains grow instead. Responsible
// for finding; not for what keys mean (match.h). Used under the guard only.
#pragma once

#include <cstdint>

#include "list.h"

namespace carillon {

struct Key {
  uint32_t context;
  int32_t source, tag;
  bool operator==(const Key&) const = default;
};

// An item's place in one index. `chained`: the first item of the next key in the same bin, or null; the item itself
// says that it is not the first of its key.
template <typename T>
struct Place : Link<T> {
  T* chained = nullptr;
};

template <typename T, Place<T> T::* place, Key (*key_of)(const T*), uint64_t T::* order>
class KeyIndex {
 public:
  // Zeroed memory for `most` bins, at least first_bins; touched as far as two for each key.
  void init(T** bins, uint32_t most) {
    bins_ = bins;
    most_ = most;
  }

  T* first(const Key& key) const {
    T* item = *bin(key);
    while (item && !(key_of(item) == key)) item = (item->*place).chained;
    return item;
  }

  // Behind those of its key, unless its order says that it was here before.
  void insert(T* item) {
    Place<T>& p = item->*place;
    const Key key = key_of(item);
    T** at = bin(key);
    while (*at && !(key_of(*at) == key)) at = &((*at)->*place).chained;
    T* first = *at;
    if (!first) {
      p = {{item, item}, nullptr};
      *at = item;
      if (2 * ++keys_ > count_ && count_ < most_) split();
      return;
    }
    T* before = first;  // the end of the ring
    p.chained = item;
    T* last = (first->*place).previous;
    if (last->*order > item->*order) {
      before = place_in_order<T, order>(first, last, item, [](T* t) -> Link<T>& { return t->*place; });
      if (before == first) {
        p.chained = (first->*place).chained;
        (first->*place).chained = first;
        *at = item;
      }
    }
    p.next = before;
    p.previous = (before->*place).previous;
    (p.previous->*place).next = item;
    (before->*place).previous = item;
  }

  void remove(T* item) {
    Place<T>& p = item->*place;
    if (p.chained != item) {
      T** at = bin(key_of(item));
      while (*at != item) at = &((*at)->*place).chained;
      if (p.next == item) {
        *at = p.chained;
        --keys_;
        return;
      }
      *at = p.next;
      (p.next->*place).chained = p.chained;
    }
    (p.previous->*place).next = p.next;
    (p.next->*place).previous = p.previous;
  }

  static constexpr uint32_t first_bins = 16;

 private:
  // Tags that differ in their last four bits only lie side by side, since tags in use often follow each other: with
  // many, the cost is what has to be fetched from memory. All else is scattered. Keys are what peers say: where this
  // process's memory happens to lie keeps them from choosing their bins.
  uint32_t hash(const Key& key) const {
    uint32_t tag = static_cast<uint32_t>(key.tag);
    uint64_t h = (uint64_t{static_cast<uint32_t>(key.source)} << 32 | tag >> 4) + key.context * 0x9e3779b97f4a7c15u;
    h = (h ^ reinterpret_cast<uintptr_t>(bins_)) * 0xbf58476d1ce4e5b9u;
    return static_cast<uint32_t>(h >> 32) ^ (tag & 15);
  }
  T** bin(const Key& key) const {
    uint32_t h = hash(key);
    uint32_t at = h & (2 * base_ - 1);
    return &bins_[at < count_ ? at : h & (base_ - 1)];
  }

  void split() {
    T** low = &bins_[count_ - base_];
    T** high = &bins_[count_];
    for (T* item = *low; item; item = (item->*place).chained) {
      T**& to = hash(key_of(item)) & base_ ? high : low;
      *to = item;
      to = &(item->*place).chained;
    }
    *low = *high = nullptr;
    if (++count_ == 2 * base_) base_ = count_;
  }

  T** bins_ = nullptr;
  uint32_t most_ = 0;
  uint32_t base_ = first_bins;   // the largest power of two that is not above count_
  uint32_t count_ = first_bins;  // bins in use
  uint32_t keys_ = 0;
};

}  // namespace carillon
