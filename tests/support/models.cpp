// SPDX-License-Identifier: MIT
#include "tests/support/models.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <vector>

#include "tests/support/shared.h"
#include "weights_tool/onnx_graph.h"

namespace face::test {

std::shared_ptr<const Pack> pack_of(const ConvertedNetwork& detector,
                                    const ConvertedNetwork& recogniser) {
  Provenance provenance;
  provenance.tool_version = "test";
  provenance.sources = {{NetworkRole::kDetector, "detector.onnx", std::string(64, '0')},
                        {NetworkRole::kRecogniser, "recogniser.onnx", std::string(64, '0')}};
  static int count = 0;
  const auto path =
      std::filesystem::temp_directory_path() /
      ("face_test_" + std::to_string(getpid()) + "_" + std::to_string(count++) + ".fwp");
  write_pack(path, {&detector.network, &recogniser.network}, provenance);
  auto pack = Pack::open(path);  // mapped: the name is not needed any more
  std::filesystem::remove(path);
  return pack;
}

ConvertedNetwork convert_shared(const std::string& model) {
  return convert(onnx::read_onnx(shared_dir() / "models" / (model + ".onnx")));
}

std::shared_ptr<const Pack> convert_shared(const std::string& detector,
                                           const std::string& recogniser) {
  return pack_of(convert_shared(detector), convert_shared(recogniser));
}

Image read_photo(const std::filesystem::path& path, const ImageTarget& target) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> text{std::istreambuf_iterator<char>(file), {}};
  const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  const ImageLimits limits;
  return decode_image(bytes, probe_image(bytes, limits), limits, target);
}

}  // namespace face::test
