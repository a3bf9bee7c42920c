// Text <-> value.
#include "config/value.h"

#include <gtest/gtest.h>

#include "config/option_table.h"

namespace ldmpi::config {
namespace {

TEST(Value, WholeNumbersAreReadWhole) {
  std::int64_t value = 7;
  for (const char* bad : {"", "1.5", "1e3", "12a", " 1", "--1", "0x10", "9223372036854775808"}) {
    EXPECT_TRUE(read_integer(bad, value)) << bad;
    EXPECT_EQ(value, 7);
  }
  EXPECT_FALSE(read_integer("-9223372036854775808", value));
  EXPECT_FALSE(read_integer("+12", value));
  EXPECT_EQ(value, 12);
  std::uint64_t seed = 0;
  EXPECT_TRUE(read_unsigned("-1", seed));
  EXPECT_FALSE(read_unsigned("18446744073709551615", seed));
  EXPECT_EQ(seed, ~std::uint64_t{0});
}

TEST(Value, RealsAreFiniteAndRestored) {
  double value = 0;
  for (const char* bad : {"nan", "inf", "-inf", "1e999", "1,5", "", "0x1p3"}) EXPECT_TRUE(read_real(bad, value)) << bad;
  for (const double x : {1e-5, 0.1, 0.00085, 1.0 / 3, 123456789.125, 5e-324, -0.0}) {
    EXPECT_FALSE(read_real(write_real(x), value));
    EXPECT_EQ(value, x);
  }
}

TEST(Value, SwitchesKnowTheUsualWords) {
  for (const char* word : {"on", "true", "yes", "1"}) {
    Switch value = Switch::Auto;
    EXPECT_FALSE(Value<Switch>::read(word, value));
    EXPECT_EQ(value, Switch::On);
  }
  bool flag = true;
  EXPECT_FALSE(Value<bool>::read("off", flag));
  EXPECT_FALSE(flag);
  EXPECT_TRUE(Value<bool>::read("perhaps", flag));
}

TEST(Value, ChoicesNameTheNearestWord) {
  Precision value = Precision::Auto;
  const Why why = Value<Precision>::read("bf61", value);
  ASSERT_TRUE(why);
  EXPECT_NE(why->find("did you mean bf16?"), std::string::npos) << *why;
  Prediction prediction = Prediction::Auto;
  EXPECT_FALSE(Value<Prediction>::read("v-prediction", prediction));
  EXPECT_EQ(prediction, Prediction::VPrediction);
  Sampler sampler = Sampler::Ddim;
  EXPECT_FALSE(Value<Sampler>::read("dpmsolver++", sampler));
  EXPECT_EQ(sampler, Sampler::DpmSolverPp);
}

TEST(Value, Dims) {
  Dims dims;
  EXPECT_FALSE(read_dims("4x64x64", dims));
  EXPECT_EQ(dims, (Dims{4, 64, 64}));
  EXPECT_EQ(write_dims(dims), "4x64x64");
  for (const char* bad : {"", "x", "4x", "x4", "4x0x4", "4x-1", "4*4", "4x99999999"}) {
    EXPECT_TRUE(read_dims(bad, dims)) << bad;
  }
}

TEST(Nearest, FindsSlipsAndNothingFarAway) {
  const std::vector<std::string> keys{"batch_size", "total_batch_size", "data.path", "data.caption_dropout", "seed"};
  EXPECT_EQ(nearest_of("bach_size", keys), "batch_size");
  EXPECT_EQ(nearest_of("caption_dropout", keys), "data.caption_dropout");
  EXPECT_EQ(nearest_of("dataset.path", keys), "data.path");
  EXPECT_EQ(nearest_of("sed", keys), "seed");
  EXPECT_EQ(nearest_of("qqqqqqqq", keys), "");
  EXPECT_EQ(nearest_of(std::string(100000, 'b'), keys), "");
}

}  // namespace
}  // namespace ldmpi::config
