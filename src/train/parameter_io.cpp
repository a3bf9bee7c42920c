#include "train/parameter_io.h"

#include <algorithm>

namespace ldmpi::train {

ParameterIo::ParameterIo(const nn::ParameterTable& table, const backend::Lowering& lowering, std::int64_t bucket_bytes,
                         DType gradient_type, int shards)
    : table_(table), lowering_(lowering) {
  std::vector<plan::BlockFacts> facts;
  for (const auto& block : table.blocks())
    facts.push_back({block.shape, block.trainable, block.decay, lowering.weight_layout(block.shape).elements});
  storage_ = plan::make_storage(facts, bucket_bytes / static_cast<std::int64_t>(size_of(gradient_type)), shards);
}

std::vector<int> ParameterIo::block_order(bool frozen_too) const {
  std::vector<int> order;
  for (std::size_t b = 0; b < table_.blocks().size(); ++b)
    if (frozen_too || table_.blocks()[b].trainable) order.push_back(static_cast<int>(b));
  std::sort(order.begin(), order.end(), [&](int a, int b) { return run(a).begin < run(b).begin; });
  return order;
}

std::optional<plan::Run> ParameterIo::plain_run(const nn::ParameterEntry& entry) const {
  const auto& block = table_.blocks()[static_cast<std::size_t>(entry.block)];
  // A block of one tensor may have a layout of its own; blocks of several are rows behind each other.
  if (block.entries.size() == 1 && lowering_.weight_layout(block.shape).tag != "plain") return {};
  const auto begin = run(entry.block).begin + table_.element_offset(entry);
  return plan::Run{begin, begin + entry.shape.count()};
}

void ParameterIo::unpack(const nn::ParameterEntry& entry, std::span<const float> stored,
                         std::span<float> values) const {
  const auto& block = table_.blocks()[static_cast<std::size_t>(entry.block)];
  if (block.entries.size() == 1)
    lowering_.unpack(block.shape, stored, values);
  else
    std::ranges::copy(stored.subspan(static_cast<std::size_t>(table_.element_offset(entry)), values.size()),
                      values.begin());
}

void ParameterIo::pack(const nn::ParameterEntry& entry, std::span<const float> values, std::span<float> stored) const {
  const auto& block = table_.blocks()[static_cast<std::size_t>(entry.block)];
  if (block.entries.size() == 1)
    lowering_.pack(block.shape, values, stored);
  else
    std::ranges::copy(values, stored.begin() + table_.element_offset(entry));
}

std::int64_t ParameterIo::largest_tensor() const {
  std::int64_t elements = 0;
  for (const auto& entry : table_.entries()) elements = std::max(elements, entry.shape.count());
  return elements;
}

std::int64_t ParameterIo::largest_block() const {
  std::int64_t elements = 0;
  for (const auto& block : storage_.blocks) elements = std::max(elements, block.size());
  return elements;
}

void ParameterIo::check(const io::WeightSource& source) const {
  std::string problems;
  int count = 0;
  auto problem = [&](const std::string& text) {
    if (++count <= 10) problems += "\n  " + text;
  };
  for (const auto& entry : table_.entries()) {
    const auto* tensor = source.find(entry.name);
    if (tensor == nullptr)
      problem(fmt::format("{} {} is missing", entry.name, entry.shape.text()));
    else if (!(tensor->shape == entry.shape) && tensor->shape.count() != entry.shape.count())
      problem(fmt::format("{} has shape {}, the model needs {}", entry.name, tensor->shape.text(), entry.shape.text()));
  }
  for (const auto& tensor : source.tensors())
    if (table_.find(tensor.name) < 0) problem(fmt::format("{} is not a parameter of this model", tensor.name));
  require(count == 0, Exit::BadData,
          "the weights {} do not fit the model configuration ({} problems):{}{}\n"
          "Use the config.json that belongs to them.",
          source.place().weights.string(), count, problems, count > 10 ? "\n  ..." : "");
}

}  // namespace ldmpi::train
