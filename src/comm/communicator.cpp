#include "comm/communicator.h"

#include <algorithm>

#include "comm/environment.h"
#include "comm/mpi.h"
#include "comm/solo.h"

namespace ldmpi::comm {
namespace {

template <typename T>
T reduce_one(Communicator& communicator, T value, Reduction reduction) {
  communicator.all_reduce(std::span<T>(&value, 1), reduction);
  return value;
}

std::unique_ptr<Request> started(std::unique_ptr<Request> request) {
  request->start();
  return request;
}

}  // namespace

std::unique_ptr<Request> Communicator::start_all_reduce(void* buffer, std::size_t count, DType type) {
  return started(prepare_all_reduce(buffer, count, type));
}
std::unique_ptr<Request> Communicator::start_reduce_scatter(void* buffer, std::size_t count, DType type) {
  return started(prepare_reduce_scatter(buffer, count, type));
}
std::unique_ptr<Request> Communicator::start_all_gather(void* buffer, std::size_t count, DType type) {
  return started(prepare_all_gather(buffer, count, type));
}

std::int64_t Communicator::all_reduce_min(std::int64_t value) {
  return reduce_one(*this, value, Reduction::Min);
}
std::int64_t Communicator::all_reduce_max(std::int64_t value) {
  return reduce_one(*this, value, Reduction::Max);
}
std::int64_t Communicator::all_reduce_sum(std::int64_t value) {
  return reduce_one(*this, value, Reduction::Sum);
}
double Communicator::all_reduce_min(double value) {
  return reduce_one(*this, value, Reduction::Min);
}
double Communicator::all_reduce_max(double value) {
  return reduce_one(*this, value, Reduction::Max);
}
double Communicator::all_reduce_sum(double value) {
  return reduce_one(*this, value, Reduction::Sum);
}

std::string Communicator::broadcast_text(std::string_view text, int root) {
  auto size = static_cast<std::uint64_t>(text.size());
  broadcast(std::as_writable_bytes(std::span(&size, 1)), root);
  std::string result(rank() == root ? text : std::string_view{});
  result.resize(size);
  broadcast(std::as_writable_bytes(std::span(result)), root);
  return result;
}

std::vector<std::string> Communicator::all_gather_text(std::string_view text) {
  const auto mine = static_cast<std::uint64_t>(text.size());
  std::vector<std::uint64_t> sizes(static_cast<std::size_t>(size()));
  all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(sizes)));
  // Padded to the longest: for short texts.
  const std::size_t longest = *std::max_element(sizes.begin(), sizes.end());
  std::string padded(text);
  padded.resize(longest);
  std::string all(longest * sizes.size(), '\0');
  all_gather(std::as_bytes(std::span(padded)), std::as_writable_bytes(std::span(all)));
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < sizes.size(); ++i) texts.push_back(all.substr(i * longest, sizes[i]));
  return texts;
}

std::unique_ptr<Communicator> make_communicator(const Environment& environment, const CommunicatorOptions& options) {
  if (environment.launcher == Launcher::Alone) return make_solo_communicator(environment);
  return make_mpi_communicator(environment, options);
}

std::uint64_t sent_bytes(Collective kind, std::size_t count, DType type, int rank, int ranks,
                         const CommunicatorOptions& options) {
  const std::uint64_t size = size_of(type);
  const auto others = static_cast<std::uint64_t>(ranks - 1);
  if (kind != Collective::AllReduce) return others * count * size;
  if (count * size <= options.direct_bytes) return others * count * size;
  // All blocks but the own one while reducing, all but the right neighbour's while gathering.
  const std::uint64_t block = (count + static_cast<std::uint64_t>(ranks) - 1) / static_cast<std::uint64_t>(ranks);
  const auto length = [&](int index) {
    const std::uint64_t begin = std::min<std::uint64_t>(count, static_cast<std::uint64_t>(index) * block);
    return std::min<std::uint64_t>(count - begin, block);
  };
  return (2 * count - length(rank) - length((rank + 1) % ranks)) * size;
}

}  // namespace ldmpi::comm
