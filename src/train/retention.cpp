#include "train/retention.h"

#include <algorithm>
#include <system_error>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "io/atomic_file.h"
#include "train/checkpoint.h"

namespace ldmpi::train {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTrashPrefix = ".trash-";

void remove_tree(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) log::warning("cannot remove {}: {}", folder.string(), error.message());
}

}  // namespace

std::string read_latest(const fs::path& checkpoints) {
  try {
    std::string name = io::read_text_file(checkpoints / "latest", 4096);
    name.erase(std::find_if(name.begin(), name.end(), [](char c) { return c == '\n' || c == '\r'; }), name.end());
    return step_of_folder_name(name) ? name : std::string{};
  } catch (const Error&) {
    return {};
  }
}

void write_latest(const fs::path& checkpoints, const std::string& folder_name) {
  io::write_file_atomically(checkpoints / "latest", folder_name + "\n");
}

void apply_retention(const fs::path& checkpoints, int keep) {
  const std::vector<std::int64_t> steps = list_steps(checkpoints);
  const std::string latest = read_latest(checkpoints);
  for (std::size_t i = static_cast<std::size_t>(std::max(keep, 1)); i < steps.size(); ++i) {
    const std::string name = step_folder_name(steps[i]);
    if (name == latest) continue;
    const fs::path trash = checkpoints / (std::string(kTrashPrefix) + name);
    std::error_code error;
    fs::rename(checkpoints / name, trash, error);
    if (error)
      log::warning("cannot remove the old checkpoint {}: {}", (checkpoints / name).string(), error.message());
    else
      remove_tree(trash);
  }
}

void remove_leftovers(const fs::path& checkpoints) {
  std::vector<fs::path> leftovers;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".tmp-") || name.starts_with(kTrashPrefix) || name.starts_with("latest.tmp-"))
      leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) remove_tree(path);
}

}  // namespace ldmpi::train
