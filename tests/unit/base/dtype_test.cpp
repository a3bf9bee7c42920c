#include "base/dtype.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/check.h"

namespace ldmpi {
namespace {

// The definition of a binary format with `mantissa` stored bits and `bias`: exact in double.
double definition(std::uint16_t bits, int mantissa, int bias) {
  const int top = (1 << (15 - mantissa)) - 1;  // the exponent of infinities and NaNs
  const double sign = (bits & 0x8000U) != 0 ? -1.0 : 1.0;
  const int exponent = (bits >> mantissa) & top;
  const int fraction = bits & ((1 << mantissa) - 1);
  if (exponent == top)
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - mantissa);
  return sign * std::ldexp((1 << mantissa) + fraction, exponent - bias - mantissa);
}

struct Format {
  const char* name;
  int mantissa;
  int bias;
  std::uint16_t (*to)(float);
  float (*from)(std::uint16_t);
};
std::uint16_t to_b(float x) {
  return to_bf16(x);
}
float from_b(std::uint16_t x) {
  return from_bf16(x);
}
std::uint16_t to_h(float x) {
  return to_f16(x);
}
float from_h(std::uint16_t x) {
  return from_f16(x);
}
constexpr std::array kFormats{Format{"bf16", 7, 127, to_b, from_b}, Format{"f16", 10, 15, to_h, from_h}};

TEST(Half, AllValuesMatchTheDefinitionAndReturn) {
  for (const auto& format : kFormats)
    for (unsigned bits = 0; bits < 65536; ++bits) {
      const auto half = static_cast<std::uint16_t>(bits);
      const auto expected = definition(half, format.mantissa, format.bias);
      const float value = format.from(half);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(value)) << format.name << ' ' << bits;
        ASSERT_TRUE(std::isnan(format.from(format.to(value)))) << format.name << ' ' << bits;
        continue;
      }
      ASSERT_EQ(static_cast<double>(value), expected) << format.name << ' ' << bits;
      ASSERT_EQ(std::signbit(value), (bits & 0x8000U) != 0) << format.name << ' ' << bits;
      ASSERT_EQ(format.to(value), half) << format.name << ' ' << bits;
    }
}

TEST(Half, RoundsToNearestAndTiesToEven) {
  for (const auto& format : kFormats) {
    const auto infinity = static_cast<unsigned>((1 << 15) - (1 << format.mantissa));
    for (unsigned bits = 0; bits + 1 < infinity; ++bits) {
      const auto low = static_cast<std::uint16_t>(bits);
      const auto high = static_cast<std::uint16_t>(bits + 1);
      // The middle of two neighbours is exact in float: it needs one more bit.
      const float middle = static_cast<float>((static_cast<double>(format.from(low)) + format.from(high)) / 2);
      const float below = std::nextafter(middle, -1.0F);
      const float above = std::nextafter(middle, std::numeric_limits<float>::infinity());
      const auto even = (bits & 1U) == 0 ? low : high;
      ASSERT_EQ(format.to(middle), even) << format.name << ' ' << bits;
      ASSERT_EQ(format.to(-middle), even | 0x8000U) << format.name << ' ' << bits;
      ASSERT_EQ(format.to(below), low) << format.name << ' ' << bits;
      ASSERT_EQ(format.to(above), high) << format.name << ' ' << bits;
    }
  }
}

TEST(Half, OverflowGivesInfinityFromTheMiddleOn) {
  EXPECT_EQ(to_f16(65504.0F), 0x7bffU);
  EXPECT_EQ(to_f16(std::nextafter(65520.0F, 0.0F)), 0x7bffU);
  EXPECT_EQ(to_f16(65520.0F), 0x7c00U);
  EXPECT_EQ(to_f16(-1e30F), 0xfc00U);
  EXPECT_EQ(to_f16(std::numeric_limits<float>::infinity()), 0x7c00U);
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()), 0x7f80U);
  EXPECT_EQ(to_bf16(-std::numeric_limits<float>::infinity()), 0xff80U);
}

TEST(Half, NanWithLowBitsOnlyStaysNan) {
  for (std::uint32_t bits : {0x7f800001U, 0xff800001U, 0x7fc00000U, 0x7fffffffU}) {
    const auto value = std::bit_cast<float>(bits);
    EXPECT_TRUE(std::isnan(from_bf16(to_bf16(value)))) << bits;
    EXPECT_TRUE(std::isnan(from_f16(to_f16(value)))) << bits;
  }
}

TEST(DTypeNames, ReturnThemselves) {
  for (auto type : {DType::F32, DType::BF16, DType::F16, DType::F64, DType::I64, DType::I32, DType::U32, DType::U8})
    EXPECT_EQ(dtype_from_name(name_of(type)), type) << name_of(type);
  EXPECT_EQ(dtype_from_name("fp32"), DType::F32);
  EXPECT_EQ(dtype_from_name("fp16"), DType::F16);
  EXPECT_FALSE(dtype_from_name("f8").has_value());
  EXPECT_EQ(size_of(DType::F64), 8U);
  EXPECT_EQ(size_of(DType::BF16), 2U);
  EXPECT_EQ(size_of(DType::U8), 1U);
}

// Arrays, which are converted by vector code, against single values: every pattern, floats of all exponents, and the
// middles between neighbours.
TEST(Convert, ArraysAsSingleValues) {
  std::mt19937 random(5);
  std::vector<std::uint16_t> patterns;
  std::vector<float> floats;
  for (std::uint32_t i = 0; i < 65536; ++i) {
    patterns.push_back(static_cast<std::uint16_t>(i));
    const auto exact = std::bit_cast<std::uint32_t>(from_f16(static_cast<std::uint16_t>(i)));
    for (std::uint32_t bits : {exact, exact + 0x1000U, i << 16 | 0x8000U, static_cast<std::uint32_t>(random())})
      floats.push_back(std::bit_cast<float>(bits));
  }
  for (auto type : {DType::BF16, DType::F16}) {
    const auto& format = kFormats[type == DType::F16 ? 1 : 0];
    std::vector<float> wide(patterns.size());
    convert_to_float(patterns.data(), type, wide.data(), wide.size());
    for (std::size_t i = 0; i < wide.size(); ++i)
      ASSERT_EQ(std::bit_cast<std::uint32_t>(wide[i]), std::bit_cast<std::uint32_t>(format.from(patterns[i]))) << i;
    std::vector<std::uint16_t> narrow(floats.size());
    convert_from_float(floats.data(), type, narrow.data(), narrow.size());
    for (std::size_t i = 0; i < narrow.size(); ++i) ASSERT_EQ(narrow[i], format.to(floats[i])) << floats[i];
  }
}

TEST(Convert, GoesThroughFloatElementByElement) {
  const std::vector<float> values{0.0F, -1.5F, 3.14159274F, 65504.0F, 1e-5F, -2.5F, 7.0F};
  for (auto type : {DType::F32, DType::BF16, DType::F16, DType::F64}) {
    std::vector<std::byte> stored(values.size() * size_of(type));
    std::vector<float> back(values.size(), -99.0F);
    convert_from_float(values.data(), type, stored.data(), values.size());
    convert_to_float(stored.data(), type, back.data(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float expected = type == DType::BF16  ? from_bf16(to_bf16(values[i]))
                             : type == DType::F16 ? from_f16(to_f16(values[i]))
                                                  : values[i];
      EXPECT_EQ(back[i], expected) << name_of(type) << ' ' << i;
    }
  }
  float target = 0;
  EXPECT_THROW(convert_to_float(values.data(), DType::I64, &target, 1), Error);
}

}  // namespace
}  // namespace ldmpi
