#pragma once
// The only door to HDF5: files with numeric and string datasets and attributes in the root group.
// Foreign files count as hostile: links, external storage, virtual layout, filters and odd types are refused before
// any data is read. Errors carry HDF5's own error stack.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"

namespace ldmpi::io {

/// What lies in a dataset. Strings are variable-length or fixed UTF-8.
struct Hdf5Dataset {
  std::string name;
  bool is_text = false;
  DType dtype = DType::F32;  ///< numeric datasets: F16, F32, F64, U8, I32, U32, I64
  Shape shape;
  std::optional<std::uint64_t> address;  ///< byte offset in the file, if contiguous, allocated and little-endian
};

struct Hdf5ReadOptions {
  bool allow_compressed = false;  ///< accept shuffle and deflate, and file formats before 1.10: only for trusted files
};

/// A file opened read-only, without locking.
class Hdf5Reader {
 public:
  /// Errors: MissingInput, NoPermission, BadData (not HDF5, truncated, damaged, old superblock).
  [[nodiscard]] static Hdf5Reader open(const std::filesystem::path& path, Hdf5ReadOptions options = {});
  Hdf5Reader(Hdf5Reader&&) noexcept;
  Hdf5Reader& operator=(Hdf5Reader&&) noexcept;
  ~Hdf5Reader();

  /// Names in the root group, sorted. Errors: BadData for soft and external links.
  [[nodiscard]] std::vector<std::string> list() const;
  /// Nothing if there is no such dataset. Errors: BadData for whatever is refused (see top).
  [[nodiscard]] std::optional<Hdf5Dataset> dataset(const std::string& name) const;
  /// All elements, converted by HDF5 to `as`. Errors: BadData if missing, of another count or unreadable.
  void read(const std::string& name, DType as, std::span<std::byte> target) const;
  /// All strings of a text dataset, in row-major order.
  [[nodiscard]] std::vector<std::string> read_text(const std::string& name) const;

  /// Attributes of the root group; nothing if absent. Errors: BadData if it has another class or is not scalar.
  [[nodiscard]] std::optional<std::string> text_attribute(const std::string& name) const;
  [[nodiscard]] std::optional<double> real_attribute(const std::string& name) const;  ///< float or integer
  [[nodiscard]] std::optional<std::int64_t> integer_attribute(const std::string& name) const;

 private:
  struct State;
  explicit Hdf5Reader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A file being written, under a temporary name until commit(). The first error is final: the temporary file is
/// removed, and the process should end by _exit, since HDF5 1.10 can crash in its exit handler after a full disk.
class Hdf5Writer {
 public:
  /// Errors: CannotCreate, NoPermission.
  explicit Hdf5Writer(const std::filesystem::path& path);
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;
  ~Hdf5Writer();

  /// Contiguous, allocated early. `values` holds shape.count() elements of `dtype`. Errors: IoError.
  void write(const std::string& name, DType dtype, const Shape& shape, std::span<const std::byte> values);
  /// Variable-length UTF-8 strings, one axis.
  void write_text(const std::string& name, std::span<const std::string> values);
  void attribute(const std::string& name, std::string_view value);
  void attribute(const std::string& name, double value);
  void attribute(const std::string& name, std::int64_t value);

  /// Closes, reopens through Hdf5Reader and checks every dataset's shape, syncs, renames to the final name. Errors:
  /// IoError.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "1.10.8"
[[nodiscard]] std::string hdf5_version();

}  // namespace ldmpi::io
