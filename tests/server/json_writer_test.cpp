// SPDX-License-Identifier: MIT
// tests/server/json_writer_test.cpp - the exact text of answers, and what must never be written.
#include "server/json_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "engine/error.h"

namespace face {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Face make_face() {
  Face face;
  face.detection = {-10.9f, 0.5f,  20.99f,
                    30.01f, 0.98f, {{110.5f, 160.2f}, {1, 2}, {-3.25f, 1e-7f}, {4, 5}, {6, 7}}};
  face.embedding = {0.1f, -1.5f, 16777216.f};
  return face;
}

TEST(JsonWriter, DetectionExactly) {
  std::string out;
  append_detection(&out, {make_face()}, 1920, 1080, 12.345);
  EXPECT_EQ(out, R"({"faces":[{"bbox_x":-10,"bbox_y":0,"bbox_width":30,"bbox_height":30,)"
                 R"("embedding":[0.1,-1.5,16777216],"confidence":0.98,)"
                 R"("landmarks":[[110.5,160.2],[1,2],[-3.25,1e-07],[4,5],[6,7]]}],)"
                 R"("image_width":1920,"image_height":1080,"processing_time_ms":12.35})");
}

TEST(JsonWriter, NoFaces) {
  std::string out;
  append_detection(&out, {}, 1, 2, 0);
  EXPECT_EQ(out, R"({"faces":[],"image_width":1,"image_height":2,"processing_time_ms":0})");
}

TEST(JsonWriter, SeveralFacesAreSeparated) {
  std::string out;
  append_detection(&out, {make_face(), make_face()}, 1, 2, 0);
  EXPECT_NE(out.find("]},{\"bbox_x\""), std::string::npos) << out;
}

TEST(JsonWriter, FloatsReadBackTheSame) {
  for (const float value : {0.f, -0.f, 1.f / 3, 1e-38f, 3.4e38f, 1e-45f, 123456.789f, -2.5f}) {
    std::string out;
    append_json_float(&out, value, "value");
    EXPECT_EQ(float(std::strtod(out.c_str(), nullptr)), value) << out;
  }
}

struct BadFace {
  const char* name;
  const char* message;
  void (*damage)(Face*);
};
TEST(JsonWriter, UnusableNumbersAreErrors) {
  for (const BadFace& row : {
           BadFace{"nan score", "confidence", [](Face* f) { f->detection.score = kNan; }},
           {"infinite embedding", "embedding", [](Face* f) { f->embedding[1] = -kInfinity; }},
           {"nan embedding", "embedding", [](Face* f) { f->embedding[2] = kNan; }},
           {"zero embedding", "all zero", [](Face* f) { f->embedding.assign(3, 0.f); }},
           {"nan box", "bbox_x", [](Face* f) { f->detection.x1 = kNan; }},
           {"huge box", "bbox_height", [](Face* f) { f->detection.y2 = 1e20f; }},
           {"nan landmark", "landmarks", [](Face* f) { f->detection.landmarks[3].y = kNan; }},
       }) {
    Face face = make_face();
    row.damage(&face);
    std::string out;
    try {
      append_detection(&out, {face}, 1, 1, 1);
      ADD_FAILURE() << row.name << ": no error, " << out;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInternal) << row.name;
      EXPECT_NE(std::string(error.what()).find(row.message), std::string::npos) << error.what();
    }
  }
}

struct TextCase {
  std::string text;
  std::string json;
};
TEST(JsonWriter, Strings) {
  for (const TextCase& row : std::vector<TextCase>{
           {"plain", R"("plain")"},
           {"a\"b\\c", R"("a\"b\\c")"},
           {"\n\r\t\x01\x1f", R"("\n\r\t\u0001\u001f")"},
           {std::string("a\0b", 3), R"("a\u0000b")"},
           {"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\""},
           {"\xFF", "\"\xEF\xBF\xBD\""},
           {"a\xC3", "\"a\xEF\xBF\xBD\""},
           {"\xC0\xAF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
           {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
           {"", R"("")"},
       }) {
    std::string out;
    append_json_string(&out, row.text);
    EXPECT_EQ(out, row.json);
  }
}

}  // namespace
}  // namespace face
