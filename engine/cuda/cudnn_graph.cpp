// SPDX-License-Identifier: MIT
#include "engine/cuda/cudnn_graph.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "engine/error.h"

namespace face::cuda::cudnn {
namespace {

// Ids of the tensors that a plan is given pointers for; those between operations follow.
enum Id : int64_t { kIn = 1, kWeights, kAddend, kBias, kOut, kBetween };

constexpr int64_t kAlignment = 16;
constexpr int64_t kMaxKnobs = 64, kMaxNotes = 16;

void set_device(Descriptor& descriptor, const Session& session, Attribute device) {
  if (session.device()) descriptor.set(device, *session.device());
}

/// Whether `notes` of an engine hold one of `unwanted`.
bool has_note(const Descriptor& engine, Attribute attribute, Type type,
              std::initializer_list<int> unwanted) {
  std::array<int, kMaxNotes> notes{};
  const int64_t count = engine.get(attribute, type, kMaxNotes, notes.data());
  for (int64_t i = 0; i < std::min(count, kMaxNotes); ++i)
    for (const int note : unwanted)
      if (notes[i] == note) return true;
  return false;
}

bool is_wanted(const Descriptor& engine) {
  return !has_note(engine, Attribute::kEngineBehaviorNotes, Type::kBehaviorNote,
                   {kRuntimeCompilation}) &&
         !has_note(engine, Attribute::kEngineNumericalNotes, Type::kNumericalNote,
                   {kReducedPrecision, kNondeterministic, kWinograd});
}

struct Knob {
  int64_t type = 0, value = 0;
};

std::vector<Knob> knobs_of(const Library& library, const Descriptor& configuration) {
  std::vector<Descriptor> choices;
  std::vector<void*> raw;
  for (int64_t i = 0; i < kMaxKnobs; ++i) {
    choices.emplace_back(library, Kind::kKnobChoice);
    raw.push_back(choices.back().raw());
  }
  const int64_t count =
      configuration.get(Attribute::kConfigKnobs, Type::kDescriptor, kMaxKnobs, raw.data());
  std::vector<Knob> knobs;
  for (int64_t i = 0; i < std::min(count, kMaxKnobs); ++i) {
    int type = 0;
    Knob knob;
    choices[i].get(Attribute::kKnobType, Type::kKnob, 1, &type);
    choices[i].get(Attribute::kKnobValue, Type::kInt64, 1, &knob.value);
    knob.type = type;
    knobs.push_back(knob);
  }
  return knobs;
}

std::string name_of(int64_t engine, const std::vector<Knob>& knobs) {
  std::string name = "eng" + std::to_string(engine);
  for (const Knob& k : knobs) name += ":k" + std::to_string(k.type) + "=" + std::to_string(k.value);
  return name;
}

bool take(const char*& at, const char* end, const char* text) {
  for (; *text != '\0'; ++text, ++at)
    if (at == end || *at != *text) return false;
  return true;
}

bool take(const char*& at, const char* end, int64_t& number) {
  const auto [stop, error] = std::from_chars(at, end, number);
  at = stop;
  return error == std::errc();
}

/// Engine and knobs of name_of(); false if it is no such name.
bool parse_name(const std::string& name, int64_t& engine, std::vector<Knob>& knobs) {
  const char *at = name.data(), *end = at + name.size();
  if (!take(at, end, "eng") || !take(at, end, engine)) return false;
  while (at != end) {
    Knob knob;
    if (!take(at, end, ":k") || !take(at, end, knob.type) || !take(at, end, "=") ||
        !take(at, end, knob.value))
      return false;
    knobs.push_back(knob);
  }
  return true;
}

}  // namespace

// ---- session ----

Session::Session(std::shared_ptr<const Library> library) : library_(std::move(library)) {
  library_->check(library_->functions().create(&handle_), "cudnnCreate");
}

Session::Session(std::shared_ptr<const Library> library, const std::string& device_json)
    : library_(std::move(library)), device_(std::in_place, *library_, Kind::kDevice) {
  device_->set(Attribute::kDeviceJson, Type::kChar, static_cast<int64_t>(device_json.size()),
               device_json.data());
  device_->finalize("description of a device");
}

Session::~Session() {
  if (handle_ != nullptr) static_cast<void>(library_->functions().destroy(handle_));
}

// ---- graph ----

namespace {

/// Makes the descriptors of an operation graph. Descriptors refer to each other by what raw()
/// gives, which stays when they move.
class GraphBuilder {
 public:
  GraphBuilder(const Session& session, const Problem& problem)
      : session_(session), p_(problem), left_(1 + int(p_.addend) + int(p_.bias) + int(p_.relu)) {}

  std::vector<Descriptor> build() {
    convolve();
    if (p_.addend) append(kPointwiseAdd, tensor(kAddend, output_dimensions(), kHalfData, false));
    if (p_.bias) append(kPointwiseAdd, tensor(kBias, {1, p_.out_c, 1, 1}, kHalfData, false));
    if (p_.relu) append(kPointwiseRelu, nullptr);
    Descriptor& graph = add(Kind::kGraph);
    graph.set(Attribute::kGraphOperations, Type::kDescriptor,
              static_cast<int64_t>(operations_.size()), operations_.data());
    if (session_.handle() != nullptr)
      graph.set(Attribute::kGraphHandle, Type::kHandle, session_.handle());
    graph.finalize("operation graph of " + p_.key());
    return std::move(parts_);
  }

 private:
  using Dimensions = std::array<int64_t, 4>;  // n, c, h, w

  Descriptor& add(Kind kind) { return parts_.emplace_back(session_.library(), kind); }

  [[nodiscard]] Dimensions output_dimensions() const {
    return {p_.batch, p_.out_c, p_.out_h, p_.out_w};
  }

  void* tensor(int64_t id, const Dimensions& d, int data_type, bool is_virtual) {
    Descriptor& t = add(Kind::kTensor);
    const Dimensions strides{d[2] * d[3] * d[1], 1, d[3] * d[1], d[1]};
    t.set(Attribute::kTensorType, Type::kDataType, data_type);
    t.set(Attribute::kTensorDimensions, d);
    t.set(Attribute::kTensorStrides, strides);
    t.set(Attribute::kTensorId, Type::kInt64, id);
    t.set(Attribute::kTensorAlignment, Type::kInt64, kAlignment);
    t.set(Attribute::kTensorVirtual, Type::kBoolean, is_virtual);
    t.finalize("tensor of " + p_.key());
    return t.raw();
  }

  /// What the next operation writes: the graph's output once nothing follows.
  void* result() {
    const bool last = --left_ == 0;
    return tensor(last ? int64_t{kOut} : next_id_++, output_dimensions(),
                  last ? kHalfData : kFloatData, !last);
  }

  void* convolution() {
    Descriptor& c = add(Kind::kConvolution);
    const std::array<int64_t, 2> strides{p_.stride_h, p_.stride_w}, dilations{1, 1},
        before{p_.pad_top, p_.pad_left}, after{p_.pad_bottom, p_.pad_right};
    c.set(Attribute::kConvolutionType, Type::kDataType, kFloatData);
    c.set(Attribute::kConvolutionMode, Type::kConvolutionMode, kCrossCorrelation);
    c.set(Attribute::kConvolutionDimensions, Type::kInt64, int64_t{2});
    c.set(Attribute::kConvolutionStrides, strides);
    c.set(Attribute::kConvolutionDilations, dilations);
    c.set(Attribute::kConvolutionPrePadding, before);
    c.set(Attribute::kConvolutionPostPadding, after);
    c.finalize("convolution of " + p_.key());
    return c.raw();
  }

  void convolve() {
    void* what = convolution();
    void* in = tensor(kIn, {p_.batch, p_.in_c, p_.in_h, p_.in_w}, kHalfData, false);
    void* weights =
        tensor(kWeights, {p_.out_c, p_.in_c, p_.kernel_h, p_.kernel_w}, kHalfData, false);
    value_ = result();
    Descriptor& forward = add(Kind::kConvolutionForward);
    forward.set(Attribute::kForwardConvolution, Type::kDescriptor, what);
    forward.set(Attribute::kForwardInput, Type::kDescriptor, in);
    forward.set(Attribute::kForwardWeights, Type::kDescriptor, weights);
    forward.set(Attribute::kForwardOutput, Type::kDescriptor, value_);
    forward.set(Attribute::kForwardAlpha, Type::kFloat, 1.f);
    forward.set(Attribute::kForwardBeta, Type::kFloat, 0.f);
    forward.finalize("convolution operation of " + p_.key());
    operations_.push_back(forward.raw());
  }

  void append(int mode, void* second) {
    void* out = result();
    Descriptor& what = add(Kind::kPointwise);
    what.set(Attribute::kPointwiseMode, Type::kPointwiseMode, mode);
    what.set(Attribute::kPointwisePrecision, Type::kDataType, kFloatData);
    what.finalize("pointwise operation");
    void* raw = what.raw();
    Descriptor& op = add(Kind::kPointwiseOperation);
    op.set(Attribute::kOperationPointwise, Type::kDescriptor, raw);
    op.set(Attribute::kOperationInput, Type::kDescriptor, value_);
    if (second != nullptr) op.set(Attribute::kOperationSecond, Type::kDescriptor, second);
    op.set(Attribute::kOperationOutput, Type::kDescriptor, out);
    op.finalize("pointwise operation of " + p_.key());
    operations_.push_back(op.raw());
    value_ = out;
  }

  const Session& session_;
  const Problem& p_;
  int left_;  // results to come
  int64_t next_id_ = kBetween;
  void* value_ = nullptr;
  std::vector<Descriptor> parts_;
  std::vector<void*> operations_;
};

/// Engine, knobs and, last, the configuration of them; nothing if the engine does not fit.
std::vector<Descriptor> configure(const Session& session, const Descriptor& graph, int64_t index,
                                  const std::vector<Knob>& knobs) {
  const Library& library = session.library();
  std::vector<Descriptor> parts;
  Descriptor& engine = parts.emplace_back(library, Kind::kEngine);
  engine.set(Attribute::kEngineGraph, graph);
  engine.set(Attribute::kEngineIndex, Type::kInt64, index);
  set_device(engine, session, Attribute::kEngineDevice);
  if (!engine.try_finalize()) return {};
  void* engine_raw = engine.raw();
  std::vector<void*> choices;
  for (const Knob& knob : knobs) {
    Descriptor& choice = parts.emplace_back(library, Kind::kKnobChoice);
    choice.set(Attribute::kKnobType, Type::kKnob, static_cast<int>(knob.type));
    choice.set(Attribute::kKnobValue, Type::kInt64, knob.value);
    if (!choice.try_finalize()) return {};
    choices.push_back(choice.raw());
  }
  Descriptor& configuration = parts.emplace_back(library, Kind::kEngineConfig);
  configuration.set(Attribute::kConfigEngine, Type::kDescriptor, engine_raw);
  if (!choices.empty())
    configuration.set(Attribute::kConfigKnobs, Type::kDescriptor,
                      static_cast<int64_t>(choices.size()), choices.data());
  if (!configuration.try_finalize()) return {};
  return parts;
}

}  // namespace

Graph::Graph(const Session& session, const Problem& problem)
    : session_(session),
      problem_(problem),
      parts_(
          std::make_shared<const std::vector<Descriptor>>(GraphBuilder(session, problem).build())) {
}

std::vector<Descriptor> Graph::configurations() const {
  const Library& library = session_.library();
  Descriptor heuristics(library, Kind::kHeuristics);
  heuristics.set(Attribute::kHeuristicsGraph, graph());
  heuristics.set(Attribute::kHeuristicsMode, Type::kHeuristicMode, kHeuristicModeA);
  set_device(heuristics, session_, Attribute::kHeuristicsDevice);
  if (!heuristics.try_finalize()) return {};
  const int64_t offered =
      heuristics.get(Attribute::kHeuristicsResults, Type::kDescriptor, 0, nullptr);
  std::vector<Descriptor> found;
  std::vector<void*> raw;
  for (int64_t i = 0; i < offered; ++i) {
    found.emplace_back(library, Kind::kEngineConfig);
    raw.push_back(found.back().raw());
  }
  const int64_t count =
      heuristics.get(Attribute::kHeuristicsResults, Type::kDescriptor, offered, raw.data());
  while (static_cast<int64_t>(found.size()) > std::max<int64_t>(count, 0)) found.pop_back();
  return found;
}

std::optional<Plan> Graph::finish(std::vector<Descriptor> parts, const std::string& name) const {
  Descriptor plan(session_.library(), Kind::kPlan);
  if (session_.handle() != nullptr)
    plan.set(Attribute::kPlanHandle, Type::kHandle, session_.handle());
  set_device(plan, session_, Attribute::kPlanDevice);
  plan.set(Attribute::kPlanConfig, parts.back());
  if (!plan.try_finalize()) return std::nullopt;
  return Plan(session_, problem_, name, std::move(parts), parts_, std::move(plan));
}

std::vector<Plan> Graph::plans(size_t limit, size_t workspace_limit) const {
  std::vector<Plan> plans;
  for (Descriptor& configuration : configurations()) {
    if (plans.size() == limit) break;
    const Descriptor engine(session_.library(), Kind::kEngine);
    void* raw = engine.raw();
    int64_t index = 0;
    if (configuration.get(Attribute::kConfigEngine, Type::kDescriptor, 1, &raw) != 1 ||
        engine.get(Attribute::kEngineIndex, Type::kInt64, 1, &index) != 1 || !is_wanted(engine))
      continue;
    const std::string name = name_of(index, knobs_of(session_.library(), configuration));
    std::vector<Descriptor> parts;
    parts.push_back(std::move(configuration));
    auto plan = finish(std::move(parts), name);
    if (plan && plan->workspace_bytes() <= workspace_limit) plans.push_back(std::move(*plan));
  }
  return plans;
}

std::optional<Plan> Graph::plan(const std::string& name) const {
  int64_t index = 0;
  std::vector<Knob> knobs;
  if (!parse_name(name, index, knobs)) return std::nullopt;
  try {
    std::vector<Descriptor> parts = configure(session_, graph(), index, knobs);
    return parts.empty() ? std::nullopt : finish(std::move(parts), name);
  } catch (const Error&) {
    return std::nullopt;  // a knob that this version does not know
  }
}

// ---- plan ----

Plan::Plan(const Session& session, const Problem& problem, std::string name,
           std::vector<Descriptor> parts, std::shared_ptr<const std::vector<Descriptor>> graph,
           Descriptor plan)
    : session_(&session),
      problem_(problem),
      name_(std::move(name)),
      graph_(std::move(graph)),
      parts_(std::move(parts)),
      plan_(std::move(plan)) {
  int64_t bytes = 0;
  plan_.get(Attribute::kPlanWorkspace, Type::kInt64, 1, &bytes);
  workspace_ = static_cast<size_t>(bytes);
}

void Plan::enqueue(const Pointers& pointers, cudaStream_t stream) const {
  const Library& library = session_->library();
  std::vector<int64_t> ids{kIn, kWeights, kOut};
  std::vector<const void*> data{pointers.in, pointers.weights, pointers.out};
  const auto add = [&](Id id, const void* pointer) {
    ids.push_back(id);
    data.push_back(pointer);
  };
  if (problem_.addend) add(kAddend, pointers.addend);
  if (problem_.bias) add(kBias, pointers.bias);
  Descriptor pack(library, Kind::kVariantPack);
  pack.set(Attribute::kPackIds, ids);
  pack.set(Attribute::kPackPointers, Type::kPointer, static_cast<int64_t>(data.size()),
           data.data());
  pack.set(Attribute::kPackWorkspace, Type::kPointer, pointers.workspace);
  pack.finalize("variant pack of " + problem_.key());
  library.check(library.functions().set_stream(session_->handle(), stream), "cudnnSetStream");
  library.check(library.functions().execute(session_->handle(), plan_.raw(), pack.raw()),
                name_ + " for " + problem_.key());
}

}  // namespace face::cuda::cudnn
