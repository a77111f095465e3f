// SPDX-License-Identifier: MIT
// Ops that move elements or only name their shape anew.
#include <algorithm>
#include <numeric>

#include "weights_tool/interpreter/ops.h"

namespace face::onnx::interpreter {
namespace {

Values with_dims(Values x, Dims dims) {
  x.dims = std::move(dims);
  return x;
}

/// Row-major strides.
Dims strides_of(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t a = dims.size(); a-- > 1;) strides[a - 1] = strides[a] * dims[a];
  return strides;
}

}  // namespace

Values shape(const Call& call) {
  const Dims& dims = call.in(0).dims;
  const auto rank = static_cast<int64_t>(dims.size());
  const auto limit = [&](const char* name, int64_t fallback) {
    const int64_t v = int_attribute(call.node, name, fallback);
    return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank);
  };
  const int64_t start = limit("start", 0), end = std::max(start, limit("end", rank));
  return {{end - start}, {dims.begin() + start, dims.begin() + end}, true};
}

Values reshape(const Call& call) {
  const Values& x = call.in(0);
  Dims dims = call.ints(1);
  const bool copy_zero = int_attribute(call.node, "allowzero", 0) == 0;
  for (size_t a = 0; a < dims.size(); ++a) {
    if (dims[a] != 0 || !copy_zero) continue;
    call.require(a < x.dims.size(), "copies a dimension that the input lacks");
    dims[a] = x.dims[a];
  }
  const auto unknown = std::find(dims.begin(), dims.end(), -1);
  if (unknown != dims.end()) {
    *unknown = 1;
    const int64_t rest = count(dims);
    call.require(rest > 0, "leaves -1 open");
    *unknown = count(x.dims) / rest;
  }
  call.require(count(dims) == count(x.dims), "number of elements changes");
  return with_dims(x, dims);
}

Values flatten(const Call& call) {
  const Values& x = call.in(0);
  const auto rank = static_cast<int64_t>(x.dims.size());
  int64_t axis = int_attribute(call.node, "axis", 1);
  if (axis < 0) axis += rank;
  call.require(axis >= 0 && axis <= rank, "axis is outside the input");
  const int64_t rows = count({x.dims.begin(), x.dims.begin() + axis});
  const int64_t columns = count({x.dims.begin() + axis, x.dims.end()});
  return with_dims(x, {rows, columns});
}

Values squeeze(const Call& call) {
  const Values& x = call.in(0);
  const Dims axes = call.ints("axes", 1);
  std::vector<bool> gone(x.dims.size(), false);
  for (size_t a = 0; axes.empty() && a < gone.size(); ++a) gone[a] = x.dims[a] == 1;
  for (int64_t axis : axes) gone[call.axis(axis, gone.size())] = true;
  Dims dims;
  for (size_t a = 0; a < gone.size(); ++a)
    if (!gone[a]) dims.push_back(x.dims[a]);
  call.require(count(dims) == count(x.dims), "squeezes an axis that is not 1");
  return with_dims(x, dims);
}

Values unsqueeze(const Call& call) {
  const Values& x = call.in(0);
  const Dims axes = call.ints("axes", 1);
  Dims dims(x.dims.size() + axes.size(), -1);
  for (int64_t axis : axes) dims[call.axis(axis, dims.size())] = 1;
  size_t from = 0;
  for (int64_t& d : dims)
    if (d < 0 && from < x.dims.size()) d = x.dims[from++];
  call.require(std::count(dims.begin(), dims.end(), -1) == 0, "names an axis twice");
  return with_dims(x, dims);
}

Values transpose(const Call& call) {
  const Values& x = call.in(0);
  Dims perm(x.dims.size());
  std::iota(perm.rbegin(), perm.rend(), 0);
  perm = ints_attribute(call.node, "perm", perm);
  Dims sorted = perm, dims, strides;
  std::sort(sorted.begin(), sorted.end());
  for (size_t a = 0; a < sorted.size(); ++a)
    call.require(sorted[a] == static_cast<int64_t>(a), "perm is no permutation");
  call.require(perm.size() == x.dims.size(), "perm does not fit the input");
  const Dims own = strides_of(x.dims);
  for (int64_t axis : perm) {
    dims.push_back(x.dims[axis]);
    strides.push_back(own[axis]);
  }
  Values out{dims, {}, x.integer};
  for (int64_t i = 0; i < count(dims); ++i) {
    int64_t rest = i, from = 0;
    for (size_t a = dims.size(); a-- > 0; rest /= dims[a]) from += rest % dims[a] * strides[a];
    out.data.push_back(x.data[from]);
  }
  return out;
}

Values concat(const Call& call) {
  const Values& first = call.in(0);
  const size_t axis = call.axis(int_attribute(call.node, "axis", 0), first.dims.size());
  Values out{first.dims, {}, first.integer};
  out.dims[axis] = 0;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    Dims dims = call.in(i).dims;
    call.require(dims.size() == out.dims.size(), "ranks differ");
    out.dims[axis] += dims[axis];
    dims[axis] = first.dims[axis];
    call.require(dims == first.dims, "shapes differ beside the axis");
  }
  const int64_t outer =
      count({first.dims.begin(), first.dims.begin() + static_cast<int64_t>(axis)});
  for (int64_t o = 0; o < outer; ++o) {
    for (const Values* x : call.inputs) {
      const auto run = static_cast<int64_t>(x->data.size()) / outer;
      out.data.insert(out.data.end(), x->data.begin() + o * run, x->data.begin() + (o + 1) * run);
    }
  }
  return out;
}

Values gather(const Call& call) {
  const Values &x = call.in(0), &indices = call.in(1);
  const size_t axis = call.axis(int_attribute(call.node, "axis", 0), x.dims.size());
  std::vector<Dims> index = whole(x.dims);
  index[axis].clear();
  for (int64_t i : call.ints(1))
    index[axis].push_back(static_cast<int64_t>(call.axis(i, x.dims[axis])));
  Values out = select(x, index, 0.0);
  out.dims.erase(out.dims.begin() + static_cast<int64_t>(axis));
  out.dims.insert(out.dims.begin() + static_cast<int64_t>(axis), indices.dims.begin(),
                  indices.dims.end());
  return out;
}

Values slice(const Call& call) {
  const Values& x = call.in(0);
  const Dims starts = call.ints("starts", 1), ends = call.ints("ends", 2);
  Dims axes = call.ints("axes", 3), steps = call.has(4) ? call.ints(4) : Dims(starts.size(), 1);
  if (axes.empty()) {
    axes.resize(starts.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  call.require(
      ends.size() == starts.size() && axes.size() == starts.size() && steps.size() == starts.size(),
      "starts, ends, axes and steps differ in number");
  std::vector<Dims> index = whole(x.dims);
  for (size_t i = 0; i < starts.size(); ++i) {
    const size_t axis = call.axis(axes[i], x.dims.size());
    const int64_t size = x.dims[axis], step = steps[i];
    call.require(step != 0, "step 0");
    const auto limit = [&](int64_t v, int64_t low, int64_t high) {
      return std::clamp(v < 0 ? v + size : v, low, high);
    };
    index[axis].clear();
    if (size == 0) continue;
    if (step > 0)
      for (int64_t at = limit(starts[i], 0, size); at < limit(ends[i], 0, size); at += step)
        index[axis].push_back(at);
    else
      for (int64_t at = limit(starts[i], 0, size - 1); at > limit(ends[i], -1, size - 1);
           at += step)
        index[axis].push_back(at);
  }
  return select(x, index, 0.0);
}

Values pad(const Call& call) {
  const Values& x = call.in(0);
  const Dims pads = call.ints("pads", 1);
  const size_t rank = x.dims.size();
  call.require(string_attribute(call.node, "mode", "constant") == "constant",
               "mode is not constant");
  call.require(pads.size() == 2 * rank, "pads do not fit the input");
  const double fill = call.has(2) ? call.number(2) : float_attribute(call.node, "value", 0.f);
  std::vector<Dims> index(rank);
  for (size_t a = 0; a < rank; ++a)
    for (int64_t i = -pads[a]; i < x.dims[a] + pads[rank + a]; ++i)
      index[a].push_back(i >= 0 && i < x.dims[a] ? i : -1);
  return select(x, index, fill);
}

Values constant(const Call& call) {
  for (const auto& [name, value] : call.node.attributes) {
    if (const auto* array = std::get_if<std::shared_ptr<const Array>>(&value))
      return to_values(**array);
    if (const auto* f = std::get_if<float>(&value)) return {{}, {*f}, false};
    if (const auto* i = std::get_if<int64_t>(&value)) return {{}, {static_cast<double>(*i)}, true};
    if (const auto* floats = std::get_if<std::vector<float>>(&value))
      return {{static_cast<int64_t>(floats->size())}, {floats->begin(), floats->end()}, false};
    if (const auto* ints = std::get_if<Dims>(&value))
      return {{static_cast<int64_t>(ints->size())}, {ints->begin(), ints->end()}, true};
  }
  call.fail("holds no number");
}

Values constant_of_shape(const Call& call) {
  Values value{{}, {0.0}, false};
  const auto found = call.node.attributes.find("value");
  if (found != call.node.attributes.end()) value = constant(call);
  const Dims dims = call.ints(0);
  call.require(value.data.size() == 1, "value is not one number");
  for (int64_t d : dims) call.require(d >= 0, "a dimension is negative");
  return {dims, std::vector<double>(count(dims), value.data[0]), value.integer};
}

}  // namespace face::onnx::interpreter
