#pragma once
// A set of programs on the CPU with one thread, alone.

#include <algorithm>
#include <string>
#include <vector>

#include "../ir/fixture.h"
#include "backend/cpu/cpu_backend.h"
#include "comm/environment.h"
#include "comm/solo.h"
#include "exec/program_set.h"

namespace ldmpi::exec::test {

/// Blocks of the given sizes, all trainable.
inline plan::ParameterStorage storage(const std::vector<std::int64_t>& sizes, int shards = 1) {
  std::vector<plan::BlockFacts> facts;
  for (auto size : sizes) facts.push_back({Shape{size}, true, true, size});
  return plan::make_storage(facts, 1 << 20, shards);
}

struct Machine {
  std::unique_ptr<backend::Lowering> lowering = backend::make_cpu_lowering(1);
  std::unique_ptr<backend::Device> device = backend::make_cpu_device(1);
  std::unique_ptr<comm::Communicator> communicator = comm::make_solo_communicator({});
};

template <typename T>
void write(ProgramSet& set, int program, const std::string& label, const std::vector<T>& values) {
  set.write_input(program, label, values.data(), values.size() * sizeof(T));
}
inline std::vector<float> read(const ProgramSet& set, int program, const std::string& label) {
  std::vector<float> values(static_cast<std::size_t>(set.output_type(program, label).count()));
  set.read_output(program, label, values.data(), values.size() * sizeof(float));
  return values;
}
inline std::vector<float> rising(std::size_t count, float first = 1) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = first + static_cast<float>(i);
  return values;
}

}  // namespace ldmpi::exec::test
