#include "train/checkpoint_reader.h"

#include <algorithm>
#include <system_error>
#include <vector>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "io/atomic_file.h"
#include "io/file.h"
#include "train/checkpoint.h"

namespace ldmpi::train {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxText = std::uint64_t{64} << 20;
constexpr std::size_t kChunk = std::size_t{4} << 20;
constexpr std::string_view kCorrupt = ".corrupt";

/// Runs `read`; a file that is not there means, inside of a checkpoint, that the checkpoint is damaged.
template <typename Read>
auto read_part(const fs::path& folder, Read&& read) {
  try {
    return read();
  } catch (const Error& error) {
    if (error.code() == Exit::MissingInput) fail(Exit::BadData, "{} is incomplete: {}", folder.string(), error.what());
    throw;
  }
}

/// Which tensors of a damaged file differ, for the message; best effort.
std::string damaged_tensors(const fs::path& path, const ManifestFile& expected) {
  try {
    const io::SafetensorsFile file(path);
    std::vector<std::byte> bytes;
    for (const io::TensorInfo& tensor : file.tensors()) {
      bytes.resize(tensor.bytes);
      file.read(tensor, bytes);
      const auto crc = expected.tensors.find(tensor.name);
      if (crc == expected.tensors.end() || crc->second != crc32c(bytes))
        return fmt::format(", first in tensor {}", tensor.name);
    }
  } catch (const std::exception&) {
    return ", in its header";
  }
  return {};
}

void verify_file(const fs::path& path, const ManifestFile& expected, Verify verify) {
  const io::FileDescriptor file = io::open_for_reading(path);
  const std::uint64_t size = io::size_of_file(file, path);
  require(size == expected.bytes, Exit::BadData, "{} has {} bytes, its manifest says {}", path.string(), size,
          expected.bytes);
  if (verify == Verify::Sizes) return;
  std::vector<std::byte> chunk(std::min<std::uint64_t>(kChunk, size));
  std::uint32_t crc = 0;
  for (std::uint64_t offset = 0; offset < size; offset += chunk.size()) {
    const std::span<std::byte> part = std::span(chunk).first(std::min<std::uint64_t>(chunk.size(), size - offset));
    io::read_at(file, part, offset, path);
    crc = crc32c(part, crc);
  }
  require(crc == expected.crc, Exit::BadData, "{} is damaged: its CRC32C is {:08x}, its manifest says {:08x}{}",
          path.string(), crc, expected.crc, expected.tensors.empty() ? "" : damaged_tensors(path, expected));
}

/// Takes a damaged checkpoint out of the way but keeps it for whoever wants to look at it.
void set_aside(const fs::path& folder) {
  fs::path target = folder.string() + std::string(kCorrupt);
  std::error_code error;
  for (int n = 2; fs::exists(target, error); ++n) target = fmt::format("{}{}-{}", folder.string(), kCorrupt, n);
  fs::rename(folder, target, error);
  if (error)
    log::warning("cannot rename {} to {}: {}", folder.string(), target.string(), error.message());
  else
    log::warning("{} is now {}", folder.string(), target.filename().string());
}

bool has_corrupt(const fs::path& checkpoints) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints, error)) {
    const std::string name = entry.path().filename().string();
    const std::size_t end = name.find(kCorrupt);
    if (end != std::string::npos && step_of_folder_name(name.substr(0, end))) return true;
  }
  return false;
}

}  // namespace

CheckpointReader::CheckpointReader(fs::path folder, Verify verify) : folder_(std::move(folder)) {
  std::error_code error;
  require(fs::is_directory(folder_, error), Exit::MissingInput, "there is no checkpoint folder {}", folder_.string());
  const fs::path manifest_path = folder_ / kManifestFile;
  const std::string text = read_part(folder_, [&] { return io::read_text_file(manifest_path, kMaxText); });
  manifest_ = parse_manifest(text, manifest_path.string());
  for (const auto& [path, expected] : manifest_.files) {
    read_part(folder_, [&] {
      verify_file(folder_ / path, expected, verify);
      if (path.ends_with(".safetensors")) files_.emplace(path, std::make_unique<io::SafetensorsFile>(folder_ / path));
    });
  }
  state_ = parse_train_state(this->text(kStateFile), (folder_ / kStateFile).string());
  require(state_.step == manifest_.step, Exit::BadData, "{} is of step {}, its {} of step {}", folder_.string(),
          manifest_.step, kStateFile, state_.step);
}

bool CheckpointReader::has(std::string_view file) const {
  return manifest_.files.find(file) != manifest_.files.end();
}

const io::SafetensorsFile& CheckpointReader::tensors(std::string_view file) const {
  const auto found = files_.find(file);
  require(found != files_.end(), Exit::BadData, "the checkpoint {} holds no {}", folder_.string(), file);
  return *found->second;
}

void CheckpointReader::read_float(std::string_view file, std::string_view tensor, const Shape& shape,
                                  std::span<float> out) const {
  const io::SafetensorsFile& source = tensors(file);
  const io::TensorInfo& info = source.at(tensor);
  require(info.shape == shape, Exit::BadData, "{}: tensor {} has the shape {}, the model needs {}",
          source.path().string(), tensor, info.shape.text(), shape.text());
  source.read_float(info, out);
}

std::string CheckpointReader::text(std::string_view file) const {
  require(has(file), Exit::BadData, "the checkpoint {} holds no {}", folder_.string(), file);
  return read_part(folder_, [&] { return io::read_text_file(folder_ / file, kMaxText); });
}

std::unique_ptr<CheckpointReader> open_newest_checkpoint(const fs::path& checkpoints, Verify verify) {
  const std::vector<std::int64_t> steps = list_steps(checkpoints);
  for (const std::int64_t step : steps) {
    const fs::path folder = checkpoints / step_folder_name(step);
    try {
      auto reader = std::make_unique<CheckpointReader>(folder, verify);
      require(reader->state().step == step, Exit::BadData, "{} holds step {}", folder.string(), reader->state().step);
      return reader;
    } catch (const Error& error) {
      // Anything else (a newer format, no permission, a failing disk) may be mended from outside: nothing is set aside.
      if (error.code() != Exit::BadData) throw;
      log::warning("checkpoint {} is not used: {}", step_folder_name(step), error.what());
      set_aside(folder);
    }
  }
  require(
      steps.empty() && !has_corrupt(checkpoints), Exit::MissingInput,
      "every checkpoint in {} is damaged (they are kept as step-*{}): the run cannot continue and does not begin anew "
      "by itself. To begin anew, give another output_dir or move that folder away",
      checkpoints.string(), kCorrupt);
  return nullptr;
}

}  // namespace ldmpi::train
