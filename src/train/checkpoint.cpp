#include "train/checkpoint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <memory>
#include <system_error>

#include "base/build_info.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "io/atomic_file.h"
#include "io/file.h"
#include "train/manifest.h"

namespace ldmpi::train {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStepPrefix = "step-";
constexpr std::uint64_t kHeaderAllowance = 256;  // bytes of a safetensors header per tensor, roughly

// Polynomials over GF(2) modulo CRC32C's, bit-reflected: the most significant bit is x^0.
std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  constexpr std::uint32_t kPolynomial = 0x82f63b78U;
  std::uint32_t product = 0;
  for (std::uint32_t bit = 1U << 31; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b >> 1) ^ ((b & 1U) != 0 ? kPolynomial : 0U);
  }
  return product;
}

/// The CRC of two byte sequences one after the other, of which the second has `bytes` bytes: spares reading the file
/// again.
std::uint32_t join_crc(std::uint32_t first, std::uint32_t second, std::uint64_t bytes) {
  std::uint32_t power = 1U << 23;  // x^8
  for (; bytes != 0; bytes >>= 1, power = multiply(power, power))
    if ((bytes & 1U) != 0) first = multiply(power, first);
  return first ^ second;
}

/// Size and sums of a complete tensor file; the sum of the whole is joined from those of its parts.
ManifestFile describe(const io::SafetensorsWriter& writer, const TensorFile& file, const fs::path& path) {
  ManifestFile entry{.bytes = writer.file_bytes(), .crc = 0, .tensors = {}};
  for (std::size_t i = 0; i < file.tensors.size(); ++i) entry.tensors.emplace(file.tensors[i].name, writer.crc(i));
  const io::SafetensorsFile written(path);
  std::uint64_t data_bytes = 0;
  for (const io::TensorInfo& tensor : written.tensors()) data_bytes += tensor.bytes;
  std::vector<std::byte> header(entry.bytes - data_bytes);
  io::read_at(io::open_for_reading(path), header, 0, path);
  entry.crc = crc32c(header);
  for (const io::TensorInfo& tensor : written.tensors())
    entry.crc = join_crc(entry.crc, entry.tensors.at(tensor.name), tensor.bytes);
  return entry;
}

ManifestFile write_text_file(const std::string& text, const fs::path& path) {
  io::write_file_atomically(path, text);
  return {.bytes = text.size(), .crc = crc32c(std::as_bytes(std::span(text))), .tensors = {}};
}

/// Creates the folder that `path` stands in; `root` exists.
fs::path prepare_place(const fs::path& root, const std::string& path) {
  const fs::path place = root / path;
  std::error_code error;
  fs::create_directories(place.parent_path(), error);
  if (error) io::fail_create("create the folder", place.parent_path(), error.value());
  return place;
}

void rename_folder(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0)
    fail(Exit::IoError, "cannot rename {} to {}: {}", from.string(), to.string(),
         std::generic_category().message(errno));
}

}  // namespace

std::string step_folder_name(std::int64_t step) {
  return fmt::format("{}{:08}", kStepPrefix, step);
}

std::optional<std::int64_t> step_of_folder_name(std::string_view name) {
  if (!name.starts_with(kStepPrefix)) return {};
  const std::string_view digits = name.substr(kStepPrefix.size());
  std::int64_t step = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  // Only the one spelling that step_folder_name gives: no sign, no other number of digits.
  if (error != std::errc{} || step < 0 || step_folder_name(step) != name) return {};
  return step;
}

std::vector<std::int64_t> list_steps(const fs::path& checkpoints) {
  std::vector<std::int64_t> steps;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints, error)) {
    std::error_code ignored;
    const auto step = step_of_folder_name(entry.path().filename().string());
    if (step && entry.is_directory(ignored)) steps.push_back(*step);
  }
  if (error && error != std::errc::no_such_file_or_directory) io::fail_errno("list", checkpoints, error.value());
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

std::uint64_t snapshot_bytes(const Snapshot& snapshot) {
  std::uint64_t bytes = 0;
  for (const TensorFile& file : snapshot.files())
    for (const io::TensorSpec& tensor : file.tensors)
      bytes += static_cast<std::uint64_t>(tensor.shape.count()) * size_of(tensor.dtype) + kHeaderAllowance;
  for (const auto& [path, text] : snapshot.texts()) bytes += text.size();
  return bytes;
}

void write_snapshot(const Snapshot& snapshot, const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0777) != 0) io::fail_create("create the folder", folder, errno);
  const TrainState& state = snapshot.state();
  Manifest manifest{.format = kCheckpointFormat,
                    .program = version(),
                    .step = state.step,
                    .seed = state.seed,
                    .cursor = state.cursor,
                    .world_size = state.world_size,
                    .total_batch_size = state.total_batch_size,
                    .files = {}};
  // All is read before anything waits for the disk: whoever holds the snapshot's state is then free.
  const auto& files = snapshot.files();
  std::int64_t largest = 0;
  for (const TensorFile& file : files)
    for (const io::TensorSpec& tensor : file.tensors) largest = std::max(largest, tensor.shape.count());
  std::vector<float> room(static_cast<std::size_t>(largest));
  std::vector<std::unique_ptr<io::SafetensorsWriter>> writers;
  for (std::size_t f = 0; f < files.size(); ++f) {
    const TensorFile& file = files[f];
    writers.push_back(std::make_unique<io::SafetensorsWriter>(prepare_place(folder, file.path), file.tensors));
    for (std::size_t t = 0; t < file.tensors.size(); ++t) {
      const auto values = std::span(room).first(static_cast<std::size_t>(file.tensors[t].shape.count()));
      snapshot.read(f, t, values);
      (void)writers.back()->write(t, values);
    }
  }
  for (std::size_t f = 0; f < files.size(); ++f) {
    writers[f]->finish();
    manifest.files.emplace(files[f].path, describe(*writers[f], files[f], folder / files[f].path));
  }
  for (const auto& [path, text] : snapshot.texts())
    manifest.files.emplace(path, write_text_file(text, prepare_place(folder, path)));
  const std::string state_file{kStateFile};
  manifest.files.emplace(state_file, write_text_file(to_json(state), prepare_place(folder, state_file)));
  io::write_file_atomically(folder / kManifestFile, to_json(manifest));
}

void publish_folder(const fs::path& temporary, const fs::path& target) {
  const fs::path old = target.parent_path() / (".trash-" + target.filename().string());
  std::error_code ignored;
  if (!fs::exists(target, ignored)) {
    rename_folder(temporary, target);
  } else if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(temporary, ignored);
  } else {
    fs::remove_all(old, ignored);
    rename_folder(target, old);
    rename_folder(temporary, target);
    fs::remove_all(old, ignored);
  }
  io::fsync_directory(target.parent_path());
}

void require_space(const fs::path& folder, std::uint64_t bytes) {
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0) io::fail_create("examine the file system of", folder, errno);
  const std::uint64_t available = std::uint64_t{status.f_bavail} * status.f_frsize;
  const std::uint64_t needed = bytes + bytes / 10;
  require(
      available >= needed, Exit::CannotCreate,
      "the file system of {} has {:.1f} MB free, a checkpoint needs {:.1f} MB: make room or give another output_dir",
      folder.string(), static_cast<double>(available) / 1e6, static_cast<double>(needed) / 1e6);
}

}  // namespace ldmpi::train
