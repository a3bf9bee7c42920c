// The parameter table: published counts and names, storage blocks, freezing, initial values.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "fixture.h"
#include "nn/parameter_table.h"
#include "parameter_names.h"

namespace ldmpi::nn::test {
namespace {

std::set<std::string> names_of(const ParameterTable& table) {
  std::set<std::string> names;
  for (const auto& entry : table.entries()) names.insert(entry.name);
  return names;
}

const ParameterEntry& entry_of(const ParameterTable& table, const std::string& name) {
  return table.entries().at(static_cast<std::size_t>(table.find(name)));
}

const ParameterBlock& block_of(const ParameterTable& table, const std::string& name) {
  return table.blocks().at(static_cast<std::size_t>(entry_of(table, name).block));
}

TEST(ParameterTable, CountsOfThePublishedModels) {
  const ParameterTable sd15(shipped("sd15"));
  EXPECT_EQ(sd15.parameter_count(), 859'520'964);
  EXPECT_EQ(sd15.entries().size(), 686U);
  const ParameterTable sd21(shipped("sd21"));
  EXPECT_EQ(sd21.parameter_count(), 865'910'724);
  EXPECT_EQ(sd21.entries().size(), 686U);
  const ParameterTable sdxl(shipped("sdxl"));
  EXPECT_EQ(sdxl.parameter_count(), 2'567'463'684);
  EXPECT_EQ(sdxl.entries().size(), 1680U);
}

TEST(ParameterTable, CountsOfTheFixtures) {
  EXPECT_EQ(ParameterTable(fixture("sd15", false)).parameter_count(), 145'980);
  EXPECT_EQ(ParameterTable(fixture("sd2", false)).parameter_count(), 145'980);
  EXPECT_EQ(ParameterTable(fixture("sdxl", false)).parameter_count(), 154'876);
  EXPECT_EQ(ParameterTable(fixture("sd15", true)).parameter_count(), 2'164'452);
  EXPECT_EQ(ParameterTable(fixture("sd2", true)).parameter_count(), 2'164'452);
  EXPECT_EQ(ParameterTable(fixture("sdxl", true)).parameter_count(), 1'927'364);
}

TEST(ParameterTable, QuickstartIsSmall) {
  const auto count = ParameterTable(shipped("quickstart")).parameter_count();
  EXPECT_GE(count, 1'600'000);
  EXPECT_LE(count, 1'700'000);
}

TEST(ParameterTable, NamesOfThePublishedModels) {
  const PublishedNames sd({1, 1, 1, 0}, 1, false);
  ASSERT_EQ(sd.names().size(), 686U);
  EXPECT_EQ(names_of(ParameterTable(shipped("sd15"))), sd.names());
  EXPECT_EQ(names_of(ParameterTable(shipped("sd21"))), sd.names());
  const PublishedNames sdxl({0, 2, 10}, 10, true);
  ASSERT_EQ(sdxl.names().size(), 1680U);
  EXPECT_EQ(names_of(ParameterTable(shipped("sdxl"))), sdxl.names());
}

TEST(ParameterTable, ShapesAreThoseOfDiffusers) {
  const ParameterTable sd15(shipped("sd15"));
  const std::string block = "down_blocks.0.attentions.0.transformer_blocks.0.";
  EXPECT_EQ(entry_of(sd15, "conv_in.weight").shape, Shape({320, 4, 3, 3}));
  EXPECT_EQ(entry_of(sd15, "up_blocks.1.resnets.2.conv_shortcut.weight").shape, Shape({1280, 1920, 1, 1}));
  EXPECT_EQ(entry_of(sd15, "up_blocks.0.resnets.0.conv1.weight").shape, Shape({1280, 2560, 3, 3}));
  EXPECT_EQ(entry_of(sd15, "down_blocks.0.attentions.0.proj_in.weight").shape, Shape({320, 320, 1, 1}));
  EXPECT_EQ(entry_of(sd15, block + "attn2.to_k.weight").shape, Shape({320, 768}));
  EXPECT_EQ(entry_of(sd15, block + "ff.net.0.proj.weight").shape, Shape({2560, 320}));
  EXPECT_EQ(entry_of(sd15, block + "ff.net.2.weight").shape, Shape({320, 1280}));
  EXPECT_EQ(entry_of(sd15, "mid_block.resnets.0.time_emb_proj.weight").shape, Shape({1280, 1280}));
  EXPECT_EQ(entry_of(ParameterTable(shipped("sd21")), "down_blocks.0.attentions.0.proj_in.weight").shape,
            Shape({320, 320}));
  EXPECT_EQ(entry_of(ParameterTable(shipped("sdxl")), "add_embedding.linear_1.weight").shape, Shape({1280, 2816}));
  EXPECT_EQ(sd15.find("conv_in.weights"), -1);
}

TEST(ParameterTable, EntriesTileTheirBlocks) {
  for (const char* model : {"sd15", "sd21", "sdxl", "quickstart"}) {
    const ParameterTable table(shipped(model));
    std::size_t entries = 0;
    for (std::size_t b = 0; b < table.blocks().size(); ++b) {
      const auto& block = table.blocks()[b];
      std::int64_t rows = 0;
      for (const int index : block.entries) {
        const auto& entry = table.entries()[static_cast<std::size_t>(index)];
        EXPECT_EQ(entry.block, static_cast<int>(b));
        EXPECT_EQ(entry.row_offset, rows) << entry.name;
        EXPECT_EQ(table.element_offset(entry) * block.shape[0], entry.row_offset * block.shape.count()) << entry.name;
        EXPECT_EQ(entry.shape.count() * block.shape[0], entry.shape[0] * block.shape.count()) << entry.name;
        rows += entry.shape[0];
        ++entries;
      }
      EXPECT_EQ(rows, block.shape[0]) << block.label;
    }
    EXPECT_EQ(entries, table.entries().size());
  }
}

TEST(ParameterTable, NeighboursShareBlocks) {
  const ParameterTable table(shipped("sd15"));
  const std::string attn = "mid_block.attentions.0.transformer_blocks.0.";
  EXPECT_EQ(block_of(table, attn + "attn1.to_k.weight").shape, Shape({3 * 1280, 1280}));
  EXPECT_EQ(entry_of(table, attn + "attn1.to_v.weight").row_offset, 2 * 1280);
  // 16 cross-attentions: 5 at 320, 5 at 640, 6 at 1280 channels; the first block of the table.
  EXPECT_EQ(block_of(table, attn + "attn2.to_k.weight").shape, Shape({2 * (5 * 320 + 5 * 640 + 6 * 1280), 768}));
  EXPECT_EQ(entry_of(table, attn + "attn2.to_k.weight").block, 0);
  EXPECT_EQ(entry_of(table, attn + "attn2.to_v.weight").row_offset,
            entry_of(table, attn + "attn2.to_k.weight").row_offset + 1280);
  // 22 resnets.
  EXPECT_EQ(block_of(table, "conv_in.weight").entries.size(), 1U);
  EXPECT_EQ(block_of(table, "mid_block.resnets.1.time_emb_proj.weight").entries.size(), 22U);
  EXPECT_EQ(block_of(table, "mid_block.resnets.1.time_emb_proj.bias").entries.size(), 22U);
  EXPECT_EQ(block_of(table, "down_blocks.1.resnets.0.conv_shortcut.weight").shape, Shape({640, 320}));
}

TEST(ParameterTable, FreezingDividesSharedBlocks) {
  const std::vector<std::string> freeze{"down_blocks.", "up_blocks.1.resnets.0.time_emb_proj.weight"};
  const auto config = fixture("sd15", false);
  const ParameterTable all(config);
  const ParameterTable table(config, freeze);
  EXPECT_EQ(names_of(table), names_of(all));
  EXPECT_EQ(table.parameter_count(), all.parameter_count());
  std::int64_t frozen = 0;
  for (const auto& entry : table.entries()) {
    const bool wanted = std::any_of(freeze.begin(), freeze.end(), [&](auto& p) { return entry.name.starts_with(p); });
    EXPECT_EQ(table.trainable(entry), !wanted) << entry.name;
    if (wanted) frozen += entry.shape.count();
  }
  EXPECT_EQ(table.trainable_count(), all.parameter_count() - frozen);
  EXPECT_EQ(all.trainable_count(), all.parameter_count());
  // The bias goes with its weight into a pair of blocks of its own, and stays trainable.
  EXPECT_EQ(block_of(table, "up_blocks.1.resnets.0.time_emb_proj.bias").entries.size(), 1U);
  std::set<std::string> labels;
  for (const auto& block : table.blocks()) labels.insert(block.label);
  EXPECT_EQ(labels.size(), table.blocks().size()) << "labels must differ";
  const std::vector<std::string> wrong{"encoder."};
  expect_error(Exit::BadConfig, "encoder.", [&] { const ParameterTable refused(config, wrong); });
}

TEST(InitialValues, ArePyTorchsDistributions) {
  const ParameterTable table(shipped("quickstart"));
  EXPECT_EQ(initial_values(entry_of(table, "conv_norm_out.weight"), 3), std::vector<float>(32, 1.0F));
  EXPECT_EQ(initial_values(entry_of(table, "conv_norm_out.bias"), 3), std::vector<float>(32, 0.0F));
  const struct {
    const char* name;
    double fan_in;
  } cases[] = {{"mid_block.resnets.0.conv1.weight", 64 * 9},
               {"mid_block.resnets.0.conv1.bias", 64 * 9},
               {"mid_block.attentions.0.transformer_blocks.0.attn2.to_v.weight", 64},
               {"time_embedding.linear_1.weight", 32},
               {"time_embedding.linear_1.bias", 32}};
  for (const auto& [name, fan_in] : cases) {
    const auto values = initial_values(entry_of(table, name), 3);
    const double bound = 1 / std::sqrt(fan_in);
    double squares = 0;
    for (const float value : values) {
      ASSERT_LE(std::abs(value), bound * 1.000001) << name;
      squares += static_cast<double>(value) * value;
    }
    const auto n = static_cast<double>(values.size());
    // Variance of U(-b,b): b^2/3, its estimate spread by 2/sqrt(5 n).
    EXPECT_NEAR(squares / n / (bound * bound / 3), 1, 5 * 2 / std::sqrt(5 * n)) << name;
  }
}

TEST(InitialValues, DependOnSeedNameAndElementAlone) {
  const auto config = shipped("quickstart");
  const std::vector<std::string> freeze{"mid_block."};
  const ParameterTable table(config);
  const ParameterTable divided(config, freeze);
  const std::string name = "up_blocks.0.resnets.1.time_emb_proj.weight";
  const auto values = initial_values(entry_of(table, name), 7);
  EXPECT_EQ(values, initial_values(entry_of(divided, name), 7));
  EXPECT_NE(values, initial_values(entry_of(table, name), 8));
  EXPECT_NE(values, initial_values(entry_of(table, "up_blocks.0.resnets.0.time_emb_proj.weight"), 7));
  const Draw draw{7, Purpose::Initialize, name_hash(name.data(), name.size())};
  for (const std::size_t i : {0U, 1U, 2U, 3U, 4U, 1001U})
    EXPECT_EQ(values[i], (2 * draw.uniform(i) - 1) * entry_of(table, name).init.value);
}

}  // namespace
}  // namespace ldmpi::nn::test
