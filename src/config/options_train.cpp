// The option rows of train. Aliases are the names of diffusers' text-to-image script.
#include "config/options.h"

namespace ldmpi::config {
namespace {

void add_run(OptionTable& table, TrainConfig& c) {
  table.group("Run");
  table.add("output_dir", c.output_dir, "run folder: checkpoints, metrics, logs, final weights").shows("DIR");
  table.add("max_train_steps", c.max_train_steps, "optimizer steps of the whole run").positive();
  add_num_gpus(table, c.num_gpus);
  add_batch(table, c.batch_size, c.total_batch_size, c.accumulation);
  add_device(table, c.device, c.precision);
  table.add("deterministic", c.deterministic, "equal bits in every run on CUDA too, where it costs speed");
  table.add("seed", c.seed, "key of all random numbers").fixed();
  table.add("print", c.print, "print these stages of the compiled step instead of training; may be repeated")
      .commas()
      .rare();
}

void add_model(OptionTable& table, ModelConfig& c) {
  table.group("Model");
  add_net(table, c);
  table
      .add("model.recompute_mib", c.recompute_mib,
           "budget of one rank for activations: what does not fit is computed again in backward; 0: keep all")
      .within(0, 1e9)
      .rare();
}

void add_data(OptionTable& table, DataConfig& data, ValidationConfig& validation) {
  table.group("Data");
  table.add("data.path", data.path, "folder of shards made by ldmpi-data")
      .shows("DIR")
      .content()
      .also("train_data_dir");
  table.add("data.caption_dropout", data.caption_dropout, "probability of training on the empty prompt")
      .within(0, 1)
      .fixed()
      .also("proportion_empty_prompts");
  table.add("data.bad_sample", data.bad_sample, "on a wrong checksum stop, or skip the sample and say so").rare();
  table.add("data.prefetch", data.prefetch, "batches that each rank reads ahead").within(1, 1024).rare();
  table.group("Validation");
  table.add("validation.path", validation.path, "folder of shards for the validation loss; none: no validation")
      .shows("DIR");
  table.add("validation.every", validation.every, "optimizer steps between two validations").positive();
  table.add("validation.samples", validation.samples, "fixed (sample, timestep, noise) triples").positive().rare();
}

void add_samples(OptionTable& table, SamplesConfig& c) {
  table.group("Samples during training");
  add_samples_every(table, c.every);
  table.add("samples.prompts", c.prompts, "what to draw; may be repeated")
      .shows("PROMPT")
      .also("validation_prompts")
      .by_default("prompts of the first samples of the validation or training data");
  table.add("samples.count", c.count, "pictures where no prompts are given").within(1, 4096).rare();
  table.add("samples.steps", c.steps, "calls of the net per picture").within(1, 10000).rare();
  table.add("samples.guidance", c.guidance, "classifier-free guidance; 1: none").within(0, 1000).rare();
  table.add("samples.seed", c.seed, "key of the starting noise").rare();
}

void add_optimizer(OptionTable& table, OptimizerConfig& c, ScheduleConfig& schedule, EmaConfig& ema) {
  table.group("Optimizer (AdamW)");
  table.add("optimizer.learning_rate", c.learning_rate, "learning rate after the warm-up")
      .within(0, 1)
      .also("learning_rate")
      .by_default("1e-5 with model.path, else 1e-4");
  table.add("optimizer.weight_decay", c.weight_decay, "decoupled weight decay")
      .within(0, 1)
      .fixed()
      .also("adam_weight_decay");
  table.add("optimizer.max_grad_norm", c.max_grad_norm, "global gradient norm is clipped here; 0: never")
      .at_least(0)
      .fixed()
      .also("max_grad_norm");
  table.add("optimizer.beta1", c.beta1, "decay of the first moment")
      .at_least(0)
      .below(1)
      .fixed()
      .rare()
      .also("adam_beta1");
  table.add("optimizer.beta2", c.beta2, "decay of the second moment")
      .at_least(0)
      .below(1)
      .fixed()
      .rare()
      .also("adam_beta2");
  table.add("optimizer.epsilon", c.epsilon, "added to the root of the second moment")
      .within(1e-16, 1)
      .fixed()
      .rare()
      .also("adam_epsilon");
  add_shard(table, c.shard);
  table.group("Learning rate schedule");
  table.add("schedule.name", schedule.name, "course of the learning rate after the warm-up; counts optimizer steps")
      .also("lr_scheduler", {{"constant_with_warmup", "constant"}});
  table.add("schedule.warmup_steps", schedule.warmup_steps, "steps of linear growth from 0")
      .within(0, 1e9)
      .also("lr_warmup_steps")
      .by_default("500, at most 10 % of max_train_steps");
  table.group("EMA");
  table.add("ema.enabled", ema.enabled, "keep a moving average of the weights; auto: off with model.path, else on")
      .fixed()
      .also("use_ema");
  table.add("ema.decay", ema.decay, "weight of the old average in an update").at_least(0).below(1).fixed();
  table.add("ema.warmup", ema.warmup, "let the decay grow with the number of updates").fixed().rare();
}

void add_diffusion(OptionTable& table, DiffusionConfig& c) {
  const std::string from_model = ", unless the model's scheduler_config.json says otherwise";
  table.group("Diffusion");
  table.add("diffusion.prediction_type", c.prediction_type, "what the net predicts")
      .fixed()
      .also("prediction_type")
      .by_default("epsilon" + from_model);
  table.add("diffusion.snr_gamma", c.snr_gamma, "min-SNR-gamma loss weights; 0: off")
      .at_least(0)
      .fixed()
      .also("snr_gamma");
  table.add("diffusion.noise_offset", c.noise_offset, "strength of noise that is equal over a channel; 0: off")
      .at_least(0)
      .fixed()
      .also("noise_offset");
  table.add("diffusion.zero_terminal_snr", c.zero_terminal_snr, "rescale betas so that the last step is pure noise")
      .fixed()
      .also("rescale_betas_zero_snr")
      .by_default("off" + from_model);
  table.add("diffusion.beta_schedule", c.beta_schedule, "course of the noise")
      .fixed()
      .rare()
      .by_default("scaled_linear" + from_model);
  table.add("diffusion.beta_start", c.beta_start, "first beta")
      .at_least(1e-12)
      .below(1)
      .fixed()
      .rare()
      .by_default("0.00085" + from_model);
  table.add("diffusion.beta_end", c.beta_end, "last beta")
      .at_least(1e-12)
      .below(1)
      .fixed()
      .rare()
      .by_default("0.012" + from_model);
  table.add("diffusion.num_train_timesteps", c.num_train_timesteps, "noise levels")
      .within(2, 1e6)
      .fixed()
      .rare()
      .by_default("1000" + from_model);
}

void add_house(OptionTable& table, TrainConfig& c) {
  table.group("Checkpoint and resume");
  table.add("checkpoint.every", c.checkpoint.every, "optimizer steps between two checkpoints; the last step is saved")
      .positive()
      .also("checkpointing_steps");
  table.add("checkpoint.keep", c.checkpoint.keep, "newest checkpoints that stay")
      .within(1, 1e6)
      .also("checkpoints_total_limit");
  table.add("resume", c.resume, "continue the run in output_dir if there is one, never, or only if there is one")
      .also("resume_from_checkpoint", {{"latest", "auto"}});
  table.add("resume.allow", c.resume_allow, "options that may differ from the run that is resumed; may be repeated")
      .shows("KEY")
      .commas()
      .rare();
  table.group("Logging");
  table.add("log.every", c.log.every, "optimizer steps between two progress lines").positive();
  table.add("log.tensorboard", c.log.tensorboard, "write TensorBoard event files beside metrics.jsonl");
  table
      .add("log.peak_tflops", c.log.peak_tflops,
           "TFLOP/s that a device could do in this precision: the share of it is shown")
      .within(1e-6, 1e6)
      .by_default("data sheet of the GPU, where known")
      .rare();
  table
      .add("log.draws", c.log.draws,
           "write sample, draw, timestep and first noise of every row to logs/draws-rank-*.tsv")
      .rare();
  add_log_level(table, c.log.level);
  table.group("Communication");
  table.add("comm.bucket_mib", c.comm.bucket_mib, "MiB of gradients in one all-reduce").within(1, 65536).rare();
  table.add("comm.backend", c.comm.backend, "what carries gradients; auto: nccl between GPUs, else mpi").rare();
  table.add("comm.allow_shared_gpu", c.comm.allow_shared_gpu, "let ranks share a GPU; gradients then go over mpi").rare();
}

}  // namespace

OptionTable table_of(TrainConfig& config) {
  OptionTable table("train", "train [options]", "trains a latent-diffusion U-Net, or continues a run",
                    {"ldmpi train --model.config unet/config.json --data.path D --output_dir RUN --batch_size 8",
                     "mpirun -n 4 ldmpi train --config job.cfg --total_batch_size 64",
                     "ldmpi train --config job.cfg --num_gpus 4 optimizer.learning_rate=5e-5"});
  add_run(table, config);
  add_model(table, config.model);
  add_data(table, config.data, config.validation);
  add_samples(table, config.samples);
  add_optimizer(table, config.optimizer, config.schedule, config.ema);
  add_diffusion(table, config.diffusion);
  add_house(table, config);
  return table;
}

}  // namespace ldmpi::config
