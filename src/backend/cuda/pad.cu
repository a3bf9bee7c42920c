// Rows with more or fewer columns: tensor cores want channels in multiples of 8, latents have 4.

#include "backend/cuda/each.cuh"
#include "backend/cuda/kernels.h"

namespace ldmpi::backend::cuda {
namespace {

template <typename T>
struct FitBody {
  static constexpr int kWidth = 1;
  const T* from;
  const T* bias;
  T* to;
  std::int64_t from_pitch;
  std::int64_t to_pitch;
  std::int64_t columns;  ///< of `from`
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t column) const {
    float value = 0;
    if (column < columns) value = to_float(from[row * from_pitch + column]);
    if (bias != nullptr) value += to_float(bias[column]);
    to[row * to_pitch + column] = from_float<T>(value);
  }
};

}  // namespace

void fit_columns(const Rows2d& from, const Rows2d& to, const void* bias, DType type, Stream stream) {
  with_float(type, [&]<typename T>(T) {
    each(to.rows, to.columns, false, stream,
         FitBody<T>{static_cast<const T*>(from.data), static_cast<const T*>(bias), static_cast<T*>(to.data), from.pitch,
                    to.pitch, from.columns});
  });
}

}  // namespace ldmpi::backend::cuda
