#include "io/safetensors_header.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/check.h"
#include "io/json_text.h"

namespace ldmpi::io {

namespace {

using nlohmann::json;

constexpr int kHeaderDepth = 4;
constexpr std::size_t kHeaderValues = kMaxSafetensorsTensors * (4 + Shape::kMaxRank + 2) + 65'536;  // and metadata

// From wide to narrow in the order of the format's own list of types: the order on disk.
constexpr std::array<std::pair<std::string_view, DType>, 8> kTypes = {{{"I64", DType::I64},
                                                                       {"F64", DType::F64},
                                                                       {"F32", DType::F32},
                                                                       {"U32", DType::U32},
                                                                       {"I32", DType::I32},
                                                                       {"BF16", DType::BF16},
                                                                       {"F16", DType::F16},
                                                                       {"U8", DType::U8}}};

std::size_t place_of(DType type) {
  const auto* found =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& entry) { return entry.second == type; });
  LDMPI_CHECK(found != kTypes.end(), "no safetensors name for {}", name_of(type));
  return static_cast<std::size_t>(found - kTypes.begin());
}

/// Reads one header; holds what every message needs.
class HeaderParser {
 public:
  HeaderParser(std::uint64_t data_bytes, std::string_view file) : data_bytes_(data_bytes), file_(file) {}

  SafetensorsHeader parse(std::string_view text) {
    check(!text.empty() && text.front() == '{', "the header does not begin with '{{'");
    // Padding is spaces; other white space behind the object would be a second way to write the same header.
    const auto end = text.find_last_not_of(' ');
    check(text[end] == '}', "the header does not end with '}}' and spaces");
    const json root = parse_json(text.substr(0, end + 1), fmt::format("{} (header)", file_),
                                 {.depth = kHeaderDepth, .values = kHeaderValues});
    check(root.size() <= kMaxSafetensorsTensors + 1, "the header lists more than {} tensors", kMaxSafetensorsTensors);
    SafetensorsHeader header;
    for (const auto& [key, value] : root.items()) {
      if (key == "__metadata__")
        header.metadata = metadata(value);
      else
        header.tensors.push_back(tensor(key, value));
    }
    check_offsets(header.tensors);
    return header;
  }

 private:
  template <typename... Args>
  void check(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition)
      fail(Exit::BadData, "{} is not a sound safetensors file: {}", file_,
           fmt::format(format, std::forward<Args>(args)...));
  }

  [[nodiscard]] std::map<std::string, std::string> metadata(const json& value) const {
    check(value.is_object(), "__metadata__ is not an object");
    std::map<std::string, std::string> result;
    for (const auto& [key, entry] : value.items()) {
      check(entry.is_string(), "__metadata__ entry {} is not a string", quoted_text(key));
      result.emplace(key, entry.get<std::string>());
    }
    return result;
  }

  /// A member that must be an array of non-negative integers written without sign, fraction and exponent.
  [[nodiscard]] std::vector<std::uint64_t> integers(const json& info, const char* member,
                                                    const std::string& name) const {
    const auto found = info.find(member);
    check(found != info.end() && found->is_array(), "tensor {} has no array \"{}\"", name, member);
    std::vector<std::uint64_t> result;
    for (const json& entry : *found) {
      check(entry.is_number_unsigned(), "tensor {}: \"{}\" holds something else than non-negative integers", name,
            member);
      result.push_back(entry.get<std::uint64_t>());
    }
    return result;
  }

  [[nodiscard]] TensorInfo tensor(const std::string& key, const json& info) const {
    const std::string name = quoted_text(key);
    const auto printable = [](unsigned char c) { return c >= 0x20 && c != 0x7f; };
    check(!key.empty() && key.size() <= kMaxTensorName && std::all_of(key.begin(), key.end(), printable),
          "tensor name {} is empty, longer than {} bytes or not printable", name, kMaxTensorName);
    check(info.is_object(), "entry {} is not an object", name);
    check(info.size() == 3, "tensor {} has members other than dtype, shape and data_offsets", name);

    TensorInfo result;
    result.name = key;
    result.dtype = dtype(info, name);

    const auto extents = integers(info, "shape", name);
    check(extents.size() <= Shape::kMaxRank, "tensor {} has {} axes, at most {} are accepted", name, extents.size(),
          Shape::kMaxRank);
    // Zero extents hide an overflow of the others, so that each product is checked before zeros enter.
    std::int64_t product = static_cast<std::int64_t>(size_of(result.dtype));
    bool is_empty = false;
    std::vector<std::int64_t> shape;
    for (const std::uint64_t extent : extents) {
      check(std::in_range<std::int64_t>(extent), "tensor {}: the size of its shape overflows", name);
      shape.push_back(static_cast<std::int64_t>(extent));
      if (extent == 0)
        is_empty = true;
      else
        check(!__builtin_mul_overflow(product, shape.back(), &product), "tensor {}: the size of its shape overflows",
              name);
    }
    result.shape = Shape(std::span<const std::int64_t>(shape));
    result.bytes = is_empty ? 0 : static_cast<std::uint64_t>(product);

    const auto offsets = integers(info, "data_offsets", name);
    check(offsets.size() == 2 && offsets[0] <= offsets[1], "tensor {}: \"data_offsets\" is not [begin, end]", name);
    check(offsets[1] - offsets[0] == result.bytes, "tensor {}: {} bytes stored, {} of shape {} need {}", name,
          offsets[1] - offsets[0], name_of(result.dtype), result.shape.text(), result.bytes);
    result.offset = offsets[0];
    return result;
  }

  [[nodiscard]] DType dtype(const json& info, const std::string& name) const {
    const auto found = info.find("dtype");
    check(found != info.end() && found->is_string(), "tensor {} has no string \"dtype\"", name);
    const auto& text = found->get_ref<const std::string&>();
    const auto* entry =
        std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& type) { return type.first == text; });
    if (entry == kTypes.end())
      fail(Exit::BadData,
           "{}: tensor {} has the type {}; known are F64, F32, BF16, F16, I64, I32, U32 and U8: convert it", file_,
           name, quoted_text(text));
    return entry->second;
  }

  /// The tensors must tile the data section: no hole, no overlap, nothing before and nothing behind.
  void check_offsets(std::vector<TensorInfo>& tensors) const {
    std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
      return std::pair(a.offset, a.offset + a.bytes) < std::pair(b.offset, b.offset + b.bytes);
    });
    std::uint64_t position = 0;
    for (const TensorInfo& tensor : tensors) {
      check(tensor.offset == position, "tensor {} begins at byte {} of the data, {} is due: tensors {}",
            quoted_text(tensor.name), tensor.offset, position, tensor.offset < position ? "overlap" : "leave a hole");
      position = tensor.offset + tensor.bytes;  // cannot overflow: it is the end given in the file
      check(position <= data_bytes_, "tensor {} ends at byte {} of the data, the file has {}: it is truncated",
            quoted_text(tensor.name), position, data_bytes_);
    }
    check(position == data_bytes_, "the tensors end at byte {} of the data, the file has {}: something is appended",
          position, data_bytes_);
  }

  std::uint64_t data_bytes_;
  std::string_view file_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json_text, std::uint64_t data_bytes,
                                           std::string_view file) {
  return HeaderParser(data_bytes, file).parse(json_text);
}

std::string format_safetensors_header(SafetensorsHeader& header) {
  std::sort(header.tensors.begin(), header.tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(place_of(a.dtype), std::string_view(a.name)) <
           std::pair(place_of(b.dtype), std::string_view(b.name));
  });
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  if (!header.metadata.empty()) root["__metadata__"] = header.metadata;
  std::string text = root.dump();
  text.pop_back();
  // Members are joined by hand: a look-up per insertion would make long headers quadratic.
  std::uint64_t offset = 0;
  for (TensorInfo& tensor : header.tensors) {
    tensor.offset = offset;
    tensor.bytes = static_cast<std::uint64_t>(tensor.shape.count()) * size_of(tensor.dtype);
    offset += tensor.bytes;
    const auto extents = tensor.shape.extents();
    if (text.size() > 1) text += ',';
    text += fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", json(tensor.name).dump(),
                        kTypes[place_of(tensor.dtype)].first, fmt::join(extents, ","), tensor.offset, offset);
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace ldmpi::io
