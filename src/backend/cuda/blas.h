#pragma once
// The door to cuBLASLt.

#include <compare>
#include <cstdint>
#include <memory>
#include <string>

#include "backend/cuda/host.h"

struct cublasLtContext;

namespace ldmpi::backend::cuda {

/// y = op(a) op(b) (+ bias on every row), all of one type, rows at pitches.
struct MatMulProblem {
  DType dtype = DType::BF16;
  bool tf32 = false;
  bool bias = false;
  bool transpose_a = false;
  bool transpose_b = false;
  bool wide = false;  ///< all addresses are multiples of 16 bytes
  std::int64_t rows = 0, columns = 0, inner = 0;
  std::int64_t a_pitch = 0, b_pitch = 0, y_pitch = 0;
  friend auto operator<=>(const MatMulProblem&, const MatMulProblem&) = default;
};

/// One product with one algorithm, or several to choose from.
class BlasPlan {
 public:
  virtual ~BlasPlan() = default;
  virtual void run(const void* a, const void* b, const void* bias, void* y, void* workspace) const = 0;
  [[nodiscard]] virtual int engines() const = 0;
  virtual void choose(int engine) = 0;
  [[nodiscard]] virtual std::string name() const = 0;
};

class Blas {
 public:
  explicit Blas(Stream stream);
  ~Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  /// Up to `most` algorithms within the workspace, the one that the heuristics like best first. Throws
  /// Error(Internal) where there is none. The Blas must outlive the plan.
  [[nodiscard]] std::shared_ptr<BlasPlan> plan(const MatMulProblem& problem, std::size_t workspace_limit,
                                               int most) const;
  [[nodiscard]] static std::string version();

 private:
  Stream stream_;
  cublasLtContext* handle_ = nullptr;
};

}  // namespace ldmpi::backend::cuda
