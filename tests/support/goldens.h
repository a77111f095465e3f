// SPDX-License-Identifier: MIT
// tests/support/goldens.h - what the reference answers for a photo, and how far we may be off.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/backend.h"

namespace face::test {

/// Faces of the reference for one photo.
struct GoldenPhoto {
  std::string file;
  std::vector<Face> faces;
};

struct Goldens {
  std::vector<int> det_sizes;
  float threshold = 0.5f;
  float nms_iou = 0.4f;
  std::vector<GoldenPhoto> photos;
};

/// Reads a file of the shared folder's goldens/.
[[nodiscard]] Goldens read_goldens(const std::filesystem::path& path);

/// Largest deviations allowed.
struct Agreement {
  float iou;          // of boxes, at least
  float landmarks;    // distance as a share of the box width
  float score;        // difference
  float cosine;       // of embeddings, at least
  float mean_cosine;  // over all faces
};
constexpr Agreement kAgreementFp32{0.99f, 0.005f, 0.005f, 0.995f, 0.999f};
constexpr Agreement kAgreementHalf{0.98f, 0.01f, 0.01f, 0.985f, 0.998f};

/// A face of the reference must be found, and none that it has not, from this score on.
constexpr float kSureScore = 0.52f;

/// The worst that was seen, over any number of photos.
struct Deviation {
  float iou = 1.f, landmarks = 0.f, score = 0.f, cosine = 1.f;
  double cosine_sum = 0.;
  int faces = 0;
};

/// Holds our faces of one photo against the reference's: what is missed, extra or out of `allowed`
/// fails the running test, with the photo's name and the face's place. Adds to `seen`.
void compare_faces(const GoldenPhoto& golden, std::span<const Face> ours, const Agreement& allowed,
                   Deviation& seen);

/// Cosine of the angle between two embeddings of equal size.
[[nodiscard]] float cosine(std::span<const float> a, std::span<const float> b);

}  // namespace face::test
