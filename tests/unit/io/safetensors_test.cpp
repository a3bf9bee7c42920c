#include "io/safetensors.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include "base/crc32c.h"
#include "base/rng.h"
#include "scratch.h"

namespace ldmpi::io {
namespace {

using test::expect_error;
using test::Scratch;

/// The file that the reference library writes for attn.0 = arange(6).reshape(1, 2, 3) without metadata.
std::string golden() {
  std::string file("@\0\0\0\0\0\0\0", 8);
  file += R"({"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}})";
  file += std::string("\0\0\0\0\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40\0\0\xa0\x40", 24);
  return file;
}

std::string with_length(std::uint64_t length, std::string_view rest) {
  const auto bytes = std::bit_cast<std::array<char, 8>>(length);
  return std::string(bytes.data(), 8) + std::string(rest);
}

std::string file_of(std::string_view header, std::size_t data_bytes) {
  return with_length(header.size(), std::string(header) + std::string(data_bytes, '\0'));
}

class SafetensorsTest : public testing::Test {
 protected:
  void refuse(std::string_view content, std::string_view part) {
    test::put(path_, content);
    expect_error(Exit::BadData, part, [&] { SafetensorsFile file(path_); });
  }
  SafetensorsFile open(std::string_view content) {
    test::put(path_, content);
    return SafetensorsFile(path_);
  }

  Scratch folder_;
  std::filesystem::path path_ = folder_ / "model.safetensors";
};

TEST_F(SafetensorsTest, ReadsTheReferenceFile) {
  const SafetensorsFile file = open(golden());
  ASSERT_EQ(file.tensors().size(), 1U);
  const TensorInfo& tensor = file.at("attn.0");
  EXPECT_EQ(tensor.shape, (Shape{1, 2, 3}));
  EXPECT_EQ(tensor.dtype, DType::F32);
  std::vector<float> values(6);
  file.read_float(tensor, values);
  EXPECT_EQ(values, (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(file.find("attn.1"), nullptr);
  expect_error(Exit::BadData, "attn.1", [&] { (void)file.at("attn.1"); });
}

TEST_F(SafetensorsTest, WritesTheReferenceFile) {
  const std::array<TensorSpec, 1> specs{{{"attn.0", DType::F32, {1, 2, 3}}}};
  SafetensorsWriter writer(path_, specs, {});
  writer.write(0, std::vector<float>{0, 1, 2, 3, 4, 5});
  EXPECT_FALSE(std::filesystem::exists(path_)) << "visible before finish()";
  writer.finish();
  EXPECT_EQ(test::get(path_), golden());
}

TEST_F(SafetensorsTest, OrderOnDiskIsByTypeThenName) {
  const std::vector<TensorSpec> specs{
      {"b.half", DType::F16, {3}}, {"z", DType::F32, {2}},        {"a", DType::F32, {1}},
      {"ids", DType::I64, {1}},    {"a.brain", DType::BF16, {1}}, {"u", DType::U8, {1}},
      {"d", DType::F64, {}},       {"n", DType::U32, {1}},        {"i", DType::I32, {0, 7}}};
  SafetensorsWriter writer(path_, specs);
  const std::vector<float> ones(3, 1.0F);
  for (const char* name : {"b.half", "z", "a", "a.brain", "d"}) {
    const auto spec = std::find_if(specs.begin(), specs.end(), [&](const auto& s) { return s.name == name; });
    writer.write(name, std::span(ones).first(static_cast<std::size_t>(spec->shape.count())));
  }
  const std::int64_t id = -5;
  writer.write_raw("ids", std::as_bytes(std::span(&id, 1)));
  const std::uint32_t number = 7;
  writer.write_raw("n", std::as_bytes(std::span(&number, 1)));
  writer.write_raw("u", std::as_bytes(std::span("\xff", 1)));
  writer.finish();  // the empty tensor needs no call

  const SafetensorsFile file(path_);
  std::string order;
  for (const TensorInfo& tensor : file.tensors()) order += tensor.name + " ";
  EXPECT_EQ(order, "ids d a z n i a.brain b.half u ");
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  EXPECT_EQ(std::filesystem::file_size(path_), writer.file_bytes());
  const std::string bytes = test::get(path_);
  const auto header = static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[0])) |
                      static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[1])) << 8;
  EXPECT_EQ(header % 8, 0U);
  std::int64_t read_id = 0;
  file.read(file.at("ids"), std::as_writable_bytes(std::span(&read_id, 1)));
  EXPECT_EQ(read_id, -5);
  float value = 0;
  file.read_float(file.at("d"), std::span(&value, 1));
  EXPECT_EQ(value, 1.0F);
  expect_error(Exit::BadData, "i64", [&] { file.read_float(file.at("ids"), std::span(&value, 1)); });
}

TEST_F(SafetensorsTest, ConvertsOnWritingAndReadingInChunks) {
  constexpr std::size_t kCount = 700'001;  // more than two chunks
  std::vector<float> values(kCount);
  const Draw draw{.seed = 3};
  for (std::size_t i = 0; i < kCount; ++i) values[i] = draw.normal(i);
  values[0] = std::numeric_limits<float>::quiet_NaN();
  values[1] = std::numeric_limits<float>::infinity();
  std::vector<TensorSpec> specs;
  for (DType type : {DType::F16, DType::BF16, DType::F64, DType::F32})
    specs.push_back({std::string(name_of(type)), type, {static_cast<std::int64_t>(kCount)}});
  SafetensorsWriter writer(path_, specs);
  for (std::size_t i = 0; i < specs.size(); ++i) writer.write(i, values);
  writer.finish();

  const SafetensorsFile file(path_);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const TensorInfo& tensor = file.at(specs[i].name);
    std::vector<float> back(kCount);
    file.read_float(tensor, back);
    EXPECT_TRUE(std::isnan(back[0]));
    for (std::size_t k = 1; k < kCount; ++k) {
      const float expected = tensor.dtype == DType::F16    ? from_f16(to_f16(values[k]))
                             : tensor.dtype == DType::BF16 ? from_bf16(to_bf16(values[k]))
                                                           : values[k];
      ASSERT_EQ(back[k], expected) << tensor.name << ' ' << k;
    }
    std::vector<std::byte> stored(tensor.bytes);
    file.read(tensor, stored);
    EXPECT_EQ(crc32c(stored), writer.crc(i)) << tensor.name;
  }
}

TEST_F(SafetensorsTest, TensorsMayBeWrittenByThreadsInAnyOrder) {
  std::vector<TensorSpec> specs;
  for (int i = 0; i < 8; ++i) specs.push_back({std::to_string(i), DType::BF16, {1000, i + 1}});
  SafetensorsWriter writer(path_, specs);
  std::vector<std::thread> threads;
  for (std::size_t i = 8; i-- > 0;)
    threads.emplace_back([&, i] { writer.write(i, std::vector<float>(1000 * (i + 1), static_cast<float>(i))); });
  for (auto& thread : threads) thread.join();
  writer.finish();
  const SafetensorsFile file(path_);
  for (std::size_t i = 0; i < 8; ++i) {
    std::vector<float> values(1000 * (i + 1));
    file.read_float(file.at(std::to_string(i)), values);
    EXPECT_EQ(std::accumulate(values.begin(), values.end(), 0.0), 1000.0 * static_cast<double>(i * (i + 1)));
  }
}

TEST_F(SafetensorsTest, AnUnfinishedFileLeavesNoTrace) {
  const std::array<TensorSpec, 1> specs{{{"a", DType::F32, {1}}}};
  {
    SafetensorsWriter writer(path_, specs);
    expect_error(Exit::Internal, "not written", [&] { writer.finish(); });
    expect_error(Exit::Internal, "", [&] { writer.write(0, std::vector<float>(2)); });
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  expect_error(Exit::CannotCreate, "absent", [&] { SafetensorsWriter writer(folder_ / "absent/x", specs); });
  const std::array<TensorSpec, 2> twice{{{"a", DType::F32, {1}}, {"a", DType::F32, {1}}}};
  expect_error(Exit::Internal, "twice", [&] { SafetensorsWriter writer(path_, twice); });
}

TEST_F(SafetensorsTest, AFullDiskIsAnErrorAndLeavesNothing) {
  const std::array<TensorSpec, 1> specs{{{"a", DType::F16, {100'000}}}};
  const test::FullDisk full(65'536);
  {
    SafetensorsWriter writer(path_, specs);
    expect_error(Exit::IoError, "cannot write", [&] { writer.write(0, std::vector<float>(100'000)); });
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(SafetensorsTest, MissingFilesAndFolders) {
  expect_error(Exit::MissingInput, "absent", [&] { SafetensorsFile file(folder_ / "absent"); });
  expect_error(Exit::BadData, "folder", [&] { SafetensorsFile file(folder_.path()); });
}

TEST_F(SafetensorsTest, AllowsWhatTheFormatAllows) {
  EXPECT_TRUE(open(file_of("{}", 0)).tensors().empty());
  EXPECT_TRUE(open(file_of("{}      ", 0)).tensors().empty());
  EXPECT_EQ(open(file_of(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4)).at("a").shape.count(), 1);
  EXPECT_EQ(open(file_of(R"({"a":{"dtype":"F32","shape":[2,0],"data_offsets":[0,0]}})", 0)).at("a").bytes, 0U);
  EXPECT_EQ(open(file_of(R"({ "a" : {"data_offsets":[0,1], "shape":[1],"dtype":"U8"}, "__metadata__":{"k":"v"}})", 1))
                .metadata()
                .at("k"),
            "v");
  // Empty tensors between others, listed in any order.
  const SafetensorsFile file = open(file_of(R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},
      "e":{"dtype":"U8","shape":[0],"data_offsets":[1,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                                            3));
  EXPECT_EQ(file.tensors()[0].name, "a");
  EXPECT_EQ(file.tensors()[1].name, "e");
}

TEST_F(SafetensorsTest, RefusesBadLengths) {
  refuse("", "only 0 bytes");
  refuse("\1\2\3\4\5\6\7", "only 7 bytes");
  refuse(with_length(100'000'001, "{}"), "at most 100000000");
  refuse(with_length(~std::uint64_t{0}, "{}"), "at most");
  refuse(with_length(60, "{}"), "truncated");
  refuse(with_length(0, ""), "begin with");
  refuse(with_length(0, "{}"), "begin with");
}

TEST_F(SafetensorsTest, RefusesWhatIsNotAHeader) {
  refuse(file_of("{\"a\xff\":1}", 0), "JSON");
  refuse(file_of("{", 0), "does not end");
  refuse(file_of("{abc}", 0), "JSON");
  refuse(file_of(" {}", 0), "begin with");
  refuse(file_of("\n{}", 0), "begin with");
  refuse(file_of("{}\n", 0), "does not end");
  refuse(file_of("{}x", 0), "does not end");
  refuse(file_of("{}{}", 0), "JSON");
  refuse(file_of("[]", 0), "begin with");
  refuse(file_of(std::string_view("{}\0}", 4), 0), "zero byte");
  refuse(file_of("\xef\xbb\xbf{}", 0), "begin with");
  refuse(file_of(R"({"a":)" + std::string(100'000, '[') + "}", 0), "deeper");
}

TEST_F(SafetensorsTest, RefusesBadMetadata) {
  refuse(file_of(R"({"__metadata__":null})", 0), "__metadata__");
  refuse(file_of(R"({"__metadata__":{"a":1}})", 0), "not a string");
  refuse(file_of(R"({"__metadata__":{"a":{"b":"c"}}})", 0), "not a string");
  refuse(file_of(R"({"__metadata__":{"a":"1","a":"1"}})", 0), "twice");
}

TEST_F(SafetensorsTest, RefusesBadTensors) {
  const auto tensor = [](std::string_view body) { return R"({"a":)" + std::string(body) + "}"; };
  refuse(file_of(tensor("1"), 0), "not an object");
  refuse(file_of(tensor(R"({"shape":[1],"data_offsets":[0,4]})"), 4), "members other than");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1})"), 4), "members other than");
  refuse(file_of(tensor(R"({"dtyp":"F32","shape":[1],"data_offsets":[0,4]})"), 4), "dtype");
  refuse(file_of(tensor(R"({"dtype":"F31","shape":[1],"data_offsets":[0,4]})"), 4), "has the type");
  refuse(file_of(tensor(R"({"dtype":"F4","shape":[1],"data_offsets":[0,1]})"), 1), "has the type");
  refuse(file_of(tensor(R"({"dtype":32,"shape":[1],"data_offsets":[0,4]})"), 4), "dtype");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})"), 4), "shape");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"), 4), "non-negative");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})"), 4), "non-negative");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[1e0],"data_offsets":[0,4]})"), 4), "non-negative");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[true],"data_offsets":[0,4]})"), 4), "non-negative");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]})"), 4), "9 axes");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"), 4), "need 8");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})"), 4), "data_offsets");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})"), 4), "data_offsets");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,4]})"), 4), "data_offsets");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})"), 0), "overflows");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,0]})"), 0), "overflows");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,0]})"), 0), "non-negative");
  refuse(file_of(tensor(R"({"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]})"), 0), "overflows");
  refuse(file_of(R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1), "name");
  refuse(file_of(R"({"a\n":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1), "not printable");
  refuse(file_of("{\"" + std::string(513, 'n') + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1), "512");
}

TEST_F(SafetensorsTest, RefusesNamesGivenTwice) {
  const std::string entry = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  refuse(file_of("{" + entry + "," + entry + "}", 1), "twice");
  refuse(file_of(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1), "twice");
}

TEST_F(SafetensorsTest, RefusesDataThatAreNotTiled) {
  const auto two = [](int a0, int a1, int b0, int b1) {
    return fmt::format(R"({{"a":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}},)"
                       R"("b":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}}}})",
                       a1 - a0, a0, a1, b1 - b0, b0, b1);
  };
  EXPECT_EQ(open(file_of(two(0, 4, 4, 8), 8)).tensors().size(), 2U);
  refuse(file_of(two(0, 4, 0, 4), 4), "overlap");
  refuse(file_of(two(0, 5, 4, 8), 8), "overlap");
  refuse(file_of(two(0, 3, 4, 8), 8), "hole");
  refuse(file_of(two(1, 4, 4, 8), 8), "hole");
  refuse(file_of(two(0, 4, 4, 8), 7), "truncated");
  refuse(file_of(two(0, 4, 4, 8), 9), "appended");
  refuse(golden() + "PK\3\4", "appended");
  refuse(file_of("{}", 1), "appended");
}

TEST_F(SafetensorsTest, RefusesTooManyTensors) {
  std::string header = "{";
  for (std::size_t i = 0; i <= kMaxSafetensorsTensors + 1; ++i)
    header += fmt::format(R"({}"{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", i == 0 ? "" : ",", i);
  refuse(file_of(header + "}", 0), "more than 65536");
}

TEST_F(SafetensorsTest, AFileThatShrinksAfterOpeningIsAnError) {
  const SafetensorsFile file = open(golden());
  std::filesystem::resize_file(path_, 90);
  std::vector<float> values(6);
  expect_error(Exit::BadData, "truncated", [&] { file.read_float(file.at("attn.0"), values); });
}

/// Random damage: a reader may find the file sound or throw Error, nothing else; what it accepts must be readable.
TEST_F(SafetensorsTest, SurvivesRandomMutations) {
  std::string sound =
      file_of(R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
              R"("h":{"dtype":"F16","shape":[4],"data_offsets":[24,32]},"z":{"dtype":"U8","shape":[0],)"
              R"("data_offsets":[32,32]}})",
              32);
  int accepted = 0;
  int refused = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    std::string bytes = sound;
    const Draw draw{.seed = seed, .purpose = Purpose::Synthetic};
    const std::uint32_t edits = 1 + draw.below(0, 4);
    for (std::uint32_t e = 0; e < edits; ++e) {
      const auto size = static_cast<std::uint32_t>(bytes.size());
      const std::uint32_t at = draw.below(e * 4 + 1, size);
      const auto value = static_cast<char>(draw.below(e * 4 + 2, 256));
      switch (draw.below(e * 4 + 3, 6)) {
        case 0: bytes[at] = value; break;
        case 1: bytes.insert(at, 1, value); break;
        case 2: bytes.erase(at, 1 + draw.below(e * 4 + 4, 8)); break;
        case 3: bytes[at] = "0123456789{}[],:\"-."[static_cast<unsigned char>(value) % 19]; break;
        case 4: bytes.insert(at, bytes.substr(at / 2, 20)); break;
        default: bytes[at] = static_cast<char>(bytes[at] ^ (1 << (value & 7))); break;
      }
      if (bytes.empty()) bytes = " ";
    }
    test::put(path_, bytes);
    try {
      const SafetensorsFile file(path_);
      for (const TensorInfo& tensor : file.tensors()) {
        std::vector<std::byte> target(tensor.bytes);
        file.read(tensor, target);
      }
      ++accepted;
    } catch (const Error& error) {
      ASSERT_EQ(static_cast<int>(error.code()), static_cast<int>(Exit::BadData)) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_GT(accepted, 10) << "damage to the values alone is not for the reader to see";
}

}  // namespace
}  // namespace ldmpi::io
