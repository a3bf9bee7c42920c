// The loop is one page: train() at the end of this file. What happens inside a step is the program (train/step_graph).

#include "train/trainer.h"

#include <iostream>

#include "base/build_info.h"
#include "base/log.h"
#include "comm/agree.h"
#include "comm/signals.h"
#include "config/print.h"
#include "config/resolve.h"
#include "io/atomic_file.h"
#include "plan/report.h"
#include "train/device_peak.h"
#include "train/draw_log.h"
#include "train/memory_check.h"
#include "train/print_stages.h"
#include "train/report.h"
#include "train/resume.h"
#include "train/run_folder.h"
#include "train/training_loop.h"

namespace ldmpi::train {
namespace {

void log_plan(const exec::ProgramSet& programs, const StepSpec& spec) {
  std::string arenas;
  for (int a = 0; a < ir::kArenas; ++a)
    if (const auto bytes = programs.arena_bytes()[static_cast<std::size_t>(a)]; bytes > 0)
      arenas += fmt::format("{}{} {}", arenas.empty() ? "" : ", ", name_of(static_cast<ir::Arena>(a)),
                            plan::bytes_text(bytes));
  log::info("model: {} parameters, {} trainable, {} tensors", spec.table->parameter_count(),
            spec.table->trainable_count(), spec.table->entries().size());
  log::info("memory of a rank: {} ({})", plan::bytes_text(programs.total_bytes()), arenas);
}

RunFacts run_facts(const config::TrainConfig& config, const comm::Environment& environment, const StateAccess& access,
                   std::int64_t planned_bytes, const TrainState& state) {
  const auto device = access.device.description();
  return {.first_step = state.step,
          .last_step = config.max_train_steps,
          .total_batch_size = *config.total_batch_size,
          .hosts = access.communicator.hosts(),
          .device = device,
          .job_id = environment.job_id,
          .planned_bytes = planned_bytes,
          .peak_tflops = config.log.peak_tflops ? config.log.peak_tflops : known_peak_tflops(device, config.precision),
          .job_end_seconds = environment.job_end_seconds,
          .config = state.config};
}

}  // namespace

Exit train(config::TrainConfig config, const comm::Environment& environment, comm::Communicator& communicator,
           const Machine& machine) {
  auto& [lowering, device, collectives] = machine;
  const RunFolder folder(config.output_dir);
  const bool root = communicator.rank() == 0;
  const bool print_only = !config.print.empty();
  Record record;
  if (!print_only) {
    comm::agree(communicator, [&] {
      if (!root) return;
      require(config.resume != config::Resume::Never || !folder.is_used(), Exit::CannotCreate,
              "{} holds an earlier run and --resume never was given. Choose another --output_dir, or let it resume "
              "(--resume auto)",
              config.output_dir);
      (void)prepare_run_folder(config.output_dir);
      record.lock = std::make_unique<RunLock>(folder.lock(), environment.job_id);
    });
    comm::agree(communicator, [&] { log::open_file(folder.rank_log(communicator.rank())); });
  }
  const auto job_owner = comm::agree(
      communicator, [&] { return std::make_unique<Job>(config, lowering, communicator.rank(), communicator.size()); });
  comm::agree(communicator, [] { comm::end_if_asked_to_stop(); });
  auto& job = *job_owner;
  comm::agree_equal(communicator, "their build", build_id(), "install the same build on every node");
  comm::agree_equal(communicator, "their dataset", job.fingerprints().at("data"), "make all nodes see the same files");
  log::info("{} rank{}, each: {}", communicator.size(), communicator.size() == 1 ? "" : "s", device.description());
  log_plan(job.programs(), job.spec());
  const bool on_host = device.free_memory().of_host;
  const auto planned_bytes = rank_bytes(job.programs(), job.parameters(), on_host);
  check_memory(
      device, communicator, planned_bytes,
      [&](std::int64_t bytes) { return batch_advice(config, lowering, communicator.size(), on_host, bytes); });

  TrainState state = comm::agree(communicator, [&] {
    return prepare_resume(config, job.fingerprints(), root && !print_only, folder, record.newest);
  });
  comm::agree(communicator, [&] { job.programs().bind(device, collectives); });
  if (print_only) {
    if (root) print_stages(std::cout, config.print, job.programs());
    return Exit::Done;
  }
  const StateAccess access{job.spec(), job.parameters(), job.programs(), device, communicator};
  state = load_state(access, job, config, record.newest.get(), std::move(state));
  record.newest.reset();
  if (state.step >= config.max_train_steps && std::filesystem::exists(folder.final_model())) {
    log::info("{} is finished: step {} of {}. Raise --max_train_steps to go on.", config.output_dir, state.step,
              config.max_train_steps);
    return Exit::Done;
  }
  comm::agree(communicator, [&] {
    if (!root) return;
    io::write_file_atomically(folder.config(), state.config);
    drop_draws_after(folder.logs(), state.step);
    record.writer = std::make_unique<CheckpointWriter>(
        CheckpointWriterOptions{folder.checkpoints(), static_cast<int>(config.checkpoint.keep), environment.job_id,
                                [&] { return record.lock->owned(); }});
    record.metrics = std::make_unique<Metrics>(
        MetricsOptions{folder.metrics(),
                       config.log.tensorboard ? std::optional(folder.tensorboard()) : std::nullopt,
                       folder.prometheus(),
                       state.step,
                       {.first_step = state.step,
                        .last_step = config.max_train_steps,
                        .every = config.log.every,
                        .terminal = std::nullopt}});
    record.metrics->start(run_facts(config, environment, access, planned_bytes, state));
  });

  comm::agree(communicator, [] { comm::end_if_asked_to_stop(); });
  TrainingLoop loop(config, job, access, record, std::move(state));
  bool stop = false;
  while (loop.state().step < config.max_train_steps && !stop) {
    stop = loop.step();
    const bool last = stop || loop.state().step == config.max_train_steps;
    loop.report();
    if (job.validation_data() != nullptr && (loop.state().step % config.validation.every == 0 || last)) loop.validate();
    if (config.samples.every > 0 && (loop.state().step % config.samples.every == 0 || last)) loop.draw_samples();
    if (last || loop.state().step % config.checkpoint.every == 0) loop.save();
    if (record.writer) record.writer->poll();
  }
  comm::agree(communicator, [&] {
    if (record.metrics) record.metrics->flush();
    if (record.writer) record.writer->finish();
  });
  if (stop && loop.state().step < config.max_train_steps) {
    log::info("stopped on request behind step {}; the same command goes on from there", loop.state().step);
    return Exit::Requeue;
  }
  loop.write_final();
  if (root) {
    write_report(folder.root(), folder.report());
    log::info("done: {}", folder.final_model().string());
  }
  return Exit::Done;
}

}  // namespace ldmpi::train
