// The option rows of every command but train.
#include "config/options.h"

namespace ldmpi::config {
namespace {

Option& add_shape(OptionTable& table, const char* key, Dims& dims, const char* help, const char* example) {
  return table.add(key, dims, help).shows(example);
}

void add_model_config(OptionTable& table, std::string& file) {
  table.add("model.config", file, "unet/config.json for weights that have none beside them").shows("FILE");
}

}  // namespace

void add_net(OptionTable& table, ModelConfig& c) {
  add_model_path(table, c.path).fixed();
  table
      .add("model.config", c.config,
           "unet/config.json of diffusers: a net with random weights, or of weights that have none beside them")
      .shows("FILE")
      .fixed();
  table.add("model.freeze", c.freeze, "prefixes of parameter names that are not trained; may be repeated")
      .shows("PREFIX")
      .commas()
      .fixed()
      .rare();
}

void add_num_gpus(OptionTable& table, std::optional<std::int64_t>& num_gpus) {
  table
      .add("num_gpus", num_gpus,
           "total number of ranks, one per GPU; outside a launcher the program starts its own mpirun")
      .within(1, 65536)
      .also("num_processes")
      .by_default("what the launcher gives, else 1");
}

Option& add_model_path(OptionTable& table, std::string& path) {
  return table.add("model.path", path, "weights: a pipeline folder, a unet folder, one file, a run or a checkpoint")
      .shows("PATH")
      .also("pretrained_model_name_or_path");
}

void add_batch(OptionTable& table, std::optional<std::int64_t>& batch_size, std::optional<std::int64_t>& total,
               std::optional<std::int64_t>& accumulation) {
  table.add("batch_size", batch_size, "samples of one rank in one pass")
      .within(1, 65536)
      .also("train_batch_size")
      .by_default("from total_batch_size, else 1");
  table.add("total_batch_size", total, "samples of one optimizer step; alone it fixes batch_size")
      .positive()
      .fixed()
      .by_default("num_gpus x batch_size x accumulation");
  table.add("accumulation", accumulation, "passes whose gradients are summed before an update")
      .within(1, 65536)
      .also("gradient_accumulation_steps")
      .by_default("from total_batch_size and batch_size, else 1");
}

void add_device(OptionTable& table, Device& device, Precision& precision) {
  table.add("device", device, "auto: cuda where it is usable, else cpu");
  table.add("precision", precision, "of activations and compute weights")
      .fixed()
      .also("mixed_precision", {{"no", "fp32"}})
      .by_default("fp32 on the CPU, bf16 on CUDA");
}

Option& add_shard(OptionTable& table, bool& shard) {
  return table.add("optimizer.shard", shard, "spread the optimizer's state over all ranks").word("world", "on");
}

void add_samples_every(OptionTable& table, std::int64_t& every) {
  table.add("samples.every", every, "optimizer steps between two grids of sample pictures; 0: none").within(0, 1e9);
}

void add_log_level(OptionTable& table, LogLevel& level) {
  table.add("log.level", level, "least severe message that reaches stderr").rare();
}

void add_general(OptionTable& table, General& general) {
  table.group("General");
  table.add("config", general.config, "configuration file; may be repeated, a later file wins").shows("FILE").general =
      true;
  table.add("print_config", general.print_config, "print every option with value and source, then end").general = true;
  table.add("help", general.help, "this text; --help=all with the rarely used options")
      .shows("all")
      .bare("groups")
      .general = true;
}

OptionTable table_of(PlanConfig& c) {
  OptionTable table("plan", "plan [options]",
                    "prints parameters, memory, FLOPs and communication of a training step; needs no GPU",
                    {"ldmpi plan --model.config unet/config.json --batch_size 8 --precision bf16 --target cuda:h100",
                     "ldmpi plan --config job.cfg --memory_gib 80", "ldmpi plan --model.path sd21 --json"});
  table.group("Plan");
  add_net(table, c.model);
  table.add("model.recompute_mib", c.model.recompute_mib, "budget of one rank for activations; 0: keep all")
      .within(0, 1e9);
  table.add("num_gpus", c.num_gpus, "ranks").within(1, 65536).also("num_processes");
  add_batch(table, c.batch_size, c.total_batch_size, c.accumulation);
  table.add("precision", c.precision, "of activations and compute weights")
      .also("mixed_precision", {{"no", "fp32"}})
      .by_default("fp32 on the CPU, bf16 on CUDA");
  add_shape(table, "latent", c.latent, "channels x height x width of a latent", "4x64x64")
      .by_default("from the model config");
  add_shape(table, "context", c.context, "tokens x width of a prompt", "77x768").by_default("from the model config");
  table
      .add("target", c.target,
           "machine: cpu, cpu:threads=N, cuda, or cuda:NAME for the memory of a GPU, e.g. cuda:h100")
      .shows("TARGET");
  table.add("memory_gib", c.memory_gib, "also find the largest batch_size that fits into this memory of a rank")
      .within(1.0 / 1024, 1e6);
  add_shard(table, c.shard);
  table.add("ema.enabled", c.ema, "keep a moving average of the weights").also("use_ema");
  table.add("comm.bucket_mib", c.bucket_mib, "MiB of gradients in one all-reduce").within(1, 65536).rare();
  add_samples_every(table, c.samples_every);
  table.add("print", c.print, "also print these stages of the compiled step; may be repeated").commas().rare();
  table.add("json", c.json, "machine-readable output");
  add_log_level(table, c.log_level);
  return table;
}

OptionTable table_of(ProbeConfig& c) {
  OptionTable table("probe", "probe [options]",
                    "runs a U-Net forward and backward on given inputs and writes output, loss and every gradient",
                    {"ldmpi probe --model.path sd15 --input in.safetensors --output out.safetensors"});
  table.group("Probe");
  add_model_path(table, c.model_path);
  add_model_config(table, c.model_config);
  table.add("input", c.input, "safetensors: sample, timesteps, encoder_hidden_states, target [, text_embeds, time_ids]")
      .shows("FILE");
  table.add("output", c.output, "safetensors to write: output, loss, grad.*, input_grad.*").shows("FILE");
  add_device(table, c.device, c.precision);
  add_log_level(table, c.log_level);
  return table;
}

OptionTable table_of(SampleConfig& c) {
  OptionTable table("sample", "sample [options]", "draws pictures from a run or from weights",
                    {"ldmpi sample --model.path RUN --prompt \"a red boot\" --out pictures",
                     "ldmpi sample --model.path RUN --prompt boot --prompt bag --images_per_prompt 4 --out pictures",
                     "ldmpi sample --model.path RUN --prompt boot --sampler ddim --steps 50 --guidance 7.5 --out p"});
  table.group("Sample");
  add_model_path(table, c.model_path);
  add_model_config(table, c.model_config);
  table.add("prompt", c.prompt, "what to draw; may be repeated").or_empty();
  table.add("negative_prompt", c.negative_prompt, "what to lead away from").by_default("the empty prompt").or_empty();
  table.add("out", c.out, "folder for the pictures").shows("DIR");
  table.add("steps", c.steps, "calls of the net per picture").within(1, 10000).also("num_inference_steps");
  table.add("guidance", c.guidance, "classifier-free guidance; 1: none").within(0, 1000).also("guidance_scale");
  table.add("seed", c.seed, "key of the starting noise");
  table.add("sampler", c.sampler, "way through the noise levels");
  table.add("images_per_prompt", c.images_per_prompt, "pictures of each prompt")
      .within(1, 1e6)
      .also("num_images_per_prompt");
  table.add("batch_size", c.batch_size, "pictures drawn at once").within(1, 65536);
  table.add("use", c.use, "the average of the weights (where there is one) or the trained weights");
  add_shape(table, "latent", c.latent, "channels x height x width of a latent", "4x64x64")
      .by_default("as in training")
      .rare();
  table.add("text_encoder", c.text_encoder, "text encoder id").by_default("the one recorded with the weights").rare();
  add_device(table, c.device, c.precision);
  add_log_level(table, c.log_level);
  return table;
}

OptionTable table_of(ConvertConfig& c) {
  OptionTable table("convert", "convert IN OUT [options]", "converts weights between formats and element types",
                    {"ldmpi convert RUN model --dtype fp16 --ema",
                     "ldmpi convert RUN/final model.safetensors --format ldm", "ldmpi convert v1-5.safetensors sd15"});
  table.group("Convert");
  table.add("in", c.input, "weights: a folder, a file, a run or a checkpoint").shows("IN").by_place();
  table.add("out", c.output, "folder or file to write").shows("OUT").by_place();
  add_model_config(table, c.model_config);
  table.add("dtype", c.dtype, "element type of the result");
  table.add("ema", c.ema, "take the average of the weights");
  table.add("format", c.format, "a diffusers folder or one file with the names of the original repository");
  add_log_level(table, c.log_level);
  return table;
}

OptionTable table_of(BenchConfig& c) {
  OptionTable table("bench", "bench [options]", "times the training step on synthetic data",
                    {"ldmpi bench --model.config unet/config.json --batch_size 4",
                     "mpirun -n 4 ldmpi bench --config job.cfg --json"});
  table.group("Bench");
  add_net(table, c.train.model);
  add_num_gpus(table, c.train.num_gpus);
  add_batch(table, c.train.batch_size, c.train.total_batch_size, c.train.accumulation);
  add_device(table, c.train.device, c.train.precision);
  table.add("steps", c.steps, "timed steps").within(1, 1e6);
  table.add("warmup", c.warmup, "steps before them").within(0, 1e6);
  table.add("no_update", c.no_update, "forward and backward only: no optimizer and none of its memory");
  add_shape(table, "latent", c.latent, "channels x height x width of a latent", "4x64x64")
      .by_default("from the model config");
  add_shape(table, "context", c.context, "tokens x width of a prompt", "77x768").by_default("from the model config");
  add_shard(table, c.train.optimizer.shard);
  table.add("ema.enabled", c.train.ema.enabled, "keep a moving average of the weights").also("use_ema");
  table.add("comm.bucket_mib", c.train.comm.bucket_mib, "MiB of gradients in one all-reduce").within(1, 65536).rare();
  table.add("json", c.json, "machine-readable output");
  add_log_level(table, c.train.log.level);
  return table;
}

OptionTable table_of(ReportConfig& c) {
  OptionTable table("report", "report RUN [options]", "writes a run as one HTML file", {"ldmpi report RUN"});
  table.group("Report");
  table.add("run", c.run, "run folder").shows("RUN").by_place();
  table.add("out", c.out, "file to write").shows("FILE").by_default("RUN/report.html");
  return table;
}

OptionTable table_of(TopConfig& c) {
  OptionTable table("top", "top RUN [options]", "shows a running or finished run in the terminal, from its files",
                    {"ldmpi top RUN", "ldmpi top RUN --once"});
  table.group("Top");
  table.add("run", c.run, "run folder").shows("RUN").by_place();
  table.add("once", c.once, "print one picture of the run and end; needs no terminal");
  table.add("interval", c.interval, "seconds between two looks at the files").within(0.1, 3600);
  table.add("width", c.width, "columns").within(0, 1000).by_default("of the terminal, else 100").rare();
  return table;
}

OptionTable table_of(CommandConfig& config) {
  return std::visit([](auto& typed) { return table_of(typed); }, config);
}

const std::vector<CommandConfig>& all_commands() {
  static const std::vector<CommandConfig> commands{TrainConfig{}, PlanConfig{},    SampleConfig{}, ProbeConfig{},
                                                   BenchConfig{}, ConvertConfig{}, ReportConfig{},
                                                   TopConfig{}};
  return commands;
}

}  // namespace ldmpi::config
