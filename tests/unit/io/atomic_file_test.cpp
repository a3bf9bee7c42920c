#include "io/atomic_file.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "io/json_text.h"
#include "scratch.h"

namespace ldmpi::io {
namespace {

using test::expect_error;
using test::Scratch;

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(AtomicFile, WritesReplacesAndLeavesNothingBeside) {
  const Scratch folder;
  write_file_atomically(folder / "a", std::string_view("first"));
  write_file_atomically(folder / "a", std::string_view("2"));
  EXPECT_EQ(read_text_file(folder / "a", 100), "2");
  EXPECT_EQ(files_in(folder.path()), 1U);
  write_file_atomically(folder / "empty", std::string_view());
  EXPECT_TRUE(read_file(folder / "empty", 0).empty());
}

TEST(AtomicFile, ErrorsCarryTheExitCode) {
  const Scratch folder;
  expect_error(Exit::MissingInput, "No such file", [&] { (void)read_file(folder / "absent", 1); });
  expect_error(Exit::BadData, "folder", [&] { (void)read_file(folder.path(), 1); });
  expect_error(Exit::CannotCreate, "absent",
               [&] { write_file_atomically(folder / "absent/x", std::string_view("x")); });
  std::filesystem::create_directory(folder / "taken");
  expect_error(Exit::CannotCreate, "taken", [&] { write_file_atomically(folder / "taken", std::string_view("x")); });
  EXPECT_EQ(files_in(folder.path()), 1U) << "the temporary file was left";
  test::put(folder / "long", "0123456789");
  expect_error(Exit::BadData, "at most 9", [&] { (void)read_text_file(folder / "long", 9); });
  if (::geteuid() != 0) {
    std::filesystem::permissions(folder / "long", std::filesystem::perms::none);
    expect_error(Exit::NoPermission, "long", [&] { (void)read_text_file(folder / "long", 10); });
  }
}

TEST(AtomicFile, AFullDiskKeepsTheOldFile) {
  const Scratch folder;
  write_file_atomically(folder / "a", std::string_view("old"));
  {
    const test::FullDisk full(4096);
    expect_error(Exit::IoError, "File too large", [&] { write_file_atomically(folder / "a", std::string(9000, 'x')); });
  }
  EXPECT_EQ(read_text_file(folder / "a", 100), "old");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(AtomicFile, SyncsFilesAndFolders) {
  const Scratch folder;
  test::put(folder / "a", "x");
  fsync_file(folder / "a");
  fsync_directory(folder.path());
  expect_error(Exit::MissingInput, "absent", [&] { fsync_file(folder / "absent"); });
  expect_error(Exit::MissingInput, "absent", [&] { fsync_directory(folder / "absent"); });
}

TEST(AtomicFile, ADeviceOrPipeIsRefusedWithoutHanging) {
  const Scratch folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_error(Exit::BadData, "pipe", [&] { (void)read_file(folder / "pipe", 10); });
}

TEST(JsonText, AcceptsJsonAndReportsTheValue) {
  EXPECT_EQ(parse_json(R"({"a": [1, 2.5, "x", null, true], "b": {"a": {}}})", "f")["a"][1], 2.5);
}

TEST(JsonText, RefusesWithNameAndPlace) {
  expect_error(Exit::BadData, "config.json: not valid JSON at line 2, column 8",
               [] { (void)parse_json("{\n  \"a\": x\n}", "config.json"); });
  expect_error(Exit::BadData, "f: ", [] { (void)parse_json("", "f"); });
  expect_error(Exit::BadData, "f: ", [] { (void)parse_json("{} {}", "f"); });
  expect_error(Exit::BadData, "f: ", [] { (void)parse_json("{\"a\":1,}", "f"); });
  expect_error(Exit::BadData, "f: ", [] { (void)parse_json("{\"a\":\"\xff\"}", "f"); });
  expect_error(Exit::BadData, "f: ", [] { (void)parse_json("[1e999]", "f"); });
  expect_error(Exit::BadData, "zero byte", [] { (void)parse_json(std::string_view("{}\0{", 4), "f"); });
}

TEST(JsonText, RefusesTwiceGivenKeysAtEveryLevelButNotInDifferentObjects) {
  expect_error(Exit::BadData, "twice", [] { (void)parse_json(R"({"a":1,"b":2,"a":1})", "f"); });
  expect_error(Exit::BadData, "twice", [] { (void)parse_json(R"([{"x":{"a":1,"\u0061":1}}])", "f"); });
  EXPECT_EQ(parse_json(R"([{"a":1},{"a":2,"b":{"a":3}}])", "f").size(), 2U);
}

TEST(JsonText, LimitsDepthAndNumberOfValues) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW((void)parse_json(nested(4), "f", {.depth = 4}));
  expect_error(Exit::BadData, "deeper", [&] { (void)parse_json(nested(5), "f", {.depth = 4}); });
  expect_error(Exit::BadData, "deeper", [&] { (void)parse_json(std::string(1'000'000, '['), "f"); });
  EXPECT_NO_THROW((void)parse_json("[1,2,3]", "f", {.values = 4}));
  expect_error(Exit::BadData, "more than 3 values", [] { (void)parse_json("[1,2,3]", "f", {.values = 3}); });
}

}  // namespace
}  // namespace ldmpi::io
