// SPDX-License-Identifier: MIT
// tests/server/face_app_test.cpp - the contract over loopback on a null engine: every row of
// routes, states and errors.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/server/null_worker.h"

namespace face {
namespace {

using nlohmann::json;
using test::form_part;
using test::get;
using test::kFormType;
using test::post;
using test::post_picture;
using test::RawAnswer;
using test::RawClient;
using test::Worker;

constexpr const char* kMissingFile =
    R"({"detail":[{"type":"missing","loc":["body","file"],"msg":"Field required","input":null}]})";
constexpr const char* kMissingFiles =
    R"({"detail":[{"type":"missing","loc":["body","files"],"msg":"Field required","input":null}]})";

TEST(FaceApp, HealthSaysWhatIsTrue) {
  Worker worker;
  const RawAnswer answer = worker.ask(get("/"));
  EXPECT_EQ(answer.status, 200);
  const json health = json::parse(answer.body);
  EXPECT_EQ(health["status"], "healthy");
  EXPECT_EQ(health["gpu_available"], false);
  EXPECT_EQ(health["model_loaded"], true);
  EXPECT_EQ(health["device"], "CPU");
  EXPECT_EQ(health["device_name"], "null device");
  EXPECT_EQ(health["precision"], "fp32");
  EXPECT_EQ(health["model_fingerprint"], "0123456789abcdef");
  EXPECT_EQ(worker.ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
}

TEST(FaceApp, HealthOfCudaAndOfGeneratedWeights) {
  Worker worker({}, false);
  worker.control->info.device.is_cuda = true;
  worker.control->info.untrained = true;
  worker.control->info.device.warning = "a \"reason\"";
  worker.load();
  const RawAnswer answer = worker.ask(get("/"));
  EXPECT_EQ(answer.status, 200);
  const json health = json::parse(answer.body);
  EXPECT_EQ(health["status"], "untrained");
  EXPECT_EQ(health["gpu_available"], true);
  EXPECT_EQ(health["device"], "CUDA (NVIDIA GPU)");
  EXPECT_EQ(health["warning"], "a \"reason\"");
  EXPECT_EQ(worker.ask(post_picture("/detect", "file", "PIC 2 2")).status, 200);
}

TEST(FaceApp, InitializingUntilTheModelIsThere) {
  Worker worker({}, false);
  RawAnswer answer = worker.ask(get("/"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(json::parse(answer.body)["status"], "initializing");
  EXPECT_EQ(json::parse(answer.body)["model_loaded"], false);
  answer = worker.ask(post_picture("/detect", "file", "PIC 2 2"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, R"({"detail":"Model not initialized"})");
  EXPECT_EQ(answer.headers.count("retry-after"), 1U);
  worker.load();
  EXPECT_EQ(worker.ask(get("/")).status, 200);
}

TEST(FaceApp, FailedLoadIsFatal) {
  Worker worker({}, false);
  worker.load_failing();
  EXPECT_EQ(worker.exit_code, kExitFailure);
  EXPECT_EQ(json::parse(worker.ask(get("/")).body)["status"], "unhealthy");
  EXPECT_EQ(worker.ask(post_picture("/detect", "file", "PIC 2 2")).status, 503);
}

TEST(FaceApp, DetectAnswersTheContract) {
  Worker worker;
  const RawAnswer answer = worker.ask(post_picture("//detect", "file", "PIC 64 32"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  EXPECT_EQ(answer.headers.at("x-model-fingerprint"), "0123456789abcdef");
  EXPECT_NE(answer.headers.at("server-timing").find("detect;dur=1.5"), std::string::npos);
  EXPECT_EQ(answer.body.substr(0, answer.body.find("\"processing_time_ms\"")),
            R"({"faces":[{"bbox_x":-1,"bbox_y":0,"bbox_width":65,"bbox_height":32,)"
            R"("embedding":[1,2,3],"confidence":0.75,)"
            R"("landmarks":[[0,0],[0,0],[0,0],[0,0],[0,0]]}],)"
            R"("image_width":64,"image_height":32,)");
  EXPECT_TRUE(json::parse(answer.body)["processing_time_ms"].is_number());
}

TEST(FaceApp, TheLastOfSeveralFilesCounts) {
  Worker worker;
  const std::string body = form_part("file", "a", "broken") + form_part("file", "b", "PIC 8 4") +
                           form_part("other", "c", "broken") + "--XyZ--\r\n";
  const RawAnswer answer = worker.ask(post("/detect", body, kFormType));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(json::parse(answer.body)["image_width"], 8);
}

struct ErrorRow {
  const char* name;
  std::string request;
  int status;
  std::string body;
};
TEST(FaceApp, Errors) {
  Worker worker;
  const std::vector<ErrorRow> rows = {
      {"not an image", post_picture("/detect", "file", "hello"), 400,
       R"({"detail":"Invalid image format"})"},
      {"empty", post_picture("/detect", "file", ""), 400, R"({"detail":"Invalid image format"})"},
      {"gif", post_picture("/detect", "file", "GIF89a"), 415,
       R"({"detail":"GIF is not supported"})"},
      {"pixels", post_picture("/detect", "file", "PIC 20000 1"), 413,
       R"({"detail":"more than 50 megapixels"})"},
      {"misnamed", post_picture("/detect", "photo", "PIC 2 2"), 422, kMissingFile},
      {"misnamed in batch", post_picture("/detect-batch", "file", "PIC 2 2"), 422, kMissingFiles},
      {"empty form", post("/detect", "--XyZ--\r\n", kFormType), 422, kMissingFile},
      {"no body", post("/detect", "", kFormType), 422, kMissingFile},
      {"raw body", post("/detect", "PIC 2 2", "Content-Type: image/jpeg\r\n"), 422, kMissingFile},
      {"no type", post("/detect-batch", "PIC 2 2"), 422, kMissingFiles},
      {"json", post("/detect", "{}", "Content-Type: application/json\r\n"), 422, kMissingFile},
      {"unfinished form", post("/detect", form_part("file", "a", "PIC 2 2"), kFormType), 400,
       R"({"detail":"Unfinished multipart body"})"},
      {"bytes", post("/detect", std::string(1'100'000, 'x'), kFormType), 413,
       R"({"detail":"Request body is larger than the limit of 1065536 bytes"})"},
      {"gzip", post("/detect", "x", "Content-Encoding: gzip\r\n"), 415,
       R"({"detail":"Content-Encoding is not supported: send the body as it is"})"},
      {"unknown path", get("/nothing"), 404, R"({"detail":"Not Found"})"},
      {"unknown path, posted", post("/nothing", "x"), 404, R"({"detail":"Not Found"})"},
      {"get detect", get("/detect"), 405, R"({"detail":"Method Not Allowed"})"},
      {"post root", post("/", "x"), 405, R"({"detail":"Method Not Allowed"})"},
      {"strange method", "BREW /detect HTTP/1.1\r\nHost: x\r\n\r\n", 405,
       R"({"detail":"Method Not Allowed"})"},
      {"options without origin", "OPTIONS /detect HTTP/1.1\r\nHost: x\r\n\r\n", 405,
       R"({"detail":"Method Not Allowed"})"},
  };
  for (const ErrorRow& row : rows) {
    const RawAnswer answer = worker.ask(row.request);
    EXPECT_EQ(answer.status, row.status) << row.name;
    EXPECT_EQ(answer.body, row.body) << row.name;
    EXPECT_EQ(answer.headers.count("location"), 0U) << row.name;
    EXPECT_EQ(answer.headers.count("allow"), row.status == 405 ? 1U : 0U) << row.name;
  }
  EXPECT_EQ(worker.ask(get("/detect")).headers.at("allow"), "POST");
  EXPECT_EQ(worker.ask(post("/", "x")).headers.at("allow"), "GET, HEAD");
}

TEST(FaceApp, PreflightAndOrigin) {
  Worker worker;
  const RawAnswer answer = worker.ask(
      "OPTIONS /detect HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\n"
      "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: X-Thing\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("access-control-allow-origin"), "*");
  EXPECT_NE(answer.headers.at("access-control-allow-methods").find("POST"), std::string::npos);
  EXPECT_EQ(answer.headers.at("access-control-allow-headers"), "X-Thing");
  EXPECT_EQ(worker.ask(get("/", "Origin: http://a\r\n")).headers.at("access-control-allow-origin"),
            "*");
}

TEST(FaceApp, KeepAliveSurvivesErrors) {
  Worker worker;
  RawClient client(worker.port());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.ask(post_picture("/detect", "file", "broken")).status, 400);
    EXPECT_EQ(client.ask(post_picture("/detect", "photo", "PIC 2 2")).status, 422);
    EXPECT_EQ(client.ask(post_picture("/detect", "file", "PIC 2 2")).status, 200);
  }
}

TEST(FaceApp, BatchKeepsOrderAndFailsPicturesAlone) {
  Worker worker;
  std::string body;
  body += form_part("files", "same.jpg", "PIC 10 10");
  body += form_part("other", "x", "ignored");
  body += form_part("files", "same.jpg", "broken");
  body += form_part("files", "q\\\"uote.jpg", "PIC 20 10");
  body += form_part("files", "", "GIF89a");
  const RawAnswer answer = worker.ask(post("/detect-batch", body + "--XyZ--", kFormType));
  EXPECT_EQ(answer.status, 200);
  const json batch = json::parse(answer.body);
  EXPECT_EQ(batch["total"], 4);
  ASSERT_EQ(batch["results"].size(), 4U);
  EXPECT_EQ(batch["results"][0]["filename"], "same.jpg");
  EXPECT_EQ(batch["results"][0]["success"], true);
  EXPECT_EQ(batch["results"][0]["data"]["image_width"], 10);
  EXPECT_EQ(batch["results"][0]["data"]["faces"].size(), 1U);
  EXPECT_EQ(
      batch["results"][1],
      json({{"filename", "same.jpg"}, {"success", false}, {"error", "Invalid image format"}}));
  EXPECT_EQ(batch["results"][2]["filename"], "q\"uote.jpg");
  EXPECT_EQ(batch["results"][2]["data"]["image_width"], 20);
  EXPECT_EQ(batch["results"][3]["error"], "GIF is not supported");
}

TEST(FaceApp, BatchOfTooManyIs413) {
  Worker worker;
  std::string body;
  for (int i = 0; i < 9; ++i) body += form_part("files", "a", "PIC 2 2");
  const RawAnswer answer = worker.ask(post("/detect-batch", body + "--XyZ--", kFormType));
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.body, R"({"detail":"More than 8 parts"})");
}

}  // namespace
}  // namespace face
