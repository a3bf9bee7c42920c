// Reading a dataset as training does, warm (the files are in the page cache):
//   ldmpi-data synth --out D --samples 4096 --shards 4 --latent 4x64x64 --context 8x32 --seed 1
//   data_reader_bench D
// "bytes_per_second" counts the latents as stored (4x64x64 in 16 bits: 32 KiB each), checked by their CRC.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <iostream>

#include "base/check.h"
#include "base/rng.h"
#include "data/batch_reader.h"
#include "data/dataset.h"
#include "data/manifest.h"
#include "data/shard.h"

namespace {

using namespace ldmpi;

void count(benchmark::State& state, std::size_t bytes, std::size_t samples) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes * samples) * state.iterations());
}

// Single rows in random order, by one thread.
void read_rows(benchmark::State& state, const std::vector<std::filesystem::path>& files) {
  std::vector<data::Shard> shards;
  for (const auto& file : files) shards.push_back(data::Shard::open(file));
  std::vector<std::byte> scratch;
  const Draw draw{1, Purpose::Order, 0};
  std::uint64_t i = 0;
  for (auto _ : state) {
    const auto& shard = shards[draw.below(2 * i, static_cast<std::uint32_t>(shards.size()))];
    const auto row = draw.below(2 * i + 1, static_cast<std::uint32_t>(shard.facts().samples));
    benchmark::DoNotOptimize(shard.read_latent(row, scratch).data());
    ++i;
  }
  count(state, shards.front().latent_bytes(), 1);
}

// Batches in training order, converted to fp32, by the reading thread.
void read_batches(benchmark::State& state, const data::Dataset& dataset, std::size_t latent_bytes) {
  data::ReaderOptions options;
  options.batch_size = options.total_batch_size = 32;
  data::BatchReader reader(dataset, options);
  for (auto _ : state) benchmark::DoNotOptimize(reader.next().rows.latents.data());
  count(state, latent_bytes, options.batch_size);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc != 2) {
    std::cerr << "usage: data_reader_bench DATA\n";
    return 78;
  }
  try {
    const auto dataset = data::Dataset::open(argv[1]);
    const auto files = data::shard_files(argv[1]);
    const auto bytes = data::Shard::open(files.front()).latent_bytes();
    benchmark::RegisterBenchmark("rows", [&](benchmark::State& state) { read_rows(state, files); })->UseRealTime();
    benchmark::RegisterBenchmark("batches", [&](benchmark::State& state) { read_batches(state, dataset, bytes); })
        ->UseRealTime();
    benchmark::RunSpecifiedBenchmarks();
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
    return static_cast<int>(error.code());
  }
}
