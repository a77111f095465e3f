// SPDX-License-Identifier: MIT
#include "engine/cpu/map_storage.h"

#include "engine/cpu/arena.h"

namespace face::cpu {
namespace {

size_t count(const Shape& s) { return size_t(s.channels) * s.height * s.width; }

bool is_large(const Shape& shape, int images) {
  return images * count(shape) * sizeof(float) > kMostFp32MapBytes;
}

}  // namespace

std::vector<bool> bf16_maps(const Network& graph, const std::vector<Shape>& shapes, int images,
                            const std::vector<const Candidate*>& ways, bool addends) {
  std::vector<bool> written(shapes.size(), false), read_as_fp32 = leaving_tensors(graph);
  std::vector<bool> preferred(shapes.size(), true);
  size_t conv = 0;
  for (const Op& op : graph.ops) {
    const Candidate* way = is_conv(op) ? ways[conv++] : nullptr;
    const bool reads = way != nullptr && way->reads_bf16_maps;
    written[op.output] = way != nullptr && way->writes_bf16_maps;
    if (!reads) read_as_fp32[op.input] = true;
    if (reads && !way->prefers_bf16_maps) preferred[op.input] = false;
    const bool adds = addends && way != nullptr && way->adds_bf16_maps;
    if (op.addend != kNoTensor && !adds) read_as_fp32[op.addend] = true;
  }
  std::vector<bool> result(shapes.size());
  for (size_t id = 0; id < shapes.size(); ++id)
    result[id] = written[id] && !read_as_fp32[id] && shapes[id].channels % 2 == 0 &&
                 (preferred[id] || is_large(shapes[id], images));
  return result;
}

std::vector<size_t> tensor_floats(const std::vector<Shape>& shapes, const std::vector<bool>& bf16) {
  std::vector<size_t> floats(shapes.size());
  for (size_t id = 0; id < shapes.size(); ++id) floats[id] = count(shapes[id]) / (bf16[id] ? 2 : 1);
  return floats;
}

}  // namespace face::cpu
