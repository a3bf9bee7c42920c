#include "io/event_file.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <map>

#include "base/crc32c.h"
#include "scratch.h"

namespace ldmpi::io {
namespace {

using test::Scratch;

template <typename T>
T number_at(std::string_view bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

/// One field of a protocol-buffer message, decoded without knowing the schema.
struct Field {
  std::uint64_t number = 0;  // varint or fixed bits
  std::string bytes;         // length-delimited
};

std::uint64_t take_varint(std::string_view& in) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  throw std::runtime_error("varint ends early");
}

std::multimap<std::uint64_t, Field> decode(std::string_view in) {
  std::multimap<std::uint64_t, Field> fields;
  while (!in.empty()) {
    const std::uint64_t tag = take_varint(in);
    Field field;
    std::size_t length = 0;
    switch (tag & 7) {
      case 0: field.number = take_varint(in); break;
      case 1:
        field.number = number_at<std::uint64_t>(in, 0);
        length = 8;
        break;
      case 2:
        length = take_varint(in);
        field.bytes = in.substr(0, length);
        break;
      case 5:
        field.number = number_at<std::uint32_t>(in, 0);
        length = 4;
        break;
      default: throw std::runtime_error("unknown wire type");
    }
    if (length > in.size()) throw std::runtime_error("field ends early");
    in.remove_prefix(length);
    fields.emplace(tag >> 3, std::move(field));
  }
  return fields;
}

std::vector<std::multimap<std::uint64_t, Field>> events_in(const std::filesystem::path& path) {
  const std::string content = test::get(path);
  std::string_view in = content;
  std::vector<std::multimap<std::uint64_t, Field>> events;
  while (!in.empty()) {
    EXPECT_GE(in.size(), 16U);
    const auto length = number_at<std::uint64_t>(in, 0);
    EXPECT_EQ(number_at<std::uint32_t>(in, 8), masked_crc(test::bytes_of(in.substr(0, 8))));
    const std::string_view payload = in.substr(12, length);
    EXPECT_EQ(payload.size(), length);
    EXPECT_EQ(number_at<std::uint32_t>(in, 12 + length), masked_crc(test::bytes_of(payload)));
    events.push_back(decode(payload));
    in.remove_prefix(length + 16);
  }
  return events;
}

const Field& only(const std::multimap<std::uint64_t, Field>& fields, std::uint64_t number) {
  EXPECT_EQ(fields.count(number), 1U) << "field " << number;
  return fields.find(number)->second;
}

TEST(EventFile, CrcVectors) {
  EXPECT_EQ(crc32c(std::vector<std::byte>(32)), 0x8a9136aaU);
  EXPECT_EQ(masked_crc(test::bytes_of("\x1a\x11"
                                      "CRC test, one two")),
            0x5794d08aU);
}

TEST(EventFile, AnIndependentDecoderReadsIt) {
  const Scratch folder;
  const Image picture{2, 3, 3, std::vector<std::uint8_t>(18, 77)};
  std::filesystem::path path;
  const double before = wall_seconds();
  {
    EventFileWriter writer(folder / "a/b");
    path = writer.path();
    writer.add_scalar("loss", 0.25F, 3);
    writer.add_scalar("loss", std::nanf(""), 300'000'000'000);
    writer.add_image("sample/0", picture, 4);
  }
  const auto events = events_in(path);
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(only(events[0], 3).bytes, "brain.Event:2");
  EXPECT_EQ(only(decode(only(events[0], 10).bytes), 1).bytes, "ldmpi");
  for (const auto& event : events) {
    const auto time = std::bit_cast<double>(only(event, 1).number);
    EXPECT_GE(time, before);
    EXPECT_LE(time, wall_seconds());
  }
  EXPECT_EQ(only(events[1], 2).number, 3U);
  EXPECT_EQ(only(events[2], 2).number, 300'000'000'000U);
  const auto value = decode(only(decode(only(events[1], 5).bytes), 1).bytes);
  EXPECT_EQ(only(value, 1).bytes, "loss");
  EXPECT_EQ(std::bit_cast<float>(static_cast<std::uint32_t>(only(value, 2).number)), 0.25F);
  const auto entry = decode(only(decode(only(events[3], 5).bytes), 1).bytes);
  EXPECT_EQ(only(entry, 1).bytes, "sample/0");
  const auto image = decode(only(entry, 4).bytes);
  EXPECT_EQ(only(image, 1).number, 3U);  // height
  EXPECT_EQ(only(image, 2).number, 2U);  // width
  EXPECT_EQ(only(image, 3).number, 3U);  // RGB
  EXPECT_EQ(decode_image(test::bytes_of(only(image, 4).bytes)).pixels, picture.pixels);
}

TEST(EventFile, NameAndFlushing) {
  const Scratch folder;
  EventFileWriter first(folder.path(), 1e9);
  EventFileWriter second(folder.path(), 0.0);
  EXPECT_NE(first.path(), second.path()) << "each writer opens a new file";
  const std::string name = first.path().filename().string();
  EXPECT_TRUE(name.starts_with("events.out.tfevents.")) << name;
  EXPECT_NE(name.find("." + std::to_string(::getpid()) + "."), std::string::npos) << name;
  EXPECT_EQ(events_in(first.path()).size(), 1U) << "the version record is there at once";
  first.add_scalar("a", 1, 1);
  second.add_scalar("a", 1, 1);
  EXPECT_EQ(events_in(first.path()).size(), 1U) << "collected";
  EXPECT_EQ(events_in(second.path()).size(), 2U) << "flushed after 0 seconds";
  first.flush();
  EXPECT_EQ(events_in(first.path()).size(), 2U);
}

TEST(EventFile, AfterAFullDiskTheSameRecordsAreWrittenAgain) {
  const Scratch folder;
  EventFileWriter writer(folder.path(), 1e9);
  for (int step = 0; step < 100; ++step) writer.add_scalar("loss", 1, step);
  {
    const test::FullDisk full(1000);
    test::expect_error(Exit::IoError, "File too large", [&] { writer.flush(); });
  }
  writer.flush();
  EXPECT_EQ(events_in(writer.path()).size(), 101U);
}

TEST(EventFile, CannotCreate) {
  const Scratch folder;
  test::put(folder / "file", "");
  test::expect_error(Exit::CannotCreate, "file", [&] { EventFileWriter writer(folder / "file/x"); });
}

}  // namespace
}  // namespace ldmpi::io
