// SPDX-License-Identifier: MIT
#include "weights_tool/synth/models.h"

#include <map>

#include "engine/error.h"

namespace face::synth {
namespace {

const std::map<std::string, std::vector<Model>>& releases() {
  static const std::map<std::string, std::vector<Model>> table = {
      {"buffalo_l", {{"det_10g.onnx", scrfd_10g}, {"w600k_r50.onnx", iresnet50}}},
      {"buffalo_m", {{"det_2.5g.onnx", scrfd_2_5g}, {"w600k_r50.onnx", iresnet50}}},
      {"buffalo_s", {{"det_500m.onnx", scrfd_500m}, {"w600k_mbf.onnx", mobilefacenet}}},
      {"antelopev2", {{"scrfd_10g_bnkps.onnx", scrfd_10g}, {"glintr100.onnx", iresnet100}}}};
  return table;
}

}  // namespace

std::vector<std::string> release_names() {
  std::vector<std::string> names;
  for (const auto& [name, models] : releases()) names.push_back(name);
  return names;
}

std::vector<Model> release_models(const std::string& release) {
  const auto found = releases().find(release);
  if (found != releases().end()) return found->second;
  std::string known;
  for (const std::string& name : release_names()) known += " " + name;
  throw Error(ErrorKind::kInvalidArgument,
              "release '" + release + "' is not known; known are" + known);
}

}  // namespace face::synth
