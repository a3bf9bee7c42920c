#include "reference_net.h"

#include <algorithm>

#include "comm/environment.h"
#include "exec/parameters.h"
#include "train/run_state.h"

namespace ldmpi::test {
namespace {

std::string text(std::string_view view) {
  return std::string(view);
}

}  // namespace

std::vector<float> ReferenceNet::values(const std::string& name) const {
  const auto& tensor = file_.at(name);
  std::vector<float> result(static_cast<std::size_t>(tensor.shape.count()));
  if (tensor.dtype == DType::I64) {
    std::vector<std::int64_t> integers(result.size());
    file_.read(tensor, std::as_writable_bytes(std::span(integers)));
    std::copy(integers.begin(), integers.end(), result.begin());
  } else {
    file_.read_float(tensor, result);
  }
  return result;
}

std::vector<double> ReferenceNet::doubles(const std::string& name) const {
  const auto& tensor = file_.at(name);
  std::vector<double> result(static_cast<std::size_t>(tensor.shape.count()));
  file_.read(tensor, std::as_writable_bytes(std::span(result)));
  return result;
}

std::vector<float> ReferenceNet::like_reference(const std::string& name, std::vector<float> whole) const {
  const auto stored = static_cast<std::size_t>(shape(name).count());
  if (stored == whole.size()) return whole;
  const auto stride = whole.size() / stored;
  for (std::size_t i = 0; i < stored; ++i) whole[i] = whole[i * stride];
  whole.resize(stored);
  return whole;
}

LoadedNet::LoadedNet(const ReferenceNet& reference, Kind kind)
    : unet_(nn::parse_unet_config(reference.config(), "fixture")),
      table_(std::make_unique<nn::ParameterTable>(unet_)),
      lowering_(backend::make_cpu_lowering(2)),
      device_(backend::make_cpu_device(2)),
      communicator_(comm::make_communicator({})) {
  train::StepSpec spec;
  spec.unet = &unet_;
  spec.table = table_.get();
  parameters_ = std::make_unique<train::ParameterIo>(*table_, *lowering_, 1 << 20, DType::F32, 1);
  spec.storage = &parameters_->storage();
  spec.update.max_grad_norm = 0;
  const auto sample = reference.shape("inputs/sample");
  const auto context = reference.shape("inputs/encoder_hidden_states");
  const train::BatchSpec batch{sample, context[1], context[2], false};
  programs_ = std::make_unique<exec::ProgramSet>(*lowering_, parameters_->storage());
  if (kind == Kind::Probe)
    (void)programs_->add("probe", train::build_probe(spec, batch));
  else
    (void)programs_->add("step", train::build_step(spec, train::Role::Step, train::given_loss(spec, batch)));
  programs_->compile();
  programs_->bind(*device_, *communicator_);

  const train::StateAccess access{spec, *parameters_, *programs_, *device_, *communicator_};
  train::begin_state(
      access, train::Origin::EveryRank,
      [&](const auto& entry, std::span<float> values) {
        std::ranges::copy(reference.values("weights/" + entry.name), values.begin());
      },
      1);
  write(reference, train::label::kSample, "inputs/sample");
  write(reference, train::label::kTimesteps, "inputs/timesteps");
  write(reference, train::label::kContext, "inputs/encoder_hidden_states");
  write(reference, train::label::kTarget, "inputs/target");
  if (unet_.text_time) {
    write(reference, train::label::kPooled, "inputs/text_embeds");
    write(reference, train::label::kTimeIds, "inputs/time_ids");
  }
  if (kind == Kind::Step) {
    const float rate = 1e-3F;
    programs_->write_input(0, text(train::label::kLr), &rate, sizeof rate);
  }
}

void LoadedNet::write(const ReferenceNet& reference, std::string_view label, const std::string& name) {
  const auto values = reference.values(name);
  programs_->write_input(0, text(label), values.data(), values.size() * sizeof(float));
}

std::vector<float> LoadedNet::output(const std::string& label) const {
  std::vector<float> values(static_cast<std::size_t>(programs_->output_type(0, label).count()));
  programs_->read_output(0, label, values.data(), values.size() * sizeof(float));
  return values;
}

std::vector<float> LoadedNet::tensor(ir::Arena arena, const nn::ParameterEntry& entry) const {
  const auto& run = parameters_->run(entry.block);
  std::vector<float> stored(static_cast<std::size_t>(run.size()));
  exec::download(*programs_, *device_, arena, run.begin, stored, DType::F32);
  std::vector<float> values(static_cast<std::size_t>(entry.shape.count()));
  parameters_->unpack(entry, stored, values);
  return values;
}

}  // namespace ldmpi::test
