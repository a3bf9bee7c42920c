#include <unistd.h>

#include <array>
#include <utility>

#include "base/check.h"
#include "io/atomic_file.h"
#include "io/file.h"
#include "io/hdf5.h"
#include "io/hdf5_handles.h"

namespace ldmpi::io {

using namespace hdf5;

struct Hdf5Writer::State {
  std::filesystem::path path;
  std::filesystem::path temporary;
  FileId file;
  std::vector<std::pair<std::string, Shape>> written;

  /// Throws IoError with the library's reason unless `ok`.
  void check(bool ok, const char* what, const std::string& name) const {
    require(ok, Exit::IoError, "{}: cannot {} '{}'. {}. Is the disk full?", temporary.string(), what, name,
            error_stack());
  }

  void write(const std::string& name, hid_t type, const Shape& shape, const void* values) {
    std::array<hsize_t, Shape::kMaxRank> extents{};
    for (int i = 0; i < shape.rank(); ++i) extents[static_cast<std::size_t>(i)] = static_cast<hsize_t>(shape[i]);
    const SpaceId space(H5Screate_simple(shape.rank(), extents.data(), nullptr));
    const PropertiesId creation(H5Pcreate(H5P_DATASET_CREATE));
    // Fixed addresses at once, and no times: equal content gives equal files.
    check(H5Pset_layout(creation.get(), H5D_CONTIGUOUS) >= 0 &&
              H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY) >= 0 &&
              H5Pset_obj_track_times(creation.get(), false) >= 0,
          "describe dataset", name);
    const DatasetId dataset(
        H5Dcreate2(file.get(), name.c_str(), type, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT));
    check(static_cast<bool>(dataset), "create dataset", name);
    check(shape.count() == 0 || H5Dwrite(dataset.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0,
          "write dataset", name);
    written.emplace_back(name, shape);
  }

  void attribute(const std::string& name, hid_t type, const void* value) const {
    const SpaceId space(H5Screate(H5S_SCALAR));
    const AttributeId id(H5Acreate2(file.get(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT));
    check(static_cast<bool>(id) && H5Awrite(id.get(), type, value) >= 0, "write attribute", name);
  }
};

Hdf5Writer::Hdf5Writer(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->temporary = path.string() + ".tmp";
  prepare_library();
  if (::unlink(state_->temporary.c_str()) != 0 && errno != ENOENT) fail_create("remove", state_->temporary, errno);
  { const FileDescriptor empty = create_new(state_->temporary); }  // gives errno's reason, which HDF5 would blur
  const PropertiesId creation(H5Pcreate(H5P_FILE_CREATE));
  H5Pset_obj_track_times(creation.get(), false);  // of the root group: equal content gives equal files
  state_->file = FileId(H5Fcreate(state_->temporary.c_str(), H5F_ACC_TRUNC, creation.get(), access_properties().get()));
  require(static_cast<bool>(state_->file), Exit::CannotCreate, "cannot create {}. {}", state_->temporary.string(),
          error_stack());
}

Hdf5Writer::~Hdf5Writer() {
  if (!state_->temporary.empty()) ::unlink(state_->temporary.c_str());
}

void Hdf5Writer::write(const std::string& name, DType dtype, const Shape& shape, std::span<const std::byte> values) {
  LDMPI_CHECK(values.size() == static_cast<std::size_t>(shape.count()) * size_of(dtype),
              "'{}' {} does not have {} bytes", name, shape.text(), values.size());
  state_->write(name, number_type(dtype).get(), shape, values.data());
}

void Hdf5Writer::write_text(const std::string& name, std::span<const std::string> values) {
  std::vector<const char*> pointers;
  pointers.reserve(values.size());
  for (const auto& value : values) pointers.push_back(value.c_str());
  state_->write(name, text_type().get(), Shape{static_cast<std::int64_t>(values.size())}, pointers.data());
}

void Hdf5Writer::attribute(const std::string& name, std::string_view value) {
  const std::string text(value);
  const char* pointer = text.c_str();
  state_->attribute(name, text_type().get(), static_cast<const void*>(&pointer));
}

void Hdf5Writer::attribute(const std::string& name, double value) {
  state_->attribute(name, number_type(DType::F64).get(), &value);
}

void Hdf5Writer::attribute(const std::string& name, std::int64_t value) {
  state_->attribute(name, number_type(DType::I64).get(), &value);
}

void Hdf5Writer::commit() {
  state_->check(H5Fflush(state_->file.get(), H5F_SCOPE_GLOBAL) >= 0, "flush", state_->path.string());
  state_->check(H5Fclose(state_->file.release()) >= 0, "close", state_->path.string());
  const Hdf5Reader reader = Hdf5Reader::open(state_->temporary);
  for (const auto& [name, shape] : state_->written) {
    const auto found = reader.dataset(name);
    require(found && found->shape == shape, Exit::IoError, "{}: dataset '{}' is not as written",
            state_->temporary.string(), name);
  }
  fsync_file(state_->temporary);
  if (std::rename(state_->temporary.c_str(), state_->path.c_str()) != 0) fail_create("create", state_->path, errno);
  state_->temporary.clear();
  fsync_directory(std::filesystem::absolute(state_->path).parent_path());
}

std::string hdf5_version() {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace ldmpi::io
