#include "config/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace ldmpi::config {
namespace {

constexpr std::int64_t kWarmupSteps = 500;
constexpr double kRateFromScratch = 1e-4;
constexpr double kRateFromWeights = 1e-5;

/// The ranks R with total = R x factor x anything (or x nothing, if `exact`), as a sentence.
std::string possible_ranks(std::int64_t total, std::int64_t factor, bool exact) {
  if (total % factor != 0) {
    const std::int64_t below = total / factor * factor;
    return fmt::format("No number of ranks fits; the nearest totals are {}{}.",
                       below > 0 ? fmt::format("{} and ", below) : "", below + factor);
  }
  const std::int64_t quotient = total / factor;
  if (exact) return fmt::format("It holds for num_gpus {} only.", quotient);
  constexpr std::size_t kShown = 16;
  std::vector<std::int64_t> ranks;
  for (std::int64_t r = 1; r <= quotient && ranks.size() < kShown; ++r) {
    if (quotient % r == 0) ranks.push_back(r);
  }
  const bool more = ranks.back() != quotient;
  return fmt::format("Numbers of ranks that fit: {}{}.", fmt::join(ranks, ", "), more ? ", ..." : "");
}

std::string shown(const char* key, std::optional<std::int64_t> value) {
  return value ? fmt::format("{} {}", key, *value) : std::string(key);
}

}  // namespace

std::string Batch::equation() const {
  return fmt::format("total_batch_size {} = num_gpus {} x batch_size {} x accumulation {}", total, ranks, batch_size,
                     accumulation);
}

Batch resolve_batch(std::optional<std::int64_t> batch_size, std::optional<std::int64_t> total,
                    std::optional<std::int64_t> accumulation, std::int64_t ranks) {
  LDMPI_CHECK(ranks >= 1, "{} ranks", ranks);
  Batch batch{ranks, batch_size.value_or(1), accumulation.value_or(1), 0};
  const std::int64_t product = ranks * batch.batch_size * batch.accumulation;
  batch.total = total.value_or(product);
  const bool exact = batch_size && accumulation;
  if (exact ? batch.total != product : batch.total % product != 0) {
    fail(Exit::BadConfig, "the batch does not come out even: {} = num_gpus {} x {} x {} has no whole solution. {}",
         shown("total_batch_size", total), ranks, shown("batch_size", batch_size), shown("accumulation", accumulation),
         possible_ranks(batch.total, batch.batch_size * batch.accumulation, exact));
  }
  if (batch_size) {
    batch.accumulation *= batch.total / product;
  } else {
    batch.batch_size *= batch.total / product;
  }
  return batch;
}

Device resolve_device(Device asked, bool cuda_usable) {
  return asked != Device::Auto ? asked : cuda_usable ? Device::Cuda : Device::Cpu;
}

Precision resolve_precision(Precision asked, Device device) {
  if (asked == Precision::Auto) return device == Device::Cuda ? Precision::Bf16 : Precision::Fp32;
  require(asked != Precision::Tf32 || device == Device::Cuda, Exit::BadConfig,
          "precision tf32 exists on CUDA only, and this run uses the CPU; use fp32, bf16 or fp16");
  return asked;
}

Sources resolve(TrainConfig& c, std::int64_t ranks, bool cuda_usable) {
  Sources derived;
  require(!c.num_gpus || *c.num_gpus == ranks, Exit::BadConfig,
          "num_gpus is {}, but the launcher started {} rank{}. num_gpus is the total number of ranks: leave it out, or "
          "start {} ranks",
          c.num_gpus.value_or(0), ranks, ranks == 1 ? "" : "s", c.num_gpus.value_or(0));
  const Batch batch = resolve_batch(c.batch_size, c.total_batch_size, c.accumulation, ranks);
  const auto settle = [&derived](auto& field, auto value, const char* key, std::string reason) {
    if (!field) derived[key] = "derived: " + std::move(reason);
    field = value;
  };
  settle(c.num_gpus, ranks, "num_gpus", "ranks of this job");
  settle(c.total_batch_size, batch.total, "total_batch_size", batch.equation());
  settle(c.batch_size, batch.batch_size, "batch_size", batch.equation());
  settle(c.accumulation, batch.accumulation, "accumulation", batch.equation());

  const auto decide = [&derived](auto& field, auto value, const char* key, std::string reason) {
    if (field != value) derived[key] = "derived: " + std::move(reason);
    field = value;
  };
  decide(c.device, resolve_device(c.device, cuda_usable), "device", cuda_usable ? "CUDA is usable" : "no usable CUDA");
  decide(c.precision, resolve_precision(c.precision, c.device), "precision",
         fmt::format("device {}", name_of(c.device)));
  const bool from_weights = !c.model.path.empty();
  const std::string start = from_weights ? "model.path is given" : "training from scratch";
  settle(c.optimizer.learning_rate,
         c.optimizer.learning_rate.value_or(from_weights ? kRateFromWeights : kRateFromScratch),
         "optimizer.learning_rate", start);
  settle(c.schedule.warmup_steps, c.schedule.warmup_steps.value_or(std::min(kWarmupSteps, c.max_train_steps / 10)),
         "schedule.warmup_steps", "500, at most 10 % of max_train_steps");
  if (c.ema.enabled == Switch::Auto) {
    decide(c.ema.enabled, from_weights ? Switch::Off : Switch::On, "ema.enabled", start);
  }
  return derived;
}

}  // namespace ldmpi::config
