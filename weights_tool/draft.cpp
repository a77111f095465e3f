// SPDX-License-Identifier: MIT
#include "weights_tool/draft.h"

#include <algorithm>
#include <set>
#include <utility>

#include "engine/error.h"

namespace face {

std::span<const float> ArrayStore::add(std::vector<float> values) {
  auto owned = std::make_shared<const std::vector<float>>(std::move(values));
  const std::span<const float> span(*owned);
  if (!span.empty()) arrays_[span.data()] = std::move(owned);
  return span;
}

std::span<const float> ArrayStore::add(std::shared_ptr<const onnx::Array> array) {
  const std::span<const float> span(array->floats);
  if (!span.empty()) arrays_[span.data()] = std::move(array);
  return span;
}

void ArrayStore::keep_used(const Network& network) {
  std::set<const float*> used;
  for (const Op& op : network.ops)
    for (const float* p : {op.weights.data(), op.bias.data(), op.slopes.data()}) used.insert(p);
  std::erase_if(arrays_, [&](const auto& entry) { return !used.contains(entry.first); });
}

Links::Links(const Draft& draft)
    : writer(draft.network.tensors.size(), kNobody), readers(draft.network.tensors.size()) {
  const Network& n = draft.network;
  for (size_t i = 0; i < n.ops.size(); ++i) {
    const int index = static_cast<int>(i);
    writer[n.ops[i].output] = index;
    readers[n.ops[i].input].push_back(index);
    if (n.ops[i].addend != kNoTensor) readers[n.ops[i].addend].push_back(index);
  }
  for (const Head& head : draft.heads) readers[head.tensor].push_back(kOutside);
  for (const Output& output : n.outputs) readers[output.tensor].push_back(kOutside);
}

int Links::only_reader(TensorId tensor) const {
  const std::vector<int>& r = readers[tensor];
  return r.size() == 1 && r[0] != kOutside ? r[0] : kNobody;
}

TensorId add_tensor(Network& network, const std::string& name, int channels) {
  network.tensors.push_back({name, channels});
  return static_cast<TensorId>(network.tensors.size()) - 1;
}

void refuse(const std::string& node, const std::string& reason) {
  throw Error(ErrorKind::kBadModel, "node " + node + ": " + reason);
}

}  // namespace face
