// SPDX-License-Identifier: MIT
#include "engine/pack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "engine/error.h"
#include "engine/pack_format.h"
#include "tests/support/tiny_network.h"

namespace face {
namespace {

namespace fs = std::filesystem;
using test::OwnedNetwork;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

class PackFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("face_pack_test." + std::to_string(::getpid()));
    fs::create_directories(folder_);
    path_ = folder_ / "tiny.fwp";
    test::fill_detector(detector_);
    test::fill_recogniser(recogniser_);
    provenance_ = {"0.1.0", "for tests", true, {{NetworkRole::kDetector, "det.onnx", "ab"}}};
    write_pack(path_, {&detector_.network, &recogniser_.network}, provenance_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string error_of(const fs::path& path) const {
    try {
      (void)Pack::open(path);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  fs::path folder_, path_;
  OwnedNetwork detector_, recogniser_;
  Provenance provenance_;
};

void expect_same(std::span<const float> a, std::span<const float> b) {
  EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end()));
}

TEST_F(PackFile, ComesBackAsItWasWritten) {
  const auto pack = Pack::open(path_);
  ASSERT_NE(pack->detector(), nullptr);
  ASSERT_NE(pack->recogniser(), nullptr);
  EXPECT_EQ(pack->detector()->levels[0].stride, 8);
  EXPECT_EQ(pack->detector()->outputs[1].name, "box");
  EXPECT_TRUE(pack->detector()->outputs[0].sigmoid);
  const Op &stem = pack->recogniser()->ops[0], &original = recogniser_.network.ops[0];
  EXPECT_EQ(stem.bias_kind, BiasKind::kBorder9);
  EXPECT_EQ(stem.stride_h, 2);
  expect_same(stem.weights, original.weights);
  expect_same(stem.bias, original.bias);
  expect_same(stem.slopes, original.slopes);
  EXPECT_EQ(pack->recogniser()->embedding_size, 8);
  EXPECT_EQ(pack->provenance().licence, "for tests");
  EXPECT_TRUE(pack->provenance().generated);
  EXPECT_EQ(pack->provenance().sources.at(0).sha256, "ab");
}

TEST_F(PackFile, WeightsAreAlignedForMapping) {
  const auto pack = Pack::open(path_);
  for (const Op& op : pack->detector()->ops)
    EXPECT_EQ(reinterpret_cast<uintptr_t>(op.weights.data()) % pack_format::kAlignment, 0u);
}

TEST_F(PackFile, BytesDependOnTheContentAlone) {
  const fs::path again = folder_ / "again.fwp";
  write_pack(again, {&detector_.network, &recogniser_.network}, provenance_);
  EXPECT_EQ(read_file(path_), read_file(again));
}

TEST_F(PackFile, FingerprintFollowsWeightsNotProvenance) {
  const std::string before = Pack::open(path_)->fingerprint();
  provenance_.licence = "another";
  write_pack(path_, {&detector_.network, &recogniser_.network}, provenance_);
  EXPECT_EQ(Pack::open(path_)->fingerprint(), before);
  detector_.arrays[0][0] += 1.f;
  write_pack(path_, {&detector_.network, &recogniser_.network}, provenance_);
  EXPECT_NE(Pack::open(path_)->fingerprint(), before);
  EXPECT_EQ(before.size(), 16u);
}

TEST_F(PackFile, EverySingleByteCorruptionIsRefused) {
  const std::string good = read_file(path_);
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  const auto set = [&](size_t offset, char byte) {
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(byte).flush();
  };
  const auto names_a_field = testing::MatchesRegex(path_.string() + ": [a-z_0-9 ]+: .+");
  for (size_t i = 0; i < good.size(); ++i) {
    set(i, static_cast<char>(good[i] ^ (1 << (i % 8))));
    ASSERT_THAT(error_of(path_), names_a_field) << "byte " << i;
    set(i, good[i]);
  }
  EXPECT_EQ(error_of(path_), "");
}

TEST_F(PackFile, EveryTruncationIsRefused) {
  const std::string good = read_file(path_);
  const fs::path bad = folder_ / "bad.fwp";
  for (size_t size = 0; size < good.size(); size += size < 512 ? 1 : 97) {
    write_file(bad, good.substr(0, size));
    ASSERT_NE(error_of(bad), "") << size << " bytes";
  }
  write_file(bad, good + '\0');
  EXPECT_THAT(error_of(bad), testing::HasSubstr("file_size"));
}

/// Rewrites the checksums of header and table, as someone who crafts a file would.
void seal(std::string& file) {
  pack_format::Header header;
  std::memcpy(&header, file.data(), sizeof(header));
  const auto bytes = std::as_bytes(std::span(file));
  const size_t table = header.section_count * sizeof(pack_format::Section);
  header.table_crc = pack_format::crc32(bytes.subspan(sizeof(header), table));
  header.header_crc = pack_format::crc32(
      std::as_bytes(std::span(&header, 1)).first(offsetof(pack_format::Header, header_crc)));
  std::memcpy(file.data(), &header, sizeof(header));
}

struct CraftedCase {
  const char* name;
  size_t offset;
  uint32_t value;
  const char* message;
};
constexpr size_t kTable = sizeof(pack_format::Header);
constexpr size_t kEntry = sizeof(pack_format::Section);
constexpr CraftedCase kCrafted[] = {
    {"magic", 0, 0x12345678, "magic"},
    {"version", 8, 2, "version: 2, this program reads 1"},
    {"byte_order", 12, 0x04030201, "byte_order"},
    {"kind", kTable + kEntry, 9, "section 1 kind: unknown value 9"},
    {"role", kTable + kEntry + 4, 7, "section 1 role: unknown value 7"},
    {"offset_overlaps", kTable + kEntry + 8, 256, "detector graph section: overlaps"},
    {"size_huge", kTable + kEntry + 20, 0xffffffff, "detector graph section: overlaps"},
    {"two_provenances", kTable + kEntry, 1, "section 1 role"},
};

class PackCrafted : public PackFile, public testing::WithParamInterface<CraftedCase> {};

TEST_P(PackCrafted, IsRefusedWithTheField) {
  std::string file = read_file(path_);
  std::memcpy(file.data() + GetParam().offset, &GetParam().value, 4);
  seal(file);
  const fs::path bad = folder_ / "bad.fwp";
  write_file(bad, file);
  EXPECT_THAT(error_of(bad), testing::HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(Table, PackCrafted, testing::ValuesIn(kCrafted),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(PackFile, MissingAndSpecialFilesAreNamed) {
  EXPECT_THAT(error_of(folder_ / "none.fwp"), testing::HasSubstr("none.fwp: cannot open"));
  EXPECT_THAT(error_of(folder_), testing::HasSubstr("not a regular file"));
  write_file(folder_ / "empty.fwp", "");
  EXPECT_THAT(error_of(folder_ / "empty.fwp"), testing::HasSubstr("too short"));
}

TEST_F(PackFile, FailedWriteLeavesNothingBehind) {
  recogniser_.network.ops[0].groups = 5;
  const fs::path bad = folder_ / "bad.fwp";
  EXPECT_THROW(write_pack(bad, {&recogniser_.network}, provenance_), Error);
  EXPECT_THROW(write_pack(folder_ / "no" / "such.fwp", {&detector_.network}, provenance_), Error);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace face
