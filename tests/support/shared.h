// SPDX-License-Identifier: MIT
// tests/support/shared.h - finds the photos, models and goldens that tests read but never own.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace face::test {

/// The folder of shared test data: $FACE_SHARED, else ../shared. Tests run in the project's root.
inline std::filesystem::path shared_dir() {
  const char* given = std::getenv("FACE_SHARED");
  return given != nullptr && *given != '\0' ? given : "../shared";
}

}  // namespace face::test

/// Skips the test, saying so, unless `relative` exists in the shared folder.
#define FACE_REQUIRE_SHARED(relative)                                                       \
  do {                                                                                      \
    if (!std::filesystem::exists(::face::test::shared_dir() / (relative)))                  \
      GTEST_SKIP() << "no shared test data: " << (::face::test::shared_dir() / (relative)); \
  } while (false)
