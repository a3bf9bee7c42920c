#include "train/step_graph.h"

#include <algorithm>

#include "ir/differentiate.h"
#include "ir/passes/passes.h"

namespace ldmpi::train {
namespace {

using ir::Arena;
using ir::Builder;
using ir::Graph;
using ir::Phase;
using ir::Type;
using ir::Value;
using ir::Values;

constexpr int kLossSlot = 0;  // of the Outputs arena: the loss summed over micro-batches
// Numbers of the small sums over the ranks.
constexpr int kLossSum = 0;
constexpr int kControlSum = 1;
constexpr int kSquaresSum = 2;

std::string text(std::string_view view) {
  return std::string(view);
}

Value persistent(const Builder& b, Arena arena, std::string_view name, DType dtype, std::int64_t elements) {
  return b.persistent(arena, -1, text(name), Type{dtype, {elements}});
}
Value state_value(const Builder& b) {
  return b.persistent(Arena::State, 0, "state", Type{DType::F64, {ir::kStateSlots}});
}
Value gradient_arena(const Builder& b, const StepSpec& spec) {
  return persistent(b, Arena::Gradients, "gradients", spec.gradient_type(), spec.storage->trainable);
}

// From here on, time counts for `phase`.
void enter(Graph& graph, Phase phase) {
  graph.set_phase(phase);
  (void)graph.add(ir::Mark{phase}, {});
}

// The handles of the parameter blocks in a graph that passes have rewritten.
Values find_parameters(const Graph& graph, std::size_t blocks) {
  Values values(blocks);
  for (const auto& node : graph.nodes())
    if (const auto* p = std::get_if<ir::Persistent>(&node.op);
        p != nullptr && p->arena == Arena::Weights && p->block >= 0)
      values.at(static_cast<std::size_t>(p->block)) = node.outputs[0];
  return values;
}

Graph forward(const StepSpec& spec, const LossBuilder& loss) {
  Graph graph;
  const Builder b(graph);
  enter(graph, Phase::Forward);
  const auto parameters = nn::make_parameters(b, *spec.table, spec.compute);
  graph.output(text(label::kLoss), loss(b, parameters));
  return ir::remove_dead(ir::merge_equal(ir::fuse_silu(graph)));
}

// A bound value must own its bytes: views and values with two readers' wishes get a copy.
Value own_storage(const Builder& b, Value value, DType dtype) {
  const auto& op = b.graph().nodes()[static_cast<std::size_t>(b.graph().producer(value))].op;
  const bool view = std::holds_alternative<ir::Reshape>(op) || std::holds_alternative<ir::Split>(op);
  if (b.type(value).dtype != dtype) return b.cast(value, dtype);
  return view || b.graph().bindings().contains(value) ? b.graph().add1(ir::Cast{dtype}, {value}) : value;
}

// Appends the backward pass and stores, or adds, each block's gradient.
void add_gradients(Graph& graph, const StepSpec& spec, bool accumulate, std::span<const Value> input_targets,
                   Values& input_gradients) {
  const Builder b(graph);
  enter(graph, Phase::Backward);
  const auto loss = graph.outputs().at(text(label::kLoss));
  const auto factor = 1.0F / static_cast<float>(spec.ranks * spec.accumulation);
  const auto seed = graph.add1(ir::ReadState{ir::StateSlot::LossScale, factor}, {state_value(b)});

  const auto& blocks = spec.table->blocks();
  const auto parameters = find_parameters(graph, blocks.size());
  Values targets;
  std::vector<int> target_blocks;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (!blocks[i].trainable) continue;
    LDMPI_CHECK(parameters[i].id >= 0, "parameter block {} is used nowhere", blocks[i].label);
    targets.push_back(parameters[i]);
    target_blocks.push_back(static_cast<int>(i));
  }
  targets.insert(targets.end(), input_targets.begin(), input_targets.end());
  auto gradients = ir::differentiate(graph, loss, seed, targets);
  for (std::size_t i = 0; i < target_blocks.size(); ++i) {
    LDMPI_CHECK(gradients[i].id >= 0, "the loss does not depend on {}",
                blocks[static_cast<std::size_t>(target_blocks[i])].label);
    const auto block = target_blocks[i];
    if (accumulate) {
      auto type = graph.type(gradients[i]);
      type.dtype = DType::F32;
      const auto slot = b.persistent(Arena::Gradients, block, "gradient", type);
      (void)graph.add(ir::Accumulate{}, {slot, gradients[i]});
    } else {
      graph.bind(own_storage(b, gradients[i], spec.gradient_type()), {Arena::Gradients, block});
    }
  }
  input_gradients.assign(gradients.begin() + static_cast<std::ptrdiff_t>(target_blocks.size()), gradients.end());
}

// Which values of the graph complete each bucket: bound gradients, or the tokens of their accumulation.
std::vector<ir::GradientBucket> fill_buckets(const Graph& graph, const StepSpec& spec) {
  std::vector<ir::GradientBucket> buckets;
  for (const auto& run : spec.storage->buckets) buckets.push_back({run.begin, run.end, {}});
  auto put = [&](int block, Value value) {
    const auto at = spec.storage->blocks[static_cast<std::size_t>(block)].begin;
    for (auto& bucket : buckets)
      if (at >= bucket.begin && at < bucket.end) bucket.values.push_back(value);
  };
  for (const auto& [value, binding] : graph.bindings())
    if (binding.arena == Arena::Gradients) put(binding.block, value);
  for (const auto& node : graph.nodes()) {
    if (!std::holds_alternative<ir::Accumulate>(node.op)) continue;
    const auto& slot =
        std::get<ir::Persistent>(graph.nodes()[static_cast<std::size_t>(graph.producer(node.inputs[0]))].op);
    if (slot.arena == Arena::Gradients) put(slot.block, node.outputs[0]);
  }
  return buckets;
}

// The handle of the whole gradient arena, made before the backward pass.
Value find_gradient_arena(const Graph& graph) {
  for (const auto& node : graph.nodes())
    if (const auto* p = std::get_if<ir::Persistent>(&node.op);
        p != nullptr && p->arena == Arena::Gradients && p->block < 0)
      return node.outputs[0];
  LDMPI_CHECK(false, "the graph has no gradient arena");
  return {};
}

void add_loss_sum(Graph& graph, const StepSpec& spec, Role role) {
  const Builder b(graph);
  const auto loss = graph.outputs().at(text(label::kLoss));
  const auto slot = [&] { return b.persistent(Arena::Outputs, kLossSlot, "loss_sum", Type{DType::F32, {1}}); };
  if (role == Role::First) graph.bind(loss, {Arena::Outputs, kLossSlot});
  Value total = loss;
  if (role == Role::Middle || role == Role::Last) {
    total = slot();
    (void)graph.add(ir::Accumulate{}, {total, loss});
  }
  if (role == Role::Last || role == Role::Step) {
    if (spec.ranks > 1) total = graph.add1(ir::SumRanks{kLossSum}, {total});
    // The slot itself is persistent memory: what the host reads is a value of this program.
    if (role == Role::Last && spec.ranks == 1) total = graph.add1(ir::Cast{DType::F32}, {total});
    graph.output("loss_total", total);
  }
}

// Reduction, norm, clipping, AdamW, EMA, counters. Whatever waits for other ranks stands behind a mark of Communicate.
Graph add_update(Graph graph, const StepSpec& spec, Role role) {
  const auto& storage = *spec.storage;
  const bool sharded = storage.shards > 1;
  Values tokens;
  if (spec.ranks > 1) {
    auto bucketed = ir::start_collectives(graph, find_gradient_arena(graph),
                                          sharded ? ir::CollectiveKind::ReduceScatter : ir::CollectiveKind::AllReduce,
                                          fill_buckets(graph, spec));
    graph = std::move(bucketed.graph);
    tokens = std::move(bucketed.tokens);
  }
  const Builder b(graph);
  enter(graph, Phase::Communicate);
  Values complete;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    complete.push_back(graph.add1(ir::WaitCollective{static_cast<int>(i)}, {tokens[i]}));
  add_loss_sum(graph, spec, role);
  if (spec.ranks > 1) {
    const auto control = b.input(text(label::kControl), Type{DType::F64, {kControlWords}});
    graph.output("control_total", graph.add1(ir::SumRanks{kControlSum}, {control}));
  }

  enter(graph, Phase::Optimize);
  std::vector<plan::BlockFacts> facts;
  for (const auto& block : spec.table->blocks()) facts.push_back({block.shape, block.trainable, block.decay, 0});
  const bool full_precision = spec.compute == DType::F32;
  const auto ranges = storage.ranges(facts, sharded ? spec.rank : 0, full_precision);
  const auto gradients = gradient_arena(b, spec);
  Values norm_inputs{gradients};
  norm_inputs.insert(norm_inputs.end(), complete.begin(), complete.end());
  auto squares = graph.add1(ir::SumSquares{ranges}, norm_inputs);
  if (sharded) {
    enter(graph, Phase::Communicate);
    squares = graph.add1(ir::SumRanks{kSquaresSum}, {squares});
    enter(graph, Phase::Optimize);
  }

  const auto state = state_value(b);
  const auto lr = b.input(text(label::kLr), Type{DType::F32, {1}});
  const auto part = storage.shard_elements();
  Values inputs{lr, squares, state, gradients};
  const auto weights = persistent(b, Arena::Weights, "weights", spec.compute, storage.trainable);
  inputs.push_back(full_precision ? weights : persistent(b, Arena::Master, "master", DType::F32, part));
  inputs.push_back(persistent(b, Arena::Moment1, "moment1", DType::F32, part));
  inputs.push_back(persistent(b, Arena::Moment2, "moment2", DType::F32, part));
  if (!full_precision) inputs.push_back(weights);
  if (spec.update.ema) inputs.push_back(persistent(b, Arena::Ema, "ema", DType::F32, part));
  const auto updated = graph.add1(ir::AdamW{.ranges = ranges,
                                            .beta1 = spec.update.beta1,
                                            .beta2 = spec.update.beta2,
                                            .epsilon = spec.update.epsilon,
                                            .weight_decay = spec.update.weight_decay,
                                            .max_norm = spec.update.max_grad_norm,
                                            .ema_decay = spec.update.ema_decay,
                                            .ema_warmup = spec.update.ema_warmup,
                                            .has_weights = !full_precision,
                                            .has_ema = spec.update.ema},
                                  inputs);
  const auto metrics =
      graph.add1(ir::UpdateState{.dynamic_scale = spec.update.dynamic_loss_scale}, {squares, state, updated});
  graph.output(text(label::kMetrics), metrics);
  if (sharded) {
    enter(graph, Phase::Communicate);
    auto sequence = static_cast<int>(tokens.size());
    Values gathers;
    for (const auto& run : storage.buckets)
      gathers.push_back(graph.add1(ir::StartCollective{ir::CollectiveKind::AllGather, run.begin, run.end, sequence++},
                                   {weights, updated}));
    for (std::size_t i = 0; i < gathers.size(); ++i)
      (void)graph.add1(ir::WaitCollective{static_cast<int>(tokens.size() + i)}, {gathers[i]});
  }
  return graph;
}

struct GivenHandles {
  diffusion::GivenInputs inputs;
  diffusion::Model model;
};

GivenHandles given(const StepSpec& spec, const BatchSpec& batch, const Builder& b,
                   const nn::ParameterValues& parameters) {
  const auto& l = batch.latent;
  auto f32 = [&](std::string_view name, Shape shape) { return b.input(text(name), Type{DType::F32, shape}); };
  GivenHandles result;
  result.inputs.sample = f32(label::kSample, {l[0] * l[1], l[2] * l[3]});
  result.inputs.timesteps = f32(label::kTimesteps, {l[0]});
  result.inputs.context = f32(label::kContext, {l[0] * batch.tokens, batch.context_width});
  if (spec.unet->text_time) {
    result.inputs.text_embeds = f32(label::kPooled, {l[0], spec.unet->pooled_dim()});
    result.inputs.time_ids = f32(label::kTimeIds, {l[0], 6});
  }
  result.model = [unet = spec.unet, &parameters](const Builder& builder, const nn::UnetInputs& inputs) {
    return nn::build_unet(builder, *unet, parameters, inputs).prediction;
  };
  return result;
}

}  // namespace

std::string_view name_of(Role role) noexcept {
  switch (role) {
    case Role::Step: return "step";
    case Role::First: return "first";
    case Role::Middle: return "middle";
    case Role::Last: return "last";
  }
  return "?";
}

LossBuilder training_loss(const StepSpec& spec, const BatchSpec& batch, const diffusion::Objective& objective) {
  return [=](const Builder& b, const nn::ParameterValues& parameters) {
    const auto& l = batch.latent;
    auto f32 = [&](std::string_view name, Shape shape) { return b.input(text(name), Type{DType::F32, shape}); };
    diffusion::TrainInputs inputs;
    inputs.draws = b.input(text(label::kDraws), Type{DType::I64, {l[0]}});
    inputs.latents = f32(label::kLatents, {l[0] * l[1] * (batch.moments ? 2 : 1), l[2] * l[3]});
    inputs.moments = batch.moments;
    inputs.context = f32(label::kContext, {l[0] * batch.tokens, batch.context_width});
    inputs.empty = f32(label::kEmpty, {batch.tokens, batch.context_width});
    if (spec.unet->text_time) {
      inputs.pooled = f32(label::kPooled, {l[0], spec.unet->pooled_dim()});
      inputs.empty_pooled = f32(label::kEmptyPooled, {1, spec.unet->pooled_dim()});
      inputs.time_ids = f32(label::kTimeIds, {l[0], 6});
    }
    const diffusion::Model model = [&](const Builder& builder, const nn::UnetInputs& unet_inputs) {
      return nn::build_unet(builder, *spec.unet, parameters, unet_inputs).prediction;
    };
    return diffusion::build_training_loss(b, objective, inputs, l, spec.compute, model).loss;
  };
}

LossBuilder given_loss(const StepSpec& spec, const BatchSpec& batch) {
  return [=](const Builder& b, const nn::ParameterValues& parameters) {
    const auto handles = given(spec, batch, b, parameters);
    const auto& l = batch.latent;
    const auto target = b.input(text(label::kTarget), Type{DType::F32, {l[0] * spec.unet->out_channels, l[2] * l[3]}});
    return diffusion::build_given_loss(b, handles.inputs, target, l, spec.compute, handles.model).loss;
  };
}

Graph differentiated_step(const StepSpec& spec, Role role, const LossBuilder& loss) {
  auto graph = forward(spec, loss);
  Values none;
  if (spec.ranks > 1) (void)gradient_arena(Builder(graph), spec);  // stands before the collectives that use it
  add_gradients(graph, spec, role == Role::Middle || role == Role::Last, {}, none);
  return ir::merge_equal(graph);
}

Graph build_step(const StepSpec& spec, Role role, const LossBuilder& loss, const std::set<int>& recompute) {
  auto graph = differentiated_step(spec, role, loss);
  if (!recompute.empty()) graph = ir::recompute(graph, recompute);
  if (role == Role::Step || role == Role::Last)
    graph = add_update(std::move(graph), spec, role);
  else
    add_loss_sum(graph, spec, role);
  return ir::remove_dead(graph);
}

Graph build_evaluation(const StepSpec& spec, const LossBuilder& loss) {
  return forward(spec, loss);
}

Graph build_prediction(const StepSpec& spec, const BatchSpec& batch) {
  Graph graph;
  const Builder b(graph);
  const auto parameters = nn::make_parameters(b, *spec.table, spec.compute);
  const auto handles = given(spec, batch, b, parameters);
  const auto prediction = diffusion::build_prediction(b, handles.inputs, batch.latent, spec.compute, handles.model);
  graph.output(text(label::kPrediction), graph.add1(ir::ToCanonical{}, {prediction}));
  return ir::remove_dead(ir::merge_equal(ir::fuse_silu(graph)));
}

Graph build_probe(const StepSpec& spec, const BatchSpec& batch) {
  Graph graph;
  const Builder b(graph);
  const auto parameters = nn::make_parameters(b, *spec.table, spec.compute);
  const auto handles = given(spec, batch, b, parameters);
  const auto& l = batch.latent;
  const auto target = b.input(text(label::kTarget), Type{DType::F32, {l[0] * spec.unet->out_channels, l[2] * l[3]}});
  const auto result = diffusion::build_given_loss(b, handles.inputs, target, l, spec.compute, handles.model);
  graph.output(text(label::kLoss), result.loss);
  graph.output(text(label::kPrediction), graph.add1(ir::ToCanonical{}, {result.prediction}));
  graph = ir::remove_dead(ir::merge_equal(ir::fuse_silu(graph)));

  std::vector<std::string_view> names{label::kSample, label::kContext};
  if (spec.unet->text_time) names.push_back(label::kPooled);
  Values targets;
  for (auto name : names)
    for (const auto& node : graph.nodes())
      if (const auto* input = std::get_if<ir::Input>(&node.op); input != nullptr && input->label == name)
        targets.push_back(node.outputs[0]);
  LDMPI_CHECK(targets.size() == names.size(), "an input of the probe is not used");
  Values gradients;
  add_gradients(graph, spec, false, targets, gradients);
  for (std::size_t i = 0; i < names.size(); ++i) graph.output("input_grad." + text(names[i]), gradients[i]);
  return ir::remove_dead(ir::merge_equal(graph));
}

}  // namespace ldmpi::train
