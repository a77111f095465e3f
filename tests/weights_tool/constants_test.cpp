// SPDX-License-Identifier: MIT
#include "weights_tool/constants.h"

#include <gmock/gmock.h>

#include <utility>

#include "engine/error.h"

namespace face {
namespace {

using Dims = std::vector<int64_t>;
using Attributes = std::map<std::string, onnx::Attribute>;

ArrayPtr ints(Dims dims, Dims values) {
  auto array = std::make_shared<onnx::Array>();
  array->dims = std::move(dims);
  array->is_float = false;
  array->ints = std::move(values);
  return array;
}
ArrayPtr list(const Dims& values) { return ints({static_cast<int64_t>(values.size())}, values); }
ArrayPtr floats(Dims dims, std::vector<float> values) {
  auto array = std::make_shared<onnx::Array>();
  array->dims = std::move(dims);
  array->floats = std::move(values);
  return array;
}
ArrayPtr matrix() { return ints({2, 3}, {1, 2, 3, 4, 5, 6}); }

ArrayPtr evaluate(const std::string& op, const std::vector<ArrayPtr>& inputs,
                  Attributes attributes) {
  const onnx::Node node{op, "n", {}, {"out"}, std::move(attributes)};
  return evaluate_constant(node, inputs);
}

struct Case {
  const char* name;
  const char* op;
  std::vector<ArrayPtr> inputs;
  Attributes attributes;
  Dims dims, values;  // of an integer result
};
class Evaluates : public testing::TestWithParam<Case> {};

TEST_P(Evaluates, AsOnnxSays) {
  const Case& c = GetParam();
  const ArrayPtr out = evaluate(c.op, c.inputs, c.attributes);
  ASSERT_NE(out, nullptr);
  EXPECT_FALSE(out->is_float);
  EXPECT_EQ(out->dims, c.dims);
  EXPECT_EQ(out->ints, c.values);
}

const Attributes kAxis0 = {{"axis", int64_t{0}}}, kAxis1 = {{"axis", int64_t{1}}};
const Case kCases[] = {
    {"gather_scalar", "Gather", {list({7, 8, 9}), ints({}, {-1})}, kAxis0, {}, {9}},
    {"gather_columns", "Gather", {matrix(), list({2, 0})}, kAxis1, {2, 2}, {3, 1, 6, 4}},
    {"slice_inputs", "Slice", {list({5, 6, 7, 8}), list({1}), list({-1})}, {}, {2}, {6, 7}},
    {"slice_attributes",
     "Slice",
     {matrix()},
     {{"starts", Dims{1}}, {"ends", Dims{9}}, {"axes", Dims{-1}}},
     {2, 2},
     {2, 3, 5, 6}},
    {"slice_steps",
     "Slice",
     {list({0, 1, 2, 3, 4}), list({0}), list({5}), list({0}), list({2})},
     {},
     {3},
     {0, 2, 4}},
    {"slice_empty", "Slice", {list({5, 6}), list({2}), list({1})}, {}, {0}, {}},
    {"concat",
     "Concat",
     {matrix(), ints({2, 1}, {8, 9})},
     kAxis1,
     {2, 4},
     {1, 2, 3, 8, 4, 5, 6, 9}},
    {"transpose", "Transpose", {matrix()}, {}, {3, 2}, {1, 4, 2, 5, 3, 6}},
    {"transpose_perm",
     "Transpose",
     {ints({1, 2, 2}, {1, 2, 3, 4})},
     {{"perm", Dims{2, 0, 1}}},
     {2, 1, 2},
     {1, 3, 2, 4}},
    {"unsqueeze_attribute", "Unsqueeze", {list({4})}, {{"axes", Dims{0, 2}}}, {1, 1, 1}, {4}},
    {"unsqueeze_input", "Unsqueeze", {list({4, 5}), list({-1})}, {}, {2, 1}, {4, 5}},
    {"squeeze_all", "Squeeze", {ints({1, 2, 1}, {4, 5})}, {}, {2}, {4, 5}},
    {"reshape", "Reshape", {matrix(), list({0, -1, 1})}, {}, {2, 3, 1}, {1, 2, 3, 4, 5, 6}},
    {"add_row", "Add", {matrix(), list({10, 20, 30})}, {}, {2, 3}, {11, 22, 33, 14, 25, 36}},
    {"divide", "Div", {list({7, -7}), ints({}, {2})}, {}, {2}, {3, -3}},
    {"cast", "Cast", {floats({2}, {2.9f, -2.9f})}, {{"to", int64_t{7}}}, {2}, {2, -2}},
    {"cast_bool", "Cast", {floats({2}, {0.5f, 0.f})}, {{"to", int64_t{9}}}, {2}, {1, 0}},
    {"fill", "ConstantOfShape", {list({2, 1})}, {{"value", list({3})}}, {2, 1}, {3, 3}},
    {"constant_ints", "Constant", {}, {{"value_ints", Dims{4, 5}}}, {2}, {4, 5}},
};
INSTANTIATE_TEST_SUITE_P(Table, Evaluates, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Evaluate, Floats) {
  const auto a = floats({2, 1}, {2.25f, -4.f}), b = floats({2}, {1.f, 8.f});
  EXPECT_THAT(evaluate("Mul", {a, b}, {})->floats, testing::ElementsAre(2.25f, 18.f, -4.f, -32.f));
  EXPECT_THAT(evaluate("Floor", {a}, {})->floats, testing::ElementsAre(2.f, -4.f));
  EXPECT_THAT(evaluate("Ceil", {a}, {})->floats, testing::ElementsAre(3.f, -4.f));
  EXPECT_THAT(evaluate("Reciprocal", {b}, {})->floats, testing::ElementsAre(1.f, 0.125f));
}

TEST(Evaluate, LeavesOtherOpsAlone) { EXPECT_EQ(evaluate("Conv", {matrix()}, {}), nullptr); }

struct Refused {
  const char* name;
  const char* op;
  std::vector<ArrayPtr> inputs;
  Attributes attributes;
  const char* message;
};
class EvaluateRefuses : public testing::TestWithParam<Refused> {};

TEST_P(EvaluateRefuses, NamingTheNode) {
  try {
    (void)evaluate(GetParam().op, GetParam().inputs, GetParam().attributes);
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::StartsWith("node n: "));
    EXPECT_THAT(e.what(), testing::EndsWith(GetParam().message));
  }
}
constexpr int64_t kMost = INT64_MAX;
const Refused kRefused[] = {
    {"index", "Gather", {list({1, 2}), list({2})}, kAxis0, "index 2 of 2"},
    {"axis", "Gather", {list({1, 2}), list({0})}, kAxis1, "axis 1 of 1"},
    {"missing", "Add", {list({1})}, {}, "input 1 is missing"},
    {"shapes", "Add", {list({1, 2}), list({1, 2, 3})}, {}, "shapes 2 and 3 do not fit"},
    {"mixed", "Add", {list({1}), floats({1}, {1.f})}, {}, "mixes integers and floats"},
    {"overflow", "Mul", {list({kMost}), list({2})}, {}, "integer overflow or division by zero"},
    {"lowest_by_minus_one",
     "Div",
     {list({INT64_MIN}), list({-1})},
     {},
     "integer overflow or division by zero"},
    {"zero", "Div", {list({1}), list({0})}, {}, "integer overflow or division by zero"},
    {"reshape", "Reshape", {matrix(), list({4, -1})}, {}, "reshape of 2x3 to 4x-1"},
    {"two_open", "Reshape", {matrix(), list({-1, -1})}, {}, "reshape of 2x3 to -1x-1"},
    {"squeeze", "Squeeze", {matrix()}, {{"axes", Dims{0}}}, "squeezes 2x3"},
    {"concat", "Concat", {matrix(), list({1})}, kAxis0, "joins 2x3 and 1"},
    {"perm",
     "Transpose",
     {matrix()},
     {{"perm", Dims{0, 0}}},
     "perm is not a permutation of the axes"},
    {"cast", "Cast", {list({1})}, {{"to", int64_t{8}}}, "cast to dtype 8"},
    {"integer_root", "Sqrt", {list({-1})}, {}, "Sqrt of integers is not known"},
    {"large",
     "ConstantOfShape",
     {list({kMost, kMost})},
     {},
     "shape 9223372036854775807x9223372036854775807"},
    {"empty_constant", "Constant", {}, {}, "a constant without a value that is known"},
};
INSTANTIATE_TEST_SUITE_P(Table, EvaluateRefuses, testing::ValuesIn(kRefused),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace face
