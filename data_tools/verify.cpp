// verify: reads every byte of a dataset and lists everything that is wrong.

#include <cmath>
#include <cstdio>

#include "base/check.h"
#include "base/log.h"
#include "commands.h"
#include "data/dataset.h"
#include "data/manifest.h"
#include "data/shard_check.h"
#include "options.h"

namespace ldmpi::data_tools {
namespace {

struct Findings {
  std::vector<std::string> problems;
  Exit code = Exit::BadData;
  void add(const Error& error) {
    if (problems.empty()) code = error.code();
    problems.emplace_back(error.what());
  }
};

/// Checks one file; gives its manifest entry if it could be read at all.
std::optional<data::ManifestShard> check_file(const std::filesystem::path& file, Findings& findings) try {
  const auto shard = data::Shard::open(file);
  const auto report = data::check_shard(shard);
  findings.problems.insert(findings.problems.end(), report.problems.begin(), report.problems.end());
  return data::ManifestShard{file.filename().string(), shard.file_bytes(), report.file_crc, shard.facts(),
                             report.statistics};
} catch (const Error& error) {
  findings.add(error);
  return std::nullopt;
}

void compare(const data::ManifestShard& expected, const data::ManifestShard& found, Findings& findings) {
  for (const auto& difference : data::differences(expected.facts, found.facts))
    findings.problems.push_back(fmt::format("{} differs from the manifest: {}", expected.file, difference));
  if (expected.bytes != found.bytes)
    findings.problems.push_back(fmt::format("{} differs from the manifest: expected {} bytes, found {}", expected.file,
                                            expected.bytes, found.bytes));
  else if (expected.file_crc != found.file_crc)
    findings.problems.push_back(
        fmt::format("{} differs from the manifest: checksum of the file expected {:08x}, found {:08x}", expected.file,
                    expected.file_crc, found.file_crc));
}

}  // namespace

void run_verify(Arguments arguments) {
  std::string path;
  bool write_manifest = false;
  Options options("verify", "Reads every sample and prompt, checks them and the manifest, and lists all problems.");
  options.add_positional("DATASET", path, "a folder of shards or one shard file");
  options.add("write_manifest", &write_manifest, "",
              "write manifest.json anew from what the shards hold, if they are sound");
  if (!options.parse(arguments)) return;
  const bool folder = std::filesystem::is_directory(path);
  require(folder || !write_manifest, Exit::BadConfig, "--write_manifest needs a folder, {} is none", path);

  Findings findings;
  data::Manifest found;
  std::vector<data::ShardFile> together;
  std::uint64_t samples = 0;
  const auto files = folder ? data::shard_files(path) : std::vector<std::filesystem::path>{path};
  for (const auto& file : files)
    if (auto entry = check_file(file, findings)) {
      samples += entry->facts.samples;
      together.push_back({file, entry->bytes, entry->facts});
      found.shards.push_back(std::move(*entry));
    }
  for (auto& conflict : data::conflicts(together)) findings.problems.push_back(std::move(conflict));
  if (write_manifest && findings.problems.empty() && !found.shards.empty()) data::write_manifest(path, found);
  try {
    const auto manifest = folder ? data::read_manifest(path) : std::nullopt;
    if (manifest)
      for (const auto& expected : manifest->shards)
        for (const auto& shard : found.shards)
          if (shard.file == expected.file) compare(expected, shard, findings);
    // What the shards are together; a broken shard has been named above already.
    if (findings.problems.empty() || (manifest && found.shards.size() != manifest->shards.size()))
      (void)data::Dataset::open(path);
  } catch (const Error& error) {
    findings.add(error);
  }
  if (findings.problems.empty()) {
    fmt::print("{}: {} samples in {} shards, all sound\n", path, samples, files.size());
    return;
  }
  std::string text;
  for (const auto& problem : findings.problems) text += "\n- " + problem;
  fail(findings.code, "{}: {} problem(s):{}", path, findings.problems.size(), text);
}

}  // namespace ldmpi::data_tools
