#include "train/run_samples.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/log.h"
#include "data/batch_reader.h"
#include "data/text_encoder.h"
#include "io/image_grid.h"

namespace ldmpi::train {
namespace {

constexpr auto kPicturesAtOnce = static_cast<std::size_t>(kSampleBatch);

void append_row(std::vector<float>& rows, std::span<const float> row) {
  rows.insert(rows.end(), row.begin(), row.end());
}

std::vector<float> encode_prompts(const std::vector<std::string>& prompts, const data::Dataset& data, const nn::UnetConfig& unet) {
  require(!unet.text_time, Exit::BadConfig,
          "samples.prompts: models with pooled text (SDXL) need a text encoder that this version does not have. Leave "
          "samples.prompts out: then prompts of the data are used");
  std::unique_ptr<data::TextEncoder> encoder;
  try {
    encoder = data::TextEncoder::from_id(data.info().text_encoder);
  } catch (const Error& error) {
    fail(Exit::BadConfig,
         "samples.prompts: {}. Leave samples.prompts out: then prompts of the data are used, which are encoded "
         "already",
         error.what());
  }
  require(encoder->context() == data.info().context, Exit::BadData, "the text encoder {} makes {}, but the data hold {}",
          encoder->id(), encoder->context().text(), data.info().context.text());
  std::vector<float> rows;
  for (const auto& prompt : prompts) append_row(rows, encoder->encode(prompt));
  return rows;
}

// The prompts of the first samples of the first latent shape.
Conditions first_prompts_of(const data::Dataset& data, std::size_t count) {
  std::vector<std::uint64_t> ids;
  for (const auto& segment : data.segments())
    for (std::uint64_t i = 0; segment.bucket == 0 && i < segment.count && ids.size() < count; ++i)
      ids.push_back(segment.first + i);
  const auto batch = data::read_samples(data, ids);
  return {batch.rows.context, batch.rows.pooled, batch.rows.time_ids};
}

}  // namespace

RunSamples::RunSamples(const config::SamplesConfig& config, Job& job)
    : job_(job),
      drawing_{.schedule = job.model().schedule,
               .steps = config.steps,
               .guidance = config.guidance,
               .seed = config.seed},
      codec_(find_codec(job.sample_data().info().codec)) {
  const auto& data = job.sample_data();
  const auto& info = data.info();
  (void)diffusion::make_sampler(drawing_.kind, drawing_.schedule, drawing_.steps);
  if (config.prompts.empty()) {
    count_ = static_cast<std::size_t>(
        std::min<std::uint64_t>(static_cast<std::uint64_t>(config.count), info.buckets.front().samples));
    with_ = first_prompts_of(data, count_);
  } else {
    count_ = config.prompts.size();
    with_.context = encode_prompts(config.prompts, data, job.model().unet);
  }
  const auto empty = data.empty_prompt();
  const auto empty_pooled = data.empty_pooled();
  for (std::size_t row = 0; row < kPicturesAtOnce; ++row) {
    append_row(without_.context, empty);
    append_row(without_.pooled, empty_pooled);
  }
}

std::vector<float> RunSamples::draw_batch(std::size_t batch) {
  std::vector<std::uint64_t> pictures;
  Conditions with;
  for (std::size_t row = 0; row < kPicturesAtOnce; ++row) {
    const auto picture = std::min(batch * kPicturesAtOnce + row, count_ - 1);  // the last batch is filled up with the last one
    pictures.push_back(picture);
    const auto copy = [&](const std::vector<float>& from, std::vector<float>& to) {
      const auto width = from.size() / count_;
      append_row(to, std::span(from).subspan(picture * width, width));
    };
    copy(with_.context, with.context);
    copy(with_.pooled, with.pooled);
    copy(with_.time_ids, with.time_ids);
  }
  without_.time_ids = with.time_ids;  // sizes are no prompt: they stay
  return draw_latents(drawing_, job_.programs(), job_.sample_program(), pictures, with, without_);
}

void RunSamples::draw(std::int64_t step, comm::Communicator& communicator, const std::filesystem::path& folder,
                      Metrics* metrics) {
  const auto began = Clock::now();
  const auto ranks = static_cast<std::size_t>(communicator.size());
  const auto batches = (count_ + kPicturesAtOnce - 1) / kPicturesAtOnce;
  std::vector<float> mine;
  for (auto batch = static_cast<std::size_t>(communicator.rank()); batch < batches; batch += ranks)
    append_row(mine, draw_batch(batch));
  const auto all =
      communicator.gather({reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(float)}, 0);
  if (communicator.rank() != 0) return;
  const auto elements = static_cast<std::size_t>(job_.sample_data().info().buckets.front().latent.count());
  std::vector<float> latents(batches * kPicturesAtOnce * elements);
  for (std::size_t batch = 0; batch < batches; ++batch) {
    const auto bytes = kPicturesAtOnce * elements * sizeof(float);
    std::memcpy(latents.data() + batch * kPicturesAtOnce * elements, all[batch % ranks].data() + batch / ranks * bytes, bytes);
  }
  latents.resize(count_ * elements);
  try {
    write(step, std::move(latents), folder, seconds_since(began), metrics);
  } catch (const Error& error) {
    log::warning("the samples of step {} are lost (training goes on): {}", step, error.what());
  }
}

void RunSamples::write(std::int64_t step, std::vector<float> latents, const std::filesystem::path& folder,
                       double seconds, Metrics* metrics) const {
  const auto& info = job_.sample_data().info();
  const auto& shape = info.buckets.front().latent;
  const auto elements = static_cast<std::size_t>(shape.count());
  const auto stem = fmt::format("step-{:08}", step);
  const NamedValues values{{"samples_seconds", seconds}};
  if (!codec_) {
    write_latents(folder / (stem + ".safetensors"), latents, shape);
    if (metrics != nullptr) metrics->event("samples", step, values);
    return;
  }
  std::vector<io::Image> pictures;
  for (std::size_t picture = 0; picture < count_; ++picture) {
    const auto one = std::span(latents).subspan(picture * elements, elements);
    if (!all_finite(one)) {
      log::warning("step {}: sample {} is not finite and left blank", step, picture);
      std::fill(one.begin(), one.end(), 0.0F);
    }
    pictures.push_back(data::decode_scaled(*codec_, one, shape, info.scaling_factor, info.shift));
  }
  const auto columns = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(count_))));
  const auto grid = io::make_grid(pictures, columns);
  io::write_png(folder / (stem + ".png"), grid);
  if (metrics != nullptr) metrics->picture("samples", step, grid, values);
}

}  // namespace ldmpi::train
