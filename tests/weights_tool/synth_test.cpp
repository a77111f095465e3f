// SPDX-License-Identifier: MIT
// Models with generated weights: graphs that convert, weights that follow the seed, answers that
// follow the picture as a trained network's do.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "tests/weights_tool/network_check.h"
#include "weights_tool/converter.h"
#include "weights_tool/synth/models.h"

namespace face {
namespace {

onnx::Graph small_detector(uint64_t seed) { return synth::scrfd_500m("det.onnx", seed); }

TEST(Synth, ReleasesHoldADetectorAndARecogniser) {
  EXPECT_THAT(synth::release_names(),
              testing::ElementsAre("antelopev2", "buffalo_l", "buffalo_m", "buffalo_s"));
  for (const synth::Model& model : synth::release_models("buffalo_s")) {
    const onnx::Graph graph = model.build(model.file, 0);
    EXPECT_TRUE(classify(graph).known) << model.file << ": " << classify(graph).reason;
    EXPECT_EQ(graph.producer, "face-worker synth");
  }
  EXPECT_THROW((void)synth::release_models("buffalo_xl"), Error);
}

TEST(Synth, WeightsFollowSeedAndFile) {
  const auto weights = [](const onnx::Graph& graph) {
    return graph.initializers.at(graph.nodes[0].inputs[1])->floats;
  };
  EXPECT_EQ(weights(small_detector(1)), weights(small_detector(1)));
  EXPECT_NE(weights(small_detector(1)), weights(small_detector(2)));
  EXPECT_NE(weights(small_detector(1)), weights(synth::scrfd_500m("other.onnx", 1)));
}

/// The first output: logits of a detector's finest scores, or an embedding; its mean taken away.
std::vector<double> answer(const Network& network, const reference::Values& picture) {
  std::vector<double> values =
      test::output_values(test::run_on(network, picture), network.outputs.at(0));
  double mean = 0;
  for (double v : values) mean += v / static_cast<double>(values.size());
  for (double& v : values) v -= mean;
  return values;
}

struct FamilyCase {
  const char* name;
  onnx::Graph (*build)(const std::string& file, uint64_t seed);
  int side;
};
class Family : public testing::TestWithParam<FamilyCase> {};

TEST_P(Family, AnswersFollowThePictureAndNotItsRounding) {
  const ConvertedNetwork converted = convert(GetParam().build("test.onnx", 0));
  const Network& network = converted.network;
  const auto picture = test::random_picture(GetParam().side, GetParam().side);
  const auto base = answer(network, picture);
  auto other = picture, rounded = picture;
  std::reverse(other.data.begin(), other.data.end());
  for (size_t i = 0; i < rounded.data.size(); ++i) rounded.data[i] *= i % 3 == 0 ? 1.001 : 0.999;
  EXPECT_GT(test::distance(base, answer(network, other)), 0.5);
  EXPECT_LT(test::distance(base, answer(network, rounded)), 0.005);
}
const FamilyCase kFamilies[] = {{"scrfd_10g", synth::scrfd_10g, 64},
                                {"scrfd_2_5g", synth::scrfd_2_5g, 64},
                                {"scrfd_500m", synth::scrfd_500m, 64},
                                {"mobilefacenet", synth::mobilefacenet, 112}};
INSTANTIATE_TEST_SUITE_P(Table, Family, testing::ValuesIn(kFamilies),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace face
