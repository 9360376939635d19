// Intrusive doubly linked lists: membership costs two pointers inside the element and allocates nothing.
#pragma once

namespace carillon {

template <typename T>
struct Link {
  T* previous = nullptr;
  T* next = nullptr;
};

template <typename T, Link<T> T::* link>
class List {
 public:
  bool empty() const { return first_ == nullptr; }
  T* first() const { return first_; }
  T* last() const { return last_; }
  static T* next(const T* item) { return (item->*link).next; }

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
