#include "io/hdf5.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "io/file.h"
#include "io/hdf5_driver.h"
#include "io/hdf5_handles.h"

namespace ldmpi::io {
namespace hdf5 {
namespace {

herr_t collect(unsigned depth, const H5E_error2_t* error, void* text) {
  auto& out = *static_cast<std::string*>(text);
  constexpr unsigned kDeepest = 8;
  if (depth >= kDeepest || error->desc == nullptr) return 0;
  if (!out.empty()) out += "; ";
  out += error->desc;
  return 0;
}

}  // namespace

void prepare_library() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);
}

std::string error_stack() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, &collect, &text);
  return text.empty() ? "HDF5 gave no reason" : "HDF5: " + text;
}

PropertiesId access_properties() {
  PropertiesId properties(H5Pcreate(H5P_FILE_ACCESS));
  LDMPI_CHECK(H5Pset_libver_bounds(properties.get(), H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0, "{}", error_stack());
  LDMPI_CHECK(H5Pset_file_locking(properties.get(), false, true) >= 0, "{}", error_stack());
  LDMPI_CHECK(H5Pset_fclose_degree(properties.get(), H5F_CLOSE_STRONG) >= 0, "{}", error_stack());
  return properties;
}

TypeId number_type(DType dtype) {
  switch (dtype) {
    case DType::F32: return TypeId(H5Tcopy(H5T_IEEE_F32LE));
    case DType::F64: return TypeId(H5Tcopy(H5T_IEEE_F64LE));
    case DType::I64: return TypeId(H5Tcopy(H5T_STD_I64LE));
    case DType::I32: return TypeId(H5Tcopy(H5T_STD_I32LE));
    case DType::U32: return TypeId(H5Tcopy(H5T_STD_U32LE));
    case DType::U8: return TypeId(H5Tcopy(H5T_STD_U8LE));
    case DType::F16: {
      TypeId half(H5Tcopy(H5T_IEEE_F32LE));
      LDMPI_CHECK(H5Tset_fields(half.get(), 15, 10, 5, 0, 10) >= 0 && H5Tset_size(half.get(), 2) >= 0 &&
                      H5Tset_ebias(half.get(), 15) >= 0,
                  "{}", error_stack());
      return half;
    }
    case DType::BF16: break;
  }
  LDMPI_CHECK(false, "{} has no HDF5 type", name_of(dtype));
  return {};
}

TypeId text_type() {
  TypeId type(H5Tcopy(H5T_C_S1));
  LDMPI_CHECK(H5Tset_size(type.get(), H5T_VARIABLE) >= 0 && H5Tset_cset(type.get(), H5T_CSET_UTF8) >= 0, "{}",
              error_stack());
  return type;
}

}  // namespace hdf5

using namespace hdf5;

struct Hdf5Reader::State {
  std::filesystem::path path;
  Hdf5ReadOptions options;
  std::uint64_t bytes = 0;
  FileId file;

  template <typename... Args>
  [[noreturn]] void refuse(const std::string& name, fmt::format_string<Args...> format, Args&&... args) const {
    fail(Exit::BadData, "{}: dataset '{}': {}", path.string(), name, fmt::format(format, std::forward<Args>(args)...));
  }

  void check_link(const std::string& name, const H5L_info_t& link) const {
    if (link.type == H5L_TYPE_HARD) return;
    refuse(name, "is a {} link; only datasets stored in the file itself are accepted",
           link.type == H5L_TYPE_SOFT ? "soft" : "external");
  }

  [[nodiscard]] DatasetId open_dataset(const std::string& name) const {
    H5L_info_t link;
    if (H5Lget_info(file.get(), name.c_str(), &link, H5P_DEFAULT) < 0) refuse(name, "missing");
    check_link(name, link);
    H5O_info_t object;
    if (H5Oget_info_by_name(file.get(), name.c_str(), &object, H5P_DEFAULT) < 0)
      refuse(name, "unreadable ({})", error_stack());
    if (object.type != H5O_TYPE_DATASET) refuse(name, "is not a dataset");
    DatasetId dataset(H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT));
    if (!dataset) refuse(name, "cannot be opened ({})", error_stack());
    check_storage(name, dataset.get());
    return dataset;
  }

  void check_storage(const std::string& name, hid_t dataset) const {
    const PropertiesId properties(H5Dget_create_plist(dataset));
    if (!properties) refuse(name, "unreadable ({})", error_stack());
    if (H5Pget_layout(properties.get()) == H5D_VIRTUAL) refuse(name, "a virtual layout is not accepted");
    if (H5Pget_layout(properties.get()) < 0) refuse(name, "unknown layout ({})", error_stack());
    if (H5Pget_external_count(properties.get()) != 0) refuse(name, "external storage is not accepted");
    const int filters = H5Pget_nfilters(properties.get());
    for (int i = 0; i < filters; ++i) {
      unsigned flags = 0;
      unsigned configuration = 0;
      std::size_t values = 0;
      std::array<char, 64> text{};
      const H5Z_filter_t filter = H5Pget_filter2(properties.get(), static_cast<unsigned>(i), &flags, &values, nullptr,
                                                 text.size() - 1, text.data(), &configuration);
      const bool compressed = filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SHUFFLE;
      if (filter == H5Z_FILTER_FLETCHER32 || (compressed && options.allow_compressed)) continue;
      refuse(name, "filter {} ({}) is not accepted: store it without compression", static_cast<int>(filter),
             text.data());
    }
  }

  [[nodiscard]] Shape shape_of(const std::string& name, hid_t dataset) const {
    const SpaceId space(H5Dget_space(dataset));
    const int rank = H5Sget_simple_extent_ndims(space.get());
    if (rank < 0 || rank > Shape::kMaxRank) refuse(name, "has {} axes, at most {} are accepted", rank, Shape::kMaxRank);
    std::array<hsize_t, Shape::kMaxRank> extents{};
    H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr);
    std::array<std::int64_t, Shape::kMaxRank> signed_extents{};
    std::uint64_t count = 1;
    for (int i = 0; i < rank; ++i) {
      const auto extent = extents[static_cast<std::size_t>(i)];
      // No stored type is below one bit-packed byte per thousand elements, so this bound only stops absurd headers.
      if (extent > (bytes + 4096) * 1024 || (extent != 0 && count > (bytes + 4096) * 1024 / extent))
        refuse(name, "claims more elements than the file can hold");
      count *= extent;
      signed_extents[static_cast<std::size_t>(i)] = static_cast<std::int64_t>(extent);
    }
    return Shape(std::span(signed_extents).first(static_cast<std::size_t>(rank)));
  }

  /// Type of the numbers and whether they are little-endian; refuses everything else but text.
  [[nodiscard]] std::pair<DType, bool> number_of(const std::string& name, hid_t type) const {
    const auto little = H5Tget_order(type) == H5T_ORDER_LE || H5Tget_size(type) == 1;
    for (const auto dtype : {DType::F16, DType::F32, DType::F64, DType::U8, DType::I32, DType::U32, DType::I64}) {
      const TypeId candidate = number_type(dtype);
      if (H5Tget_class(type) == H5Tget_class(candidate.get()) && !little) H5Tset_order(candidate.get(), H5T_ORDER_BE);
      if (H5Tequal(type, candidate.get()) > 0) return {dtype, little};
    }
    refuse(name, "type of class {} with {} bytes is not accepted (f2, f4, f8, u1, i4, u4, i8 or strings)",
           static_cast<int>(H5Tget_class(type)), H5Tget_size(type));
  }
};

Hdf5Reader::Hdf5Reader(std::unique_ptr<State> state) : state_(std::move(state)) {}
Hdf5Reader::Hdf5Reader(Hdf5Reader&&) noexcept = default;
Hdf5Reader& Hdf5Reader::operator=(Hdf5Reader&&) noexcept = default;
Hdf5Reader::~Hdf5Reader() = default;

Hdf5Reader Hdf5Reader::open(const std::filesystem::path& path, Hdf5ReadOptions options) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->options = options;
  state->bytes = size_of_file(open_for_reading(path), path);  // gives errno's reason, which HDF5 would blur
  prepare_library();
  const PropertiesId access = access_properties();
  use_checked_reads(access);
  state->file = FileId(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()));
  require(static_cast<bool>(state->file), Exit::BadData,
          "{} ({} bytes) is not a sound HDF5 file. {}. Copy the file again or make it anew.", path.string(),
          state->bytes, error_stack());
  const PropertiesId creation(H5Fget_create_plist(state->file.get()));
  hsize_t user_block = 0;
  H5F_info2_t info;
  require(H5Pget_userblock(creation.get(), &user_block) >= 0 && H5Fget_info2(state->file.get(), &info) >= 0,
          Exit::BadData, "{}: {}", path.string(), error_stack());
  require(user_block == 0, Exit::BadData, "{}: a user block in front of the HDF5 data is not accepted", path.string());
  require(info.super.version >= 2 || options.allow_compressed, Exit::BadData,
          "{}: old file format (superblock {}) without metadata checksums. Write it with libver=\"v110\" (h5py) or "
          "H5F_LIBVER_V110.",
          path.string(), info.super.version);
  return Hdf5Reader(std::move(state));
}

std::vector<std::string> Hdf5Reader::list() const {
  struct Found {
    const State* state;
    std::vector<std::string> names;
    std::string problem;
  } found{state_.get(), {}, {}};
  const auto visit = [](hid_t, const char* name, const H5L_info_t* link, void* data) -> herr_t {
    auto& out = *static_cast<Found*>(data);
    try {  // exceptions must not cross the C library
      out.state->check_link(name, *link);
      out.names.emplace_back(name);
      return 0;
    } catch (const std::exception& error) {
      out.problem = error.what();
      return -1;
    }
  };
  const herr_t status = H5Literate(state_->file.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, visit, &found);
  require(found.problem.empty(), Exit::BadData, "{}", found.problem);
  require(status >= 0, Exit::BadData, "{}: the list of datasets is unreadable. {}", state_->path.string(),
          error_stack());
  std::sort(found.names.begin(), found.names.end());
  return found.names;
}

std::optional<Hdf5Dataset> Hdf5Reader::dataset(const std::string& name) const {
  const htri_t exists = H5Lexists(state_->file.get(), name.c_str(), H5P_DEFAULT);
  if (exists < 0) state_->refuse(name, "cannot be looked up ({})", error_stack());
  if (exists == 0) return std::nullopt;
  const DatasetId handle = state_->open_dataset(name);
  Hdf5Dataset out;
  out.name = name;
  out.shape = state_->shape_of(name, handle.get());
  const TypeId type(H5Dget_type(handle.get()));
  if (!type) state_->refuse(name, "type unreadable ({})", error_stack());
  out.is_text = H5Tget_class(type.get()) == H5T_STRING;
  if (out.is_text) return out;
  const auto [dtype, little] = state_->number_of(name, type.get());
  out.dtype = dtype;
  const PropertiesId properties(H5Dget_create_plist(handle.get()));
  if (H5Pget_layout(properties.get()) != H5D_CONTIGUOUS || !little) return out;
  const haddr_t address = H5Dget_offset(handle.get());
  const auto size = static_cast<std::uint64_t>(out.shape.count()) * size_of(dtype);
  if (address == HADDR_UNDEF || size == 0) return out;
  if (H5Dget_storage_size(handle.get()) != size || address > state_->bytes || size > state_->bytes - address)
    state_->refuse(name, "its {} bytes at offset {} do not lie within the file of {} bytes", size, address,
                   state_->bytes);
  out.address = address;
  return out;
}

void Hdf5Reader::read(const std::string& name, DType as, std::span<std::byte> target) const {
  const DatasetId handle = state_->open_dataset(name);
  const TypeId stored(H5Dget_type(handle.get()));
  (void)state_->number_of(name, stored.get());
  const Shape shape = state_->shape_of(name, handle.get());
  if (static_cast<std::uint64_t>(shape.count()) * size_of(as) != target.size())
    state_->refuse(name, "has shape {}, {} elements were expected", shape.text(), target.size() / size_of(as));
  if (target.empty()) return;
  if (H5Dread(handle.get(), number_type(as).get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, target.data()) < 0)
    state_->refuse(name, "unreadable ({})", error_stack());
}

std::vector<std::string> Hdf5Reader::read_text(const std::string& name) const {
  const DatasetId handle = state_->open_dataset(name);
  const auto count = static_cast<std::size_t>(state_->shape_of(name, handle.get()).count());
  const TypeId stored(H5Dget_type(handle.get()));
  if (H5Tget_class(stored.get()) != H5T_STRING) state_->refuse(name, "does not hold strings");
  std::vector<std::string> out(count);
  if (count == 0) return out;
  if (H5Tis_variable_str(stored.get()) > 0) {
    const SpaceId space(H5Dget_space(handle.get()));
    std::vector<char*> pointers(count, nullptr);
    // The file's own type: it carries the character set, and HDF5 refuses to mix ASCII and UTF-8.
    if (H5Dread(handle.get(), stored.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) < 0)
      state_->refuse(name, "unreadable ({})", error_stack());
    for (std::size_t i = 0; i < count; ++i)
      if (pointers[i] != nullptr) out[i] = pointers[i];
    H5Dvlen_reclaim(stored.get(), space.get(), H5P_DEFAULT, pointers.data());
    return out;
  }
  const std::size_t width = H5Tget_size(stored.get());
  if (width == 0 || count > (state_->bytes + 4096) * 1024 / width) state_->refuse(name, "claims absurd string sizes");
  std::vector<char> text(count * width);
  if (H5Dread(handle.get(), stored.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()) < 0)
    state_->refuse(name, "unreadable ({})", error_stack());
  for (std::size_t i = 0; i < count; ++i) {
    const auto begin = text.begin() + static_cast<std::ptrdiff_t>(i * width);
    out[i].assign(begin, std::find(begin, begin + static_cast<std::ptrdiff_t>(width), '\0'));
  }
  return out;
}

namespace {

/// The attribute, its type and the check that it holds one value.
struct Attribute {
  AttributeId id;
  TypeId type;
};

std::optional<Attribute> open_attribute(const std::filesystem::path& path, hid_t file, const std::string& name) {
  const htri_t exists = H5Aexists(file, name.c_str());
  require(exists >= 0, Exit::BadData, "{}: attribute '{}' cannot be looked up. {}", path.string(), name, error_stack());
  if (exists == 0) return std::nullopt;
  Attribute out{AttributeId(H5Aopen(file, name.c_str(), H5P_DEFAULT)), {}};
  require(static_cast<bool>(out.id), Exit::BadData, "{}: attribute '{}' cannot be opened. {}", path.string(), name,
          error_stack());
  out.type = TypeId(H5Aget_type(out.id.get()));
  const SpaceId space(H5Aget_space(out.id.get()));
  require(H5Sget_simple_extent_npoints(space.get()) == 1, Exit::BadData, "{}: attribute '{}' must hold one value",
          path.string(), name);
  return out;
}

}  // namespace

std::optional<std::string> Hdf5Reader::text_attribute(const std::string& name) const {
  const auto attribute = open_attribute(state_->path, state_->file.get(), name);
  if (!attribute) return std::nullopt;
  const hid_t type = attribute->type.get();
  require(H5Tget_class(type) == H5T_STRING, Exit::BadData, "{}: attribute '{}' must be a string", state_->path.string(),
          name);
  constexpr std::size_t kLongest = 65536;
  if (H5Tis_variable_str(type) > 0) {
    char* text = nullptr;
    require(H5Aread(attribute->id.get(), type, static_cast<void*>(&text)) >= 0, Exit::BadData,
            "{}: attribute '{}' is unreadable. {}", state_->path.string(), name, error_stack());
    std::string out = text == nullptr ? "" : text;
    H5free_memory(text);
    return out;
  }
  const std::size_t width = H5Tget_size(type);
  require(width <= kLongest, Exit::BadData, "{}: attribute '{}' has {} bytes", state_->path.string(), name, width);
  std::string out(width, '\0');
  require(H5Aread(attribute->id.get(), type, out.data()) >= 0, Exit::BadData, "{}: attribute '{}' is unreadable. {}",
          state_->path.string(), name, error_stack());
  out.resize(std::min(out.find('\0'), width));
  return out;
}

std::optional<double> Hdf5Reader::real_attribute(const std::string& name) const {
  const auto attribute = open_attribute(state_->path, state_->file.get(), name);
  if (!attribute) return std::nullopt;
  const auto kind = H5Tget_class(attribute->type.get());
  double value = 0;
  require((kind == H5T_FLOAT || kind == H5T_INTEGER) && H5Aread(attribute->id.get(), H5T_NATIVE_DOUBLE, &value) >= 0,
          Exit::BadData, "{}: attribute '{}' must be a number", state_->path.string(), name);
  return value;
}

std::optional<std::int64_t> Hdf5Reader::integer_attribute(const std::string& name) const {
  const auto attribute = open_attribute(state_->path, state_->file.get(), name);
  if (!attribute) return std::nullopt;
  std::int64_t value = 0;
  require(
      H5Tget_class(attribute->type.get()) == H5T_INTEGER && H5Aread(attribute->id.get(), H5T_NATIVE_INT64, &value) >= 0,
      Exit::BadData, "{}: attribute '{}' must be an integer", state_->path.string(), name);
  return value;
}

}  // namespace ldmpi::io
