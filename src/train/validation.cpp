#include "train/validation.h"

#include <algorithm>
#include <numeric>

#include "data/batch_reader.h"

namespace ldmpi::train {

double validation_loss(Job& job, comm::Communicator& communicator, const data::Dataset& data, std::int64_t samples) {
  auto& programs = job.programs();
  const int program = job.validation_program();
  auto put = [&](std::string_view name, const auto& values) {
    const std::string label(name);
    if (programs.has_input(program, label))
      programs.write_input(program, label, values.data(), values.size() * sizeof(values[0]));
  };
  put(label::kEmpty, data.empty_prompt());
  put(label::kEmptyPooled, data.empty_pooled());

  // Samples of the first bucket, in the order of their ids.
  const auto wanted = std::min<std::int64_t>(samples, static_cast<std::int64_t>(data.info().buckets.front().samples));
  const auto batches = std::max<std::int64_t>(wanted / kValidationBatch, 1);
  std::vector<std::uint64_t> ids;
  for (const auto& segment : data.segments())
    for (std::uint64_t i = 0; segment.bucket == 0 && i < segment.count && std::ssize(ids) < batches * kValidationBatch;
         ++i)
      ids.push_back(segment.first + i);

  // Every batch is computed by one rank and is zero on the others: the sum over ranks is exact.
  std::vector<double> losses(static_cast<std::size_t>(batches), 0.0);
  for (std::int64_t b = communicator.rank(); b < batches; b += communicator.size()) {
    const auto first = static_cast<std::size_t>(b * kValidationBatch);
    const auto batch = data::read_samples(data, std::span(ids).subspan(first, kValidationBatch));
    std::vector<std::int64_t> draws(kValidationBatch);
    std::iota(draws.begin(), draws.end(), b * kValidationBatch);
    put(label::kDraws, draws);
    put(label::kLatents, batch.rows.latents);
    put(label::kContext, batch.rows.context);
    put(label::kPooled, batch.rows.pooled);
    put(label::kTimeIds, batch.rows.time_ids);
    (void)programs.run(program);
    float loss = 0;
    programs.read_output(program, std::string(label::kLoss), &loss, sizeof loss);
    losses[static_cast<std::size_t>(b)] = static_cast<double>(loss);
  }
  communicator.all_reduce(std::span(losses), comm::Reduction::Sum);
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(batches);
}

}  // namespace ldmpi::train
