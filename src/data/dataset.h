#pragma once
// A dataset: one shard file, or a folder of *.h5 shards with a manifest.json (docs/file_formats.md). Opening checks
// everything that can be checked without reading samples and reports all problems at once.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/shape.h"

namespace ldmpi::data {

/// Samples of one latent shape; global batches never mix buckets.
struct Bucket {
  Shape latent;  ///< [C,H,W]; C counts the channels of a latent, also where mean and logvar are stored
  std::uint64_t samples = 0;
};

/// Samples first .. first+count-1 that lie behind each other in one file.
struct Segment {
  std::size_t bucket = 0;
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

struct DatasetInfo {
  std::uint64_t samples = 0;
  std::vector<Bucket> buckets;    ///< in order of first appearance
  bool has_moments = false;       ///< mean and logvar are stored instead of a sampled latent
  Shape context;                  ///< [T,D] of one prompt
  std::int64_t pooled_width = 0;  ///< E of pooled_prompt_embeds, 0 = none
  bool has_time_ids = false;
  double scaling_factor = 1.0;  ///< the model sees (raw - shift) * scaling_factor
  double shift = 0.0;
  std::string codec;              ///< what made the latents, e.g. "pixels:v1:channels=1:unshuffle=2"
  std::string text_encoder;       ///< what made the prompt embeddings, e.g. "words:v1:8x64:seed=1"
  std::uint64_t fingerprint = 0;  ///< of the contents; independent of path, file names' folder and time
};

struct OpenOptions {
  bool check_files = true;  ///< open and size every file now; with a manifest, one rank of a job is enough
};

/// Rows of a batch as stored, converted to float and scaled. Sizes are set by Dataset::read.
struct Rows {
  std::vector<float> latents;      ///< [N,C,H,W], or [N,2C,H,W]: scaled mean, then std * scaling_factor
  std::vector<float> context;      ///< [N,T,D]
  std::vector<float> pooled;       ///< [N,E] or empty
  std::vector<float> time_ids;     ///< [N,6] or empty
  std::vector<std::byte> scratch;  ///< stored bytes of one row, kept so that reading does not allocate
};

class Dataset {
 public:
  /// Errors: MissingInput (path, or a file the manifest names), NoPermission, BadData (all problems in one message).
  [[nodiscard]] static Dataset open(const std::filesystem::path& path, OpenOptions options = {});

  Dataset(Dataset&&) noexcept;
  Dataset& operator=(Dataset&&) noexcept;
  ~Dataset();

  [[nodiscard]] const DatasetInfo& info() const noexcept;
  [[nodiscard]] const std::vector<Segment>& segments() const noexcept;  ///< one per shard, ids ascending
  /// Shape of one stored sample: [C,H,W] or [2C,H,W].
  [[nodiscard]] Shape stored_shape(std::size_t bucket) const;
  [[nodiscard]] std::size_t bucket_of(std::uint64_t sample) const;
  /// "shard-00003.h5, row 17" for messages.
  [[nodiscard]] std::string where(std::uint64_t sample) const;

  /// Row 0 of the prompt table: [T,D] and [E] (empty without pooled embeddings). Never changes.
  [[nodiscard]] std::vector<float> empty_prompt() const;
  [[nodiscard]] std::vector<float> empty_pooled() const;

  /// Reads row i of a batch into position i of `rows` (which must be sized by `resize`). Opens the shard at first use.
  /// Errors: BadData naming shard and row (CRC, NaN, file changed), MissingInput, IoError after retries. Thread-safe.
  void read(std::uint64_t sample, Rows& rows, std::size_t position) const;
  /// Sizes `rows` for n samples of a bucket, reusing memory.
  void resize(Rows& rows, std::size_t bucket, std::size_t n) const;

  /// The caption of a sample, empty if the shard stores none. Slow: opens the file through HDF5.
  [[nodiscard]] std::string caption(std::uint64_t sample) const;

 private:
  struct State;
  explicit Dataset(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ldmpi::data
