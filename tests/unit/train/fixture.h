#pragma once
// A tiny training state whose every value is a function of step, file, tensor and place.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../io/scratch.h"
#include "train/checkpoint.h"
#include "train/checkpoint_reader.h"

namespace ldmpi::train::test {

using io::test::expect_error;
using io::test::get;
using io::test::put;
using io::test::Scratch;

inline float value_at(std::int64_t step, std::size_t file, std::size_t tensor, std::size_t i) {
  return static_cast<float>(step * 1000 + static_cast<std::int64_t>(file * 100 + tensor * 10 + i % 10)) / 8.0F;
}

class TinySnapshot : public Snapshot {
 public:
  explicit TinySnapshot(std::int64_t step, std::int64_t width = 5) {
    const std::vector<io::TensorSpec> weights{{"conv_in.weight", DType::F32, Shape{width, 3, 3, 3}},
                                              {"conv_in.bias", DType::F32, Shape{width}}};
    std::vector<io::TensorSpec> moments;
    for (const char* prefix : {"m.", "v."})
      for (const io::TensorSpec& spec : weights) moments.push_back({prefix + spec.name, spec.dtype, spec.shape});
    files_ = {
        {std::string(kUnetFile), weights}, {std::string(kEmaFile), weights}, {std::string(kOptimizerFile), moments}};
    state_.step = state_.applied_steps = step;
    state_.cursor = static_cast<std::uint64_t>(step) * 16 + (1ULL << 60);
    state_.seed = 0xffffffffffffffffULL;
    state_.total_batch_size = 16;
    state_.world_size = 2;
    state_.loss_scale = 65536.0;
    state_.wall_seconds = 0.1 * static_cast<double>(step);
    state_.choices = "conv_in: winograd\n";
    state_.fingerprints = {{"data", "abc"}, {"model", "def"}};
    state_.config = "seed = 7\n[model]\npath = \"x\"\n";
    texts_ = {
        {"unet/config.json", "{\"sample_size\": 8}\n"}, {"unet_ema/config.json", "{}\n"}, {"config.cfg", "seed = 7\n"}};
  }

  [[nodiscard]] const std::vector<TensorFile>& files() const override { return files_; }
  void read(std::size_t file, std::size_t tensor, std::span<float> out) const override {
    if (on_read) on_read(file, tensor);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = value_at(state_.step, file, tensor, i);
  }
  [[nodiscard]] const TrainState& state() const override { return state_; }
  [[nodiscard]] const std::map<std::string, std::string>& texts() const override { return texts_; }

  std::function<void(std::size_t file, std::size_t tensor)> on_read;
  std::vector<TensorFile> files_;
  TrainState state_;
  std::map<std::string, std::string> texts_;
};

/// Every tensor, text and scalar of the checkpoint is that of TinySnapshot(step, width).
inline void expect_content(const CheckpointReader& reader, std::int64_t step, std::int64_t width = 5) {
  const TinySnapshot expected(step, width);
  EXPECT_EQ(reader.state(), expected.state());
  for (std::size_t f = 0; f < expected.files().size(); ++f) {
    const TensorFile& file = expected.files()[f];
    ASSERT_EQ(reader.tensors(file.path).tensors().size(), file.tensors.size());
    for (std::size_t t = 0; t < file.tensors.size(); ++t) {
      std::vector<float> values(static_cast<std::size_t>(file.tensors[t].shape.count()));
      reader.read_float(file.path, file.tensors[t].name, file.tensors[t].shape, values);
      for (std::size_t i = 0; i < values.size(); ++i)
        ASSERT_EQ(values[i], value_at(step, f, t, i)) << file.tensors[t].name;
    }
  }
  for (const auto& [path, text] : expected.texts()) EXPECT_EQ(reader.text(path), text);
}

/// RUN/checkpoints in a scratch folder with complete checkpoints of these steps.
class Checkpoints {
 public:
  explicit Checkpoints(const std::vector<std::int64_t>& steps) {
    std::filesystem::create_directories(path());
    for (const std::int64_t step : steps) write_snapshot(TinySnapshot(step), folder(step));
  }
  [[nodiscard]] std::filesystem::path path() const { return scratch_ / "checkpoints"; }
  [[nodiscard]] std::filesystem::path folder(std::int64_t step) const { return path() / step_folder_name(step); }
  [[nodiscard]] bool exists(const std::string& name) const { return std::filesystem::exists(path() / name); }

 private:
  Scratch scratch_;
};

/// All files of a folder, relative, sorted.
inline std::vector<std::string> files_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) names.push_back(std::filesystem::relative(entry.path(), folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace ldmpi::train::test
