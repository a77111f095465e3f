// SPDX-License-Identifier: MIT
// Convolutions of the float64 interpreter against a loop over every index; pools, products and
// resizing against values worked out by hand.
#include <gmock/gmock.h>

#include <limits>
#include <random>

#include "tests/weights_tool/one_node.h"

namespace face::test {
namespace {

const auto kNone = std::nullopt;
const double kNan = std::numeric_limits<double>::quiet_NaN();

// ---- convolution

struct ConvCase {
  const char* name;
  int64_t batch, in, out, groups;
  Dims size, kernel, strides, pads, dilations;  // pads: top, left, bottom, right
  bool bias;
};

onnx::Values random_values(const Dims& dims, unsigned seed) {
  onnx::Values v = counting(dims);
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> value(-1, 1);
  for (double& x : v.data) x = value(random);
  return v;
}

/// One output element, straight from the definition.
double convolved(const ConvCase& c, const onnx::Values& x, const onnx::Values& w, int64_t n,
                 int64_t o, int64_t y, int64_t z) {
  const int64_t group_in = c.in / c.groups, group_out = c.out / c.groups;
  double sum = 0;
  for (int64_t i = 0; i < group_in; ++i) {
    for (int64_t ky = 0; ky < c.kernel[0]; ++ky) {
      for (int64_t kx = 0; kx < c.kernel[1]; ++kx) {
        const int64_t iy = y * c.strides[0] + ky * c.dilations[0] - c.pads[0];
        const int64_t ix = z * c.strides[1] + kx * c.dilations[1] - c.pads[1];
        if (iy < 0 || iy >= c.size[0] || ix < 0 || ix >= c.size[1]) continue;
        const int64_t channel = o / group_out * group_in + i;
        sum += x.data[((n * c.in + channel) * c.size[0] + iy) * c.size[1] + ix] *
               w.data[((o * group_in + i) * c.kernel[0] + ky) * c.kernel[1] + kx];
      }
    }
  }
  return sum;
}

onnx::Values naive_conv(const ConvCase& c, const onnx::Values& x, const onnx::Values& w,
                        const onnx::Values& b) {
  const auto side = [&](size_t a) {
    const int64_t extent = (c.kernel[a] - 1) * c.dilations[a] + 1;
    return (c.size[a] + c.pads[a] + c.pads[2 + a] - extent) / c.strides[a] + 1;
  };
  onnx::Values out{{c.batch, c.out, side(0), side(1)}, {}, false};
  for (int64_t n = 0; n < c.batch; ++n)
    for (int64_t o = 0; o < c.out; ++o)
      for (int64_t y = 0; y < side(0); ++y)
        for (int64_t z = 0; z < side(1); ++z)
          out.data.push_back(convolved(c, x, w, n, o, y, z) + (c.bias ? b.data[o] : 0));
  return out;
}

class Convolution : public testing::TestWithParam<ConvCase> {};

TEST_P(Convolution, AgreesWithTheDefinition) {
  const ConvCase& c = GetParam();
  const onnx::Values x = random_values({c.batch, c.in, c.size[0], c.size[1]}, 1);
  const onnx::Values w = random_values({c.out, c.in / c.groups, c.kernel[0], c.kernel[1]}, 2);
  const onnx::Values b = random_values({c.out}, 3);
  std::vector<OptionalValues> inputs{x, w};
  if (c.bias) inputs.emplace_back(b);
  const Attributes attributes = {
      {"strides", c.strides}, {"pads", c.pads}, {"dilations", c.dilations}, {"group", c.groups}};
  expect_values(run_node("Conv", inputs, attributes), naive_conv(c, x, w, b));
}

const ConvCase kConvs[] = {
    {"plain", 1, 3, 4, 1, {5, 7}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, true},
    {"point", 2, 3, 2, 1, {4, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}, false},
    {"stride", 1, 2, 3, 1, {7, 8}, {3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}, true},
    {"uneven_strides", 1, 2, 2, 1, {7, 8}, {3, 3}, {1, 3}, {1, 1, 1, 1}, {1, 1}, true},
    {"uneven_pads", 1, 2, 2, 1, {5, 5}, {3, 3}, {2, 1}, {0, 1, 2, 3}, {1, 1}, true},
    {"pads_beyond_kernel", 1, 1, 1, 1, {2, 2}, {3, 3}, {1, 1}, {4, 4, 4, 4}, {1, 1}, true},
    {"dilation", 1, 2, 2, 1, {9, 8}, {3, 3}, {1, 1}, {2, 1, 2, 1}, {2, 1}, true},
    {"dilation_stride", 2, 2, 2, 1, {9, 9}, {2, 3}, {2, 2}, {1, 2, 0, 2}, {3, 2}, false},
    {"kernel_wide", 1, 2, 2, 1, {5, 6}, {1, 5}, {1, 1}, {0, 2, 0, 2}, {1, 1}, true},
    {"kernel_whole", 1, 3, 4, 1, {3, 5}, {3, 5}, {1, 1}, {0, 0, 0, 0}, {1, 1}, true},
    {"groups", 2, 6, 4, 2, {4, 5}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, true},
    {"depthwise", 1, 5, 5, 5, {6, 6}, {3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}, false},
    {"depthwise_multiplied", 1, 3, 6, 3, {4, 4}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, true},
};
INSTANTIATE_TEST_SUITE_P(Table, Convolution, testing::ValuesIn(kConvs),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- the rest

Attributes window(const Dims& kernel, const Dims& strides, const Dims& pads) {
  return {{"kernel_shape", kernel}, {"strides", strides}, {"pads", pads}};
}
Attributes with(Attributes attributes, const std::string& name, onnx::Attribute value) {
  attributes[name] = std::move(value);
  return attributes;
}
onnx::Values row(std::vector<double> data) {
  const auto width = static_cast<int64_t>(data.size());
  return floats({1, 1, 1, width}, std::move(data));
}
Attributes row_window(int64_t kernel, int64_t stride, int64_t left, int64_t right) {
  return window({1, kernel}, {1, stride}, {0, left, 0, right});
}
Attributes resized(const char* transformation, const char* rounding) {
  return {{"coordinate_transformation_mode", std::string(transformation)},
          {"nearest_mode", std::string(rounding)}};
}
onnx::Values scales(double w) { return floats({4}, {1, 1, 1, w}); }

class Layers : public testing::TestWithParam<NodeCase> {};

TEST_P(Layers, AreAsOnnxSays) {
  const NodeCase& c = GetParam();
  expect_values(run_node(c.op, c.inputs, c.attributes, c.opset), c.want);
}

const onnx::Attribute kYes = int64_t{1}, kNo = int64_t{0};
const NodeCase kLayers[] = {
    {"conv_same_upper",  // one pixel of padding, on the right
     "Conv",
     {row({1, 2, 3, 4}), row({1, 10})},
     {{"auto_pad", std::string("SAME_UPPER")}},
     row({21, 32, 43, 4})},
    {"conv_same_lower",
     "Conv",
     {row({1, 2, 3, 4}), row({1, 10})},
     {{"auto_pad", std::string("SAME_LOWER")}},
     row({10, 21, 32, 43})},
    {"conv_valid",
     "Conv",
     {row({1, 2, 3}), row({1, 10})},
     {{"auto_pad", std::string("VALID")}, {"pads", Dims{0, 0, 0, 0}}},
     row({21, 32})},
    {"max_pool", "MaxPool", {row({1, 5, 2, 3})}, row_window(2, 2, 0, 0), row({5, 3})},
    {"max_pool_ignores_padding",
     "MaxPool",
     {row({-3, -5, -1})},
     row_window(3, 1, 1, 1),
     row({-3, -1, -1})},
    {"max_pool_keeps_nan",
     "MaxPool",
     {row({kNan, 1, 2, 3})},
     row_window(2, 1, 0, 0),
     row({kNan, 2, 3})},
    {"max_pool_planes",
     "MaxPool",
     {floats({1, 2, 2, 2}, {1, 2, 3, 4, 8, 7, 6, 5})},
     window({2, 2}, {2, 2}, {0, 0, 0, 0}),
     floats({1, 2, 1, 1}, {4, 8})},
    {"max_pool_floor", "MaxPool", {row({1, 2, 3})}, row_window(2, 2, 0, 0), row({2})},
    {"max_pool_ceil",
     "MaxPool",
     {row({1, 2, 3})},
     with(row_window(2, 2, 0, 0), "ceil_mode", kYes),
     row({2, 3})},
    {"ceil_drops_window_in_padding",
     "MaxPool",
     {row({1, 2, 3})},
     with(row_window(1, 3, 0, 1), "ceil_mode", kYes),
     row({1})},
    {"average_pool_without_padding",
     "AveragePool",
     {row({2, 4, 6})},
     row_window(3, 2, 1, 1),
     row({3, 5})},
    {"average_pool_with_padding",
     "AveragePool",
     {row({2, 4, 6})},
     with(row_window(3, 2, 1, 1), "count_include_pad", kYes),
     row({2, 10.0 / 3})},
    {"average_pool_ceil",  // what hangs over counts for nothing
     "AveragePool",
     {row({2, 4, 6})},
     with(row_window(2, 2, 0, 0), "ceil_mode", kYes),
     row({3, 6})},
    {"average_pool_ceil_with_padding",
     "AveragePool",
     {row({2, 4, 6, 8})},
     with(with(row_window(3, 3, 1, 0), "ceil_mode", kYes), "count_include_pad", kYes),
     row({2, 7})},
    {"global_average",
     "GlobalAveragePool",
     {floats({1, 2, 1, 2}, {1, 3, 5, 9})},
     {},
     floats({1, 2, 1, 1}, {2, 7})},
    {"mean_of_axes",
     "ReduceMean",
     {floats({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8})},
     {{"axes", Dims{0, -1}}},
     floats({1, 2, 1}, {3.5, 5.5})},
    {"mean_drops_axes",
     "ReduceMean",
     {floats({2, 2}, {1, 2, 3, 4})},
     {{"axes", Dims{1}}, {"keepdims", kNo}},
     floats({2}, {1.5, 3.5})},
    {"mean_of_all", "ReduceMean", {floats({2, 2}, {1, 2, 3, 4})}, {}, floats({1, 1}, {2.5})},
    {"gemm",
     "Gemm",
     {floats({2, 2}, {1, 2, 3, 4}), floats({2, 2}, {5, 6, 7, 8}), floats({2}, {100, 200})},
     {},
     floats({2, 2}, {119, 222, 143, 250})},
    {"gemm_turned",
     "Gemm",
     {floats({2, 1}, {1, 2}), floats({3, 2}, {1, 2, 3, 4, 5, 6})},
     {{"transA", kYes}, {"transB", kYes}},
     floats({1, 3}, {5, 11, 17})},
    {"gemm_alpha_beta",
     "Gemm",
     {floats({2, 1}, {1, 2}), floats({1, 2}, {3, 4}), floats({2, 1}, {10, 20})},
     {{"alpha", 2.f}, {"beta", 0.5f}},
     floats({2, 2}, {11, 13, 22, 26})},
    {"matmul",
     "MatMul",
     {floats({2, 1, 2}, {1, 2, 3, 4}), floats({2, 2}, {5, 6, 7, 8})},
     {},
     floats({2, 1, 2}, {19, 22, 43, 50})},
    {"upsample_op",
     "Upsample",
     {row({1, 2}), scales(2)},
     {{"mode", std::string("nearest")}},
     row({1, 1, 2, 2}),
     9},
    {"resize_opset_10", "Resize", {row({1, 2}), scales(2)}, {}, row({1, 1, 2, 2}), 10},
    {"resize_both_axes",
     "Resize",
     {floats({1, 1, 2, 2}, {1, 2, 3, 4}), kNone, floats({4}, {1, 1, 2, 2})},
     resized("asymmetric", "floor"),
     floats({1, 1, 4, 4}, {1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4})},
    {"resize_default",  // half_pixel: (o + 0.5) / 2 - 0.5 = -.25 .25 .75 1.25
     "Resize",
     {row({1, 2}), kNone, scales(2)},
     {},
     row({1, 1, 2, 2})},
    {"resize_floor_of_asymmetric",  // o / 1.5 = 0 .67 1.33
     "Resize",
     {row({1, 2}), kNone, scales(1.5)},
     resized("asymmetric", "floor"),
     row({1, 1, 2})},
    {"resize_ceil_of_asymmetric",
     "Resize",
     {row({1, 2}), kNone, scales(1.5)},
     resized("asymmetric", "ceil"),
     row({1, 2, 2})},
    {"resize_prefers_floor",  // o / 2 = 0 .5 1 1.5
     "Resize",
     {row({1, 2}), kNone, scales(2)},
     resized("asymmetric", "round_prefer_floor"),
     row({1, 1, 2, 2})},
    {"resize_prefers_ceil",
     "Resize",
     {row({1, 2}), kNone, scales(2)},
     resized("asymmetric", "round_prefer_ceil"),
     row({1, 2, 2, 2})},
    {"resize_align_corners",  // o * 1 / 3 = 0 .33 .67 1
     "Resize",
     {row({1, 2}), kNone, scales(2)},
     resized("align_corners", "floor"),
     row({1, 1, 1, 2})},
    {"resize_to_sizes",
     "Resize",
     {row({1, 2, 3, 4}), kNone, kNone, list({1, 1, 1, 2})},
     resized("asymmetric", "floor"),
     row({1, 3})},
};
INSTANTIATE_TEST_SUITE_P(Table, Layers, testing::ValuesIn(kLayers),
                         [](const auto& info) { return std::string(info.param.name); });

class LayersRefusal : public testing::TestWithParam<RefusalCase> {};

TEST_P(LayersRefusal, NamesFileNodeAndReason) {
  const RefusalCase& c = GetParam();
  EXPECT_EQ(refusal_of(c.op, c.inputs, c.attributes, c.opset),
            std::string("one.onnx: node it: ") + c.message);
}

const RefusalCase kRefusals[] = {
    {"conv_of_a_list", "Conv", {counting({3}), row({1})}, {}, "input 0 is not (N, C, H, W)"},
    {"conv_channels",
     "Conv",
     {row({1, 2}), floats({1, 2, 1, 1}, {1, 2})},
     {},
     "weights do not fit the input"},
    {"conv_groups", "Conv", {row({1}), row({1})}, {{"group", kNo}}, "weights do not fit the input"},
    {"conv_bias", "Conv", {row({1}), row({1}), counting({2})}, {}, "bias does not fit"},
    {"conv_one_stride",
     "Conv",
     {row({1}), row({1})},
     {{"strides", Dims{1}}},
     "window is not two-dimensional"},
    {"conv_stride_zero",
     "Conv",
     {row({1}), row({1})},
     {{"strides", Dims{1, 0}}},
     "window is not two-dimensional"},
    {"conv_dilation_zero",
     "Conv",
     {row({1}), row({1})},
     {{"dilations", Dims{1, 0}}},
     "window is not two-dimensional"},
    {"conv_too_large", "Conv", {row({1}), row({1, 2})}, {}, "window is larger than its input"},
    {"conv_padding",
     "Conv",
     {row({1}), row({1})},
     {{"auto_pad", std::string("SAME")}},
     "auto_pad SAME is not known"},
    {"pool_without_kernel", "MaxPool", {row({1})}, {}, "window is not two-dimensional"},
    {"pool_kernel_zero",
     "AveragePool",
     {row({1})},
     {{"kernel_shape", Dims{0, 1}}},
     "window is not two-dimensional"},
    {"gemm_of_maps", "Gemm", {row({1}), row({1})}, {}, "inputs are not matrices"},
    {"gemm_inner", "Gemm", {counting({1, 2}), counting({3, 1})}, {}, "matrices do not fit"},
    {"gemm_addend",
     "Gemm",
     {counting({1, 2}), counting({2, 2}), counting({3})},
     {},
     "addend does not broadcast"},
    {"matmul_inner", "MatMul", {counting({1, 2}), counting({3, 1})}, {}, "matrices do not fit"},
    {"matmul_of_nothing", "MatMul", {counting({1, 0}), counting({0, 1})}, {}, "matrices are empty"},
    {"resize_linear",
     "Resize",
     {row({1}), kNone, scales(2)},
     {{"mode", std::string("linear")}},
     "mode is not nearest"},
    {"resize_without_size", "Resize", {row({1})}, {}, "neither scales nor sizes"},
    {"resize_few_scales",
     "Resize",
     {row({1}), kNone, floats({1}, {2})},
     {},
     "scales or sizes do not fit the input"},
    {"resize_transformation",
     "Resize",
     {row({1}), kNone, scales(2)},
     resized("tf_crop_and_resize", "floor"),
     "coordinate_transformation_mode tf_crop_and_resize is not known"},
    {"resize_rounding",
     "Resize",
     {row({1}), kNone, scales(2)},
     resized("asymmetric", "simple"),
     "nearest_mode simple is not known"},
};
INSTANTIATE_TEST_SUITE_P(Table, LayersRefusal, testing::ValuesIn(kRefusals),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace face::test
