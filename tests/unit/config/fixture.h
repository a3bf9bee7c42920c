#pragma once
// What the configuration tests share: a scratch folder and short ways to parse.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "config/parse.h"

namespace ldmpi::config {

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              ("config-" + std::to_string(getpid()) + "-" + std::string(test->name()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// Writes a file into the scratch folder and returns its path.
  std::string file(const std::string& name, const std::string& content) const {
    const std::filesystem::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

  static ParsedCommand parse(Words words, const Environment& environment = {}) {
    return parse_command_line(words, environment);
  }

  /// Parses a train command that lacks nothing, with `more` words behind.
  static ParsedCommand parse_train(const Words& more, const Environment& environment = {}) {
    Words words{"train", "--model.config", "c.json", "--data.path", "D", "--output_dir", "R"};
    words.insert(words.end(), more.begin(), more.end());
    return parse(words, environment);
  }
  static TrainConfig train(const Words& more, const Environment& environment = {}) {
    return std::get<TrainConfig>(parse_train(more, environment).config);
  }

  /// The message of the refusal; fails the test if there is none or its exit code is not 78.
  template <typename F>
  static std::string refusal(F&& run) {
    try {
      run();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::BadConfig);
      return error.what();
    }
    ADD_FAILURE() << "nothing was refused";
    return {};
  }
  static std::string train_refusal(const Words& more, const Environment& environment = {}) {
    return refusal([&] { parse_train(more, environment); });
  }

  static void expect_has(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << "looked for: " << part << "\nin: " << text;
  }
  static void expect_has_not(const std::string& text, const std::string& part) {
    EXPECT_EQ(text.find(part), std::string::npos) << "found: " << part << "\nin: " << text;
  }

  std::filesystem::path folder_;
};

}  // namespace ldmpi::config
