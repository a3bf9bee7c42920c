#include "nn/parameter_table.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "nn/table_writer.h"

namespace ldmpi::nn {

ParameterTable::ParameterTable(const UnetConfig& config, std::span<const std::string> freeze) {
  TableWriter writer(freeze);
  writer.unet(config);
  entries_ = writer.take_entries();
  blocks_ = writer.take_blocks();
  for (std::size_t i = 0; i < entries_.size(); ++i) index_.emplace(entries_[i].name, static_cast<int>(i));
  for (const auto& prefix : freeze) {
    const auto begins = [&](const ParameterEntry& entry) { return entry.name.starts_with(prefix); };
    require(std::any_of(entries_.begin(), entries_.end(), begins), Exit::BadConfig,
            "model.freeze: no parameter's name begins with '{}'; names look like '{}'", prefix, entries_.back().name);
  }
}

int ParameterTable::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? -1 : found->second;
}

bool ParameterTable::trainable(const ParameterEntry& entry) const {
  return blocks_.at(static_cast<std::size_t>(entry.block)).trainable;
}

std::int64_t ParameterTable::element_offset(const ParameterEntry& entry) const {
  return entry.row_offset * (entry.shape.count() / entry.shape[0]);
}

std::int64_t ParameterTable::parameter_count() const noexcept {
  std::int64_t count = 0;
  for (const auto& block : blocks_) count += block.shape.count();
  return count;
}

std::int64_t ParameterTable::trainable_count() const noexcept {
  std::int64_t count = 0;
  for (const auto& block : blocks_) count += block.trainable ? block.shape.count() : 0;
  return count;
}

void initial_values(const ParameterEntry& entry, std::uint64_t seed, std::span<float> target) {
  LDMPI_CHECK(static_cast<std::int64_t>(target.size()) == entry.shape.count(), "{}: {} elements for {}", entry.name,
              target.size(), entry.shape.text());
  if (entry.init.kind == InitRule::Kind::Constant) {
    std::fill(target.begin(), target.end(), entry.init.value);
    return;
  }
  const Draw draw{seed, Purpose::Initialize, name_hash(entry.name.data(), entry.name.size())};
  const float bound = entry.init.value;
  for (std::size_t i = 0; i < target.size(); i += 4) {  // one call of the generator gives four elements
    const Philox4 words = draw.words(i / 4);
    const std::uint32_t lanes[4] = {words.x, words.y, words.z, words.w};
    for (std::size_t k = 0; k < 4 && i + k < target.size(); ++k)
      target[i + k] = (2 * uniform_from_bits(lanes[k]) - 1) * bound;
  }
}

std::vector<float> initial_values(const ParameterEntry& entry, std::uint64_t seed) {
  std::vector<float> result(static_cast<std::size_t>(entry.shape.count()));
  initial_values(entry, seed, result);
  return result;
}

ir::Value ParameterValues::get(std::string_view name) const {
  const int index = table->find(name);
  LDMPI_CHECK(index >= 0, "no parameter {}", name);
  const auto block = static_cast<std::size_t>(table->entries()[static_cast<std::size_t>(index)].block);
  LDMPI_CHECK(table->blocks()[block].entries.size() == 1, "{} shares its block", name);
  return blocks.at(block);
}

ParameterValues make_parameters(const ir::Builder& b, const ParameterTable& table, DType dtype) {
  ParameterValues result{&table, {}};
  for (const auto& block : table.blocks()) {
    const auto layout = block.shape.rank() == 4 ? ir::Layout::Parameter : ir::Layout::Rows;
    const ir::Type type{.dtype = dtype, .shape = block.shape, .pitch = 0, .layout = layout};
    result.blocks.push_back(
        b.persistent(ir::Arena::Weights, static_cast<int>(result.blocks.size()), block.label, type));
  }
  return result;
}

}  // namespace ldmpi::nn
