// Opens a dataset as training does and prints what it is; reads one sample. For file_formats_test.py.

#include <cstdio>

#include "base/check.h"
#include "data/batch_reader.h"

int main(int, char** argv) {
  try {
    const auto dataset = ldmpi::data::Dataset::open(argv[1]);
    const auto& info = dataset.info();
    const std::uint64_t last = info.samples - 1;
    const auto batch = ldmpi::data::read_samples(dataset, std::span(&last, 1));
    fmt::print("{} samples {} context {} fingerprint {:016x} last {:.4f}\n", info.samples,
               info.buckets.front().latent.text(), info.context.text(), info.fingerprint, batch.rows.latents.back());
    return 0;
  } catch (const ldmpi::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  }
}
