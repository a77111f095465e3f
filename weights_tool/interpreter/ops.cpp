// SPDX-License-Identifier: MIT
#include "weights_tool/interpreter/ops.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "engine/error.h"

namespace face::onnx::interpreter {

Function find_op(const std::string& op_type) {
  static const std::map<std::string, Function> table = {{"Add", binary},
                                                        {"AveragePool", pool},
                                                        {"BatchNormalization", batch_normalization},
                                                        {"Cast", cast},
                                                        {"Ceil", unary},
                                                        {"Clip", clip},
                                                        {"Concat", concat},
                                                        {"Constant", constant},
                                                        {"ConstantOfShape", constant_of_shape},
                                                        {"Conv", conv},
                                                        {"Div", binary},
                                                        {"Dropout", identity},
                                                        {"Flatten", flatten},
                                                        {"Floor", unary},
                                                        {"Gather", gather},
                                                        {"Gemm", gemm},
                                                        {"GlobalAveragePool", global_average_pool},
                                                        {"Identity", identity},
                                                        {"LeakyRelu", unary},
                                                        {"MatMul", matmul},
                                                        {"MaxPool", pool},
                                                        {"Mul", binary},
                                                        {"Neg", unary},
                                                        {"PRelu", prelu},
                                                        {"Pad", pad},
                                                        {"Reciprocal", unary},
                                                        {"ReduceMean", reduce_mean},
                                                        {"Relu", unary},
                                                        {"Reshape", reshape},
                                                        {"Resize", resize},
                                                        {"Shape", shape},
                                                        {"Sigmoid", unary},
                                                        {"Slice", slice},
                                                        {"Sqrt", unary},
                                                        {"Squeeze", squeeze},
                                                        {"Sub", binary},
                                                        {"Transpose", transpose},
                                                        {"Unsqueeze", unsqueeze},
                                                        {"Upsample", resize}};
  const auto found = table.find(op_type);
  return found == table.end() ? nullptr : found->second;
}

// ---- Call

const Values& Call::in(size_t i) const {
  require(has(i), "input " + std::to_string(i) + " is missing");
  return *inputs[i];
}

const Values& Call::map(size_t i) const {
  require(in(i).dims.size() == 4, "input " + std::to_string(i) + " is not (N, C, H, W)");
  return in(i);
}

double Call::number(size_t i) const {
  require(in(i).data.size() == 1, "input " + std::to_string(i) + " is not one number");
  return in(i).data[0];
}

Dims Call::ints(size_t i) const { return {in(i).data.begin(), in(i).data.end()}; }

Dims Call::ints(const char* name, size_t i) const {
  return has(i) ? ints(i) : ints_attribute(node, name, {});
}

size_t Call::axis(int64_t axis, size_t rank) const {
  const auto r = static_cast<int64_t>(rank);
  require(axis >= -r && axis < r, "axis " + std::to_string(axis) + " of " + std::to_string(r));
  return static_cast<size_t>(axis < 0 ? axis + r : axis);
}

void Call::fail(const std::string& reason) const {
  throw Error(ErrorKind::kBadModel, "node " + node.name + ": " + reason);
}

// ---- helpers

int64_t count(const Dims& dims) {
  int64_t n = 1;
  for (int64_t d : dims) n *= d;
  return n;
}

void parallel_for(int64_t count, const std::function<void(int64_t)>& body) {
  std::atomic<int64_t> next{0};
  const auto work = [&] {
    for (int64_t i = next++; i < count; i = next++) body(i);
  };
  const int64_t cores = std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, 16);
  std::vector<std::thread> threads(std::min(cores, count));
  for (std::thread& thread : threads) thread = std::thread(work);
  for (std::thread& thread : threads) thread.join();
}

Values select(const Values& x, const std::vector<Dims>& index, double fill) {
  Values out{{}, {}, x.integer};
  for (const Dims& axis : index) out.dims.push_back(static_cast<int64_t>(axis.size()));
  const int64_t total = count(out.dims);
  for (int64_t i = 0; i < total; ++i) {
    int64_t rest = i, from = 0, stride = 1;
    bool inside = true;
    for (size_t a = index.size(); a-- > 0;) {
      const int64_t at = index[a][rest % out.dims[a]];
      rest /= out.dims[a];
      inside = inside && at >= 0;
      from += at * stride;
      stride *= x.dims[a];
    }
    out.data.push_back(inside ? x.data[from] : fill);
  }
  return out;
}

std::vector<Dims> whole(const Dims& dims) {
  std::vector<Dims> index(dims.size());
  for (size_t a = 0; a < dims.size(); ++a)
    for (int64_t i = 0; i < dims[a]; ++i) index[a].push_back(i);
  return index;
}

Values to_values(const Array& array) {
  if (array.is_float) return {array.dims, {array.floats.begin(), array.floats.end()}, false};
  return {array.dims, {array.ints.begin(), array.ints.end()}, true};
}

}  // namespace face::onnx::interpreter
