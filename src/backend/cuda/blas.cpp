#include "backend/cuda/blas.h"

#include <cublasLt.h>

#include <vector>

#include "backend/cuda/status.h"
#include "base/check.h"
#include "base/handle.h"

namespace ldmpi::backend::cuda {
namespace {

using Operation = Handle<cublasLtMatmulDesc_t, [](cublasLtMatmulDesc_t d) { cublasLtMatmulDescDestroy(d); }>;
using Layout = Handle<cublasLtMatrixLayout_t, [](cublasLtMatrixLayout_t l) { cublasLtMatrixLayoutDestroy(l); }>;
using Preference =
    Handle<cublasLtMatmulPreference_t, [](cublasLtMatmulPreference_t p) { cublasLtMatmulPreferenceDestroy(p); }>;

cudaDataType_t data_type(DType type) {
  switch (type) {
    case DType::BF16: return CUDA_R_16BF;
    case DType::F16: return CUDA_R_16F;
    default: return CUDA_R_32F;
  }
}

/// Column-major, as cuBLASLt counts.
Layout layout(DType type, std::int64_t rows, std::int64_t columns, std::int64_t pitch) {
  cublasLtMatrixLayout_t made = nullptr;
  check_blas(cublasLtMatrixLayoutCreate(&made, data_type(type), static_cast<std::uint64_t>(rows),
                                        static_cast<std::uint64_t>(columns), pitch),
             "describe a matrix");
  return Layout(made);
}

template <typename T>
void set(const Operation& operation, cublasLtMatmulDescAttributes_t attribute, T value) {
  check_blas(cublasLtMatmulDescSetAttribute(operation.get(), attribute, &value, sizeof value), "describe a product");
}

template <typename T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, T value) {
  check_blas(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value),
             "state a preference");
}

/// Rows here are columns there: y^T = op(b)^T op(a)^T, so b comes first.
class Product final : public BlasPlan {
 public:
  Product(cublasLtHandle_t handle, Stream stream, const MatMulProblem& p, std::size_t workspace_limit, int most)
      : handle_(handle),
        stream_(stream),
        workspace_limit_(workspace_limit),
        bias_(p.bias),
        b_(p.transpose_b ? layout(p.dtype, p.inner, p.columns, p.b_pitch)
                         : layout(p.dtype, p.columns, p.inner, p.b_pitch)),
        a_(p.transpose_a ? layout(p.dtype, p.rows, p.inner, p.a_pitch) : layout(p.dtype, p.inner, p.rows, p.a_pitch)),
        y_(layout(p.dtype, p.columns, p.rows, p.y_pitch)) {
    cublasLtMatmulDesc_t made = nullptr;
    check_blas(
        cublasLtMatmulDescCreate(&made, p.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
        "describe a product");
    operation_ = Operation(made);
    set(operation_, CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(operation_, CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (p.bias) set(operation_, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    find(p, most);
  }

  void run(const void* a, const void* b, const void* bias, void* y, void* workspace) const override {
    if (bias_) set(operation_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    const float one = 1;
    const float zero = 0;
    check_blas(cublasLtMatmul(handle_, operation_.get(), &one, b, b_.get(), a, a_.get(), &zero, y, y_.get(), y,
                              y_.get(), &found_[chosen_].algo, workspace, workspace_limit_, stream_),
               "multiply matrices");
  }
  int engines() const override { return static_cast<int>(found_.size()); }
  void choose(int engine) override { chosen_ = static_cast<std::size_t>(engine); }
  std::string name() const override {
    const auto get = [&](cublasLtMatmulAlgoConfigAttributes_t attribute) {
      std::int32_t value = 0;
      std::size_t written = 0;
      (void)cublasLtMatmulAlgoConfigGetAttribute(&found_[chosen_].algo, attribute, &value, sizeof value, &written);
      return value;
    };
    return fmt::format("cublaslt:{}/tile{}/stages{}/split{}", get(CUBLASLT_ALGO_CONFIG_ID),
                       get(CUBLASLT_ALGO_CONFIG_TILE_ID), get(CUBLASLT_ALGO_CONFIG_STAGES_ID),
                       get(CUBLASLT_ALGO_CONFIG_SPLITK_NUM));
  }

 private:
  void find(const MatMulProblem& p, int most) {
    cublasLtMatmulPreference_t made = nullptr;
    check_blas(cublasLtMatmulPreferenceCreate(&made), "state a preference");
    const Preference preference(made);
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(workspace_limit_));
    const auto alignment = static_cast<std::uint32_t>(p.wide ? 16 : size_of(p.dtype));
    for (auto operand : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                         CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      set(preference, operand, alignment);
    found_.resize(static_cast<std::size_t>(most));
    int count = 0;
    check_blas(cublasLtMatmulAlgoGetHeuristic(handle_, operation_.get(), b_.get(), a_.get(), y_.get(), y_.get(),
                                              preference.get(), most, found_.data(), &count),
               fmt::format("find an algorithm for a product [{},{}] = [{}] in {}", p.rows, p.columns, p.inner,
                           name_of(p.dtype)));
    found_.resize(static_cast<std::size_t>(count));
    std::erase_if(found_, [](const auto& result) { return result.state != CUBLAS_STATUS_SUCCESS; });
    LDMPI_CHECK(!found_.empty(), "cuBLASLt has no algorithm for a product [{},{}] = [{}] in {}", p.rows, p.columns,
                p.inner, name_of(p.dtype));
  }

  cublasLtHandle_t handle_;
  Stream stream_;
  std::size_t workspace_limit_;
  bool bias_;
  Layout b_, a_, y_;
  Operation operation_;
  std::vector<cublasLtMatmulHeuristicResult_t> found_;
  std::size_t chosen_ = 0;
};

}  // namespace

Blas::Blas(Stream stream) : stream_(stream) {
  check_blas(cublasLtCreate(&handle_), "start on this GPU");
}

Blas::~Blas() {
  cublasLtDestroy(handle_);
}

std::shared_ptr<BlasPlan> Blas::plan(const MatMulProblem& problem, std::size_t workspace_limit, int most) const {
  return std::make_shared<Product>(handle_, stream_, problem, workspace_limit, most);
}

std::string Blas::version() {
  const auto version = cublasLtGetVersion();
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace ldmpi::backend::cuda
