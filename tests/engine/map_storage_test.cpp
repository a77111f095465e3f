// SPDX-License-Identifier: MIT
// tests/engine/map_storage_test.cpp - which maps are stored as bfloat16, and what the executor
// computes from them.
#include "engine/cpu/map_storage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string_view>

#include "engine/cpu/arena.h"
#include "engine/cpu/executor.h"
#include "engine/reference/network_interpreter.h"
#include "tests/engine/op_cases.h"

namespace face::cpu {
namespace {

using test::OwnedNetwork;

constexpr int kSide = 72, kChannels = 32;  // a map of 0.63 MiB, of two images 1.27

/// A 3x3 convolution behind `input` that keeps its size.
TensorId add_conv(OwnedNetwork& owned, const char* name, TensorId input, int channels,
                  TensorId addend = kNoTensor) {
  const auto seed = static_cast<unsigned>(owned.network.ops.size());
  Op op = test::random_conv(owned, name, input, channels, 2 * seed);
  const int in = owned.network.tensors[input].channels;
  op.kernel_h = op.kernel_w = 3;
  op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = 1;
  op.weights = test::random_values(owned, size_t(9) * in * channels,
                                   1.7f / std::sqrt(9.f * static_cast<float>(in)), 100 + seed);
  test::set_activation(owned, op, Activation::kPrelu, channels);
  op.addend = addend;
  owned.network.ops.push_back(op);
  return op.output;
}

/// Returns the output of the first layer.
TensorId begin(OwnedNetwork& owned, int channels = kChannels) {
  Network& n = owned.network;
  n.role = NetworkRole::kRecogniser;
  n.input = {.name = "x", .tensor = owned.tensor("x", 3), .height = kSide, .width = kSide};
  return add_conv(owned, "first", n.input.tensor, channels);
}

/// What reads `input` in float32 and leaves the network.
void end(OwnedNetwork& owned, TensorId input) {
  Network& n = owned.network;
  Op last;
  last.kind = OpKind::kActivation;
  last.name = "last";
  last.input = input;
  const int channels = n.tensors[input].channels;
  last.output = owned.tensor("z", channels);
  n.ops.push_back(last);
  n.outputs.push_back({"z", last.output, 0, channels, channels, false, true});
  n.embedding_size = channels;
  validate(n, "test");
}

// ---- the decision

const Candidate kOwn{"own", {}, 1e-3, true, true}, kOther{"other", {}, 1e-3};

/// Names of the tensors stored as bfloat16 where all convolutions but those of `others` are our
/// own bfloat16 ones.
std::string stored(const OwnedNetwork& owned, int images, const std::string& others = "first") {
  const Network& n = owned.network;
  std::vector<const Candidate*> ways;
  for (const Op& op : n.ops)
    if (is_conv(op)) ways.push_back(others.find(op.name) == std::string::npos ? &kOwn : &kOther);
  const std::vector<bool> bf16 =
      bf16_maps(n, infer_shapes(n, n.input.height, n.input.width), images, ways);
  std::string names;
  for (size_t id = 0; id < bf16.size(); ++id)
    if (bf16[id]) names += n.tensors[id].name + " ";
  return names;
}

/// Four convolutions, a to d; c adds a.
void add_residual_chain(OwnedNetwork& owned) {
  const TensorId a = add_conv(owned, "a", begin(owned), kChannels);
  const TensorId b = add_conv(owned, "b", a, kChannels);
  const TensorId c = add_conv(owned, "c", b, kChannels, a);
  end(owned, add_conv(owned, "d", c, kChannels));
}

TEST(MapStorage, IsBf16BetweenOwnConvolutionsAlone) {
  OwnedNetwork owned;
  const TensorId a = add_conv(owned, "a", begin(owned), kChannels);
  const TensorId b = add_conv(owned, "b", a, kChannels);
  end(owned, add_conv(owned, "c", b, kChannels));
  EXPECT_EQ(stored(owned, 2), "a b ");
  EXPECT_EQ(stored(owned, 2, ""), "first a b ");  // the network's input never
  EXPECT_EQ(stored(owned, 2, "first a"), "b ");
  EXPECT_EQ(stored(owned, 2, "first b"), "");
  EXPECT_EQ(stored(owned, 2, "first c"), "a ");
}

TEST(MapStorage, OfSmallMapsIsFp32) {
  OwnedNetwork owned;
  end(owned, add_conv(owned, "b", add_conv(owned, "a", begin(owned), kChannels), kChannels));
  EXPECT_EQ(stored(owned, 1), "");
  EXPECT_EQ(stored(owned, 2), "a ");
  owned.network.input.height = 64;  // exactly 1 MiB
  owned.network.input.width = 128;
  EXPECT_EQ(stored(owned, 1), "");
  owned.network.input.width = 129;
  EXPECT_EQ(stored(owned, 1), "a ");
}

/// Tiles prefer bfloat16 whatever the size; what only writes it may begin a chain.
TEST(MapStorage, OfSmallMapsIsBf16IfThatIsPreferred) {
  OwnedNetwork owned;
  const TensorId a = add_conv(owned, "a", begin(owned), kChannels);
  end(owned, add_conv(owned, "b", a, kChannels));
  const Network& n = owned.network;
  const Candidate prefers{"tiles", {}, 1e-3, true, true, true},
      writes{"sums", {}, 1e-5, false, true};
  const auto count = [&](std::vector<const Candidate*> ways) {
    const auto bf16 = bf16_maps(n, infer_shapes(n, n.input.height, n.input.width), 1, ways);
    return std::count(bf16.begin(), bf16.end(), true);
  };
  EXPECT_EQ(count({&prefers, &prefers, &prefers}), 2);
  EXPECT_EQ(count({&writes, &prefers, &prefers}), 2);
  EXPECT_EQ(count({&prefers, &writes, &prefers}), 1);
  EXPECT_EQ(count({&prefers, &prefers, &kOwn}), 1);
  EXPECT_EQ(count({&kOwn, &kOwn, &kOwn}), 0);
}

/// Where the way that adds them cannot; tiles can.
TEST(MapStorage, OfAddendsIsFp32) {
  OwnedNetwork owned;
  add_residual_chain(owned);
  EXPECT_EQ(stored(owned, 2), "b c ");
  const Network& n = owned.network;
  Candidate adds = kOwn;
  adds.adds_bf16_maps = true;
  const auto bf16 =
      bf16_maps(n, infer_shapes(n, kSide, kSide), 2, {&kOther, &kOwn, &kOwn, &adds, &kOwn});
  const auto without =
      bf16_maps(n, infer_shapes(n, kSide, kSide), 2, {&kOther, &kOwn, &kOwn, &adds, &kOwn}, false);
  EXPECT_EQ(std::count(bf16.begin(), bf16.end(), true), 3);
  EXPECT_EQ(std::count(without.begin(), without.end(), true), 2);
  EXPECT_TRUE(bf16[n.ops[1].output]);
}

TEST(MapStorage, OfLeavingTensorsAndOddChannelsIsFp32) {
  OwnedNetwork owned;
  const TensorId a = add_conv(owned, "a", begin(owned), kChannels);
  const TensorId b = add_conv(owned, "b", a, kChannels + 1);
  end(owned, add_conv(owned, "c", b, kChannels));
  EXPECT_EQ(stored(owned, 2), "a ");
  owned.network.outputs.push_back({"a", a, 0, kChannels, kChannels, false, true});
  EXPECT_EQ(stored(owned, 2), "");
}

TEST(MapStorage, WantsEveryReader) {
  OwnedNetwork owned;
  const TensorId a = add_conv(owned, "a", begin(owned), kChannels);
  const TensorId b = add_conv(owned, "b", a, kChannels);
  end(owned, add_conv(owned, "c", a, kChannels, b));
  EXPECT_EQ(stored(owned, 2), "a ");
  EXPECT_EQ(stored(owned, 2, "first b"), "");
  EXPECT_EQ(stored(owned, 2, "first c"), "");
}

TEST(MapStorage, TakesHalfTheArena) {
  const std::vector<Shape> shapes = {{3, 2, 2}, {4, 3, 5}, {4, 3, 5}};
  EXPECT_EQ(tensor_floats(shapes, {false, true, false}), (std::vector<size_t>{12, 30, 60}));
}

/// A smaller output would overwrite an addend's pixels before they are read.
TEST(MapStorage, OfAnOutputThatIsSmallerThanItsAddendKeepsThemApart) {
  OwnedNetwork owned;
  const TensorId a = begin(owned);
  const TensorId b = add_conv(owned, "b", a, kChannels);
  const TensorId c = add_conv(owned, "c", b, kChannels, a);
  end(owned, c);
  const auto shapes = infer_shapes(owned.network, kSide, kSide);
  std::vector<bool> bf16(shapes.size());
  const ArenaPlan alike = plan_arena(owned.network, tensor_floats(shapes, bf16));
  EXPECT_EQ(alike.offset[a], alike.offset[c]);
  bf16[c] = true;
  const auto floats = tensor_floats(shapes, bf16);
  const ArenaPlan apart = plan_arena(owned.network, floats);
  EXPECT_TRUE(apart.offset[c] >= apart.offset[a] + floats[a] ||
              apart.offset[a] >= apart.offset[c] + floats[c]);
}

// ---- the executor

/// Layers a to d by `way`, the first in float32 or, before tiles, in sums; maps of two images are
/// stored as bfloat16, those of one are not.
std::unique_ptr<Executable> compile(const Network& network, int max_batch, const char* way,
                                    double bf16_error = 2.5e-3) {
  ExecutorOptions options;
  options.compile = {.precision = Precision::kBf16, .max_batch = max_batch, .threads = 2};
  options.bf16_error = bf16_error;
  options.tiles = std::string_view(way) == "tiles_bf16";
  const char* others = options.tiles ? "tiles_bf16x3" : "direct";
  options.accept = [=](const Op& op, const std::string& candidate) {
    return candidate == (op.name.size() == 1 ? way : others);
  };
  return make_executor(network, options);
}

std::vector<float> random_input(int images) {
  std::mt19937 generator(3);
  std::normal_distribution<float> distribution;
  std::vector<float> values(size_t(images) * 3 * kSide * kSide);
  for (float& v : values) v = distribution(generator);
  return values;
}

/// What each layer says of its maps.
std::map<std::string, std::string> storage(Executable& executable) {
  std::map<std::string, std::string> result;
  const int batch = executable.max_batch();
  for (const LayerProfile& layer : executable.profile(random_input(batch).data(), batch)) {
    const size_t plus = layer.implementation.find('+');
    if (plus != std::string::npos) result[layer.name] = layer.implementation.substr(plus);
  }
  return result;
}

std::vector<float> outputs(Executable& executable, const float* input, int images) {
  executable.run(input, images);
  const auto all = executable.output(executable.network().outputs[0].tensor);
  const size_t image = all.size() / executable.max_batch();
  return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(image * images)};
}

/// Two images against the interpreter: relative L2.
double relative_error(const Network& network, Executable& executable) {
  const Shape in{3, kSide, kSide};
  const std::vector<float> input = random_input(2), got = outputs(executable, input.data(), 2);
  const size_t plane = input.size() / 2;
  double error = 0, norm = 0;
  for (size_t image = 0; image < 2; ++image) {
    const reference::Values x{in, {&input[image * plane], &input[image * plane] + plane}};
    const reference::Values y = reference::run(network, x)[network.outputs[0].tensor];
    const size_t channels = y.shape.channels, pixels = y.data.size() / channels;
    for (size_t i = 0; i < y.data.size(); ++i) {
      const double want = y.data[i % channels * pixels + i / channels];
      error += std::pow(got[image * y.data.size() + i] - want, 2);
      norm += want * want;
    }
  }
  return std::sqrt(error / norm);
}

/// Direct convolutions round what they read, so it makes no difference who does it, and nothing
/// may change, bit for bit.
void expect_same_bits(const Network& network, Executable& stored) {
  const std::vector<float> input = random_input(2);
  const auto plain = compile(network, 1, "direct_bf16");
  EXPECT_TRUE(storage(*plain).empty());
  const std::vector<float> got = outputs(stored, input.data(), 2);
  for (size_t image = 0; image < 2; ++image) {
    const auto want = outputs(*plain, &input[image * input.size() / 2], 1);
    EXPECT_TRUE(std::equal(want.begin(), want.end(), &got[image * want.size()])) << image;
  }
}

using Storage = std::map<std::string, std::string>;

TEST(ExecutorMaps, ChainOfTwo) {
  OwnedNetwork owned;
  end(owned, add_conv(owned, "b", add_conv(owned, "a", begin(owned), kChannels), kChannels));
  const auto executable = compile(owned.network, 2, "direct_bf16");
  EXPECT_EQ(storage(*executable), (Storage{{"a", "+bf16_out"}, {"b", "+bf16_in"}}));
  expect_same_bits(owned.network, *executable);
}

TEST(ExecutorMaps, ChainOfThree) {
  OwnedNetwork owned;
  const TensorId a = add_conv(owned, "a", begin(owned), kChannels);
  end(owned, add_conv(owned, "c", add_conv(owned, "b", a, kChannels + 14), kChannels));
  const Storage chain = {{"a", "+bf16_out"}, {"b", "+bf16_in_out"}, {"c", "+bf16_in"}};
  const auto direct = compile(owned.network, 2, "direct_bf16");
  EXPECT_EQ(storage(*direct), chain);
  expect_same_bits(owned.network, *direct);
  // Three layers' errors (docs/cpu_conv.md) and two maps' roundings, 2.4e-3 / sqrt(2) each, half as
  // much again.
  const struct {
    const char* way;
    double layer;
  } ways[] = {{"direct_bf16", 2.4e-3}, {"winograd2x2_bf16", 3.9e-3}, {"winograd4x4_bf16", 1.1e-2}};
  for (const auto& [way, layer] : ways) {
    const auto executable = compile(owned.network, 2, way);
    EXPECT_EQ(storage(*executable), chain) << way;
    const double error = relative_error(owned.network, *executable);
    EXPECT_TRUE(error <= 1.5 * std::sqrt(3 * layer * layer + 2 * 2.9e-6)) << way << " " << error;
  }
}

TEST(ExecutorMaps, WhatIsAlsoAnAddendStaysFp32) {
  OwnedNetwork owned;
  add_residual_chain(owned);
  const auto executable = compile(owned.network, 2, "direct_bf16");
  EXPECT_EQ(storage(*executable),
            (Storage{{"b", "+bf16_out"}, {"c", "+bf16_in_out"}, {"d", "+bf16_in"}}));
  expect_same_bits(owned.network, *executable);
}

/// Squared, of one layer; of a rounding half as much.
constexpr double kTileError = 2.4e-3 * 2.4e-3;

/// Of a residual chain's maps all but a, which is added.
const Storage kFp32Addend = {{"first", "+bf16_out"},
                             {"a", "+bf16_in"},
                             {"b", "+bf16_out"},
                             {"c", "+bf16_in_out"},
                             {"d", "+bf16_in"}};

/// Half as much again as the squared errors of layers and roundings together.
void expect_tiles(const Network& network, Executable& executable, const Storage& maps,
                  double squares) {
  EXPECT_EQ(storage(executable), maps);
  const double error = relative_error(network, executable);
  EXPECT_TRUE(error <= 1.5 * std::sqrt(squares)) << error;
}

/// By tiles, in software where there is no matrix unit: all maps and, in c, an addend are rounded.
TEST(ExecutorMaps, TilesAddWhatIsRounded) {
  OwnedNetwork owned;
  add_residual_chain(owned);
  const auto executable = compile(owned.network, 2, "tiles_bf16", 1e-2);
  const Storage all_rounded = {{"first", "+bf16_out"},
                               {"a", "+bf16_in_out"},
                               {"b", "+bf16_in_out"},
                               {"c", "+bf16_in_add_out"},
                               {"d", "+bf16_in"}};
  expect_tiles(owned.network, *executable, all_rounded, 4 * kTileError + kTileError / 2);
}

TEST(ExecutorMaps, AddendsAreFp32WhereThatIsTooInexact) {
  OwnedNetwork owned;
  add_residual_chain(owned);
  const auto executable = compile(owned.network, 2, "tiles_bf16", 1e-6);
  expect_tiles(owned.network, *executable, kFp32Addend, 4 * kTileError);
}

/// The last layer's fastest way takes its map as bfloat16, but is not exact enough; a direct
/// convolution with a pool behind it does not. The layer that writes the map stays what it was.
TEST(ExecutorMaps, FollowTheWaysThatAreChosenInTheEnd) {
  OwnedNetwork owned;
  const TensorId a = add_conv(owned, "a", begin(owned), kChannels);
  const TensorId c = add_conv(owned, "c", add_conv(owned, "b", a, kChannels), kChannels);
  Op pool;
  pool.kind = OpKind::kMaxPool;
  pool.kernel_h = pool.kernel_w = pool.stride_h = pool.stride_w = 2;
  pool.name = "pool";
  pool.input = c;
  pool.output = owned.tensor("pool", kChannels);
  owned.network.ops.push_back(pool);
  end(owned, pool.output);
  ExecutorOptions options;
  options.compile = {.precision = Precision::kBf16, .max_batch = 2, .threads = 2};
  options.bf16_error = 2.5e-3;  // Winograd's on c alone takes it to more than 3e-3
  options.accept = [](const Op& op, const std::string& way) {
    return way == (op.name.size() == 1 ? "direct_bf16" : "direct") ||
           (op.name == "c" && way == "winograd4x4_bf16");
  };
  const auto executable = make_executor(owned.network, options);
  EXPECT_EQ(storage(*executable), (Storage{{"a", "+bf16_out"}, {"b", "+bf16_in"}}));
  const double error = relative_error(owned.network, *executable);
  EXPECT_TRUE(error <= 1.5 * std::sqrt(3.) * 2.4e-3) << error;
}

/// b is not exact enough before it computes in sums, which read float32: then c adds float32, too.
TEST(ExecutorMaps, AddendsFollowTheirOtherReaders) {
  OwnedNetwork owned;
  add_residual_chain(owned);
  ExecutorOptions options;
  options.compile = {.precision = Precision::kBf16, .max_batch = 2, .threads = 2};
  options.bf16_error = 1e-6;
  options.tiles = true;
  options.accept = [](const Op& op, const std::string& way) {
    return way == "tiles_bf16x3" ? op.name == "b" || op.name == "first" : way == "tiles_bf16";
  };
  const auto executable = make_executor(owned.network, options);
  expect_tiles(owned.network, *executable, kFp32Addend, 3 * kTileError);
}

TEST(ExecutorMaps, TakeLessMemory) {
  OwnedNetwork owned;
  const TensorId a = add_conv(owned, "a", begin(owned), kChannels);
  end(owned, add_conv(owned, "c", add_conv(owned, "b", a, kChannels + 16), kChannels));
  // The most at a time: 80 channels in float32, those of a and b; else 56, of b and c. Scratch
  // takes less than eight.
  const size_t channel = size_t(2) * kSide * kSide * sizeof(float);
  const size_t two = compile(owned.network, 2, "direct_bf16")->activation_bytes();
  const size_t one = compile(owned.network, 1, "direct_bf16")->activation_bytes();
  EXPECT_LT(two + 16 * channel, 2 * one);
}

}  // namespace
}  // namespace face::cpu
