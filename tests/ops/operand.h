#pragma once
// Memory of one operand with guards before, behind and between its rows.

#include <cstddef>
#include <memory>
#include <vector>

#include "tensor.h"

namespace ldmpi::test {

class Operand {
 public:
  /// Room for a value of this type, its pitch included; parameters in the storage order of the backend.
  explicit Operand(const ir::Type& type);

  void write(const Array& values);
  [[nodiscard]] Array read() const;
  [[nodiscard]] void* data() const { return bytes_.get() + kGuard; }
  /// Whether all bytes that belong to no element are untouched.
  [[nodiscard]] bool intact() const;
  [[nodiscard]] const ir::Type& type() const { return type_; }

 private:
  static constexpr std::size_t kGuard = 128;
  struct Free {
    void operator()(std::byte* bytes) const;
  };

  [[nodiscard]] std::size_t row_bytes() const;
  /// Calls body(bytes, count) for the guards and gaps.
  template <typename Body>
  void for_gaps(const Body& body) const;

  ir::Type type_;
  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t pitch_;
  std::size_t size_;
  std::unique_ptr<std::byte, Free> bytes_;
};

}  // namespace ldmpi::test
