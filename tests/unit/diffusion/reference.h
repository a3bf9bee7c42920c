#pragma once
// Values of tests/fixtures/schedulers.h5, computed by diffusers' schedulers.

#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "io/hdf5.h"

namespace ldmpi::diffusion::test {

class Reference {
 public:
  Reference() : file_(io::Hdf5Reader::open(path(), {.allow_compressed = true})) {}

  [[nodiscard]] std::vector<float> floats(const std::string& name) const {
    std::vector<float> values(count(name));
    file_.read(name, DType::F32, std::as_writable_bytes(std::span(values)));
    return values;
  }
  [[nodiscard]] std::vector<std::int64_t> integers(const std::string& name) const {
    std::vector<std::int64_t> values(count(name));
    file_.read(name, DType::I64, std::as_writable_bytes(std::span(values)));
    return values;
  }

 private:
  static std::filesystem::path path() {
    const char* root = std::getenv("LDMPI_SOURCE_DIR");
    require(root != nullptr, Exit::MissingInput, "LDMPI_SOURCE_DIR is not set");
    return std::filesystem::path(root) / "tests/fixtures/schedulers.h5";
  }
  [[nodiscard]] std::size_t count(const std::string& name) const {
    const auto dataset = file_.dataset(name);
    require(dataset.has_value(), Exit::MissingInput, "no {} in schedulers.h5", name);
    return static_cast<std::size_t>(dataset->shape.count());
  }

  io::Hdf5Reader file_;
};

}  // namespace ldmpi::diffusion::test
