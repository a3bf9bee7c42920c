#include "operand.h"

#include <algorithm>
#include <cstdlib>
#include <span>

#include "base/check.h"
#include "under_test.h"

namespace ldmpi::test {
namespace {

constexpr std::byte kMark{0xA5};

void store(double value, DType type, void* target) {
  switch (type) {
    case DType::F64: *static_cast<double*>(target) = value; return;
    case DType::I64: *static_cast<std::int64_t*>(target) = static_cast<std::int64_t>(value); return;
    case DType::I32: *static_cast<std::int32_t*>(target) = static_cast<std::int32_t>(value); return;
    case DType::U32: *static_cast<std::uint32_t*>(target) = static_cast<std::uint32_t>(value); return;
    case DType::U8: *static_cast<std::uint8_t*>(target) = static_cast<std::uint8_t>(value); return;
    default: {
      const auto number = static_cast<float>(value);
      convert_from_float(&number, type, target, 1);
    }
  }
}

double load(const void* source, DType type) {
  switch (type) {
    case DType::F64: return *static_cast<const double*>(source);
    case DType::I64: return static_cast<double>(*static_cast<const std::int64_t*>(source));
    case DType::I32: return *static_cast<const std::int32_t*>(source);
    case DType::U32: return *static_cast<const std::uint32_t*>(source);
    case DType::U8: return *static_cast<const std::uint8_t*>(source);
    default: {
      float number = 0;
      convert_to_float(source, type, &number, 1);
      return double{number};
    }
  }
}

/// Parameters between canonical and storage order, through the backend.
Array reorder(const ir::Type& type, const Array& values, bool to_storage) {
  const auto lowering = layouts_under_test();
  const auto elements = static_cast<std::size_t>(lowering->weight_layout(type.shape).elements);
  const std::vector<float> from(values.begin(), values.end());
  std::vector<float> to(to_storage ? elements : static_cast<std::size_t>(type.count()));
  if (to_storage) {
    lowering->pack(type.shape, from, to);
  } else {
    lowering->unpack(type.shape, from, to);
  }
  return {to.begin(), to.end()};
}

}  // namespace

double rounded(double x, DType type) {
  std::uint64_t bits = 0;
  store(x, type, &bits);
  return load(&bits, type);
}

Tensor random_tensor(const ir::Type& type, std::uint32_t seed, double scale, double shift) {
  std::mt19937 engine(seed);
  Tensor result{type, Array(static_cast<std::size_t>(type.count()))};
  for (double& x : result.values)
    x = rounded((static_cast<double>(engine()) / 2147483648.0 - 1) * scale + shift, type.dtype);
  return result;
}

Tensor counting_tensor(std::int64_t count, std::int64_t first, std::int64_t step) {
  Tensor result{{DType::I64, {count}}, {}};
  for (std::int64_t i = 0; i < count; ++i) result.values.push_back(static_cast<double>(first + i * step));
  return result;
}

void Operand::Free::operator()(std::byte* bytes) const {
  std::free(bytes);
}

Operand::Operand(const ir::Type& type)
    : type_(type), rows_(type.rows()), columns_(type.columns()), pitch_(type.row_pitch()) {
  if (type.layout == ir::Layout::Parameter) {
    rows_ = 1;
    columns_ = pitch_ = layouts_under_test()->weight_layout(type.shape).elements;
  }
  // Behind the last row there is no gap: the guard begins there.
  const std::int64_t elements = rows_ == 0 ? 0 : (rows_ - 1) * pitch_ + columns_;
  size_ = static_cast<std::size_t>(elements) * size_of(type.dtype);
  bytes_.reset(static_cast<std::byte*>(std::aligned_alloc(64, (size_ + 2 * kGuard + 63) / 64 * 64)));
  std::fill_n(bytes_.get(), size_ + 2 * kGuard, kMark);
}

std::size_t Operand::row_bytes() const {
  return static_cast<std::size_t>(columns_) * size_of(type_.dtype);
}

template <typename Body>
void Operand::for_gaps(const Body& body) const {
  const auto step = static_cast<std::size_t>(pitch_) * size_of(type_.dtype);
  body(bytes_.get(), kGuard);
  for (std::int64_t row = 0; row + 1 < rows_; ++row)
    body(bytes_.get() + kGuard + static_cast<std::size_t>(row) * step + row_bytes(), step - row_bytes());
  body(bytes_.get() + kGuard + size_, kGuard);
}

void Operand::write(const Array& values) {
  const Array stored = type_.layout == ir::Layout::Parameter ? reorder(type_, values, true) : values;
  LDMPI_CHECK(stored.size() == static_cast<std::size_t>(rows_ * columns_), "{} values for {}", stored.size(),
              type_.text());
  auto* target = static_cast<std::byte*>(data());
  for (std::int64_t i = 0; i < rows_ * columns_; ++i) {
    const std::int64_t at = i / columns_ * pitch_ + i % columns_;
    store(stored[static_cast<std::size_t>(i)], type_.dtype,
          target + static_cast<std::size_t>(at) * size_of(type_.dtype));
  }
}

Array Operand::read() const {
  Array values;
  const auto* source = static_cast<const std::byte*>(data());
  for (std::int64_t i = 0; i < rows_ * columns_; ++i) {
    const std::int64_t at = i / columns_ * pitch_ + i % columns_;
    values.push_back(load(source + static_cast<std::size_t>(at) * size_of(type_.dtype), type_.dtype));
  }
  return type_.layout == ir::Layout::Parameter ? reorder(type_, values, false) : values;
}

bool Operand::intact() const {
  bool whole = true;
  for_gaps([&](const std::byte* bytes, std::size_t count) {
    whole = whole && std::all_of(bytes, bytes + count, [](std::byte b) { return b == kMark; });
  });
  return whole;
}

}  // namespace ldmpi::test
