#include "io/hdf5_driver.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/check.h"

namespace ldmpi::io::hdf5 {
namespace {

/// The library's part must stand first: it sees the rest through a pointer to it.
struct File {
  H5FD_t common{};
  int descriptor = -1;
  struct stat status {};
  haddr_t end_of_allocation = 0;
};

File& of(H5FD_t* file) {
  return *reinterpret_cast<File*>(file);
}
const File& of(const H5FD_t* file) {
  return *reinterpret_cast<const File*>(file);
}

H5FD_t* open_file(const char* name, unsigned flags, hid_t, haddr_t) {
  if ((flags & H5F_ACC_RDWR) != 0) return nullptr;
  auto file = std::make_unique<File>();
  file->descriptor = open(name, O_RDONLY | O_CLOEXEC);
  if (file->descriptor < 0) return nullptr;
  if (fstat(file->descriptor, &file->status) != 0) {
    close(file->descriptor);
    return nullptr;
  }
  return &file.release()->common;
}

herr_t close_file(H5FD_t* file) {
  close(of(file).descriptor);
  delete &of(file);
  return 0;
}

/// Files are the same where device and inode are.
int compare(const H5FD_t* a, const H5FD_t* b) {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : (y < x ? 1 : 0); };
  const auto& x = of(a).status;
  const auto& y = of(b).status;
  return x.st_dev != y.st_dev ? order(x.st_dev, y.st_dev) : order(x.st_ino, y.st_ino);
}

template <typename T>
T number_at(std::span<const unsigned char> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);  // the format is little-endian, as every machine we serve
  return value;
}

constexpr std::size_t kHeapHeader = 16;  // signature, version, 3 reserved, size

/// Whether `bytes` begin a global heap collection (HDF5 file format specification 3.0, III.E).
bool begins_heap(std::span<const unsigned char> bytes) {
  return bytes.size() >= kHeapHeader && std::memcmp(bytes.data(), "GCOL\1", 5) == 0;
}

/// Whether the objects of a whole collection tile it.
bool heap_is_sound(std::span<const unsigned char> heap) {
  constexpr std::size_t kObject = 16;  // index, references, 4 reserved, size; then the data, padded to 8 bytes
  std::size_t at = kHeapHeader;
  while (at + kObject <= heap.size()) {
    const auto index = number_at<std::uint16_t>(heap, at);
    const auto length = number_at<std::uint64_t>(heap, at + 8);
    if (length > heap.size() - at) return false;
    if (index == 0 && length < kObject) return false;
    at += index == 0 ? length : kObject + (length + 7) / 8 * 8;  // index 0 is free space, which counts its own header
  }
  return at <= heap.size();
}

/// Fills `bytes` from `address` on; beyond the end of the file with zeros, as the library's own drivers do.
bool read_at(const File& file, haddr_t address, std::span<unsigned char> bytes) {
  auto offset = static_cast<off_t>(address);
  while (!bytes.empty()) {
    const auto got = pread(file.descriptor, bytes.data(), bytes.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) break;
    bytes = bytes.subspan(static_cast<std::size_t>(got));
    offset += got;
  }
  std::ranges::fill(bytes, 0);
  return true;
}

herr_t read_file(H5FD_t* of_library, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, void* buffer) {
  const File& file = of(of_library);
  const auto file_bytes = static_cast<std::uint64_t>(file.status.st_size);
  const auto bytes = std::span(static_cast<unsigned char*>(buffer), size);
  if (address > file_bytes || !read_at(file, address, bytes)) return -1;
  if (!begins_heap(bytes)) return 0;
  // The library reads the first 4 KiB of a collection and then what is missing: at the first read all is checked.
  const auto heap_bytes = number_at<std::uint64_t>(bytes, 8);
  if (heap_bytes < kHeapHeader || heap_bytes > file_bytes - address) return -1;
  std::vector<unsigned char> heap(heap_bytes);
  return read_at(file, address, heap) && heap_is_sound(heap) ? 0 : -1;
}

/// HDF5 1.13 and later ask for the version of the structure, and for a number from the range of unregistered drivers.
template <typename Driver>
void name_version(Driver& driver) {
  if constexpr (requires { driver.version; }) {
    driver.version = 1;
    driver.value = 512;
  }
}

H5FD_class_t make_driver() {
  H5FD_class_t driver{};
  name_version(driver);
  driver.name = "ldmpi_checked";
  driver.maxaddr = HADDR_MAX / 2;
  driver.fc_degree = H5F_CLOSE_STRONG;
  driver.open = open_file;
  driver.close = close_file;
  driver.cmp = compare;
  driver.query = [](const H5FD_t*, unsigned long* flags) -> herr_t {
    *flags = 0;
    return 0;
  };
  driver.get_eoa = [](const H5FD_t* file, H5FD_mem_t) { return of(file).end_of_allocation; };
  driver.set_eoa = [](H5FD_t* file, H5FD_mem_t, haddr_t address) -> herr_t {
    of(file).end_of_allocation = address;
    return 0;
  };
  driver.get_eof = [](const H5FD_t* file, H5FD_mem_t) { return static_cast<haddr_t>(of(file).status.st_size); };
  driver.read = read_file;
  driver.write = [](H5FD_t*, H5FD_mem_t, hid_t, haddr_t, std::size_t, const void*) -> herr_t { return -1; };
  const H5FD_mem_t map[] = H5FD_FLMAP_DICHOTOMY;
  std::ranges::copy(map, driver.fl_map);
  return driver;
}

}  // namespace

void use_checked_reads(const PropertiesId& access) {
  static const H5FD_class_t driver = make_driver();
  static const hid_t id = H5FDregister(&driver);
  LDMPI_CHECK(id >= 0 && H5Pset_driver(access.get(), id, nullptr) >= 0, "{}", error_stack());
}

}  // namespace ldmpi::io::hdf5
