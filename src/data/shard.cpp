#include "data/shard.h"

#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "base/check.h"
#include "base/crc32c.h"
#include "io/hdf5.h"

namespace ldmpi::data {
namespace {

/// Collects what is wrong with a shard's schema.
class Schema {
 public:
  Schema(const io::Hdf5Reader& reader, std::vector<std::string>& problems) : reader_(reader), problems_(problems) {}

  template <typename... Args>
  void problem(fmt::format_string<Args...> format, Args&&... args) {
    problems_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  /// The dataset if it is there and numeric, of `rank` axes and one of `types`; else a problem (if it is required).
  std::optional<io::Hdf5Dataset> numbers(const std::string& name, int rank, std::initializer_list<DType> types,
                                         bool required) {
    try {
      auto found = reader_.dataset(name);
      if (!found) {
        if (required) problem("dataset '{}' is missing", name);
        return std::nullopt;
      }
      bool known = false;
      std::string names;
      for (const auto type : types) {
        known |= !found->is_text && found->dtype == type;
        names += (names.empty() ? "" : " or ") + std::string(name_of(type));
      }
      if (!known)
        problem("dataset '{}': expected {}, found {}", name, names, found->is_text ? "strings" : name_of(found->dtype));
      if (found->shape.rank() != rank)
        problem("dataset '{}': expected {} axes, found {}", name, rank, found->shape.text());
      if (known && found->shape.rank() == rank) return found;
    } catch (const Error& error) {
      problems_.emplace_back(error.what());
    }
    return std::nullopt;
  }

  void need_address(const io::Hdf5Dataset& found) {
    if (!found.address) problem("dataset '{}' must be contiguous, little-endian and not empty", found.name);
  }

  void need_length(const io::Hdf5Dataset& found, std::uint64_t rows) {
    if (static_cast<std::uint64_t>(found.shape[0]) != rows)
      problem("dataset '{}': expected {} rows, found {}", found.name, rows, found.shape[0]);
  }

  template <typename T>
  std::vector<T> values(const io::Hdf5Dataset& found, DType as) {
    std::vector<T> out(static_cast<std::size_t>(found.shape.count()));
    reader_.read(found.name, as, std::as_writable_bytes(std::span(out)));
    return out;
  }

 private:
  const io::Hdf5Reader& reader_;
  std::vector<std::string>& problems_;
};

void read_attributes(const io::Hdf5Reader& reader, ShardFacts& facts, std::vector<std::string>& problems) {
  try {
    const auto format = reader.text_attribute("format");
    if (!format || *format != kShardFormat)
      problems.push_back(fmt::format("attribute 'format': expected \"{}\", found {}", kShardFormat,
                                     format ? '"' + *format + '"' : "none"));
    const auto version = reader.integer_attribute("format_version");
    if (!version || *version != kShardVersion)
      problems.push_back(fmt::format("attribute 'format_version': expected {}, found {}", kShardVersion,
                                     version ? std::to_string(*version) : "none"));
    const auto scaling = reader.real_attribute("scaling_factor");
    if (!scaling || !(*scaling > 0) || !(*scaling < 1e6))
      problems.push_back(fmt::format("attribute 'scaling_factor': expected a number above 0, found {}",
                                     scaling ? fmt::to_string(*scaling) : "none"));
    facts.scaling_factor = scaling.value_or(1.0);
    facts.shift = reader.real_attribute("shift").value_or(0.0);
    if (!(facts.shift > -1e6 && facts.shift < 1e6)) problems.emplace_back("attribute 'shift' is out of range");
    facts.codec = reader.text_attribute("codec").value_or("unknown");
    facts.text_encoder = reader.text_attribute("text_encoder").value_or("unknown");
  } catch (const Error& error) {
    problems.emplace_back(error.what());
  }
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::vector<std::string>& problems) {
  std::string text;
  for (const auto& problem : problems) text += "\n  " + problem;
  fail(Exit::BadData, "{} is not a sound shard (docs/file_formats.md):{}", path.string(), text);
}

}  // namespace

std::vector<std::string> differences(const ShardFacts& expected, const ShardFacts& found) {
  std::vector<std::string> out;
  const auto compare = [&](const char* name, const auto& a, const auto& b) {
    if (a != b) out.push_back(fmt::format("{}: expected {}, found {}", name, a, b));
  };
  compare("samples", expected.samples, found.samples);
  compare("latent type", name_of(expected.latent_type), name_of(found.latent_type));
  compare("moments", expected.moments, found.moments);
  compare("latent shape", expected.latent.text(), found.latent.text());
  compare("prompt type", name_of(expected.prompt_type), name_of(found.prompt_type));
  compare("prompts", expected.prompts, found.prompts);
  compare("context", expected.context.text(), found.context.text());
  compare("pooled width", expected.pooled_width, found.pooled_width);
  compare("time_ids", expected.time_ids, found.time_ids);
  compare("scaling_factor", expected.scaling_factor, found.scaling_factor);
  compare("shift", expected.shift, found.shift);
  compare("codec", expected.codec, found.codec);
  compare("text_encoder", expected.text_encoder, found.text_encoder);
  compare("content_crc32c", expected.content_crc, found.content_crc);
  return out;
}

Shard Shard::open(const std::filesystem::path& path) {
  Shard out;
  out.path_ = path;
  out.file_ = io::open_for_reading(path);
  out.identity_ = identity_of(path);
  const auto reader = io::Hdf5Reader::open(path);
  std::vector<std::string> problems;
  Schema schema(reader, problems);
  ShardFacts& facts = out.facts_;

  (void)reader.list();  // refuses links anywhere in the root group
  read_attributes(reader, facts, problems);
  const auto latents = schema.numbers("latents", 4, {DType::F16, DType::F32}, false);
  const auto moments = schema.numbers("moments", 4, {DType::F16, DType::F32}, false);
  if (latents.has_value() == moments.has_value())
    schema.problem("exactly one of the datasets 'latents' and 'moments' must be there, found {}",
                   latents ? "both" : "none");
  const auto prompts = schema.numbers("prompt_embeds", 3, {DType::F16, DType::F32}, true);
  const auto index = schema.numbers("prompt_index", 1, {DType::I32, DType::U32, DType::I64}, true);
  const auto crcs = schema.numbers("crc32c", 1, {DType::U32}, true);
  const auto prompt_crcs = schema.numbers("prompt_crc32c", 1, {DType::U32}, true);
  const auto pooled = schema.numbers("pooled_prompt_embeds", 2, {DType::F16, DType::F32}, false);
  const auto time_ids = schema.numbers("time_ids", 2, {DType::F32}, false);
  if (!problems.empty()) refuse(path, problems);

  const auto& samples = moments ? *moments : *latents;
  facts.samples = static_cast<std::uint64_t>(samples.shape[0]);
  facts.moments = moments.has_value();
  facts.latent_type = samples.dtype;
  if (facts.moments && samples.shape[1] % 2 != 0) schema.problem("'moments' needs an even number of channels");
  facts.latent = Shape{facts.moments ? samples.shape[1] / 2 : samples.shape[1], samples.shape[2], samples.shape[3]};
  facts.prompts = static_cast<std::uint64_t>(prompts->shape[0]);
  facts.prompt_type = prompts->dtype;
  facts.context = Shape{prompts->shape[1], prompts->shape[2]};
  schema.need_address(samples);
  schema.need_address(*prompts);
  schema.need_length(*index, facts.samples);
  schema.need_length(*crcs, facts.samples);
  schema.need_length(*prompt_crcs, facts.prompts);
  if (pooled) {
    facts.pooled_width = pooled->shape[1];
    schema.need_address(*pooled);
    schema.need_length(*pooled, facts.prompts);
    if (pooled->dtype != facts.prompt_type) schema.problem("both prompt tables must have one type");
  }
  if (time_ids) {
    facts.time_ids = true;
    schema.need_length(*time_ids, facts.samples);
    if (time_ids->shape[1] != 6) schema.problem("dataset 'time_ids': expected [N,6], found {}", time_ids->shape.text());
  }
  if (!problems.empty()) refuse(path, problems);

  out.latents_at_ = *samples.address;
  out.prompts_at_ = *prompts->address;
  out.pooled_at_ = pooled ? *pooled->address : 0;
  try {
    out.crcs_ = schema.values<std::uint32_t>(*crcs, DType::U32);
    out.prompt_crcs_ = schema.values<std::uint32_t>(*prompt_crcs, DType::U32);
    if (time_ids) out.time_ids_ = schema.values<float>(*time_ids, DType::F32);
    const auto wide = schema.values<std::int64_t>(*index, DType::I64);
    out.prompt_index_.reserve(wide.size());
    for (std::size_t row = 0; row < wide.size(); ++row) {
      if (wide[row] < 0 || static_cast<std::uint64_t>(wide[row]) >= facts.prompts) {
        schema.problem("dataset 'prompt_index': row {} says {}, but there are {} prompts", row, wide[row],
                       facts.prompts);
        break;
      }
      out.prompt_index_.push_back(static_cast<std::uint32_t>(wide[row]));
    }
  } catch (const Error& error) {
    problems.emplace_back(error.what());
  }
  if (!problems.empty()) refuse(path, problems);
  facts.content_crc = crc32c(std::as_bytes(std::span(out.crcs_)));
  facts.content_crc = crc32c(std::as_bytes(std::span(out.prompt_crcs_)), facts.content_crc);
  facts.content_crc = crc32c(std::as_bytes(std::span(out.prompt_index_)), facts.content_crc);
  facts.content_crc = crc32c(std::as_bytes(std::span(out.time_ids_)), facts.content_crc);
  return out;
}

std::span<const float> Shard::time_ids(std::uint64_t row) const {
  return std::span(time_ids_).subspan(row * 6, 6);
}

std::size_t Shard::latent_bytes() const noexcept {
  return static_cast<std::size_t>(facts_.latent.count()) * (facts_.moments ? 2 : 1) * size_of(facts_.latent_type);
}
std::size_t Shard::context_bytes() const noexcept {
  return static_cast<std::size_t>(facts_.context.count()) * size_of(facts_.prompt_type);
}
std::size_t Shard::pooled_bytes() const noexcept {
  return static_cast<std::size_t>(facts_.pooled_width) * size_of(facts_.prompt_type);
}

Shard::Identity Shard::identity_of(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) io::fail_errno("inspect", path, errno);
  return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
          static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec};
}

std::string Shard::change() const {
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) return " The file was removed while running.";
  const Identity now = identity_of(path_);
  if (now == identity_) return "";
  if (now.inode != identity_.inode || now.device != identity_.device)
    return " The file was replaced while running (another inode).";
  return fmt::format(" The file was changed while running ({} bytes, now {}; modification time {}).", identity_.bytes,
                     now.bytes, now.changed_ns == identity_.changed_ns ? "equal" : "differs");
}

void Shard::read(std::span<std::byte> target, std::uint64_t offset, const char* what, std::uint64_t row) const {
  constexpr int kRetries = 3;
  for (int attempt = 0;; ++attempt) {
    try {
      io::read_at(file_, target, offset, path_);
      return;
    } catch (const Error& error) {
      require(error.code() == Exit::IoError && attempt < kRetries, error.code(), "{}, {} {}: {}.{}", path_.string(),
              what, row, error.what(), change());
      std::this_thread::sleep_for(std::chrono::milliseconds(20 << (3 * attempt)));  // 20, 160, 1280 ms
    }
  }
}

std::span<const std::byte> Shard::read_latent(std::uint64_t row, std::vector<std::byte>& scratch) const {
  const std::size_t bytes = latent_bytes();
  if (scratch.size() < bytes) scratch.resize(bytes);
  const auto target = std::span(scratch).first(bytes);
  read(target, latents_at_ + row * bytes, "row", row);
  const std::uint32_t found = crc32c(target);
  if (found != crcs_[row])
    fail(Exit::BadData,
         "{}, row {}: checksum expected {:08x}, found {:08x}. The file is damaged: copy or make it again.{}",
         path_.string(), row, crcs_[row], found, change());
  return target;
}

std::span<const std::byte> Shard::read_prompt(std::uint64_t prompt, std::vector<std::byte>& scratch) const {
  const std::size_t bytes = context_bytes() + pooled_bytes();
  if (scratch.size() < bytes) scratch.resize(bytes);
  const auto target = std::span(scratch).first(bytes);
  read(target.first(context_bytes()), prompts_at_ + prompt * context_bytes(), "prompt row", prompt);
  if (pooled_bytes() > 0)
    read(target.subspan(context_bytes()), pooled_at_ + prompt * pooled_bytes(), "prompt row", prompt);
  const std::uint32_t found = crc32c(target);
  if (found != prompt_crcs_[prompt])
    fail(Exit::BadData,
         "{}, prompt row {}: checksum expected {:08x}, found {:08x}. The file is damaged: copy or make it again.{}",
         path_.string(), prompt, prompt_crcs_[prompt], found, change());
  return target;
}

}  // namespace ldmpi::data
