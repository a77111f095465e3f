// SPDX-License-Identifier: MIT
// tests/server/multipart_test.cpp - forms as clients send them, broken ones, and hostile ones that
// must cost linear time.
#include "server/multipart.h"

#include <gtest/gtest.h>

#include <ctime>
#include <string>
#include <vector>

#include "server/http_message.h"

namespace face {
namespace {

struct BoundaryCase {
  const char* content_type;
  const char* boundary;  // nullptr: none
};
TEST(MultipartBoundary, Table) {
  const std::string longest(70, 'b');
  const std::string too_long(71, 'b');
  const std::string with_longest = "multipart/form-data; boundary=" + longest;
  const std::string with_too_long = "multipart/form-data; boundary=" + too_long;
  for (const BoundaryCase& row : {
           BoundaryCase{"multipart/form-data; boundary=abc", "abc"},
           {"Multipart/Form-Data;boundary=\"a b;c\"", "a b;c"},
           {"multipart/form-data; charset=utf-8; BOUNDARY=abc; x=y", "abc"},
           {"multipart/form-data ; boundary = abc ", "abc"},
           {with_longest.c_str(), longest.c_str()},
           {with_too_long.c_str(), nullptr},
           {"multipart/form-data", nullptr},
           {"multipart/form-data; boundary=", nullptr},
           {"multipart/form-data; boundary=\"abc", nullptr},
           {"multipart/mixed; boundary=abc", nullptr},
           {"image/jpeg", nullptr},
           {"", nullptr},
       }) {
    const auto found = multipart_boundary(row.content_type);
    EXPECT_EQ(found.value_or("(none)"), row.boundary == nullptr ? "(none)" : row.boundary)
        << row.content_type;
  }
}

std::vector<FormPart> parse(std::string_view body) { return parse_multipart(body, "b", {}); }

TEST(Multipart, ReadsParts) {
  const auto parts = parse(
      "preamble\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; "
      "filename=\"C:\\a\\x;y.jpg\"\r\n"
      "Content-Type: image/jpeg\r\n\r\nline\r\n--not the boundary\r\n\r\n--b \t\r\n"
      "content-disposition:form-data;name=plain\r\n\r\n\r\n--b\r\n\r\nno "
      "headers\r\n--b--\r\nepilogue");
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].name, "file");
  EXPECT_EQ(parts[0].file_name, "x;y.jpg");
  EXPECT_EQ(parts[0].content, "line\r\n--not the boundary\r\n");
  EXPECT_EQ(parts[1].name, "plain");
  EXPECT_EQ(parts[1].file_name, "");
  EXPECT_EQ(parts[1].content, "");
  EXPECT_EQ(parts[2].name, "");
  EXPECT_EQ(parts[2].content, "no headers");
}

TEST(Multipart, EscapedQuotesInNames) {
  const auto parts = parse(
      "--b\r\nContent-Disposition: form-data; filename=\"a\\\"b.jpg\"; "
      "name=\"f\"\r\n\r\nx\r\n--b--");
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_EQ(parts[0].file_name, "a\"b.jpg");
  EXPECT_EQ(parts[0].name, "f");
}

struct NameCase {
  const char* parameters;
  const char* file_name;
};
/// What FastAPI's forms make of the same headers.
TEST(Multipart, FileNames) {
  for (const NameCase& row : {
           NameCase{"filename=\"a/b/c.jpg\"", "a/b/c.jpg"},
           {"filename=\"../up.jpg\"", "../up.jpg"},
           {"filename=\"a\\b.jpg\"", "a\\b.jpg"},
           {"filename=\"C:\\x\\y.jpg\"", "y.jpg"},
           {"filename=\"\\\\\\\\host\\y.jpg\"", "y.jpg"},
           {"filename=\":\\\\\"", ":\\"},
           {"filename=\"caf\xC3\xA9.jpg\"", "caf\xC3\xA9.jpg"},
           {"filename=\"caf\xE9.jpg\"", "caf\xC3\xA9.jpg"},
           {"filename=\"a%20b.jpg\"", "a%20b.jpg"},
           {"filename*=UTF-8''%D1%84%20a.jpg", "\xD1\x84 a.jpg"},
           {"filename*=utf-8'en'plain.jpg", "plain.jpg"},
           {"filename*=iso-8859-1''caf%E9.jpg", "caf\xC3\xA9.jpg"},
           {"filename*=UTF-8''%FF.jpg", "\xC3\xBF.jpg"},
           {"filename=\"a.jpg\"; filename*=UTF-8''b.jpg", "b.jpg"},
           {"filename*=UTF-8''b.jpg; filename=\"a.jpg\"", "b.jpg"},
           {"filename=\"a.jpg\"; filename*=UTF-8''%zz", "a.jpg"},
           {"filename=\"a.jpg\"; filename*=koi8-r''%D1", "a.jpg"},
           {"filename=\"a.jpg\"; filename*=b.jpg", "a.jpg"},
           {"x=y", ""},
       }) {
    const auto parts =
        parse(std::string("--b\r\nContent-Disposition: form-data; name=\"files\"; ") +
              row.parameters + "\r\n\r\nx\r\n--b--");
    ASSERT_EQ(parts.size(), 1U) << row.parameters;
    EXPECT_EQ(parts[0].name, "files") << row.parameters;
    EXPECT_EQ(parts[0].file_name, row.file_name) << row.parameters;
  }
}

TEST(Multipart, FormsWithoutParts) {
  EXPECT_TRUE(parse("").empty());
  EXPECT_TRUE(parse("--b--").empty());
  EXPECT_TRUE(parse("\r\n--b--\r\n").empty());
}

struct ErrorCase {
  const char* name;
  std::string body;
  int status;
  const char* text;
};
TEST(Multipart, Errors) {
  const std::string head = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
  std::string many;
  for (int i = 0; i < 65; ++i) many += "--b\r\n\r\n\r\n";
  const std::vector<ErrorCase> rows = {
      {"no boundary", "just bytes", 400, "No multipart boundary"},
      {"unfinished content", head + "abc", 400, "Unfinished multipart"},
      {"unfinished boundary", head + "abc\r\n--", 400, "Unfinished multipart"},
      {"unfinished headers", "--b\r\nContent-Disposition: x", 400, "Unfinished part headers"},
      {"nothing after the boundary", "--b", 400, "Malformed multipart boundary"},
      {"longer boundary", "--bb\r\n\r\nx\r\n--bb--", 400, "Malformed multipart boundary"},
      {"header without colon", "--b\r\nabc\r\n\r\nx\r\n--b--", 400, "Malformed part header"},
      {"too many parts", many + "--b--", 413, "64 parts"},
      {"long headers", "--b\r\nA: " + std::string(9'000, 'x') + "\r\n\r\nx\r\n--b--", 431,
       "too large"},
  };
  for (const ErrorCase& row : rows) {
    try {
      parse(row.body);
      ADD_FAILURE() << row.name << ": no error";
    } catch (const http::Refusal& error) {
      EXPECT_EQ(error.status(), row.status) << row.name;
      EXPECT_NE(std::string(error.what()).find(row.text), std::string::npos)
          << row.name << ": " << error.what();
    }
  }
}

TEST(Multipart, EveryTruncationIsAnErrorOrNoPart) {
  const std::string whole =
      "--b\r\nContent-Disposition: form-data; name=\"file\"; "
      "filename=\"a\"\r\n\r\ncontent\r\n--b--";
  ASSERT_EQ(parse(whole).size(), 1U);
  for (size_t size = 1; size < whole.size() - 2; ++size) {
    EXPECT_THROW(parse(std::string_view(whole).substr(0, size)), http::Refusal) << size;
  }
}

std::string repeated(std::string_view pattern, size_t size) {
  std::string out;
  while (out.size() < size) out += pattern;
  return out;
}

/// Each hostile body is 16 MiB; a quadratic parser would need minutes, so a bound of seconds fails
/// only for that.
TEST(Multipart, HostileBodiesTakeLinearTime) {
  const std::string boundary(70, '-');
  const std::string near = "\r\n--" + std::string(69, '-');
  for (const std::string& pattern :
       std::vector<std::string>{"-", "\r", "\r\n", "\r\n--", near, near + "x", std::string(1, '\0'),
                                "--b\r\n", "Content-Disposition: form-data; "}) {
    const std::string body = repeated(pattern, size_t{16} << 20);
    const std::clock_t begin = std::clock();
    for (const std::string& prefix : {std::string(), "--" + boundary + "\r\n\r\n"}) {
      try {  // whether it is a form after all is no matter here
        EXPECT_LE(parse_multipart(prefix + body, boundary, {}).size(), 64U);
      } catch (const http::Refusal& error) {
        EXPECT_GE(error.status(), 400);
      }
    }
    const double seconds = double(std::clock() - begin) / CLOCKS_PER_SEC;
    EXPECT_LT(seconds, 5.0) << pattern.substr(0, 10);
  }
}

}  // namespace
}  // namespace face
