#include "config/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "config/options.h"
#include "config/resolve.h"

namespace ldmpi::config {
namespace {

void need(bool given, const char* key, const char* how, Faults& faults) {
  if (!given) faults.add("", fmt::format("{} is not given: {}", key, how));
}

/// Weights, a net without weights, or both.
void need_model(const ModelConfig& model, Faults& faults) {
  need(!model.path.empty() || !model.config.empty(), "model.path",
       "name weights to start from (--model.path PATH) or a net to train from scratch (--model.config FILE)", faults);
}

void machine(Device device, Precision precision, Faults& faults) {
  if (device == Device::Cpu && precision == Precision::Tf32) {
    faults.add("", "precision tf32 exists on CUDA only; with device cpu use fp32, bf16 or fp16");
  }
}

void rank_of(const Dims& dims, std::size_t rank, const char* key, const char* example, Faults& faults) {
  if (!dims.empty() && dims.size() != rank) {
    faults.add("", fmt::format("{} has {} sizes, not {}: write it like {}", key, dims.size(), rank, example));
  }
}

/// More elements than 2^40 in a batch are a slip, and their bytes could not be counted.
void size_of_batch(const Dims& dims, std::int64_t batch_size, const char* key, Faults& faults) {
  double elements = static_cast<double>(batch_size);
  for (const std::int64_t size : dims) elements *= static_cast<double>(size);
  if (elements > 0x1p40) {
    faults.add("", fmt::format("{} {} in a batch of {} has {:.1e} elements; at most 2^40 can be planned", key,
                               write_dims(dims), batch_size, elements));
  }
}

/// Runs a check of another page and takes its message over.
template <typename F>
void collect(Faults& faults, F&& check) {
  try {
    check();
  } catch (const Error& error) {
    faults.add("", error.what());
  }
}

void batch(const std::optional<std::int64_t>& ranks, const std::optional<std::int64_t>& batch_size,
           const std::optional<std::int64_t>& total, const std::optional<std::int64_t>& accumulation, Faults& faults) {
  const std::int64_t factor = batch_size.value_or(1) * accumulation.value_or(1);
  if (ranks) {
    collect(faults, [&] { (void)resolve_batch(batch_size, total, accumulation, *ranks); });
  } else if (total && *total % factor != 0) {
    faults.add("", fmt::format("total_batch_size {} is no multiple of batch_size x accumulation = {}; "
                               "total_batch_size = num_gpus x batch_size x accumulation",
                               *total, factor));
  }
}

void diffusion(const DiffusionConfig& c, Faults& faults) {
  if (c.zero_terminal_snr == Switch::On && c.prediction_type == Prediction::Epsilon) {
    faults.add("",
               "diffusion.zero_terminal_snr on cannot be learned with diffusion.prediction_type epsilon (the last "
               "noise level holds no picture); use v_prediction or sample");
  }
  if (c.beta_start && c.beta_end && *c.beta_start > *c.beta_end) {
    faults.add("", fmt::format("diffusion.beta_start {} is above diffusion.beta_end {}", *c.beta_start, *c.beta_end));
  }
}

void resume_keys(const TrainConfig& config, Faults& faults) {
  TrainConfig scratch;
  const OptionTable table = table_of(scratch);
  for (const std::string& key : config.resume_allow) {
    if (table.find(key)) continue;
    const std::string near = table.nearest(key);
    faults.add(
        "", fmt::format("resume.allow names no option: {}{}", key, near.empty() ? "" : "; did you mean " + near + "?"));
  }
}

bool same_folder(const std::string& a, const std::string& b) {
  const auto normal = [](const std::string& path) { return (std::filesystem::path(path) / "").lexically_normal(); };
  return !a.empty() && !b.empty() && normal(a) == normal(b);
}

struct Missing {
  Faults& faults;
  void operator()(const TrainConfig& c) const {
    need_model(c.model, faults);
    need(!c.data.path.empty(), "data.path", "name the folder of shards, --data.path DIR; ldmpi-data makes one", faults);
    need(!c.output_dir.empty() || !c.print.empty(), "output_dir", "name the run folder, --output_dir DIR", faults);
  }
  void operator()(const PlanConfig& c) const { need_model(c.model, faults); }
  void operator()(const BenchConfig& c) const { need_model(c.train.model, faults); }
  void operator()(const ProbeConfig& c) const {
    need(!c.model_path.empty(), "model.path", "name the weights, --model.path PATH", faults);
    need(!c.input.empty(), "input", "name the file of inputs, --input FILE", faults);
    need(!c.output.empty(), "output", "name the file to write, --output FILE", faults);
  }
  void operator()(const SampleConfig& c) const {
    need(!c.model_path.empty(), "model.path", "name a run or weights, --model.path PATH", faults);
    need(!c.prompt.empty(), "prompt", "say what to draw, --prompt TEXT", faults);
    need(!c.out.empty(), "out", "name the folder for the pictures, --out DIR", faults);
  }
  void operator()(const ConvertConfig& c) const {
    need(!c.input.empty(), "IN", "usage: ldmpi convert IN OUT", faults);
    need(!c.output.empty(), "OUT", "usage: ldmpi convert IN OUT", faults);
  }
  void operator()(const ReportConfig& c) const { need(!c.run.empty(), "RUN", "usage: ldmpi report RUN", faults); }
  void operator()(const TopConfig& c) const { need(!c.run.empty(), "RUN", "usage: ldmpi top RUN", faults); }
};

struct Contradictions {
  Faults& faults;
  void shapes(const Dims& latent, const Dims& context, std::int64_t batch_size) const {
    rank_of(latent, 3, "latent", "4x64x64", faults);
    rank_of(context, 2, "context", "77x768", faults);
    size_of_batch(latent, batch_size, "latent", faults);
    size_of_batch(context, batch_size, "context", faults);
  }
  void operator()(const TrainConfig& c) const {
    machine(c.device, c.precision, faults);
    batch(c.num_gpus, c.batch_size, c.total_batch_size, c.accumulation, faults);
    diffusion(c.diffusion, faults);
    resume_keys(c, faults);
    if (c.schedule.warmup_steps && *c.schedule.warmup_steps > c.max_train_steps) {
      faults.add("", fmt::format("schedule.warmup_steps {} is above max_train_steps {}: the learning rate would never "
                                 "be reached",
                                 *c.schedule.warmup_steps, c.max_train_steps));
    }
    if (same_folder(c.output_dir, c.data.path)) {
      faults.add("", fmt::format("output_dir and data.path are the same folder {}", c.output_dir));
    }
  }
  void operator()(const PlanConfig& c) const {
    batch(c.num_gpus, c.batch_size, c.total_batch_size, c.accumulation, faults);
    shapes(c.latent, c.context, c.batch_size.value_or(1));
    if (c.json && !c.print.empty()) {
      faults.add("", "json and print exclude each other: stages are printed as text; give one of the two");
    }
    if (std::find(c.print.begin(), c.print.end(), Stage::Kernels) != c.print.end()) {
      faults.add("",
                 "print kernels: they are picked on the device, which ldmpi plan does not touch; "
                 "ldmpi train --print kernels shows them");
    }
    const std::string machine_name = c.target.substr(0, c.target.find(':'));
    if (machine_name != "cpu" && machine_name != "cuda") {
      faults.add("", fmt::format("target '{}' is neither cpu[:threads=N] nor cuda[:NAME]", c.target));
    } else {
      machine(machine_name == "cpu" ? Device::Cpu : Device::Cuda, c.precision, faults);
    }
  }
  void operator()(const BenchConfig& c) const {
    (*this)(c.train);
    shapes(c.latent, c.context, c.train.batch_size.value_or(1));
  }
  void operator()(const ProbeConfig& c) const {
    machine(c.device, c.precision, faults);
    if (!c.input.empty() && c.input == c.output) faults.add("", "input and output are the same file " + c.input);
  }
  void operator()(const SampleConfig& c) const {
    machine(c.device, c.precision, faults);
    shapes(c.latent, {}, c.batch_size);
  }
  void operator()(const ConvertConfig& c) const {
    if (same_folder(c.input, c.output)) faults.add("", "IN and OUT are the same: " + c.input);
  }
  void operator()(const ReportConfig&) const {}
  void operator()(const TopConfig&) const {}
};

}  // namespace

void find_missing(const CommandConfig& config, Faults& faults) {
  std::visit(Missing{faults}, config);
}

void find_contradictions(const CommandConfig& config, Faults& faults) {
  std::visit(Contradictions{faults}, config);
}

}  // namespace ldmpi::config
