// SPDX-License-Identifier: MIT
#include "weights_tool/constants.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "weights_tool/array_math.h"
#include "weights_tool/draft.h"

namespace face {
namespace {

using onnx::Array;
using onnx::Node;
using Dims = std::vector<int64_t>;
using Inputs = std::vector<ArrayPtr>;

constexpr int64_t kMaxValues = int64_t{1} << 31;

const Array& need(const Node& node, const Inputs& inputs, size_t index) {
  if (index >= inputs.size() || inputs[index] == nullptr)
    refuse(node.name, "input " + std::to_string(index) + " is missing");
  return *inputs[index];
}

Array with_dims(const Array& from, Dims dims) {
  Array out = from;
  out.dims = std::move(dims);
  return out;
}

Array gather(const Node& node, const Inputs& inputs) {
  const Array &data = need(node, inputs, 0), &indices = need(node, inputs, 1);
  const auto rank = static_cast<int64_t>(data.dims.size());
  const int64_t axis = normal_axis(node, int_attribute(node, "axis", 0), rank);
  if (indices.is_float) refuse(node.name, "indices are not integers");
  const Dims before(data.dims.begin(), data.dims.begin() + axis);
  const Dims after(data.dims.begin() + axis + 1, data.dims.end());
  Dims dims = before;
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), after.begin(), after.end());
  Array out = like(data, dims);
  const int64_t inner = count_of(after), length = data.dims[axis];
  int64_t j = 0;
  for (int64_t o = 0; o < count_of(before); ++o)
    for (int64_t index : indices.ints) {
      if (index < -length || index >= length)
        refuse(node.name, "index " + std::to_string(index) + " of " + std::to_string(length));
      const int64_t at = (o * length + (index < 0 ? index + length : index)) * inner;
      for (int64_t i = 0; i < inner; ++i) copy_element(data, at + i, out, j++);
    }
  return out;
}

Array concat(const Node& node, const Inputs& inputs) {
  const Array& first = need(node, inputs, 0);
  const auto rank = static_cast<int64_t>(first.dims.size());
  const int64_t axis = normal_axis(node, int_attribute(node, "axis", 0), rank);
  Dims dims = first.dims;
  dims[axis] = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Array& part = need(node, inputs, i);
    Dims expected = dims;
    if (part.dims.size() == dims.size()) expected[axis] = part.dims[axis];
    if (part.dims != expected || part.is_float != first.is_float)
      refuse(node.name, "joins " + dims_text(first.dims) + " and " + dims_text(part.dims));
    dims[axis] += part.dims[axis];
  }
  Array out = like(first, dims);
  const int64_t outer = count_of(Dims(dims.begin(), dims.begin() + axis));
  int64_t j = 0;
  for (int64_t o = 0; o < outer; ++o)
    for (const ArrayPtr& part : inputs) {
      const int64_t chunk = part->size() / std::max<int64_t>(outer, 1);
      for (int64_t i = 0; i < chunk; ++i) copy_element(*part, o * chunk + i, out, j++);
    }
  return out;
}

Dims ints_of(const Node& node, const Inputs& inputs, size_t index, const char* attribute) {
  if (index < inputs.size() && inputs[index] != nullptr) {
    if (inputs[index]->is_float) refuse(node.name, "input is not an integer");
    return inputs[index]->ints;
  }
  return ints_attribute(node, attribute, {});
}

Array slice(const Node& node, const Inputs& inputs) {
  const Array& data = need(node, inputs, 0);
  const auto rank = static_cast<int64_t>(data.dims.size());
  const Dims starts = ints_of(node, inputs, 1, "starts"), ends = ints_of(node, inputs, 2, "ends");
  Dims axes = ints_of(node, inputs, 3, "axes"), steps = ints_of(node, inputs, 4, "steps");
  if (axes.empty())
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    refuse(node.name, "starts, ends, axes and steps differ in number");
  Dims dims = data.dims, strides = contiguous_strides(data.dims);
  int64_t offset = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = normal_axis(node, axes[i], rank), length = data.dims[axis];
    if (steps[i] < 1) refuse(node.name, "step " + std::to_string(steps[i]));
    const auto clamp = [&](int64_t v) {
      return std::clamp(v < 0 ? v + length : v, int64_t{0}, length);
    };
    const int64_t from = clamp(starts[i]), to = std::max(from, clamp(ends[i]));
    dims[axis] = (to - from + steps[i] - 1) / steps[i];
    offset += from * strides[axis];
    strides[axis] *= steps[i];
  }
  return gather_elements(data, dims, strides, offset);
}

Array transpose(const Node& node, const Inputs& inputs) {
  const Array& data = need(node, inputs, 0);
  const size_t rank = data.dims.size();
  Dims reversed(rank);
  for (size_t i = 0; i < rank; ++i) reversed[i] = static_cast<int64_t>(rank - 1 - i);
  const Dims perm = ints_attribute(node, "perm", reversed);
  Dims sorted = perm, identity(reversed.rbegin(), reversed.rend());
  std::sort(sorted.begin(), sorted.end());
  if (sorted != identity) refuse(node.name, "perm is not a permutation of the axes");
  const Dims own = contiguous_strides(data.dims);
  Dims dims, strides;
  for (int64_t p : perm) {
    dims.push_back(data.dims[p]);
    strides.push_back(own[p]);
  }
  return gather_elements(data, dims, strides, 0);
}

Array squeeze(const Node& node, const Inputs& inputs) {
  const Array& data = need(node, inputs, 0);
  const Dims axes = node_axes(node, inputs.size() > 1 ? inputs[1] : nullptr,
                              static_cast<int64_t>(data.dims.size()));
  Dims dims;
  for (size_t i = 0; i < data.dims.size(); ++i) {
    const bool named = std::count(axes.begin(), axes.end(), static_cast<int64_t>(i)) > 0;
    if (named && data.dims[i] != 1) refuse(node.name, "squeezes " + dims_text(data.dims));
    if (!(named || (axes.empty() && data.dims[i] == 1))) dims.push_back(data.dims[i]);
  }
  return with_dims(data, dims);
}

Array unsqueeze(const Node& node, const Inputs& inputs) {
  const Array& data = need(node, inputs, 0);
  const ArrayPtr given = inputs.size() > 1 ? inputs[1] : nullptr;
  const size_t added = given ? given->ints.size() : ints_attribute(node, "axes", {}).size();
  const auto rank = static_cast<int64_t>(data.dims.size() + added);
  Dims axes = node_axes(node, given, rank), dims = data.dims;
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) refuse(node.name, "axis twice");
  for (int64_t axis : axes) dims.insert(dims.begin() + axis, 1);
  return with_dims(data, dims);
}

Array reshape(const Node& node, const Inputs& inputs) {
  const Array &data = need(node, inputs, 0), &wanted = need(node, inputs, 1);
  return with_dims(data, reshaped_dims(node, data.dims, wanted.ints));
}

Array constant(const Node& node, const Inputs&) {
  const auto find = [&](const char* name) -> const onnx::Attribute* {
    const auto found = node.attributes.find(name);
    return found == node.attributes.end() ? nullptr : &found->second;
  };
  Array out;
  if (const auto* value = find("value"); value && std::get_if<ArrayPtr>(value))
    return *std::get<ArrayPtr>(*value);
  if (find("value_float")) {
    out.floats = {float_attribute(node, "value_float", 0)};
  } else if (const auto* floats = find("value_floats");
             floats && std::get_if<std::vector<float>>(floats)) {
    out.floats = std::get<std::vector<float>>(*floats);
    out.dims = {static_cast<int64_t>(out.floats.size())};
  } else if (find("value_int")) {
    out.is_float = false;
    out.ints = {int_attribute(node, "value_int", 0)};
  } else if (find("value_ints")) {
    out.is_float = false;
    out.ints = ints_attribute(node, "value_ints", {});
    out.dims = {static_cast<int64_t>(out.ints.size())};
  } else {
    refuse(node.name, "a constant without a value that is known");
  }
  return out;
}

Array constant_of_shape(const Node& node, const Inputs& inputs) {
  const Array& shape = need(node, inputs, 0);
  Array value;
  value.floats = {0.f};
  const auto found = node.attributes.find("value");
  if (found != node.attributes.end() && std::get_if<ArrayPtr>(&found->second))
    value = *std::get<ArrayPtr>(found->second);
  int64_t count = 1;
  for (int64_t d : shape.ints)
    if (d < 0 || (count *= std::min(d, kMaxValues)) > 1 << 20)
      refuse(node.name, "shape " + dims_text(shape.ints));
  if (value.size() != 1) refuse(node.name, "value is not a scalar");
  return gather_elements(value, shape.ints, Dims(shape.ints.size(), 0), 0);
}

using Evaluator = std::function<Array(const Node&, const Inputs&)>;

Evaluator mapped(double (*f)(double)) {
  return [f](const Node& node, const Inputs& inputs) {
    return map_op(node, need(node, inputs, 0), f);
  };
}

Array binary(const Node& node, const Inputs& inputs) {
  return binary_op(node, need(node, inputs, 0), need(node, inputs, 1));
}

Array cast(const Node& node, const Inputs& inputs) { return cast_op(node, need(node, inputs, 0)); }

const std::map<std::string, Evaluator>& evaluators() {
  static const std::map<std::string, Evaluator> table = {
      {"Add", binary},
      {"Sub", binary},
      {"Mul", binary},
      {"Div", binary},
      {"Cast", cast},
      {"Ceil", mapped([](double v) { return std::ceil(v); })},
      {"Floor", mapped([](double v) { return std::floor(v); })},
      {"Neg", mapped([](double v) { return -v; })},
      {"Sqrt", mapped([](double v) { return std::sqrt(v); })},
      {"Reciprocal", mapped([](double v) { return 1 / v; })},
      {"Concat", concat},
      {"Constant", constant},
      {"ConstantOfShape", constant_of_shape},
      {"Gather", gather},
      {"Reshape", reshape},
      {"Slice", slice},
      {"Squeeze", squeeze},
      {"Transpose", transpose},
      {"Unsqueeze", unsqueeze}};
  return table;
}

}  // namespace

ArrayPtr evaluate_constant(const Node& node, const Inputs& inputs) {
  if (node.op_type == "Identity" && !inputs.empty()) return inputs[0];
  const auto found = evaluators().find(node.op_type);
  if (found == evaluators().end()) return nullptr;
  return std::make_shared<const Array>(found->second(node, inputs));
}

Dims reshaped_dims(const Node& node, const Dims& dims, const Dims& wanted) {
  const auto fail = [&] {
    refuse(node.name, "reshape of " + dims_text(dims) + " to " + dims_text(wanted));
  };
  const bool zero_is_zero = int_attribute(node, "allowzero", 0) != 0;
  Dims out = wanted;
  int64_t known = 1;
  auto open = out.end();
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] == 0 && !zero_is_zero) {
      if (i >= dims.size()) fail();
      out[i] = dims[i];
    }
    if (out[i] == -1 && open == out.end())
      open = out.begin() + static_cast<int64_t>(i);
    else if (out[i] < 0 || (known *= std::min(out[i], kMaxValues)) > kMaxValues)
      fail();
  }
  const int64_t count = count_of(dims);
  if (open != out.end()) {
    if (known == 0 || count % known != 0) fail();
    *open = count / known;
  } else if (known != count) {
    fail();
  }
  return out;
}

int64_t normal_axis(const Node& node, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    refuse(node.name, "axis " + std::to_string(axis) + " of " + std::to_string(rank));
  return axis < 0 ? axis + rank : axis;
}

Dims node_axes(const Node& node, const ArrayPtr& input, int64_t rank) {
  Dims axes = input != nullptr ? input->ints : ints_attribute(node, "axes", {});
  for (int64_t& axis : axes) axis = normal_axis(node, axis, rank);
  return axes;
}

std::string dims_text(const Dims& dims) {
  if (dims.empty()) return "scalar";
  std::string text;
  for (int64_t d : dims) {
    if (!text.empty()) text += 'x';
    text += std::to_string(d);
  }
  return text;
}

}  // namespace face
