#pragma once
// The words of every enumeration of config.h, in the order of its values.

#include <array>
#include <cstddef>
#include <string_view>

#include "config/config.h"

namespace ldmpi::config {

template <typename E>
struct Names;

template <>
struct Names<Device> {
  static constexpr std::array<std::string_view, 3> list{"auto", "cpu", "cuda"};
};
template <>
struct Names<CommBackend> {
  static constexpr std::array<std::string_view, 3> list{"auto", "nccl", "mpi"};
};
template <>
struct Names<Precision> {
  static constexpr std::array<std::string_view, 5> list{"auto", "fp32", "tf32", "bf16", "fp16"};
};
template <>
struct Names<Resume> {
  static constexpr std::array<std::string_view, 3> list{"auto", "never", "must"};
};
template <>
struct Names<Switch> {
  static constexpr std::array<std::string_view, 3> list{"auto", "on", "off"};
};
template <>
struct Names<Stage> {
  static constexpr std::array<std::string_view, 4> list{"graph", "schedule", "plan", "kernels"};
};
template <>
struct Names<LrSchedule> {
  static constexpr std::array<std::string_view, 3> list{"constant", "linear", "cosine"};
};
template <>
struct Names<Prediction> {
  static constexpr std::array<std::string_view, 4> list{"auto", "epsilon", "v_prediction", "sample"};
};
template <>
struct Names<BetaSchedule> {
  static constexpr std::array<std::string_view, 4> list{"auto", "linear", "scaled_linear", "squaredcos_cap_v2"};
};
template <>
struct Names<BadSample> {
  static constexpr std::array<std::string_view, 2> list{"stop", "skip"};
};
template <>
struct Names<LogLevel> {
  static constexpr std::array<std::string_view, 4> list{"debug", "info", "warning", "error"};
};
template <>
struct Names<Sampler> {
  static constexpr std::array<std::string_view, 2> list{"ddim", "dpmsolver++"};
};
template <>
struct Names<Weights> {
  static constexpr std::array<std::string_view, 2> list{"ema", "live"};
};
template <>
struct Names<FileDType> {
  static constexpr std::array<std::string_view, 4> list{"keep", "fp32", "fp16", "bf16"};
};
template <>
struct Names<WeightFormat> {
  static constexpr std::array<std::string_view, 2> list{"diffusers", "ldm"};
};

/// The word that stands for the value in files and on the command line.
template <typename E>
[[nodiscard]] constexpr std::string_view name_of(E value) {
  return Names<E>::list[static_cast<std::size_t>(value)];
}

}  // namespace ldmpi::config
