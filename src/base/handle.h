#pragma once
// RAII for C handles: owns one value and gives it to Destroy unless it equals Empty.

#include <utility>

namespace ldmpi {

template <typename T, auto Destroy, T Empty = T{}>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T value) noexcept : value_(value) {}
  Handle(Handle&& other) noexcept : value_(std::exchange(other.value_, Empty)) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      value_ = std::exchange(other.value_, Empty);
    }
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { reset(); }

  [[nodiscard]] T get() const noexcept { return value_; }
  [[nodiscard]] explicit operator bool() const noexcept { return value_ != Empty; }
  void reset() noexcept {
    if (value_ != Empty) Destroy(std::exchange(value_, Empty));
  }
  [[nodiscard]] T release() noexcept { return std::exchange(value_, Empty); }

 private:
  T value_ = Empty;
};

}  // namespace ldmpi
