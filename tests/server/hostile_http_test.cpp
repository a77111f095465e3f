// SPDX-License-Identifier: MIT
// tests/server/hostile_http_test.cpp - every odd and broken picture of the shared corpus, posted to
// the worker with its real decoders and a null engine.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

#include "server/face_app.h"
#include "server/serve.h"
#include "tests/server/null_engine.h"
#include "tests/server/raw_client.h"
#include "tests/support/shared.h"

namespace face {
namespace {

struct Sample {
  std::string path;
  std::string expected;  // decode, reject or either
};

std::vector<Sample> read_samples(const std::filesystem::path& folder) {
  std::ifstream table(folder / "SOURCES.tsv");
  std::vector<Sample> samples;
  std::string line;
  for (std::getline(table, line); std::getline(table, line);) {
    std::vector<std::string> columns;
    std::istringstream words(line);
    for (std::string word; std::getline(words, word, '\t');) columns.push_back(word);
    if (columns.size() > 5) samples.push_back({columns[0], columns[5]});
  }
  return samples;
}

std::string content(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

bool is_allowed(const std::string& expected, int status) {
  const bool refused = status == 400 || status == 413 || status == 415;
  if (expected == "reject") return refused;
  return status == 200 || refused;  // formats that are not offered are 415, whatever the row says
}

TEST(HostilePictures, EachGetsAnAnswerAndTheWorkerLives) {
  FACE_REQUIRE_SHARED("hostile/SOURCES.tsv");
  const std::filesystem::path folder = test::shared_dir() / "hostile";
  const std::vector<Sample> samples = read_samples(folder);
  ASSERT_GT(samples.size(), 1'000U);

  FaceApp app{AppOptions{}};
  http::ServerOptions options;
  options.host = "127.0.0.1";
  options.port = 0;
  http::Server server(app, options);
  std::thread loop([&] { server.run(); });
  app.load(
      [] { return std::make_unique<test::NullService>(std::make_shared<test::NullControl>()); },
      picture_decoder(ImageLimits{}));
  while (app.service_info() == nullptr) std::this_thread::yield();

  std::atomic<size_t> next{0};
  std::atomic<int> decoded{0};
  const auto post_all = [&] {
    auto client = std::make_unique<test::RawClient>(server.port());
    for (size_t i = next++; i < samples.size(); i = next++) {
      const std::string bytes = content(folder / samples[i].path);
      client->send(test::post_picture("/detect", "file", bytes));
      test::RawAnswer answer = client->receive();
      EXPECT_TRUE(is_allowed(samples[i].expected, answer.status))
          << samples[i].path << ": " << answer.status << ", expected " << samples[i].expected;
      if (answer.status == 200) ++decoded;
      if (answer.headers["connection"] == "close") {
        client = std::make_unique<test::RawClient>(server.port());
      }
    }
  };
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back(post_all);
  for (std::thread& client : clients) client.join();
  EXPECT_GT(decoded, 500);

  test::RawClient health(server.port());
  EXPECT_EQ(health.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
  health.hang_up();
  server.drain(std::chrono::milliseconds{0});
  loop.join();
}

}  // namespace
}  // namespace face
