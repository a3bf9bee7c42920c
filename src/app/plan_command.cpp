// ldmpi plan: the memory, arithmetic and communication of a rank before any device is touched.

#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/make_backend.h"
#include "backend/formula_lowering.h"
#include "base/log.h"
#include "base/resources.h"
#include "config/resolve.h"
#include "plan/cost.h"
#include "plan/report.h"
#include "train/job.h"
#include "train/memory_check.h"
#include "train/print_stages.h"
#include "train/recompute_budget.h"
#include "train/tensor_stream.h"

namespace ldmpi::app {
namespace {

// Everything about one batch size.
struct Estimate {
  std::unique_ptr<train::ParameterIo> parameters;
  std::unique_ptr<exec::ProgramSet> programs;
  train::StepSpec spec;
  int update = 0;  // the program that ends a step
};

class Planner {
 public:
  Planner(const config::PlanConfig& config, const config::Batch& batch, const nn::UnetConfig& unet,
          const backend::Lowering& lowering, DType compute)
      : config_(config),
        batch_(batch),
        unet_(unet),
        table_(unet, config.model.freeze),
        lowering_(lowering),
        compute_(compute) {}

  [[nodiscard]] const nn::ParameterTable& table() const { return table_; }

  [[nodiscard]] Shape latent() const {
    if (!config_.latent.empty()) return {config_.latent[0], config_.latent[1], config_.latent[2]};
    require(unet_.sample_size > 0, Exit::BadConfig, "the model's config.json has no sample_size: give --latent CxHxW");
    return {unet_.in_channels, unet_.sample_size, unet_.sample_size};
  }
  [[nodiscard]] Shape context() const {
    if (!config_.context.empty()) return {config_.context[0], config_.context[1]};
    return {nn::kClipTokens, unet_.cross_attention_dim};
  }

  [[nodiscard]] Estimate estimate(std::int64_t batch_size) const {
    Estimate e;
    e.spec.unet = &unet_;
    e.spec.table = &table_;
    e.spec.compute = compute_;
    e.spec.ranks = static_cast<int>(config_.num_gpus);
    e.spec.accumulation = static_cast<int>(batch_.accumulation);
    e.spec.update.ema = ema();
    e.spec.update.dynamic_loss_scale = compute_ == DType::F16;
    const int shards = config_.shard ? e.spec.ranks : 1;
    e.parameters = std::make_unique<train::ParameterIo>(table_, lowering_, config_.bucket_mib << 20,
                                                        e.spec.gradient_type(), shards);
    e.spec.storage = &e.parameters->storage();
    e.programs = std::make_unique<exec::ProgramSet>(lowering_, e.parameters->storage());
    const train::BatchSpec batch{
        {batch_size, latent()[0], latent()[1], latent()[2]}, context()[0], context()[1], false};
    const auto loss = train::training_loss(e.spec, batch, {.schedule = {}, .caption_dropout = 0.1});
    auto add = [&](train::Role role) {
      const auto chosen = train::choose_recompute(e.spec, role, loss, lowering_, config_.model.recompute_mib << 20);
      e.update = e.programs->add(std::string(name_of(role)), train::build_step(e.spec, role, loss, chosen));
    };
    if (e.spec.accumulation == 1) {
      add(train::Role::Step);
    } else {
      add(train::Role::First);
      if (e.spec.accumulation > 2) add(train::Role::Middle);
      add(train::Role::Last);
    }
    if (config_.samples_every > 0)
      (void)e.programs->add("sample", train::build_prediction(e.spec, {{train::kSampleBatch, latent()[0], latent()[1],
                                                                        latent()[2]},
                                                                       context()[0],
                                                                       context()[1],
                                                                       false}));
    e.programs->compile();
    return e;
  }

  [[nodiscard]] bool ema() const {
    return config_.ema == config::Switch::Auto ? config_.model.path.empty() : config_.ema == config::Switch::On;
  }

  // Whether the arenas are in the memory of the host.
  [[nodiscard]] bool on_host() const { return config_.target.starts_with("cpu"); }

  // The largest batch whose memory is within `bytes`; 0 if none is.
  [[nodiscard]] std::int64_t largest_batch(std::int64_t bytes) const {
    auto fits = [&](std::int64_t batch) {
      const auto e = estimate(batch);
      return train::rank_bytes(*e.programs, *e.parameters, on_host()) <= bytes;
    };
    if (!fits(1)) return 0;
    std::int64_t low = 1;
    std::int64_t high = 2;
    while (high <= 4096 && fits(high)) {
      low = high;
      high *= 2;
    }
    while (high - low > 1) {
      const auto middle = (low + high) / 2;
      (fits(middle) ? low : high) = middle;
    }
    return low;
  }

 private:
  const config::PlanConfig& config_;
  const config::Batch& batch_;
  const nn::UnetConfig& unet_;
  nn::ParameterTable table_;
  const backend::Lowering& lowering_;
  DType compute_;
};

std::string grouped(std::int64_t number) {
  auto text = std::to_string(number);
  for (auto at = static_cast<std::int64_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

}  // namespace

int run(const config::PlanConfig& config, Invocation&) {
  const auto program_bytes = read_resources().resident_bytes;
  const auto lowering = make_lowering(config.target);
  const auto device = config.target.starts_with("cpu") ? config::Device::Cpu : config::Device::Cuda;
  const auto precision = config::resolve_precision(config.precision, device);
  const auto model = train::open_model(config.model.path, config.model.config);
  const auto batch =
      config::resolve_batch(config.batch_size, config.total_batch_size, config.accumulation, config.num_gpus);
  const Planner planner(config, batch, model.unet, *lowering, train::compute_type(precision));
  const auto e = planner.estimate(batch.batch_size);
  const auto& program = e.programs->programs()[static_cast<std::size_t>(e.update)];

  nlohmann::ordered_json json;
  json["target"] = lowering->target();
  json["parameters"] = planner.table().parameter_count();
  json["trainable"] = planner.table().trainable_count();
  json["tensors"] = planner.table().entries().size();
  json["precision"] = config::name_of(precision);
  json["batch_size"] = batch.batch_size;
  json["total_batch_size"] = batch.total;
  json["latent"] = planner.latent().text();
  json["context"] = planner.context().text();
  json["forward_flops"] = plan::graph_flops(program.graph, ir::Phase::Forward);
  json["backward_flops"] = plan::graph_flops(program.graph, ir::Phase::Backward);
  for (int a = 0; a < ir::kArenas; ++a) {
    const auto arena = static_cast<ir::Arena>(a);
    if (arena != ir::Arena::Workspace)
      json["bytes"][name_of(arena)] = e.programs->arena_bytes()[static_cast<std::size_t>(a)];
  }
  json["bytes"]["total"] = e.programs->total_bytes();
  // What the process of the rank takes of its host.
  if (planner.on_host()) json["host_bytes"]["arenas"] = e.programs->total_bytes();
  json["host_bytes"]["staging"] = train::staging_bytes(*e.parameters);
  json["host_bytes"]["program"] = program_bytes;
  if (planner.on_host())
    json["host_bytes"]["resident"] = train::rank_bytes(*e.programs, *e.parameters, true) + program_bytes;
  std::int64_t need = 0;
  std::int64_t bound = 0;
  for (const auto& p : e.programs->programs()) {
    need = std::max(need, p.plan.activation_bytes);
    bound = std::max(bound, p.plan.lower_bound);
  }
  json["activation_lower_bound"] = bound;
  const auto card = backend::device_bytes(config.target);
  if (card) json["device_bytes"] = *card;
  for (auto kind : {ir::CollectiveKind::AllReduce, ir::CollectiveKind::ReduceScatter, ir::CollectiveKind::AllGather})
    json["wire_bytes_per_step"][name_of(kind)] = e.programs->wire_bytes(e.update, kind);
  if (config.memory_gib)
    json["largest_batch_size"] = planner.largest_batch(static_cast<std::int64_t>(*config.memory_gib * 0x1p30));

  if (config.json) {
    std::cout << json.dump(2) << std::endl;
    return 0;
  }
  auto line = [](std::string_view name, const std::string& value) {
    std::cout << fmt::format("{:<24}{:>20}\n", name, value);
  };
  line("target", lowering->target());
  line("precision", std::string(config::name_of(precision)));
  line("parameters", grouped(planner.table().parameter_count()));
  line("trainable", grouped(planner.table().trainable_count()));
  line("tensors", std::to_string(planner.table().entries().size()));
  line("latent", planner.latent().text());
  line("context", planner.context().text());
  std::cout << batch.equation() << "\n";
  line("forward", fmt::format("{:.3f} TFLOP", json["forward_flops"].get<double>() * 1e-12));
  line("backward", fmt::format("{:.3f} TFLOP", json["backward_flops"].get<double>() * 1e-12));
  std::cout << "memory of a rank\n";
  for (const auto& [name, bytes] : json["bytes"].items())
    if (bytes.get<std::int64_t>() > 0) line("  " + name, plan::bytes_text(bytes.get<std::int64_t>()));
  std::cout << "memory of its process\n";
  for (const auto& [name, bytes] : json["host_bytes"].items())
    line("  " + name, plan::bytes_text(bytes.get<std::int64_t>()));
  if (card) {
    const auto rest = *card - e.programs->total_bytes();
    line("memory of the device", plan::bytes_text(*card));
    line(rest >= 0 ? "  left over" : "  too little by", plan::bytes_text(std::abs(rest)));
  }
  for (const auto& [name, bytes] : json["wire_bytes_per_step"].items())
    if (bytes.get<std::int64_t>() > 0) line(name + " per step", plan::bytes_text(bytes.get<std::int64_t>()));
  std::cout << plan::print_peak(program.graph, program.plan, 8);
  if (config.memory_gib) {
    const auto largest = json["largest_batch_size"].get<std::int64_t>();
    std::cout << (largest > 0 ? fmt::format("largest batch_size within {} GiB: {}\n", *config.memory_gib, largest)
                              : fmt::format("not even batch_size 1 fits into {} GiB\n", *config.memory_gib));
  }
  train::print_stages(std::cout, config.print, *e.programs);
  return 0;
}

}  // namespace ldmpi::app
