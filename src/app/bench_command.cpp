// ldmpi bench: the speed of the training step on synthetic data.

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "app/commands.h"
#include "app/make_backend.h"
#include "base/log.h"
#include "base/resources.h"
#include "base/rng.h"
#include "comm/agree.h"
#include "comm/relaunch.h"
#include "comm/run.h"
#include "config/resolve.h"
#include "plan/cost.h"
#include "train/job.h"
#include "train/run_state.h"

namespace ldmpi::app {
namespace {

int bench(config::BenchConfig config, comm::Communicator& communicator, Backend& backend) {
  const auto model = train::open_model(config.train.model.path, config.train.model.config);
  const nn::ParameterTable table(model.unet, config.train.model.freeze);
  train::StepSpec spec;
  spec.unet = &model.unet;
  spec.table = &table;
  spec.compute = train::compute_type(config.train.precision);
  spec.update.ema = config.train.ema.enabled == config::Switch::On;
  spec.rank = communicator.rank();
  spec.ranks = communicator.size();
  require(*config.train.accumulation == 1, Exit::BadConfig, "bench measures one pass per step: accumulation must be 1");
  const int shards = config.train.optimizer.shard ? spec.ranks : 1;
  const train::ParameterIo parameters(table, *backend.lowering, config.train.comm.bucket_mib << 20,
                                      spec.gradient_type(), shards);
  spec.storage = &parameters.storage();
  const auto side = model.unet.sample_size;
  const auto latent =
      config.latent.empty() ? std::vector<std::int64_t>{model.unet.in_channels, side, side} : config.latent;
  const auto context = config.context.empty()
                           ? std::vector<std::int64_t>{nn::kClipTokens, model.unet.cross_attention_dim}
                           : config.context;
  const auto batch_size = *config.train.batch_size;
  const train::BatchSpec batch{{batch_size, latent[0], latent[1], latent[2]}, context[0], context[1], false};
  exec::ProgramSet programs(*backend.lowering, parameters.storage());
  // The first of several passes ends with the gradients.
  const auto role = config.no_update ? train::Role::First : train::Role::Step;
  const int program =
      programs.add(std::string(name_of(role)),
                   train::build_step(spec, role, train::training_loss(spec, batch, {.schedule = model.schedule})));
  programs.compile();
  const auto resident_before = read_resources().resident_bytes;
  programs.bind(*backend.device, backend.collectives_or(communicator));
  const train::StateAccess access{spec, parameters, programs, *backend.device, communicator};
  train::begin_state(
      access, train::Origin::EveryRank,
      [](const auto& entry, std::span<float> values) { nn::initial_values(entry, 0, values); }, 1.0);

  // Inputs of the right shapes: standard normal numbers for all that is f32.
  for (const auto& node : programs.programs()[0].graph.nodes()) {
    const auto* input = std::get_if<ir::Input>(&node.op);
    if (input == nullptr) continue;
    std::vector<std::byte> bytes(static_cast<std::size_t>(input->type.bytes()), std::byte{0});
    if (input->type.dtype == DType::F32 && input->label != train::label::kLr) {
      auto* values = reinterpret_cast<float*>(bytes.data());
      const Draw draw{1, Purpose::Synthetic, name_hash(input->label.data(), input->label.size())};
      for (std::int64_t i = 0; i < input->type.count(); ++i) values[i] = draw.normal(static_cast<std::uint64_t>(i));
    }
    programs.write_input(program, input->label, bytes.data(), bytes.size());
  }
  std::vector<double> seconds;
  exec::PhaseSeconds phases{};
  std::int64_t faults_before = 0;
  for (std::int64_t step = 0; step < config.warmup + config.steps; ++step) {
    if (step == config.warmup) faults_before = read_resources().minor_page_faults;
    const auto began = Clock::now();
    const auto part = programs.run(program);
    if (step < config.warmup) continue;
    seconds.push_back(seconds_since(began));
    for (std::size_t p = 0; p < phases.size(); ++p) phases[p] += part[p] / static_cast<double>(config.steps);
  }
  const auto used = read_resources();
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const auto& graph = programs.programs()[0].graph;
  const auto flops =
      static_cast<double>(plan::graph_flops(graph, ir::Phase::Forward) + plan::graph_flops(graph, ir::Phase::Backward));
  nlohmann::ordered_json json;
  json["device"] = backend.device->description();
  json["ranks"] = communicator.size();
  json["parameters"] = table.parameter_count();
  json["batch_size"] = batch_size;
  json["precision"] = config::name_of(config.train.precision);
  json["step_ms"] = {{"min", 1e3 * seconds.front()}, {"median", 1e3 * median}, {"max", 1e3 * seconds.back()}};
  json["samples_per_second"] = static_cast<double>(batch_size * communicator.size()) / median;
  json["tflop_per_second_per_rank"] = flops / median * 1e-12;
  for (int p = 0; p < 5; ++p)
    json["phase_ms"][name_of(static_cast<ir::Phase>(p))] = 1e3 * phases[static_cast<std::size_t>(p)];
  json["planned_bytes"] = programs.total_bytes();
  json["staging_bytes"] = train::staging_bytes(parameters);
  json["resident_bytes_before_arenas"] = resident_before;
  json["peak_resident_bytes"] = used.peak_resident_bytes;
  json["page_faults_per_step"] =
      static_cast<double>(used.minor_page_faults - faults_before) / static_cast<double>(config.steps);
  if (communicator.rank() == 0) {
    if (config.json) {
      std::cout << json.dump(2) << std::endl;
    } else {
      for (const auto& [key, value] : json.items()) std::cout << fmt::format("{:<28}{}\n", key, value.dump());
    }
  }
  return 0;
}

}  // namespace

int run(const config::BenchConfig& config, Invocation& invocation) {
  if (config.train.num_gpus)
    comm::relaunch_under_mpirun(invocation.environment, static_cast<int>(*config.train.num_gpus), invocation.arguments);
  return comm::run_ranks(invocation.environment, [&](comm::Communicator& communicator) {
    auto resolved = config;
    comm::agree(communicator, [] {});  // here ranks that found an error before are met
    auto backend = make_backend(choice_of(config.train), invocation.environment, communicator);
    comm::agree(communicator, [&] {
      (void)config::resolve(resolved.train, communicator.size(), backend.kind == config::Device::Cuda);
    });
    return bench(resolved, communicator, backend);
  });
}

}  // namespace ldmpi::app
