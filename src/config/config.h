#pragma once
// The one typed, closed configuration: a plain struct per command, each default beside its field. What an option is
// called, its range, help text and aliases stand in the option tables (options_*.cpp); docs/options.md is printed
// from them. A field whose type is optional, or whose value is Auto, is settled by resolve() in resolve.h or, where
// noted, by a file of the model; after that it holds the value in use.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ldmpi::config {

enum class Device : std::uint8_t { Auto, Cpu, Cuda };
/// Who carries the collectives of the step. Auto: NCCL between GPUs, else MPI.
enum class CommBackend : std::uint8_t { Auto, Nccl, Mpi };
enum class Precision : std::uint8_t { Auto, Fp32, Tf32, Bf16, Fp16 };
enum class Resume : std::uint8_t { Auto, Never, Must };
enum class Switch : std::uint8_t { Auto, On, Off };
enum class Stage : std::uint8_t { Graph, Schedule, Plan, Kernels };
enum class LrSchedule : std::uint8_t { Constant, Linear, Cosine };
enum class Prediction : std::uint8_t { Auto, Epsilon, VPrediction, Sample };
enum class BetaSchedule : std::uint8_t { Auto, Linear, ScaledLinear, SquaredCos };
enum class BadSample : std::uint8_t { Stop, Skip };
enum class LogLevel : std::uint8_t { Debug, Info, Warning, Error };
enum class Sampler : std::uint8_t { Ddim, DpmSolverPp };
enum class Weights : std::uint8_t { Ema, Live };
enum class FileDType : std::uint8_t { Keep, Fp32, Fp16, Bf16 };
enum class WeightFormat : std::uint8_t { Diffusers, Ldm };

/// Sizes written as "4x64x64"; empty: not given.
using Dims = std::vector<std::int64_t>;

struct ModelConfig {
  std::string path;                 ///< start from: pipeline folder, unet folder, one file, a run or a checkpoint
  std::string config;               ///< unet/config.json of a net that starts from random weights
  std::vector<std::string> freeze;  ///< name prefixes (diffusers state-dict) of parameters that stay as they are
  std::int64_t recompute_mib = 0;   ///< budget for the activations of a rank, met by computing twice; 0: keep all
};

struct DataConfig {
  std::string path;                        ///< folder of shards with manifest.json
  BadSample bad_sample = BadSample::Stop;  ///< what to do with a sample whose checksum is wrong
  std::int64_t prefetch = 4;               ///< batches read ahead by each rank
  double caption_dropout = 0.1;            ///< probability of the empty prompt
};

struct ValidationConfig {
  std::string path;           ///< folder of shards; empty: no validation
  std::int64_t every = 500;   ///< optimizer steps between two validations
  std::int64_t samples = 64;  ///< fixed (sample, timestep, noise) triples
};

/// Pictures drawn during training.
struct SamplesConfig {
  std::int64_t every = 0;            ///< optimizer steps between two drawings; 0: none
  std::vector<std::string> prompts;  ///< a picture of each; empty: the first prompts of the data
  std::int64_t count = 8;            ///< pictures where there are no prompts
  std::int64_t steps = 25;
  double guidance = 5;
  std::uint64_t seed = 0;
};

struct OptimizerConfig {
  std::optional<double> learning_rate;  ///< unset: 1e-5 with model.path, 1e-4 from scratch
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;  ///< decoupled
  double max_grad_norm = 1.0;  ///< 0: no clipping
  bool shard = false;          ///< the state is spread over all ranks of the job
};

struct ScheduleConfig {
  LrSchedule name = LrSchedule::Constant;
  std::optional<std::int64_t> warmup_steps;  ///< unset: 500, at most 10 % of max_train_steps
};

struct EmaConfig {
  Switch enabled = Switch::Auto;  ///< auto: off with model.path, else on
  double decay = 0.9999;
  bool warmup = true;  ///< decay grows with the count of updates
};

struct DiffusionConfig {
  // Auto and unset: from scheduler_config.json of the model where there is one, else epsilon, scaled_linear, 0.00085,
  // 0.012, 1000, off. The trainer writes back what it uses.
  Prediction prediction_type = Prediction::Auto;
  BetaSchedule beta_schedule = BetaSchedule::Auto;
  std::optional<double> beta_start;
  std::optional<double> beta_end;
  std::optional<std::int64_t> num_train_timesteps;
  Switch zero_terminal_snr = Switch::Auto;
  double snr_gamma = 0;     ///< min-SNR weighting; 0: off
  double noise_offset = 0;  ///< 0: off
};

struct CheckpointConfig {
  std::int64_t every = 500;  ///< optimizer steps; the last step is always saved
  std::int64_t keep = 2;     ///< newest checkpoints that stay
};

struct LogConfig {
  std::int64_t every = 10;  ///< optimizer steps between two lines of progress on a pipe (a terminal shows each)
  bool tensorboard = true;
  std::optional<double> peak_tflops;  ///< of a device; unset: from its data sheet where that is known
  bool draws = false;  ///< each rank writes logs/draws-rank-*.tsv: sample, draw, timestep, noise of each row
  LogLevel level = LogLevel::Info;
};

struct CommConfig {
  std::int64_t bucket_mib = 25;  ///< size of one gradient all-reduce
  CommBackend backend = CommBackend::Auto;
  bool allow_shared_gpu = false;
};

/// ldmpi train
struct TrainConfig {
  std::optional<std::int64_t> num_gpus;          ///< total number of ranks; unset: what the launcher gives, else 1
  std::optional<std::int64_t> batch_size;        ///< samples of one rank in one pass
  std::optional<std::int64_t> total_batch_size;  ///< num_gpus x batch_size x accumulation
  std::optional<std::int64_t> accumulation;      ///< passes summed before an update
  Precision precision = Precision::Auto;         ///< auto: fp32 on cpu, bf16 on cuda
  Device device = Device::Auto;
  bool deterministic = false;  ///< equal bits in every run, on CUDA too
  std::uint64_t seed = 0;
  std::int64_t max_train_steps = 10000;  ///< optimizer steps
  std::string output_dir;
  Resume resume = Resume::Auto;
  std::vector<std::string> resume_allow;  ///< `resume.allow`: fixed keys that may change on a resume
  std::vector<Stage> print;               ///< stages of the compiler to print instead of training
  ModelConfig model;
  DataConfig data;
  ValidationConfig validation;
  SamplesConfig samples;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  EmaConfig ema;
  DiffusionConfig diffusion;
  CheckpointConfig checkpoint;
  LogConfig log;
  CommConfig comm;
};

/// ldmpi plan
struct PlanConfig {
  ModelConfig model;
  std::int64_t num_gpus = 1;
  // The equation of train; solved by resolve_batch() of resolve.h.
  std::optional<std::int64_t> batch_size, total_batch_size, accumulation;
  Precision precision = Precision::Auto;  ///< auto: by the target, as in train
  Dims latent;                            ///< C,H,W; empty: from the model config
  Dims context;                           ///< tokens, width; empty: from the model config
  std::string target = "cpu";             ///< cpu[:threads=N] or cuda[:h100|...]
  std::optional<double> memory_gib;       ///< set: also find the largest batch that fits
  bool json = false;
  std::vector<Stage> print;
  bool shard = false;                                 ///< `optimizer.shard`
  Switch ema = Switch::Auto;                          ///< `ema.enabled`
  std::int64_t bucket_mib = CommConfig{}.bucket_mib;  ///< `comm.bucket_mib`
  std::int64_t samples_every = 0;                     ///< `samples.every`
  LogLevel log_level = LogLevel::Info;
};

/// ldmpi probe
struct ProbeConfig {
  std::string model_path;
  std::string model_config;  ///< `model.config`: of weights that have no config.json beside them
  std::string input;         ///< safetensors: sample, timesteps, encoder_hidden_states, target, ...
  std::string output;        ///< safetensors: output, loss, grad.*, input_grad.*
  Device device = Device::Auto;
  Precision precision = Precision::Auto;
  LogLevel log_level = LogLevel::Info;
};

/// ldmpi sample
struct SampleConfig {
  std::string model_path;
  std::string model_config;  ///< `model.config`: of weights that have no config.json beside them
  std::vector<std::string> prompt;
  std::string negative_prompt;  ///< empty: the stored empty prompt
  std::string out;
  std::int64_t steps = 25;
  double guidance = 5;
  std::uint64_t seed = 0;
  Sampler sampler = Sampler::DpmSolverPp;
  Weights use = Weights::Ema;  ///< where there is no EMA, live weights
  std::int64_t batch_size = 8;
  std::int64_t images_per_prompt = 1;
  Dims latent;               ///< C,H,W; empty: as in training
  std::string text_encoder;  ///< empty: the one recorded with the weights
  Device device = Device::Auto;
  Precision precision = Precision::Auto;
  LogLevel log_level = LogLevel::Info;
};

/// ldmpi convert IN OUT
struct ConvertConfig {
  std::string input;
  std::string output;
  std::string model_config;  ///< `model.config`: of weights that have no config.json beside them
  FileDType dtype = FileDType::Keep;
  bool ema = false;  ///< take the average, not the trained weights
  WeightFormat format = WeightFormat::Diffusers;
  LogLevel log_level = LogLevel::Info;
};

/// ldmpi bench: the step of train on synthetic data.
struct BenchConfig {
  TrainConfig train;
  std::int64_t steps = 10;  ///< timed steps
  std::int64_t warmup = 3;  ///< steps before them
  bool no_update = false;   ///< forward and backward only
  Dims latent;
  Dims context;
  bool json = false;
};

/// ldmpi report RUN
struct ReportConfig {
  std::string run;
  std::string out;  ///< empty: RUN/report.html
};

/// ldmpi top RUN
struct TopConfig {
  std::string run;
  bool once = false;       ///< one frame on stdout, no terminal needed
  double interval = 1;     ///< seconds between two looks at the files
  std::int64_t width = 0;  ///< columns; 0: of the terminal, else 100
};

}  // namespace ldmpi::config
