#pragma once
// The interface of a backend: what it says about ops before a device is touched (Lowering), and what it prepares
// on the device (Device, Kernel).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace ldmpi::backend {

/// Types of a node's operands with the pitches that the planner chose.
struct NodeTypes {
  std::vector<ir::Type> inputs;
  std::vector<ir::Type> outputs;
};

/// Addresses of one call. The workspace is 64-byte aligned; its contents are undefined before and after.
struct KernelArgs {
  std::span<const void* const> inputs;
  std::span<void* const> outputs;
  void* workspace = nullptr;

  template <typename T>
  [[nodiscard]] const T* in(std::size_t i) const {
    return static_cast<const T*>(inputs[i]);
  }
  template <typename T>
  [[nodiscard]] T* out(std::size_t i) const {
    return static_cast<T*>(outputs[i]);
  }
  /// An input that the op updates in place (Op::writes).
  template <typename T>
  [[nodiscard]] T* in_out(std::size_t i) const {
    return static_cast<T*>(const_cast<void*>(inputs[i]));
  }
};

/// One node prepared for fixed types.
class Kernel {
 public:
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  virtual ~Kernel() = default;
  /// Enqueues or does the work: no allocation, no wait for other ranks, no output.
  virtual void run(const KernelArgs& args) const = 0;
  /// What was picked, e.g. "jit:avx2": part of --print kernels and of the choices record.
  [[nodiscard]] virtual std::string choice() const { return "own"; }
};
using KernelPtr = std::unique_ptr<const Kernel>;

/// What a backend says about a node while lowering.
struct NodeAnswer {
  std::size_t workspace_bytes = 0;  ///< upper bound of the scratch the kernel will need
  bool pitched_inputs = false;      ///< every input may have any pitch
  bool pitched_outputs = false;     ///< every output may have any pitch
  bool overwrites_first = false;    ///< output 0 may take the place of a dying input 0 of equal type
};

/// How a parameter block is stored: `elements` include padding, which stays zero.
struct WeightLayout {
  std::string tag = "plain";
  std::int64_t elements = 0;
};

/// The half of a backend that needs no device. Pure functions of their arguments.
class Lowering {
 public:
  virtual ~Lowering() = default;
  /// "cpu:threads=2", "cuda:h100"
  [[nodiscard]] virtual std::string target() const = 0;
  [[nodiscard]] virtual NodeAnswer answer(const ir::Op& op, const NodeTypes& types) const = 0;
  [[nodiscard]] virtual WeightLayout weight_layout(const Shape& block) const = 0;
  /// Canonical (row-major diffusers order) to storage order and back, f32.
  virtual void pack(const Shape& block, std::span<const float> canonical, std::span<float> storage) const = 0;
  virtual void unpack(const Shape& block, std::span<const float> storage, std::span<float> canonical) const = 0;
};

/// Memory of one arena, zero-filled, at least 4096-byte aligned; freed with the object.
class Memory {
 public:
  virtual ~Memory() = default;
  [[nodiscard]] virtual void* data() const = 0;
  [[nodiscard]] virtual std::size_t bytes() const = 0;
};

/// Memory that arenas could still get.
struct FreeMemory {
  std::int64_t bytes = 0;
  bool of_host = false;  ///< one amount for all ranks of a host, not one for each
};

/// Work that was enqueued once and is started again with one call.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void start() const = 0;
};

/// Points in a device's work that leave the time at which they were reached where the host can read it, also while
/// later work runs.
class Marks {
 public:
  virtual ~Marks() = default;
  /// Enqueues point `i`.
  virtual void set(std::size_t i) = 0;
  /// When it was reached last, on the device's clock; 0: never.
  [[nodiscard]] virtual double seconds(std::size_t i) const = 0;
};

/// A node to be prepared.
struct NodeToMake {
  const ir::Op* op = nullptr;
  NodeTypes types;
};

/// The half that runs. Its work is done in the order in which it was enqueued. Errors of work enqueued earlier are
/// thrown by any of these functions.
class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual FreeMemory free_memory() const = 0;
  [[nodiscard]] virtual std::unique_ptr<Memory> allocate(std::size_t bytes) = 0;
  /// May work ahead for all kernels that make_kernel will be asked for: to be called before the arenas are allocated.
  virtual void prepare(std::span<const NodeToMake>) {}
  /// Prepares a kernel whose scratch fits in the bound that the lowering stated.
  [[nodiscard]] virtual KernelPtr make_kernel(const ir::Op& op, const NodeTypes& types) = 0;
  /// Copies between host and device memory; complete on return.
  virtual void upload(void* device, const void* host, std::size_t bytes) = 0;
  virtual void download(void* host, const void* device, std::size_t bytes) = 0;
  /// Enqueues a copy within the device's memory.
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
  /// Keeps what `enqueue` enqueues instead of running it. Null, and `enqueue` was not called, where work is done as it
  /// is enqueued. Everything it enqueues has been enqueued once before.
  [[nodiscard]] virtual std::unique_ptr<Recording> record(const std::function<void()>& enqueue) = 0;
  [[nodiscard]] virtual std::unique_ptr<Marks> make_marks(std::size_t count) = 0;
  /// Whether all that was enqueued is done; does not block.
  [[nodiscard]] virtual bool idle() = 0;
  /// Waits until it is.
  virtual void synchronize() = 0;
  [[nodiscard]] virtual std::string description() const = 0;
  /// Of the physical device on its host: two ranks with equal ones share it. Empty where sharing is fine.
  [[nodiscard]] virtual std::string identity() const { return {}; }
  /// Where work is enqueued, for libraries that enqueue themselves: cudaStream_t on CUDA, null on the CPU.
  [[nodiscard]] virtual void* native_stream() const { return nullptr; }
};

}  // namespace ldmpi::backend
