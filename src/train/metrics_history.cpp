#include "train/metrics_history.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/log.h"
#include "io/atomic_file.h"

namespace ldmpi::train {

namespace {

constexpr std::uint64_t kMaxFile = std::uint64_t{8} << 30;

/// Calls visit(line, object, step) for each line; object is null for a line that is not an object with a step.
template <typename Visit>
void each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    const bool complete = end < text.size();
    text.remove_prefix(complete ? end + 1 : end);
    if (line.empty()) continue;
    const auto object = nlohmann::json::parse(line, nullptr, false);
    const auto step = object.is_object() ? object.find("step") : object.end();
    if (complete && object.is_object() && step != object.end() && step->is_number_integer())
      visit(line, &object, step->get<std::int64_t>());
    else
      visit(line, nullptr, 0);
  }
}

std::optional<std::int64_t> restart_of(const nlohmann::json& object) {
  const auto restart = object.find("restart");
  if (restart == object.end() || !restart->is_number_integer()) return {};
  return restart->get<std::int64_t>();
}

// Fields of the wrong type are taken for absent.
HistoryStart start_of(const nlohmann::json& object, std::int64_t step) {
  HistoryStart start;
  start.step = step;
  const auto integer = [&](const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
  };
  const auto text = [&](const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  start.ranks = integer("ranks");
  start.last_step = integer("max_train_steps");
  start.device = text("device");
  start.config = text("config");
  if (const auto time = object.find("time"); time != object.end() && time->is_number()) start.time = time->get<double>();
  if (const auto hosts = object.find("hosts"); hosts != object.end() && hosts->is_array())
    for (const auto& host : *hosts)
      if (host.is_string()) start.hosts.push_back(host.get<std::string>());
  return start;
}

}  // namespace

int drop_history_after(const std::filesystem::path& file, std::int64_t restored_step) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return 0;
  const std::string text = io::read_text_file(file, kMaxFile);
  std::string kept;
  kept.reserve(text.size());
  std::int64_t restarts = 0;
  std::size_t damaged = 0;
  each_line(text, [&](std::string_view line, const nlohmann::json* object, std::int64_t step) {
    if (object == nullptr) {
      ++damaged;
      return;
    }
    if (const auto restart = restart_of(*object)) restarts = std::clamp<std::int64_t>(*restart, restarts, INT32_MAX);
    if (step > restored_step) return;
    kept += line;
    kept += '\n';
  });
  if (damaged > 0) log::warning("{}: {} damaged lines removed", file.string(), damaged);
  if (kept.size() != text.size()) io::write_file_atomically(file, kept);
  return static_cast<int>(restarts);
}

History read_history(const std::filesystem::path& file) {
  History history;
  each_line(io::read_text_file(file, kMaxFile), [&](std::string_view, const nlohmann::json* object, std::int64_t step) {
    if (object == nullptr) return;
    if (restart_of(*object)) {
      history.restarts.push_back(step);
      return;
    }
    if (object->value("event", nlohmann::json()) == "start") {
      history.starts.push_back(start_of(*object, step));
      return;
    }
    for (const auto& [key, value] : object->items()) {
      if (constexpr std::string_view kWho = "_max_rank"; key.ends_with(kWho) && value.is_number_integer()) {
        const auto what = key.substr(0, key.size() - kWho.size());
        const auto host = object->find(what + "_max_host");
        ++history.maxima[what][fmt::format("rank {}{}", value.get<std::int64_t>(),
                                           host != object->end() && host->is_string()
                                               ? " on " + host->get<std::string>()
                                               : std::string())];
        continue;
      }
      if (value.is_number() && key != "step" && key != "time")
        history.series[key].emplace_back(step, value.get<double>());
    }
  });
  return history;
}

}  // namespace ldmpi::train
