// inspect: what a dataset holds, as text or JSON.

#include <algorithm>
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

/// Mean and standard deviation over several shards, weighted by their values.
data::Statistics together(const std::vector<data::ManifestShard>& shards) {
  double count = 0;
  double sum = 0;
  double squares = 0;
  data::Statistics out = shards.front().statistics;
  for (const auto& shard : shards) {
    const double values = static_cast<double>(shard.facts.samples) * static_cast<double>(shard.facts.latent.count());
    const auto& part = shard.statistics;
    count += values;
    sum += values * part.mean;
    squares += values * (part.deviation * part.deviation + part.mean * part.mean);
    out.smallest = std::min(out.smallest, part.smallest);
    out.largest = std::max(out.largest, part.largest);
  }
  out.mean = sum / count;
  out.deviation = std::sqrt(std::max(0.0, squares / count - out.mean * out.mean));
  return out;
}

}  // namespace

void run_inspect(Arguments arguments) {
  std::string path;
  std::int64_t captions = 5;
  Options options("inspect", "Shows schema, sizes, statistics and some captions of a dataset.");
  options.add_positional("DATASET", path, "a folder of shards or one shard file");
  options.add("captions", &captions, "N", "captions to show");
  if (!options.parse(arguments)) return;

  const auto dataset = data::Dataset::open(path);
  const auto& info = dataset.info();
  const bool folder = std::filesystem::is_directory(path);
  auto manifest = folder ? data::read_manifest(path) : std::nullopt;
  if (!manifest) {
    manifest.emplace();
    for (const auto& file : folder ? data::shard_files(path) : std::vector<std::filesystem::path>{path}) {
      const auto shard = data::Shard::open(file);
      const auto report = data::check_shard(shard);
      manifest->shards.push_back(
          {file.filename().string(), shard.file_bytes(), report.file_crc, shard.facts(), report.statistics});
    }
  }
  fmt::print("samples         {} in {} shards\n", info.samples, manifest->shards.size());
  for (const auto& bucket : info.buckets)
    fmt::print("latents         {} {} ({} samples){}\n", bucket.latent.text(),
               name_of(manifest->shards.front().facts.latent_type), bucket.samples,
               info.has_moments ? ", mean and log-variance" : "");
  fmt::print("context         {} {}\n", info.context.text(), name_of(manifest->shards.front().facts.prompt_type));
  if (info.pooled_width > 0) fmt::print("pooled          [{}]\n", info.pooled_width);
  if (info.has_time_ids) fmt::print("time ids        [6]\n");
  fmt::print("codec           {}\ntext encoder    {}\n", info.codec, info.text_encoder);
  fmt::print("scaling_factor  {}\nshift           {}\nfingerprint     {:016x}\n", info.scaling_factor, info.shift,
             info.fingerprint);
  const auto all = together(manifest->shards);
  const double scaled_mean = (all.mean - info.shift) * info.scaling_factor;
  const double scaled_deviation = all.deviation * info.scaling_factor;
  fmt::print("raw latents     mean {:.4g}, standard deviation {:.4g}, {:.4g} to {:.4g}\n", all.mean, all.deviation,
             all.smallest, all.largest);
  fmt::print("scaled latents  mean {:.4g}, standard deviation {:.4g}\n", scaled_mean, scaled_deviation);
  for (const auto& shard : manifest->shards)
    fmt::print("{:<20} {:>8} samples  {:>6} prompts  {:<14} {:>12} bytes  mean {:>9.4g}  std {:>9.4g}\n", shard.file,
               shard.facts.samples, shard.facts.prompts, shard.facts.latent.text(), shard.bytes, shard.statistics.mean,
               shard.statistics.deviation);
  const auto shown =
      std::min<std::uint64_t>(info.samples, static_cast<std::uint64_t>(std::max<std::int64_t>(captions, 0)));
  for (std::uint64_t i = 0; i < shown; ++i) {
    const std::uint64_t sample = i * info.samples / shown;
    fmt::print("{}: \"{}\"\n", dataset.where(sample), dataset.caption(sample));
  }
  if (!(scaled_deviation >= 0.5 && scaled_deviation <= 2.0))
    log::warning(
        "the scaled latents have standard deviation {:.3g}, expected about 1 (0.5 .. 2): training will go badly. "
        "A scaling_factor of {:.5g} would give 1",
        scaled_deviation, 1.0 / all.deviation);
}

}  // namespace ldmpi::data_tools
