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

// A block of one tensor may have a layout of its own; blocks of several are rows behind each other.
void ParameterIo::read(const nn::ParameterEntry& entry, std::span<const float> flat, std::span<float> out) const {
  const auto& block = table_.blocks()[static_cast<std::size_t>(entry.block)];
  const auto& run = storage_.blocks[static_cast<std::size_t>(entry.block)];
  const auto stored = flat.subspan(static_cast<std::size_t>(run.begin), static_cast<std::size_t>(run.size()));
  if (block.entries.size() == 1) {
    lowering_.unpack(block.shape, stored, out);
  } else {
    const auto part = stored.subspan(static_cast<std::size_t>(table_.element_offset(entry)), out.size());
    std::copy(part.begin(), part.end(), out.begin());
  }
}

void ParameterIo::write(const nn::ParameterEntry& entry, std::span<const float> values, std::span<float> flat) const {
  const auto& block = table_.blocks()[static_cast<std::size_t>(entry.block)];
  const auto& run = storage_.blocks[static_cast<std::size_t>(entry.block)];
  const auto stored = flat.subspan(static_cast<std::size_t>(run.begin), static_cast<std::size_t>(run.size()));
  if (block.entries.size() == 1)
    lowering_.pack(block.shape, values, stored);
  else
    std::copy(values.begin(), values.end(), stored.begin() + table_.element_offset(entry));
}

std::vector<float> ParameterIo::initial(std::uint64_t seed) const {
  std::vector<float> flat(static_cast<std::size_t>(storage_.total), 0.0F);
  for (const auto& entry : table_.entries()) write(entry, nn::initial_values(entry, seed), flat);
  return flat;
}

std::vector<float> ParameterIo::load(const io::WeightSource& source) const {
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
  std::vector<float> flat(static_cast<std::size_t>(storage_.total), 0.0F);
  std::vector<float> values;
  for (const auto& entry : table_.entries()) {
    values.resize(static_cast<std::size_t>(entry.shape.count()));
    source.read_float(entry.name, values);
    write(entry, values, flat);
  }
  return flat;
}

}  // namespace ldmpi::train
