// SPDX-License-Identifier: MIT
#include "weights_tool/array_math.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "weights_tool/constants.h"
#include "weights_tool/draft.h"

namespace face {
namespace {

using onnx::Array;
using onnx::Node;
using Dims = std::vector<int64_t>;

constexpr int64_t kMaxValues = int64_t{1} << 28;

double element(const Array& array, int64_t i) {
  return array.is_float ? array.floats[i] : static_cast<double>(array.ints[i]);
}

Dims broadcast_dims(const Node& node, const Dims& a, const Dims& b) {
  Dims out(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t da = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t db = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (da != db && da != 1 && db != 1)
      refuse(node.name, "shapes " + dims_text(a) + " and " + dims_text(b) + " do not fit");
    out[out.size() - 1 - i] = da == 1 ? db : da;
  }
  if (count_of(out) > kMaxValues) refuse(node.name, "more than 2^31 values");
  return out;
}

Dims broadcast_strides(const Dims& from, const Dims& to) {
  const Dims own = contiguous_strides(from);
  Dims strides(to.size(), 0);
  const size_t shift = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) strides[shift + i] = from[i] == 1 ? 0 : own[i];
  return strides;
}

int64_t integer_result(const Node& node, char op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case 'A':
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case 'S':
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case 'M':
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    default:
      if (b == 0 || b == -1)
        overflow = b == 0 || __builtin_sub_overflow(int64_t{0}, a, &result);
      else
        result = a / b;
  }
  if (overflow) refuse(node.name, "integer overflow or division by zero");
  return result;
}

double float_result(char op, double a, double b) {
  return op == 'A' ? a + b : op == 'S' ? a - b : op == 'M' ? a * b : a / b;
}

}  // namespace

int64_t count_of(const Dims& dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

Array like(const Array& array, Dims dims) {
  Array out;
  out.is_float = array.is_float;
  const int64_t n = count_of(dims);
  out.dims = std::move(dims);
  if (out.is_float)
    out.floats.resize(n);
  else
    out.ints.resize(n);
  return out;
}

void copy_element(const Array& from, int64_t i, Array& to, int64_t j) {
  if (from.is_float)
    to.floats[j] = from.floats[i];
  else
    to.ints[j] = from.ints[i];
}

/// Visits every index of `dims` in order with the offset that `strides` give it.
void for_each_offset(const Dims& dims, const Dims& strides, int64_t start,
                     const std::function<void(int64_t, int64_t)>& visit) {
  const int64_t count = count_of(dims);
  Dims index(dims.size(), 0);
  int64_t offset = start;
  for (int64_t i = 0; i < count; ++i) {
    visit(i, offset);
    for (size_t a = dims.size(); a-- > 0;) {
      offset += strides[a];
      if (++index[a] < dims[a]) break;
      offset -= strides[a] * dims[a];
      index[a] = 0;
    }
  }
}

Dims contiguous_strides(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t a = dims.size(); a-- > 1;) strides[a - 1] = strides[a] * dims[a];
  return strides;
}

Array gather_elements(const Array& from, const Dims& dims, const Dims& strides, int64_t start) {
  Array out = like(from, dims);
  for_each_offset(dims, strides, start,
                  [&](int64_t i, int64_t offset) { copy_element(from, offset, out, i); });
  return out;
}

Array binary_op(const Node& node, const Array& a, const Array& b) {
  if (a.is_float != b.is_float) refuse(node.name, "mixes integers and floats");
  const Dims dims = broadcast_dims(node, a.dims, b.dims);
  const Dims strides_b = broadcast_strides(b.dims, dims);
  Array out = gather_elements(a, dims, broadcast_strides(a.dims, dims), 0);
  const char op = node.op_type[0];
  for_each_offset(dims, strides_b, 0, [&](int64_t i, int64_t offset) {
    if (out.is_float)
      out.floats[i] = static_cast<float>(float_result(op, out.floats[i], b.floats[offset]));
    else
      out.ints[i] = integer_result(node, op, out.ints[i], b.ints[offset]);
  });
  return out;
}

Array cast_op(const Node& node, const Array& in) {
  const int64_t to = int_attribute(node, "to", 0);  // TensorProto::DataType
  const bool to_float = to == 1 || to == 10 || to == 11 || to == 16;
  if (to < 1 || to == 8 || to > 16) refuse(node.name, "cast to dtype " + std::to_string(to));
  Array out;
  out.dims = in.dims;
  out.is_float = to_float;
  for (int64_t i = 0; i < in.size(); ++i) {
    const double v = element(in, i);
    if (to_float)
      out.floats.push_back(static_cast<float>(v));
    else if (!(v > -9e18 && v < 9e18))
      refuse(node.name, "casts a value that is no integer");
    else
      out.ints.push_back(to == 9 ? v != 0 : static_cast<int64_t>(v));
  }
  return out;
}

Array map_op(const Node& node, const Array& in, double (*f)(double)) {
  if (!in.is_float) refuse(node.name, node.op_type + " of integers is not known");
  Array out = in;
  for (float& v : out.floats) v = static_cast<float>(f(v));
  return out;
}

}  // namespace face
