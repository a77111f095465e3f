// SPDX-License-Identifier: MIT
// tests/image/check.h - decoding in one call, and comparisons that name the pixel.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "engine/error.h"
#include "engine/image.h"
#include "tests/image/encoders.h"

namespace face::test {

inline Image decode_all(const FileBytes& file, const ImageLimits& limits = {},
                        const ImageTarget& target = {}) {
  return decode_image(file, probe_image(file, limits), limits, target);
}

/// Every channel within `tolerance` of `expected`.
inline testing::AssertionResult near(const Image& image, const Picture& expected, int tolerance) {
  if (image.width() != expected.width || image.height() != expected.height) {
    return testing::AssertionFailure() << image.width() << " x " << image.height() << ", expected "
                                       << expected.width << " x " << expected.height;
  }
  for (size_t i = 0; i < expected.rgb.size(); ++i) {
    if (std::abs(int(image.data()[i]) - int(expected.rgb[i])) <= tolerance) continue;
    const size_t pixel = i / 3;
    return testing::AssertionFailure()
           << "channel " << i % 3 << " of (" << pixel % size_t(expected.width) << ", "
           << pixel / size_t(expected.width) << ") is " << int(image.data()[i]) << ", expected "
           << int(expected.rgb[i]);
  }
  return testing::AssertionSuccess();
}

/// The call throws face::Error of this kind and its message contains `part`.
template <typename Call>
testing::AssertionResult fails(Call&& call, ErrorKind kind, const std::string& part) {
  try {
    call();
  } catch (const Error& error) {
    if (error.kind() != kind) {
      return testing::AssertionFailure() << "another kind of error: " << error.what();
    }
    if (std::string(error.what()).find(part) == std::string::npos) {
      return testing::AssertionFailure() << "message is \"" << error.what() << "\"";
    }
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "no error";
}

}  // namespace face::test
