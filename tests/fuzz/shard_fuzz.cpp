// Shards: any bytes are refused as bad data, or opened through HDF5 and every row of what they say is read.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/check.h"
#include "data/shard.h"

namespace {

// One file per process, written anew for every input.
struct ScratchFile {
  std::string path = (std::filesystem::temp_directory_path() / "shard_fuzz_XXXXXX").string();
  int descriptor = mkstemp(path.data());
  ~ScratchFile() {
    close(descriptor);
    unlink(path.c_str());
  }
  void write(const std::uint8_t* data, std::size_t size) const {
    if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ScratchFile file;
  file.write(data, size);
  try {
    const auto shard = ldmpi::data::Shard::open(file.path);
    std::vector<std::byte> scratch;
    for (std::uint64_t row = 0; row < std::min<std::uint64_t>(shard.facts().samples, 8); ++row) {
      (void)shard.read_latent(row, scratch);
      (void)shard.read_prompt(shard.prompt_of(row), scratch);
    }
  } catch (const ldmpi::Error& error) {
    if (error.code() != ldmpi::Exit::BadData) std::abort();
  }
  return 0;
}
