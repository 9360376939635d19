// Intrusive doubly linked lists: membership costs two pointers inside the element and allocates nothing.
#pragma once

#include <cstdint>

namespace carillon {

template <typename T>
struct Link {
  T* previous = nullptr;
  T* next = nullptr;
};

// Of what is linked from `first` to `last` in ascending `order`: the element before which `item` belongs, if not behind
// `last`. Looks from both ends at once, so it costs as many steps as the place is away from the nearer one.
template <typename T, uint64_t T::* order, typename LinkOf>
T* place_in_order(T* first, T* last, const T* item, LinkOf link) {
  for (;; first = link(first).next, last = link(last).previous) {
    if (first->*order > item->*order) return first;
    if (last->*order < item->*order) return link(last).next;
  }
}

template <typename T, Link<T> T::* link>
class List {
 public:
  bool empty() const { return first_ == nullptr; }
  T* first() const { return first_; }
  T* last() const { return last_; }
  static T* next(const T* item) { return (item->*link).next; }
  static T* previous(const T* item) { return (item->*link).previous; }

  void append(T* item) {
    (item->*link) = {last_, nullptr};
    (last_ ? (last_->*link).next : first_) = item;
    last_ = item;
  }

  void insert_before(T* place, T* item) {
    if (!place) return append(item);
    T* previous = (place->*link).previous;
    (item->*link) = {previous, place};
    (place->*link).previous = item;
    (previous ? (previous->*link).next : first_) = item;
  }

  // Where its order says, in a list that is kept so; nearly always the end.
  template <uint64_t T::* order>
  void insert_in_order(T* item) {
    if (!last_ || last_->*order < item->*order) return append(item);
    insert_before(place_in_order<T, order>(first_, last_, item, [](T* t) -> Link<T>& { return t->*link; }), item);
  }

  void remove(T* item) {
    Link<T>& l = item->*link;
    (l.previous ? (l.previous->*link).next : first_) = l.next;
    (l.next ? (l.next->*link).previous : last_) = l.previous;
    l = {};
  }

  T* pop() {
    T* item = first_;
    if (item) remove(item);
    return item;
  }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
};

}  // namespace carillon
