#include "train/job.h"

#include "train/recompute_budget.h"

namespace ldmpi::train {

DType compute_type(config::Precision precision) {
  switch (precision) {
    case config::Precision::Bf16: return DType::BF16;
    case config::Precision::Fp16: return DType::F16;
    default: return DType::F32;
  }
}

Job::Job(config::TrainConfig& config, const backend::Lowering& lowering, int rank, int ranks)
    : model_(open_model(config.model.path, config.model.config)) {
  dataset_.emplace(data::Dataset::open(config.data.path, {.check_files = rank == 0}));
  check_data(*dataset_, config.data.path);
  if (!config.validation.path.empty()) {
    validation_.emplace(data::Dataset::open(config.validation.path, {.check_files = rank == 0}));
    check_data(*validation_, config.validation.path);
    require(validation_->info().buckets.front().samples >= static_cast<std::uint64_t>(kValidationBatch), Exit::BadData,
            "{} has fewer than {} samples of one shape: too few for a validation", config.validation.path,
            kValidationBatch);
  }
  model_.schedule = decide_schedule(model_.schedule, config.diffusion);
  objective_ = {.schedule = model_.schedule,
                .snr_gamma = config.diffusion.snr_gamma,
                .noise_offset = config.diffusion.noise_offset,
                .caption_dropout = config.data.caption_dropout,
                .posterior = true,
                .seed = config.seed};
  table_ = std::make_unique<nn::ParameterTable>(model_.unet, config.model.freeze);
  require(table_->trainable_count() > 0, Exit::BadConfig, "model.freeze leaves no parameter to train");

  const auto& o = config.optimizer;
  spec_.unet = &model_.unet;
  spec_.table = table_.get();
  spec_.compute = compute_type(config.precision);
  spec_.update = {.beta1 = static_cast<float>(o.beta1),
                  .beta2 = static_cast<float>(o.beta2),
                  .epsilon = static_cast<float>(o.epsilon),
                  .weight_decay = static_cast<float>(o.weight_decay),
                  .max_grad_norm = static_cast<float>(o.max_grad_norm),
                  .ema = config.ema.enabled == config::Switch::On,
                  .ema_decay = static_cast<float>(config.ema.decay),
                  .ema_warmup = config.ema.warmup,
                  .dynamic_loss_scale = config.precision == config::Precision::Fp16};
  spec_.rank = rank;
  spec_.ranks = ranks;
  spec_.accumulation = static_cast<int>(config.accumulation.value());
  const int shards = o.shard ? ranks : 1;
  parameters_ =
      std::make_unique<ParameterIo>(*table_, lowering, config.comm.bucket_mib << 20, spec_.gradient_type(), shards);
  spec_.storage = &parameters_->storage();
  programs_ = std::make_unique<exec::ProgramSet>(lowering, parameters_->storage());
  add_programs(config, lowering);
}

void Job::check_data(const data::Dataset& data, const std::string& path) const {
  const auto& info = data.info();
  const auto& unet = model_.unet;
  for (const auto& bucket : info.buckets)
    require(bucket.latent[0] == unet.in_channels, Exit::BadData,
            "{} holds latents of {} channels, but the model takes {} (in_channels)", path, bucket.latent[0],
            unet.in_channels);
  require(unet.in_channels == unet.out_channels, Exit::BadConfig,
          "training needs as many out_channels ({}) as in_channels ({})", unet.out_channels, unet.in_channels);
  require(info.context[1] == unet.cross_attention_dim, Exit::BadData,
          "{} holds prompt embeddings {} wide, but the model takes {} (cross_attention_dim)", path, info.context[1],
          unet.cross_attention_dim);
  if (unet.text_time)
    require(info.pooled_width == unet.pooled_dim() && info.has_time_ids, Exit::BadData,
            "the model needs pooled_prompt_embeds [*,{}] and time_ids; {} has pooled width {} and {} time_ids",
            unet.pooled_dim(), path, info.pooled_width, info.has_time_ids ? "has" : "no");
}

void Job::add_programs(const config::TrainConfig& config, const backend::Lowering& lowering) {
  const auto& info = dataset_->info();
  auto batch_of = [](const data::DatasetInfo& data, const Shape& latent, std::int64_t samples) {
    return BatchSpec{{samples, latent[0], latent[1], latent[2]}, data.context[0], data.context[1], data.has_moments};
  };
  for (std::size_t b = 0; b < info.buckets.size(); ++b) {
    const auto loss =
        training_loss(spec_, batch_of(info, info.buckets[b].latent, config.batch_size.value()), objective_);
    auto add = [&](Role role) {
      const auto chosen = choose_recompute(spec_, role, loss, lowering, config.model.recompute_mib << 20);
      return programs_->add(fmt::format("{}.{}", name_of(role), info.buckets[b].latent.text()),
                            build_step(spec_, role, loss, chosen));
    };
    BucketPrograms programs;
    if (spec_.accumulation == 1) {
      programs.step = add(Role::Step);
    } else {
      programs.first = add(Role::First);
      if (spec_.accumulation > 2) programs.middle = add(Role::Middle);
      programs.last = add(Role::Last);
    }
    buckets_.push_back(programs);
  }
  if (validation_) {
    const auto& data = validation_->info();
    const auto loss = training_loss(spec_, batch_of(data, data.buckets.front().latent, kValidationBatch),
                                    diffusion::validation_objective(objective_));
    validation_program_ = programs_->add("evaluate", build_evaluation(spec_, loss));
  }
  if (config.samples.every > 0) {
    const auto& data = sample_data().info();
    sample_program_ =
        programs_->add("sample", build_prediction(spec_, batch_of(data, data.buckets.front().latent, kSampleBatch)));
  }
  programs_->compile();
}

std::map<std::string, std::string> Job::fingerprints() const {
  return {{"model", nn::to_json(model_.unet)}, {"data", fmt::format("{:016x}", dataset_->info().fingerprint)}};
}

}  // namespace ldmpi::train
