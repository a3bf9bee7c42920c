#include "train/train_state.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "base/check.h"
#include "io/json_text.h"

namespace ldmpi::train {

namespace {

// One list for both directions: `visit(key, field)` for every field.
template <typename State, typename Visit>
void each_field(State& s, Visit visit) {
  visit("step", s.step);
  visit("applied_steps", s.applied_steps);
  visit("skipped_steps", s.skipped_steps);
  visit("cursor", s.cursor);
  visit("epoch", s.epoch);
  visit("seed", s.seed);
  visit("total_batch_size", s.total_batch_size);
  visit("world_size", s.world_size);
  visit("loss_scale", s.loss_scale);
  visit("loss_scale_good_steps", s.loss_scale_good_steps);
  visit("ema_count", s.ema_count);
  visit("restarts", s.restarts);
  visit("wall_seconds", s.wall_seconds);
  visit("choices", s.choices);
  visit("fingerprints", s.fingerprints);
  visit("config", s.config);
}

template <typename T>
bool holds(const nlohmann::json& value) {
  if constexpr (std::is_same_v<T, std::uint64_t>)
    return value.is_number_unsigned();
  else if constexpr (std::is_integral_v<T>)
    return value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
  else if constexpr (std::is_floating_point_v<T>)
    return value.is_number();
  else if constexpr (std::is_same_v<T, std::string>)
    return value.is_string();
  else
    return value.is_object() && std::all_of(value.begin(), value.end(), [](const auto& v) { return v.is_string(); });
}

}  // namespace

std::string to_json(const TrainState& state) {
  nlohmann::json json = nlohmann::json::object();
  each_field(state, [&](const char* key, const auto& field) { json[key] = field; });
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

TrainState parse_train_state(std::string_view text, std::string_view name) {
  const nlohmann::json json = io::parse_json(text, name, {.depth = 4, .values = 100'000});
  require(json.is_object(), Exit::BadData, "{} is not a training state: an object is expected", name);
  TrainState state;
  each_field(state, [&]<typename T>(const char* key, T& field) {
    const auto found = json.find(key);
    require(found != json.end() && holds<T>(*found), Exit::BadData, "{} is not a training state: \"{}\" is {}", name,
            key, found == json.end() ? "missing" : "of the wrong type");
    field = found->template get<T>();
  });
  require(state.step >= 0 && state.applied_steps >= 0 && state.world_size >= 0, Exit::BadData,
          "{} is not a training state: a count is negative", name);
  return state;
}

}  // namespace ldmpi::train
