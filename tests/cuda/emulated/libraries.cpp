// The doors to cuDNN and cuBLASLt, and the device's marks, for the emulated device: plain loops, in f64.

#include <cmath>
#include <vector>

#include "../../ops/emulated/emulator.h"
#include "backend/cuda/blas.h"
#include "backend/cuda/cudnn.h"
#include "backend/cuda/marks.h"
#include "base/check.h"
#include "base/clock.h"

struct cudnnContext {
  ldmpi::backend::cuda::Stream stream;
};

namespace ldmpi::backend::cuda {
namespace {

double get(const void* data, DType type, std::int64_t i) {
  float value = 0;
  convert_to_float(static_cast<const std::byte*>(data) + i * static_cast<std::int64_t>(size_of(type)), type, &value, 1);
  return static_cast<double>(value);
}
void put(void* data, DType type, std::int64_t i, double x) {
  const auto value = static_cast<float>(x);
  convert_from_float(&value, type, static_cast<std::byte*>(data) + i * static_cast<std::int64_t>(size_of(type)), 1);
}

/// use(pixel of y, pixel of x, offset in the kernel) for every pair that a convolution joins.
template <typename Use>
void each_pair(const ConvolutionProblem& p, const Use& use) {
  for (std::int64_t n = 0; n < p.samples; ++n)
    for (std::int64_t i = 0; i < p.out_height; ++i)
      for (std::int64_t j = 0; j < p.out_width; ++j)
        for (std::int64_t u = 0; u < p.kernel; ++u)
          for (std::int64_t v = 0; v < p.kernel; ++v) {
            const std::int64_t h = i * p.stride + u - p.padding;
            const std::int64_t w = j * p.stride + v - p.padding;
            if (h < 0 || h >= p.height || w < 0 || w >= p.width) continue;
            use((n * p.out_height + i) * p.out_width + j, (n * p.height + h) * p.width + w, u * p.kernel + v);
          }
}

void convolve(const ConvolutionProblem& p, const std::vector<void*>& operands) {
  const std::int64_t taps = p.kernel * p.kernel;
  const auto weight = [&](std::int64_t o, std::int64_t tap, std::int64_t c) { return (o * taps + tap) * p.channels + c; };
  const std::int64_t x_pixels = p.samples * p.height * p.width;
  const std::int64_t y_pixels = p.samples * p.out_height * p.out_width;
  if (p.pass == ConvolutionPass::Forward) {
    std::vector<double> y(static_cast<std::size_t>(y_pixels * p.filters));
    each_pair(p, [&](std::int64_t to, std::int64_t from, std::int64_t tap) {
      for (std::int64_t o = 0; o < p.filters; ++o)
        for (std::int64_t c = 0; c < p.channels; ++c)
          y[static_cast<std::size_t>(to * p.filters + o)] +=
              get(operands[0], p.dtype, from * p.x_pitch + c) * get(operands[1], p.dtype, weight(o, tap, c));
    });
    for (std::int64_t r = 0; r < y_pixels; ++r)
      for (std::int64_t o = 0; o < p.filters; ++o)
        put(operands[2], p.dtype, r * p.y_pitch + o,
            y[static_cast<std::size_t>(r * p.filters + o)] + (p.bias ? get(operands[3], p.dtype, o) : 0.0));
  } else if (p.pass == ConvolutionPass::InputGrad) {
    std::vector<double> dx(static_cast<std::size_t>(x_pixels * p.channels));
    each_pair(p, [&](std::int64_t from, std::int64_t to, std::int64_t tap) {
      for (std::int64_t o = 0; o < p.filters; ++o)
        for (std::int64_t c = 0; c < p.channels; ++c)
          dx[static_cast<std::size_t>(to * p.channels + c)] +=
              get(operands[0], p.dtype, from * p.y_pitch + o) * get(operands[1], p.dtype, weight(o, tap, c));
    });
    for (std::int64_t r = 0; r < x_pixels; ++r)
      for (std::int64_t c = 0; c < p.channels; ++c)
        put(operands[2], p.dtype, r * p.x_pitch + c, dx[static_cast<std::size_t>(r * p.channels + c)]);
  } else {
    std::vector<double> dw(static_cast<std::size_t>(p.filters * taps * p.channels));
    each_pair(p, [&](std::int64_t dy, std::int64_t x, std::int64_t tap) {
      for (std::int64_t o = 0; o < p.filters; ++o)
        for (std::int64_t c = 0; c < p.channels; ++c)
          dw[static_cast<std::size_t>(weight(o, tap, c))] +=
              get(operands[0], p.dtype, dy * p.y_pitch + o) * get(operands[1], p.dtype, x * p.x_pitch + c);
    });
    for (std::size_t i = 0; i < dw.size(); ++i) put(operands[2], p.dtype, static_cast<std::int64_t>(i), dw[i]);
  }
}

/// One head of one sample: rows of `width` numbers.
struct Head {
  void* data;
  DType type;
  std::int64_t pitch, rows, first;
  [[nodiscard]] double at(std::int64_t r, std::int64_t c) const { return get(data, type, first + r * pitch + c); }
  void set(std::int64_t r, std::int64_t c, double x) const { put(data, type, first + r * pitch + c, x); }
};

void attend(const AttentionProblem& p, const std::vector<void*>& operands) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(p.width));
  for (std::int64_t b = 0; b < p.batch; ++b)
    for (std::int64_t h = 0; h < p.heads; ++h) {
      const auto head = [&](std::size_t operand, std::size_t pitch, std::int64_t rows) {
        return Head{operands[operand], p.dtype, p.pitches[pitch], rows, b * rows * p.pitches[pitch] + h * p.width};
      };
      auto* lse = static_cast<float*>(operands[p.gradient ? 5 : 4]) + (b * p.heads + h) * p.queries;
      const std::size_t at = p.gradient ? 1 : 0;
      const Head q = head(at, at, p.queries), k = head(at + 1, at + 1, p.keys), v = head(at + 2, at + 2, p.keys);
      const Head o = head(at + 3, at + 3, p.queries);
      std::vector<double> dk(static_cast<std::size_t>(p.keys * p.width)), dv(dk.size());
      for (std::int64_t i = 0; i < p.queries; ++i) {
        std::vector<double> scores(static_cast<std::size_t>(p.keys));
        double most = -INFINITY;
        for (std::int64_t j = 0; j < p.keys; ++j) {
          double dot = 0;
          for (std::int64_t c = 0; c < p.width; ++c) dot += q.at(i, c) * k.at(j, c);
          scores[static_cast<std::size_t>(j)] = dot * scale;
          most = std::max(most, dot * scale);
        }
        double sum = 0;
        for (double score : scores) sum += std::exp(score - most);
        const double log_sum = p.gradient ? static_cast<double>(lse[i]) : most + std::log(sum);
        if (!p.gradient) {
          lse[i] = static_cast<float>(log_sum);
          for (std::int64_t c = 0; c < p.width; ++c) {
            double y = 0;
            for (std::int64_t j = 0; j < p.keys; ++j)
              y += std::exp(scores[static_cast<std::size_t>(j)] - log_sum) * v.at(j, c);
            o.set(i, c, y);
          }
          continue;
        }
        const Head slope = head(0, 0, p.queries), dq = head(6, 5, p.queries);
        double delta = 0;
        for (std::int64_t c = 0; c < p.width; ++c) delta += slope.at(i, c) * o.at(i, c);
        std::vector<double> row(static_cast<std::size_t>(p.width));
        for (std::int64_t j = 0; j < p.keys; ++j) {
          const double weight = std::exp(scores[static_cast<std::size_t>(j)] - log_sum);
          double dp = 0;
          for (std::int64_t c = 0; c < p.width; ++c) dp += slope.at(i, c) * v.at(j, c);
          const double ds = weight * (dp - delta) * scale;
          for (std::int64_t c = 0; c < p.width; ++c) {
            row[static_cast<std::size_t>(c)] += ds * k.at(j, c);
            dk[static_cast<std::size_t>(j * p.width + c)] += ds * q.at(i, c);
            dv[static_cast<std::size_t>(j * p.width + c)] += weight * slope.at(i, c);
          }
        }
        for (std::int64_t c = 0; c < p.width; ++c) dq.set(i, c, row[static_cast<std::size_t>(c)]);
      }
      if (!p.gradient) continue;
      const Head to_k = head(7, 6, p.keys), to_v = head(8, 7, p.keys);
      for (std::int64_t j = 0; j < p.keys; ++j)
        for (std::int64_t c = 0; c < p.width; ++c) {
          to_k.set(j, c, dk[static_cast<std::size_t>(j * p.width + c)]);
          to_v.set(j, c, dv[static_cast<std::size_t>(j * p.width + c)]);
        }
    }
}

/// Two engines that do the same.
template <typename Problem, auto Compute>
class LoopPlan final : public FusedPlan {
 public:
  explicit LoopPlan(const Problem& problem) : problem_(problem) {}
  void run(cudnnContext* handle, std::span<void* const> operands, void*) const override {
    emulation::submit(handle->stream, [problem = problem_, copy = std::vector<void*>(operands.begin(), operands.end())] {
      Compute(problem, copy);
    });
  }
  int engines() const override { return 2; }
  void choose(int engine) override { engine_ = engine; }
  std::size_t workspace_bytes() const override { return 0; }
  std::string name() const override { return "loops:" + std::to_string(engine_); }

 private:
  Problem problem_;
  int engine_ = 0;
};

class LoopProduct final : public BlasPlan {
 public:
  LoopProduct(const MatMulProblem& problem, Stream stream) : problem_(problem), stream_(stream) {}
  void run(const void* a, const void* b, const void* bias, void* y, void*) const override {
    emulation::submit(stream_, [p = problem_, a, b, bias, y] {
      for (std::int64_t i = 0; i < p.rows; ++i)
        for (std::int64_t j = 0; j < p.columns; ++j) {
          double sum = p.bias ? get(bias, p.dtype, j) : 0;
          for (std::int64_t k = 0; k < p.inner; ++k)
            sum += get(a, p.dtype, p.transpose_a ? k * p.a_pitch + i : i * p.a_pitch + k) *
                   get(b, p.dtype, p.transpose_b ? j * p.b_pitch + k : k * p.b_pitch + j);
          put(y, p.dtype, i * p.y_pitch + j, sum);
        }
    });
  }
  int engines() const override { return 1; }
  void choose(int) override {}
  std::string name() const override { return "loops"; }

 private:
  MatMulProblem problem_;
  Stream stream_;
};

class EmulatedMarks final : public Marks {
 public:
  EmulatedMarks(std::size_t count, Stream stream) : seconds_(count), stream_(stream) {}
  void set(std::size_t i) override {
    emulation::submit(stream_, [this, i] {
      seconds_[i] = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
    });
  }
  double seconds(std::size_t i) const override { return seconds_[i]; }

 private:
  std::vector<double> seconds_;
  Stream stream_;
};

}  // namespace

struct Cudnn::Target {
  cudnnContext context;
};
Cudnn::Cudnn(Stream stream) : target_(std::make_unique<Target>(Target{{stream}})) {}
Cudnn::~Cudnn() = default;
PlanOrRefusal Cudnn::plan(const ConvolutionProblem& problem, const EngineRules&) const {
  return {std::make_shared<LoopPlan<ConvolutionProblem, convolve>>(problem), {}};
}
PlanOrRefusal Cudnn::plan(const AttentionProblem& problem, const EngineRules&) const {
  // Like cards of the A100's kind, so that the own kernel is met as well.
  if (problem.gradient && problem.width > 128) return {nullptr, "heads wider than 128"};
  return {std::make_shared<LoopPlan<AttentionProblem, attend>>(problem), {}};
}
cudnnContext* Cudnn::handle() const {
  return &target_->context;
}
std::string Cudnn::version() {
  return "emulated";
}

Blas::Blas(Stream stream) : stream_(stream) {}
Blas::~Blas() = default;
std::shared_ptr<BlasPlan> Blas::plan(const MatMulProblem& problem, std::size_t, int) const {
  return std::make_shared<LoopProduct>(problem, stream_);
}
std::string Blas::version() {
  return "emulated";
}

std::unique_ptr<Marks> make_device_marks(std::size_t count, Stream stream) {
  return std::make_unique<EmulatedMarks>(count, stream);
}

}  // namespace ldmpi::backend::cuda
