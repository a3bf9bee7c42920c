#include "comm/agree.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <new>

#include "base/rng.h"

namespace ldmpi::comm {
namespace {

Exit code_of(const std::error_code& error) {
  if (error == std::errc::permission_denied || error == std::errc::operation_not_permitted) return Exit::NoPermission;
  if (error == std::errc::no_such_file_or_directory) return Exit::MissingInput;
  return Exit::IoError;
}

bool is_agreed(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const AgreedError&) {
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace

Failure describe(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& e) {
    return {e.code(), e.what()};
  } catch (const std::filesystem::filesystem_error& e) {
    return {code_of(e.code()), e.what()};
  } catch (const std::bad_alloc&) {
    return {Exit::Internal, "out of host memory: use fewer ranks on this host or a smaller batch_size"};
  } catch (const std::exception& e) {
    return {Exit::Internal, fmt::format("unexpected error: {}", e.what())};
  } catch (...) {
    return {Exit::Internal, "unexpected error of an unknown type"};
  }
}

void settle(Communicator& communicator, const std::exception_ptr& exception) {
  const int ranks = communicator.size();
  const auto first =
      static_cast<int>(communicator.all_reduce_min(std::int64_t{exception ? communicator.rank() : ranks}));
  if (first == ranks) return;
  if (ranks == 1) std::rethrow_exception(exception);

  const Failure mine = exception ? describe(exception) : Failure{Exit::Done, ""};
  // An inner agree has named the rank already.
  const bool named = exception && is_agreed(exception);
  const auto words =
      communicator.all_gather_text(fmt::format("{} {} {:x}", static_cast<int>(mine.code), exception && !named ? 1 : 0,
                                               name_hash(mine.message.data(), mine.message.size())));
  // What all ranks say alike has nothing to do with one of them.
  const bool alike = std::adjacent_find(words.begin(), words.end(), std::not_equal_to<>()) == words.end();
  const std::string text = communicator.broadcast_text(
      named || alike ? mine.message
                     : fmt::format("rank {} on {}: {}", communicator.rank(),
                                   communicator.hosts()[static_cast<std::size_t>(communicator.rank())], mine.message),
      first);
  const auto code = static_cast<Exit>(std::stoi(words[static_cast<std::size_t>(first)]));
  std::vector<int> others;
  for (int rank = first + 1; rank < ranks; ++rank)
    if (words[static_cast<std::size_t>(rank)].find(" 1 ") != std::string::npos) others.push_back(rank);
  if (others.empty() || alike) throw AgreedError(code, text);
  throw AgreedError(code, fmt::format("{}\n(failed as well: rank {})", text, fmt::join(others, ", ")));
}

void agree_equal(Communicator& communicator, std::string_view name, std::string_view value, std::string_view fix,
                 Exit code) {
  const auto hash = static_cast<std::int64_t>(name_hash(value.data(), value.size()));
  if (communicator.all_reduce_min(hash) == communicator.all_reduce_max(hash)) return;

  const auto values = communicator.all_gather_text(value);
  std::map<std::string, std::vector<std::size_t>> ranks_of;
  for (std::size_t rank = 0; rank < values.size(); ++rank) ranks_of[values[rank]].push_back(rank);
  // What most ranks have is right; among equals, what rank 0 has.
  const std::string* usual = &values[0];
  for (const auto& [candidate, ranks] : ranks_of)
    if (ranks.size() > ranks_of[*usual].size()) usual = &candidate;
  std::string text = fmt::format("the ranks differ in {}: most have '{}'", name, *usual);
  for (const auto& [odd, ranks] : ranks_of) {
    if (odd == *usual) continue;
    for (const auto rank : ranks)
      text += fmt::format("; rank {} on {} has '{}'", rank, communicator.hosts()[rank], odd);
  }
  throw AgreedError(code, fmt::format("{}. {}", text, fix));
}

}  // namespace ldmpi::comm
