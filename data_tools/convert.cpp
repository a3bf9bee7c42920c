// convert: latents that other programs made, to shards.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "assembler.h"
#include "base/check.h"
#include "commands.h"
#include "data/text_encoder.h"
#include "io/atomic_file.h"
#include "latent_file.h"
#include "options.h"

namespace ldmpi::data_tools {
namespace {

namespace fs = std::filesystem;

struct ConvertOptions {
  std::string input, out, codec = "sd-vae", context = "8x64", dtype = "f16";
  std::int64_t shard_size = 4096, text_seed = 1;
  double scaling_factor = 0.18215, shift = 0.0;
  bool already_scaled = false, moments = false, flip = false;
};

std::vector<fs::path> latent_files(const fs::path& input) {
  const auto status = fs::status(input);
  require(fs::exists(status), Exit::MissingInput, "{} does not exist", input.string());
  if (!fs::is_directory(status)) return {input};
  std::vector<fs::path> files;
  for (fs::recursive_directory_iterator at(input), end; at != end; ++at) {
    const auto extension = at->path().extension();
    if (extension == ".npz" || extension == ".npy" || extension == ".safetensors") files.push_back(at->path());
  }
  require(!files.empty(), Exit::BadData, "{} holds no .npz, .npy or .safetensors files", input.string());
  std::ranges::sort(files);
  return files;
}

/// The caption beside a latent file: x.txt for x.npz and for kohya-ss's x_0512x0768_sd.npz.
std::string caption_of(const fs::path& file) {
  fs::path text = file;
  text.replace_extension(".txt");
  if (!fs::exists(text)) {
    std::string stem = file.stem().string();
    for (int part = 0; part < 2 && !fs::exists(text); ++part) {
      stem = stem.substr(0, stem.rfind('_'));
      text = file.parent_path() / (stem + ".txt");
    }
  }
  if (!fs::exists(text)) return "";
  std::string caption = io::read_text_file(text, std::uint64_t{1} << 20);
  return caption.substr(0, caption.find_last_not_of(" \r\n\t") + 1);
}

class Converter {
 public:
  explicit Converter(ConvertOptions options) : o_(std::move(options)) {
    const Shape context = parse_shape(o_.context, 2, "context");
    encoder_ = data::words_encoder(context[0], context[1], static_cast<std::uint64_t>(o_.text_seed));
    facts_.latent_type = facts_.prompt_type = *dtype_from_name(o_.dtype);
    facts_.moments = o_.moments;
    facts_.codec = o_.codec;
    facts_.scaling_factor = o_.scaling_factor;
    facts_.shift = o_.shift;
  }

  void run() {
    const auto files = latent_files(o_.input);
    prepare_folder(o_.out, 0);
    for (const auto& file : files) {
      const std::string caption = caption_of(file);
      for (auto& array : read_latents(file, o_.flip)) add(file, caption, array);
    }
    for (auto& [shape, open] : open_) write(open);
    finish_folder(o_.out);
  }

 private:
  void add(const fs::path& file, const std::string& caption, LatentArray& array) {
    const bool many = array.shape.rank() == 4;
    const std::int64_t stored = array.shape[many ? 1 : 0];
    require(!o_.moments || stored % 2 == 0, Exit::BadData, "{}: {} cannot be mean and log-variance", file.string(),
            array.shape.text());
    const Shape latent{o_.moments ? stored / 2 : stored, array.shape[-2], array.shape[-1]};
    const auto values = static_cast<std::size_t>(stored * latent[1] * latent[2]);
    if (o_.already_scaled) unscale(array, values);
    for (std::size_t i = 0; i * values < array.values.size(); ++i) {
      const auto row = std::span(array.values).subspan(i * values, values);
      const std::string key =
          fmt::format("{}{}{}", file.filename().string(), array.name.empty() ? "" : ":" + array.name,
                      many ? fmt::format(":{}", i) : "");
      require(std::ranges::all_of(row, [](float v) { return std::isfinite(v); }), Exit::BadData,
              "{} holds NaN or infinity in {}", file.string(), key);
      auto& open = open_[latent.text()];
      if (!open) {
        facts_.latent = latent;
        open = std::make_unique<ShardAssembler>(facts_, *encoder_);
      }
      open->add(row, caption, key);
      if (open->samples() == static_cast<std::size_t>(o_.shard_size)) write(open);
    }
  }

  /// Shards hold raw latents. Of moments the mean is scaled like a latent, the log-variance by the square.
  void unscale(LatentArray& array, std::size_t values) const {
    const double logarithm = 2.0 * std::log(o_.scaling_factor);
    for (std::size_t i = 0; i < array.values.size(); ++i) {
      float& value = array.values[i];
      const bool logvar = o_.moments && i % values >= values / 2;
      value = static_cast<float>(logvar ? value - logarithm : value / o_.scaling_factor + o_.shift);
    }
  }

  void write(std::unique_ptr<ShardAssembler>& open) {
    if (!open) return;
    const auto path = fs::path(o_.out) / shard_name(written_++);
    open->write(path, "");
    fmt::print("{}: {} samples\n", path.string(), open->samples());
    open.reset();
  }

  ConvertOptions o_;
  std::unique_ptr<data::TextEncoder> encoder_;
  data::ShardFacts facts_;
  std::map<std::string, std::unique_ptr<ShardAssembler>> open_;  // by latent shape: one shape per shard
  std::int64_t written_ = 0;
};

}  // namespace

void run_convert(Arguments arguments) {
  ConvertOptions o;
  Options options("convert",
                  "Converts latents in npz (also kohya-ss caches), npy or safetensors files, with captions in "
                  "x.txt beside x.npz.");
  options.add("input", &o.input, "PATH", "one file, or a folder searched for .npz, .npy and .safetensors",
              Options::Required);
  options.add("out", &o.out, "FOLDER", "where the shards go", Options::Required);
  options.add("scaling_factor", &o.scaling_factor, "X", "of the autoencoder (SD 1.x and 2.x: 0.18215, SDXL: 0.13025)");
  options.add("shift", &o.shift, "X", "of the autoencoder");
  options.add("already_scaled", &o.already_scaled, "", "the latents were multiplied by the scaling factor already");
  options.add("moments", &o.moments, "", "the arrays hold mean and log-variance, [2C,H,W]");
  options.add("flip", &o.flip, "", "take latents_flipped as well");
  options.add("codec", &o.codec, "NAME", "what made the latents, for the record");
  options.add("context", &o.context, "TxD", "tokens and width of a prompt embedding (text encoder words)");
  options.add("text_seed", &o.text_seed, "N", "seed of the text encoder words");
  options.add("shard_size", &o.shard_size, "N", "samples per shard");
  options.add("dtype", &o.dtype, "f16|f32", "type of the stored numbers");
  if (!options.parse(arguments)) return;
  require(o.dtype == "f16" || o.dtype == "f32", Exit::BadConfig, "--dtype: \"{}\" is not f16 or f32", o.dtype);
  require(o.shard_size > 0 && o.scaling_factor > 0, Exit::BadConfig,
          "--shard_size and --scaling_factor must be above 0");
  Converter(std::move(o)).run();
}

}  // namespace ldmpi::data_tools
