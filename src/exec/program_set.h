#pragma once
// Programs over one set of arenas: graphs are lowered and planned without a device, then bound to one and run.

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/kernel.h"
#include "base/clock.h"
#include "comm/communicator.h"
#include "plan/plan.h"
#include "plan/storage.h"

namespace ldmpi::exec {

/// Seconds spent in each phase of one run, by Phase.
using PhaseSeconds = std::array<double, 5>;

/// One planned program.
struct Program {
  std::string name;
  ir::Graph graph;
  plan::Plan plan;
  std::vector<plan::NodeFacts> facts;
};

class ProgramSet {
 public:
  /// `storage` numbers the parameter arenas; `lowering` must outlive the set.
  ProgramSet(const backend::Lowering& lowering, plan::ParameterStorage storage);
  ~ProgramSet();

  /// Adds a program; returns its index. All programs are added before compile().
  int add(std::string name, ir::Graph graph);
  /// Lowers, plans and verifies all programs. Throws Error(Internal) if a plan is not safe. Needs no device.
  void compile();

  [[nodiscard]] const std::vector<Program>& programs() const noexcept { return programs_; }
  [[nodiscard]] const plan::ParameterStorage& storage() const noexcept { return storage_; }
  /// Bytes of each arena of one rank, by Arena. Activations: the maximum over the programs; workspace is part of them.
  [[nodiscard]] const std::array<std::int64_t, ir::kArenas>& arena_bytes() const noexcept { return arena_bytes_; }
  [[nodiscard]] std::int64_t total_bytes() const;
  /// Bytes of one kind of collective that a run of the program hands to the communicator on each rank.
  [[nodiscard]] std::int64_t wire_bytes(int program, ir::CollectiveKind kind) const;

  /// Every node of the compiled programs that a backend has a kernel for.
  [[nodiscard]] std::vector<backend::NodeToMake> nodes_to_make() const;

  /// Prepares every kernel and collective, allocates the arenas. Device and collectives must outlive the set.
  void bind(backend::Device& device, comm::Collectives& collectives);

  /// Runs a program to its end: no allocation. The first run enqueues node by node; where the device can, the second
  /// one records what the later ones replay. Collectives of the host are moved between kernels.
  PhaseSeconds run(int program);

  /// Memory of a named input or output of a program; `bytes` is what the type says, dense.
  void write_input(int program, const std::string& label, const void* host, std::size_t bytes);
  void read_output(int program, const std::string& label, void* host, std::size_t bytes) const;
  [[nodiscard]] const ir::Type& input_type(int program, const std::string& label) const;
  [[nodiscard]] const ir::Type& output_type(int program, const std::string& label) const;
  [[nodiscard]] bool has_input(int program, const std::string& label) const;
  /// Start of a persistent arena on the device; null if it has no bytes.
  [[nodiscard]] void* arena(ir::Arena arena) const;

  /// "--print kernels": one line per node with what was chosen. After bind().
  [[nodiscard]] std::string print_kernels(int program) const;

 private:
  struct Bound;
  [[nodiscard]] std::unique_ptr<Bound> bind_program(const Program& program);
  [[nodiscard]] std::unique_ptr<comm::Request> prepare_collective(const ir::StartCollective& start, void* arena,
                                                                  DType dtype);
  [[nodiscard]] plan::PlanInputs plan_inputs(const Program& program) const;
  [[nodiscard]] backend::NodeTypes kernel_types(const Program& program, const ir::Node& node, bool placed) const;
  void collect_slots();
  [[nodiscard]] ir::Value find_input(int program, const std::string& label) const;

  const backend::Lowering& lowering_;
  plan::ParameterStorage storage_;
  std::vector<Program> programs_;
  std::array<std::int64_t, ir::kArenas> arena_bytes_{};
  std::map<std::string, std::int64_t> input_slots_;  ///< label -> offset
  std::map<std::string, std::int64_t> constant_slots_;
  std::map<std::string, std::shared_ptr<const std::vector<float>>> constants_;
  backend::Device* device_ = nullptr;
  comm::Collectives* collectives_ = nullptr;
  std::array<std::unique_ptr<backend::Memory>, ir::kArenas> memory_;
  std::vector<std::unique_ptr<Bound>> bound_;
};

}  // namespace ldmpi::exec
