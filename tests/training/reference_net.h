#pragma once
// A stored network of diffusers (tests/fixtures/README.md) and the same network in this program.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "comm/communicator.h"
#include "exec/program_set.h"
#include "io/safetensors.h"
#include "train/parameter_io.h"
#include "train/step_graph.h"

namespace ldmpi::test {

/// The reference values: tensors "group/name".
class ReferenceNet {
 public:
  explicit ReferenceNet(const std::filesystem::path& file) : file_(file) {}

  [[nodiscard]] const io::SafetensorsFile& file() const { return file_; }
  [[nodiscard]] bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  [[nodiscard]] Shape shape(const std::string& name) const { return file_.at(name).shape; }
  [[nodiscard]] std::vector<float> values(const std::string& name) const;
  [[nodiscard]] std::vector<double> doubles(const std::string& name) const;
  [[nodiscard]] std::string config() const { return file_.metadata().at("config"); }

  /// The elements of a whole tensor that the reference holds: all, or 256 strided ones.
  [[nodiscard]] std::vector<float> like_reference(const std::string& name, std::vector<float> whole) const;

 private:
  io::SafetensorsFile file_;
};

/// One program over the network's parameters on the CPU, loaded with the reference weights.
class LoadedNet {
 public:
  enum class Kind { Probe, Step };
  LoadedNet(const ReferenceNet& reference, Kind kind);

  void run() { (void)programs_->run(0); }
  [[nodiscard]] std::vector<float> output(const std::string& label) const;
  /// A tensor out of the gradients or the weights.
  [[nodiscard]] std::vector<float> tensor(ir::Arena arena, const nn::ParameterEntry& entry) const;
  [[nodiscard]] const nn::ParameterTable& table() const { return *table_; }

 private:
  void write(const ReferenceNet& reference, std::string_view label, const std::string& name);

  nn::UnetConfig unet_;
  std::unique_ptr<nn::ParameterTable> table_;
  std::unique_ptr<backend::Lowering> lowering_;
  std::unique_ptr<backend::Device> device_;
  std::unique_ptr<comm::Communicator> communicator_;
  std::unique_ptr<train::ParameterIo> parameters_;
  std::unique_ptr<exec::ProgramSet> programs_;
};

}  // namespace ldmpi::test
