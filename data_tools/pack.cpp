// pack: pictures and captions to shards.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "assembler.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/rng.h"
#include "commands.h"
#include "data/codec.h"
#include "data/text_encoder.h"
#include "options.h"
#include "picture_source.h"
#include "picture_transform.h"

namespace ldmpi::data_tools {
namespace {

struct PackOptions {
  std::string input, out, recipe, codec = "pixels", text_encoder = "words", context = "8x64", crop = "center";
  std::string split = "train", max_bad = "1%", dtype = "f16";
  std::string fashion_mnist = "/usr/share/datasets/fashion-mnist";
  std::string emoji_font = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf";
  std::string emoji_names = "/usr/share/unicode/emoji/emoji-test.txt";
  std::int64_t resolution = 0, channels = 0, unshuffle = 2, num_shards = 0, shard_size = 0;
  std::int64_t offset = 0, limit = 0, seed = 0, text_seed = 1;
  bool flip = false, time_ids = false;
  std::optional<double> scaling_factor, shift;
};

bool read_options(Arguments arguments, PackOptions& o) {
  Options options("pack", "Packs pictures and captions into shards. Finished shards are kept when it is run again.");
  options.add("input", &o.input, "PATH",
              "folder of pictures (x.jpg with x.txt, or metadata.jsonl), tar file, or folder of tars");
  options.add("recipe", &o.recipe, "NAME", "fashion-mnist or noto-emoji instead of --input");
  options.add("out", &o.out, "FOLDER", "where the shards go", Options::Required);
  options.add("resolution", &o.resolution, "N", "side of the square pictures (recipes: 32)");
  options.add("crop", &o.crop, "center|random", "which square of a picture");
  options.add("flip", &o.flip, "", "store the mirror image of every picture as well");
  options.add("channels", &o.channels, "1|3", "grey or RGB (default 3; fashion-mnist 1)");
  options.add("codec", &o.codec, "pixels", "what makes latents: pixels = lossless unshuffle");
  options.add("unshuffle", &o.unshuffle, "N", "codec pixels: side of the patch that becomes channels");
  options.add("text_encoder", &o.text_encoder, "words",
              "what makes prompt embeddings: words = fixed random word vectors");
  options.add("context", &o.context, "TxD", "tokens and width of a prompt embedding");
  options.add("text_seed", &o.text_seed, "N", "text encoder words: seed");
  options.add("time_ids", &o.time_ids, "", "store SDXL time ids (original size, crop, target size)");
  options.add("num_shards", &o.num_shards, "N", "number of shards, or");
  options.add("shard_size", &o.shard_size, "N", "pictures per shard (default 4096)");
  options.add("offset", &o.offset, "N", "leave out the first N pictures");
  options.add("limit", &o.limit, "N", "use at most N pictures, 0 = all");
  options.add("split", &o.split, "train|test", "part of fashion-mnist");
  options.add("max_bad", &o.max_bad, "SHARE", "unreadable pictures tolerated, such as 1% or 0.01");
  options.add("scaling_factor", &o.scaling_factor, "X", "instead of 1 / standard deviation of a sample of the latents");
  options.add("shift", &o.shift, "X", "instead of the mean of a sample of the latents");
  options.add("dtype", &o.dtype, "f16|f32", "type of the stored numbers");
  options.add("seed", &o.seed, "N", "seed of random crops");
  options.add("fashion_mnist", &o.fashion_mnist, "FOLDER", "its idx files");
  options.add("emoji_font", &o.emoji_font, "FILE", "font of noto-emoji");
  options.add("emoji_names", &o.emoji_names, "FILE", "emoji-test.txt of Unicode");
  if (!options.parse(arguments)) return false;
  const auto one_of = [](const char* name, const std::string& value, std::initializer_list<const char*> allowed) {
    std::string list;
    for (const char* word : allowed) list += (list.empty() ? "" : " or ") + std::string(word);
    require(std::ranges::find(allowed, value) != allowed.end(), Exit::BadConfig, "--{}: \"{}\" is not {}", name, value,
            list);
  };
  one_of("crop", o.crop, {"center", "random"});
  one_of("codec", o.codec, {"pixels"});
  one_of("text_encoder", o.text_encoder, {"words"});
  one_of("dtype", o.dtype, {"f16", "f32"});
  require(o.input.empty() != o.recipe.empty(), Exit::BadConfig, "give either --input or --recipe");
  if (!o.recipe.empty()) {
    one_of("recipe", o.recipe, {"fashion-mnist", "noto-emoji"});
    if (o.resolution == 0) o.resolution = 32;
    if (o.channels == 0 && o.recipe == "fashion-mnist") o.channels = 1;
  }
  if (o.channels == 0) o.channels = 3;
  require(o.resolution > 0 && o.resolution <= 4096, Exit::BadConfig, "--resolution must be given, 1 to 4096");
  require(o.num_shards == 0 || o.shard_size == 0, Exit::BadConfig, "give --num_shards or --shard_size, not both");
  require(o.num_shards >= 0 && o.shard_size >= 0 && o.offset >= 0 && o.limit >= 0, Exit::BadConfig,
          "--num_shards, --shard_size, --offset and --limit cannot be negative");
  return true;
}

double parse_share(std::string text) {
  const bool percent = text.ends_with('%');
  if (percent) text.pop_back();
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end) / (percent ? 100.0 : 1.0);
  require(!text.empty() && *end == '\0' && value >= 0 && value <= 1, Exit::BadConfig,
          "--max_bad: \"{}\" is not a share", text);
  return value;
}

class Packer {
 public:
  explicit Packer(PackOptions options)
      : o_(std::move(options)),
        max_bad_(parse_share(o_.max_bad)),
        codec_(data::pixels_codec(static_cast<int>(o_.channels), static_cast<int>(o_.unshuffle))),
        source_(open_source()) {
    const Shape context = parse_shape(o_.context, 2, "context");
    encoder_ = data::words_encoder(context[0], context[1], static_cast<std::uint64_t>(o_.text_seed));
    const int side = static_cast<int>(o_.resolution);
    facts_.latent = codec_->latent_shape(side, side);
    facts_.latent_type = facts_.prompt_type = *dtype_from_name(o_.dtype);
    facts_.codec = codec_->id();
    facts_.time_ids = o_.time_ids;
  }

  void run() {
    list();
    const std::int64_t size = o_.num_shards > 0   ? (total() + o_.num_shards - 1) / o_.num_shards
                              : o_.shard_size > 0 ? o_.shard_size
                                                  : 4096;
    const std::int64_t shards = (total() + size - 1) / size;
    prepare_folder(o_.out, shards);
    measure_scale();
    start();
    for (std::int64_t shard = 0; shard < shards; ++shard)
      pack_shard(shard, shard * size, std::min(size, total() - shard * size));
    report_bad();
    finish_folder(o_.out);
  }

 private:
  [[nodiscard]] std::unique_ptr<PictureSource> open_source() const {
    if (o_.recipe == "fashion-mnist") return open_fashion_mnist(o_.fashion_mnist, o_.split);
    if (o_.recipe == "noto-emoji") return open_emoji(o_.emoji_font, o_.emoji_names);
    return open_pictures(o_.input);
  }

  void start() {
    source_->rewind();
    Picture skipped;
    for (std::int64_t i = 0; i < o_.offset && source_->next(skipped); ++i) continue;
  }

  /// Walks over the source without decoding; the pictures' identities decide later which shards are up to date.
  void list() {
    start();
    Picture picture;
    while ((o_.limit == 0 || total() < o_.limit) && source_->next(picture)) {
      const std::string text = picture.key + "\t" + picture.caption + "\t" + picture.stamp;
      identities_.push_back(name_hash(text.data(), text.size()));
    }
    require(total() > 0, Exit::BadData, "no pictures after --offset {}", o_.offset);
  }

  [[nodiscard]] std::int64_t total() const { return static_cast<std::int64_t>(identities_.size()); }

  [[nodiscard]] Square square(const Picture& picture) const {
    const io::Image image = with_channels(picture.load(), codec_->picture_channels());
    const Draw draw{static_cast<std::uint64_t>(o_.seed), Purpose::Synthetic,
                    name_hash(picture.key.data(), picture.key.size())};
    return to_square(image, static_cast<int>(o_.resolution), o_.crop == "random" ? draw.uniform(0) : 0.5F);
  }

  /// Mean and deviation of at most a thousand pictures spread over the source.
  void measure_scale() {
    constexpr std::int64_t kMeasured = 1000;
    const std::int64_t stride = (total() + kMeasured - 1) / kMeasured;
    double count = 0, sum = 0, squares = 0;
    start();
    Picture picture;
    for (std::int64_t i = 0; i < total() && source_->next(picture); ++i) {
      if (i % stride != 0 || (o_.scaling_factor && o_.shift)) continue;
      try {
        for (const float value : codec_->encode(square(picture).image)) {
          sum += value;
          squares += static_cast<double>(value) * value;
          ++count;
        }
      } catch (const Error& error) {
        if (error.code() != Exit::BadData) throw;  // bad pictures are counted when packing
      }
    }
    const double mean = count > 0 ? sum / count : 0.0;
    const double deviation = count > 0 ? std::sqrt(std::max(0.0, squares / count - mean * mean)) : 1.0;
    // Few digits: they stand in every shard and in logs, and more would mean nothing.
    facts_.shift = o_.shift.value_or(std::round(mean * 1e4) / 1e4);
    facts_.scaling_factor = o_.scaling_factor.value_or(deviation > 0 ? std::round(1e4 / deviation) / 1e4 : 1.0);
    require(facts_.scaling_factor > 0, Exit::BadConfig, "the scaling factor must be above 0");
  }

  void pack_shard(std::int64_t shard, std::int64_t first, std::int64_t pictures) {
    const auto path = std::filesystem::path(o_.out) / shard_name(shard);
    ShardAssembler assembler(facts_, *encoder_);
    const std::string settings =
        fmt::format("{} {} {} {} {} {} {} {} {} {}", facts_.codec, encoder_->id(), o_.resolution, o_.crop, o_.flip,
                    o_.dtype, o_.seed, o_.time_ids, facts_.scaling_factor, facts_.shift);
    const auto identities = std::as_bytes(
        std::span(identities_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(pictures)));
    const std::string recipe =
        fmt::format("{:016x}{:08x}", name_hash(settings.data(), settings.size()), crc32c(identities));
    const bool kept = recipe == data::recipe_of(path);
    Picture picture;
    for (std::int64_t i = 0; i < pictures; ++i) {
      require(source_->next(picture), Exit::BadData, "the pictures changed while packing: start again");
      if (!kept) add(picture, assembler);
    }
    if (kept) {
      fmt::print("{}: kept\n", path.string());
      return;
    }
    require(assembler.samples() > 0, Exit::BadData, "{}: none of its {} pictures can be read", path.string(), pictures);
    assembler.write(path, recipe);
    fmt::print("{}: {} samples\n", path.string(), assembler.samples());
    std::fflush(stdout);
  }

  void add(const Picture& picture, ShardAssembler& assembler) try {
    const Square square_picture = square(picture);
    const auto side = static_cast<float>(o_.resolution);
    std::vector<float> time_ids;
    if (o_.time_ids)
      time_ids = {static_cast<float>(square_picture.original_height),
                  static_cast<float>(square_picture.original_width),
                  static_cast<float>(square_picture.crop_top),
                  static_cast<float>(square_picture.crop_left),
                  side,
                  side};
    assembler.add(codec_->encode(square_picture.image), picture.caption, picture.key, time_ids);
    if (o_.flip)
      assembler.add(codec_->encode(mirrored(square_picture.image)), picture.caption, picture.key + " mirrored",
                    time_ids);
  } catch (const Error& error) {
    if (error.code() != Exit::BadData) throw;
    bad_.push_back(fmt::format("{}: {}", picture.key, error.what()));
    if (static_cast<double>(bad_.size()) > max_bad_ * static_cast<double>(total())) {
      report_bad();
      fail(Exit::BadData, "more than {} of {} pictures cannot be read (--max_bad)", o_.max_bad, total());
    }
  }

  void report_bad() const {
    for (const auto& text : bad_) log::warning("left out: {}", text);
    if (!bad_.empty()) log::warning("{} of {} pictures were left out", bad_.size(), total());
  }

  PackOptions o_;
  double max_bad_;
  std::unique_ptr<data::Codec> codec_;
  std::unique_ptr<PictureSource> source_;
  std::unique_ptr<data::TextEncoder> encoder_;
  data::ShardFacts facts_;
  std::vector<std::uint64_t> identities_;  // of all pictures, in order
  std::vector<std::string> bad_;
};

}  // namespace

void run_pack(Arguments arguments) {
  PackOptions options;
  if (read_options(arguments, options)) Packer(std::move(options)).run();
}

}  // namespace ldmpi::data_tools
