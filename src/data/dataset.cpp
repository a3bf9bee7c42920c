#include "data/dataset.h"

#include <sys/resource.h>

#include <algorithm>
#include <list>
#include <map>
#include <mutex>

#include "base/check.h"
#include "base/log.h"
#include "base/rng.h"
#include "data/convert.h"
#include "data/manifest.h"
#include "data/shard_check.h"
#include "io/hdf5.h"

namespace ldmpi::data {
namespace {

/// What is wrong with a dataset, and the exit code that fits best.
class Problems {
 public:
  void add(const Error& error) {
    // One code for many problems: what an administrator must do comes before what the owner of the data must do.
    const auto rank = [](Exit code) { return code == Exit::NoPermission ? 3 : code == Exit::MissingInput ? 2 : 1; };
    if (texts_.empty() || rank(error.code()) > rank(code_)) code_ = error.code();
    texts_.emplace_back(error.what());
  }
  void add(const std::string& text) { add(Error(Exit::BadData, text)); }
  [[nodiscard]] bool empty() const { return texts_.empty(); }
  void raise(const std::filesystem::path& path) const {
    if (texts_.empty()) return;
    constexpr std::size_t kMost = 50;
    std::string all;
    for (std::size_t i = 0; i < std::min(texts_.size(), kMost); ++i) all += "\n- " + texts_[i];
    if (texts_.size() > kMost) all += fmt::format("\n- and {} more", texts_.size() - kMost);
    fail(code_, "the dataset {} cannot be used ({} problem{}):{}", path.string(), texts_.size(),
         texts_.size() == 1 ? "" : "s", all);
  }

 private:
  Exit code_ = Exit::BadData;
  std::vector<std::string> texts_;
};

/// Opens every file of the manifest (not through HDF5) and compares its size.
void check_files(const std::vector<ShardFile>& entries, Problems& problems) {
  for (const auto& entry : entries) try {
      const auto size = io::size_of_file(io::open_for_reading(entry.path), entry.path);
      if (size != entry.bytes)
        problems.add(
            fmt::format("{} has {} bytes, the manifest says {}: truncated or replaced. Copy it again, or after "
                        "a wanted change: ldmpi-data verify --write_manifest",
                        entry.path.string(), size, entry.bytes));
    } catch (const Error& error) {
      problems.add(error);
    }
}

std::uint64_t fingerprint_of(const std::vector<ShardFile>& entries) {
  std::string text;
  for (const auto& entry : entries) {
    const ShardFacts& facts = entry.facts;
    text += fmt::format("{} {} {} {} {} {} {} {} {} {} {} {:08x}\n", facts.samples, facts.latent.text(), facts.moments,
                        facts.context.text(), facts.prompts, facts.pooled_width, facts.time_ids, facts.scaling_factor,
                        facts.shift, facts.codec, facts.text_encoder, facts.content_crc);
  }
  return name_hash(text.data(), text.size());
}

/// Open shards at most: half of what the process may have open, the rest is for sockets and checkpoints.
std::size_t open_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 512;
  return std::clamp<std::size_t>(limit.rlim_cur / 2, 8, 2048);
}

}  // namespace

struct Dataset::State {
  std::filesystem::path path;
  DatasetInfo info;
  std::vector<ShardFile> entries;
  std::vector<Segment> segments;
  std::size_t limit = open_limit();

  std::mutex mutex;  // guards what follows
  struct Open {
    std::shared_ptr<const Shard> shard;
    std::list<std::size_t>::iterator age;
  };
  std::map<std::size_t, Open> open;
  std::list<std::size_t> ages;  // front = used last

  [[nodiscard]] std::size_t entry_of(std::uint64_t sample) const {
    LDMPI_CHECK(sample < info.samples, "sample {} of {}", sample, info.samples);
    const auto after = std::ranges::upper_bound(segments, sample, {}, &Segment::first);
    return static_cast<std::size_t>(after - segments.begin()) - 1;
  }

  [[nodiscard]] std::shared_ptr<const Shard> shard(std::size_t index) {
    const std::scoped_lock lock(mutex);
    if (const auto found = open.find(index); found != open.end()) {
      ages.splice(ages.begin(), ages, found->second.age);
      return found->second.shard;
    }
    const ShardFile& entry = entries[index];
    auto fresh = std::make_shared<const Shard>(Shard::open(entry.path));
    const auto differing = differences(entry.facts, fresh->facts());
    require(differing.empty(), Exit::BadData,
            "{} is not what it was when the dataset was opened, or what the manifest "
            "says: {}",
            entry.path.string(), differing.empty() ? "" : differing.front());
    if (open.size() >= limit) {
      open.erase(ages.back());
      ages.pop_back();
    }
    ages.push_front(index);
    open.emplace(index, Open{fresh, ages.begin()});
    return fresh;
  }
};

Dataset::Dataset(std::unique_ptr<State> state) : state_(std::move(state)) {}
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;
Dataset::~Dataset() = default;

Dataset Dataset::open(const std::filesystem::path& path, OpenOptions options) {
  auto state = std::make_unique<State>();
  state->path = path;
  std::error_code status_error;
  const auto status = std::filesystem::status(path, status_error);
  if (status_error) io::fail_errno("open the dataset", path, status_error.value());
  const bool folder = std::filesystem::is_directory(status);

  Problems problems;
  auto& entries = state->entries;
  const auto manifest = folder ? read_manifest(path) : std::nullopt;
  const auto files = folder ? shard_files(path) : std::vector{path};
  if (manifest) {
    for (const auto& shard : manifest->shards) entries.push_back({path / shard.file, shard.bytes, shard.facts});
    for (const auto& file : files)
      if (std::ranges::find(entries, file, &ShardFile::path) == entries.end())
        log::warning("{} is not in {} and is not used. To include it: ldmpi-data verify --write_manifest {}",
                     file.string(), kManifestName, path.string());
    if (options.check_files) check_files(entries, problems);
  } else {
    for (const auto& file : files) try {
        const Shard shard = Shard::open(file);
        entries.push_back({file, shard.file_bytes(), shard.facts()});
      } catch (const Error& error) {
        problems.add(error);
      }
  }
  if (entries.empty() && problems.empty())
    problems.add("no shards: make some with ldmpi-data pack or synth, or as in docs/file_formats.md");
  for (const auto& conflict : conflicts(entries)) problems.add(conflict);
  problems.raise(path);

  DatasetInfo& info = state->info;
  const ShardFacts& first = entries.front().facts;
  info.has_moments = first.moments;
  info.context = first.context;
  info.pooled_width = first.pooled_width;
  info.has_time_ids = first.time_ids;
  info.scaling_factor = first.scaling_factor;
  info.shift = first.shift;
  info.codec = first.codec;
  info.text_encoder = first.text_encoder;
  info.fingerprint = fingerprint_of(entries);
  for (const auto& entry : entries) {
    auto bucket = std::ranges::find(info.buckets, entry.facts.latent, &Bucket::latent);
    if (bucket == info.buckets.end()) bucket = info.buckets.insert(bucket, {entry.facts.latent, 0});
    bucket->samples += entry.facts.samples;
    state->segments.push_back(
        {static_cast<std::size_t>(bucket - info.buckets.begin()), info.samples, entry.facts.samples});
    info.samples += entry.facts.samples;
  }
  return Dataset(std::move(state));
}

const DatasetInfo& Dataset::info() const noexcept {
  return state_->info;
}
const std::vector<Segment>& Dataset::segments() const noexcept {
  return state_->segments;
}
std::size_t Dataset::bucket_of(std::uint64_t sample) const {
  return state_->segments[state_->entry_of(sample)].bucket;
}

Shape Dataset::stored_shape(std::size_t bucket) const {
  const Shape& latent = state_->info.buckets.at(bucket).latent;
  return Shape{latent[0] * (state_->info.has_moments ? 2 : 1), latent[1], latent[2]};
}

std::string Dataset::where(std::uint64_t sample) const {
  const std::size_t index = state_->entry_of(sample);
  return fmt::format("{}, row {}", state_->entries[index].path.string(), sample - state_->segments[index].first);
}

void Dataset::resize(Rows& rows, std::size_t bucket, std::size_t n) const {
  const DatasetInfo& info = state_->info;
  rows.latents.resize(n * static_cast<std::size_t>(stored_shape(bucket).count()));
  rows.context.resize(n * static_cast<std::size_t>(info.context.count()));
  rows.pooled.resize(n * static_cast<std::size_t>(info.pooled_width));
  rows.time_ids.resize(info.has_time_ids ? n * 6 : 0);
}

namespace {

/// Converts the prompt row at `stored` into the context and pooled places given. Errors: BadData for NaN or infinity.
void convert_prompt(const Shard& shard, std::uint64_t prompt, std::vector<std::byte>& scratch, std::span<float> context,
                    std::span<float> pooled) {
  const auto stored = shard.read_prompt(prompt, scratch);
  const DType type = shard.facts().prompt_type;
  const bool finite = convert_scaled(stored.first(shard.context_bytes()), type, 0.0F, 1.0F, context) &&
                      convert_scaled(stored.subspan(shard.context_bytes()), type, 0.0F, 1.0F, pooled);
  require(finite, Exit::BadData, "{}, prompt row {}: the embedding holds NaN or infinity", shard.path().string(),
          prompt);
}

}  // namespace

void Dataset::read(std::uint64_t sample, Rows& rows, std::size_t position) const {
  const std::size_t index = state_->entry_of(sample);
  const auto shard = state_->shard(index);
  const DatasetInfo& info = state_->info;
  const std::uint64_t row = sample - state_->segments[index].first;

  const auto values = static_cast<std::size_t>(stored_shape(state_->segments[index].bucket).count());
  const auto latents = std::span(rows.latents).subspan(position * values, values);
  const auto shift = static_cast<float>(info.shift);
  const auto scale = static_cast<float>(info.scaling_factor);
  const auto stored = shard->read_latent(row, rows.scratch);
  bool finite = true;
  if (info.has_moments) {
    const auto half = stored.size() / 2;
    finite = convert_scaled(stored.first(half), shard->facts().latent_type, shift, scale, latents.first(values / 2)) &&
             convert_scaled(stored.subspan(half), shard->facts().latent_type, 0.0F, 1.0F, latents.subspan(values / 2));
    deviation_from_logvar(latents.subspan(values / 2), scale);
  } else {
    finite = convert_scaled(stored, shard->facts().latent_type, shift, scale, latents);
  }
  require(finite, Exit::BadData, "{}, row {}: the latent holds NaN or infinity. Find all with: ldmpi-data verify",
          shard->path().string(), row);
  const auto context = static_cast<std::size_t>(info.context.count());
  const auto pooled = static_cast<std::size_t>(info.pooled_width);
  convert_prompt(*shard, shard->prompt_of(row), rows.scratch,
                 std::span(rows.context).subspan(position * context, context),
                 std::span(rows.pooled).subspan(position * pooled, pooled));
  if (info.has_time_ids)
    std::ranges::copy(shard->time_ids(row), rows.time_ids.begin() + static_cast<std::ptrdiff_t>(position * 6));
}

std::vector<float> Dataset::empty_prompt() const {
  std::vector<float> context(static_cast<std::size_t>(state_->info.context.count()));
  std::vector<float> pooled(static_cast<std::size_t>(state_->info.pooled_width));
  std::vector<std::byte> scratch;
  convert_prompt(*state_->shard(0), 0, scratch, context, pooled);
  return context;
}

std::vector<float> Dataset::empty_pooled() const {
  std::vector<float> context(static_cast<std::size_t>(state_->info.context.count()));
  std::vector<float> pooled(static_cast<std::size_t>(state_->info.pooled_width));
  std::vector<std::byte> scratch;
  convert_prompt(*state_->shard(0), 0, scratch, context, pooled);
  return pooled;
}

std::string Dataset::caption(std::uint64_t sample) const {
  const std::size_t index = state_->entry_of(sample);
  const auto reader = io::Hdf5Reader::open(state_->entries[index].path);
  if (!reader.dataset("caption")) return "";
  auto captions = reader.read_text("caption");
  const auto row = static_cast<std::size_t>(sample - state_->segments[index].first);
  require(row < captions.size(), Exit::BadData, "{}: 'caption' has {} rows", where(sample), captions.size());
  return std::move(captions[row]);
}

}  // namespace ldmpi::data
