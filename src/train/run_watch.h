#pragma once
// A run as its files show it while it goes on: read again and again, each time only what is new.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/run_folder.h"

namespace ldmpi::train {

/// A long row of numbers in bounded memory: means of neighbours, ever more of them as the row grows.
class Trail {
 public:
  void add(double value);
  /// At most `count` means of equally many numbers each, oldest first.
  [[nodiscard]] std::vector<double> means(std::size_t count) const;
  [[nodiscard]] bool empty() const noexcept { return means_.empty() && held_ == 0; }

 private:
  std::vector<double> means_;  // of `stride_` numbers each
  std::size_t stride_ = 1;
  double sum_ = 0;  // of the numbers that do not yet make a mean
  std::size_t held_ = 0;
};

/// Everything known of a run.
struct RunPicture {
  bool started = false;                    ///< there is a record
  std::optional<double> time;              ///< of the last line, seconds since 1970
  std::int64_t step = 0;                   ///< the last one recorded; of a resumed run its first until then
  std::int64_t last_step = 0;              ///< 0: unknown
  std::int64_t restarts = 0;
  std::int64_t ranks = 0;
  std::size_t hosts = 0;
  std::string device;
  std::optional<double> job_end;           ///< seconds since 1970
  std::map<std::string, double> values;    ///< newest number of each key, events included
  std::map<std::string, std::string> who;  ///< "compute_ms": "rank 3 on n2"
  Trail loss, speed;
  std::string checkpoint;  ///< name of the newest one; empty: none
  bool final_model = false;
  std::vector<std::string> warnings;  ///< last warnings and errors of rank 0, oldest first

  [[nodiscard]] std::optional<double> value(std::string_view key) const;
};

class RunWatch {
 public:
  explicit RunWatch(std::filesystem::path run);

  /// Reads what has come since the last look. A record that was replaced (a resumed run drops the steps that it trains
  /// again) is read anew. Whatever is missing, half written or unreadable is left out.
  void look();
  [[nodiscard]] const RunPicture& picture() const noexcept { return picture_; }

 private:
  void read_record();
  void take(std::string_view line);
  void read_warnings();

  RunFolder run_;
  RunPicture picture_;
  std::uint64_t inode_ = 0;
  std::uint64_t offset_ = 0;  // of the first byte not yet read
  std::string rest_;          // the begin of a line that is not yet complete
};

}  // namespace ldmpi::train
