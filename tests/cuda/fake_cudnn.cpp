// SPDX-License-Identifier: MIT
#include "tests/cuda/fake_cudnn.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "kernels/math/half.h"

namespace face::cuda::test {
namespace {

using cudnn::Attribute;
using cudnn::Kind;
using cudnn::Status;
using cudnn::Type;

constexpr Status kNotSupported = 3000, kBadParameter = 2000, kExecutionFailed = 5000;

/// The graph behind a configuration or plan, among its values.
constexpr int kGraphOf = -1;

/// An attribute as it was set.
struct Value {
  int type = 0;
  int64_t count = 0;
  std::vector<char> bytes;
};

struct Object {
  Kind kind;
  bool finalized = false;
  std::map<int, Value> values;
  FakePlan plan;  // engine, configuration, plan

  template <typename T>
  [[nodiscard]] std::vector<T> all(Attribute attribute) const {
    const auto found = values.find(static_cast<int>(attribute));
    if (found == values.end()) return {};
    std::vector<T> result(found->second.bytes.size() / sizeof(T));
    std::memcpy(result.data(), found->second.bytes.data(), found->second.bytes.size());
    return result;
  }
  template <typename T>
  [[nodiscard]] T one(Attribute attribute) const {
    const std::vector<T> values = all<T>(attribute);
    return values.empty() ? T{} : values.front();
  }
  [[nodiscard]] const Object* object(Attribute attribute) const {
    return static_cast<const Object*>(one<void*>(attribute));
  }
};

void misused(const std::string& what) { fake_cudnn().misuse.push_back(what); }

size_t element_size(int type) {
  switch (static_cast<Type>(type)) {
    case Type::kBoolean:
    case Type::kChar:
      return 1;
    case Type::kDataType:
    case Type::kFloat:
    case Type::kConvolutionMode:
    case Type::kHeuristicMode:
    case Type::kKnob:
    case Type::kNumericalNote:
    case Type::kPointwiseMode:
    case Type::kBehaviorNote:
      return 4;
    case Type::kHandle:
    case Type::kInt64:
    case Type::kPointer:
    case Type::kDescriptor:
      break;
  }
  return 8;
}

/// What a kind needs before it can be finalized.
std::vector<Attribute> required(Kind kind) {
  using A = Attribute;
  switch (kind) {
    case Kind::kPointwise:
      return {A::kPointwiseMode, A::kPointwisePrecision};
    case Kind::kConvolution:
      return {A::kConvolutionType,     A::kConvolutionMode,       A::kConvolutionDimensions,
              A::kConvolutionStrides,  A::kConvolutionPrePadding, A::kConvolutionPostPadding,
              A::kConvolutionDilations};
    case Kind::kEngine:
      return {A::kEngineGraph, A::kEngineIndex};
    case Kind::kEngineConfig:
      return {A::kConfigEngine};
    case Kind::kHeuristics:
      return {A::kHeuristicsGraph, A::kHeuristicsMode};
    case Kind::kPlan:
      return {A::kPlanConfig, A::kPlanHandle};
    case Kind::kKnobChoice:
      return {A::kKnobType, A::kKnobValue};
    case Kind::kConvolutionForward:
      return {A::kForwardConvolution, A::kForwardInput, A::kForwardWeights,
              A::kForwardOutput,      A::kForwardAlpha, A::kForwardBeta};
    case Kind::kPointwiseOperation:
      return {A::kOperationPointwise, A::kOperationInput, A::kOperationOutput};
    case Kind::kGraph:
      return {A::kGraphOperations, A::kGraphHandle};
    case Kind::kVariantPack:
      return {A::kPackIds, A::kPackPointers, A::kPackWorkspace};
    case Kind::kTensor:
      return {A::kTensorType, A::kTensorDimensions, A::kTensorStrides,
              A::kTensorId,   A::kTensorAlignment,  A::kTensorVirtual};
    case Kind::kDevice:
      break;
  }
  return {};
}

// ---- computing a graph ----

/// Values of a tensor in the order of its memory, as floats.
using Floats = std::vector<float>;

struct Tensor {
  explicit Tensor(const Object& t)
      : id(t.one<int64_t>(Attribute::kTensorId)),
        half(t.one<int>(Attribute::kTensorType) == cudnn::kHalfData),
        dims(t.all<int64_t>(Attribute::kTensorDimensions)),
        strides(t.all<int64_t>(Attribute::kTensorStrides)) {}
  [[nodiscard]] size_t size() const { return dims[0] * dims[1] * dims[2] * dims[3]; }
  /// Index of an element; a dimension of 1 is the same everywhere.
  [[nodiscard]] size_t at(int64_t n, int64_t c, int64_t h, int64_t w) const {
    const int64_t index[] = {n, c, h, w};
    size_t offset = 0;
    for (int i = 0; i < 4; ++i) offset += (dims[i] == 1 ? 0 : index[i]) * strides[i];
    return offset;
  }
  int64_t id;
  bool half;
  std::vector<int64_t> dims, strides;
};

class Run {
 public:
  Run(const std::map<int64_t, void*>& pointers, float scale) : pointers_(pointers), scale_(scale) {}

  void execute(const Object& graph) {
    for (void* operation : graph.all<void*>(Attribute::kGraphOperations)) {
      const auto& op = *static_cast<const Object*>(operation);
      if (op.kind == Kind::kConvolutionForward)
        convolve(op);
      else
        combine(op);
    }
  }

 private:
  const Floats& read(const Tensor& t) {
    auto [found, fresh] = values_.try_emplace(t.id);
    if (!fresh) return found->second;
    const auto* halves = static_cast<const uint16_t*>(pointers_.at(t.id));
    const auto* floats = static_cast<const float*>(pointers_.at(t.id));
    found->second.resize(t.size());
    for (size_t i = 0; i < t.size(); ++i)
      found->second[i] = t.half ? float_from_half(halves[i]) : floats[i];
    return found->second;
  }

  void write(const Tensor& t, Floats values) {
    if (const auto out = pointers_.find(t.id); out != pointers_.end())
      for (size_t i = 0; i < values.size(); ++i)
        static_cast<uint16_t*>(out->second)[i] = half_from_float(values[i] * scale_);
    values_[t.id] = std::move(values);
  }

  void convolve(const Object& op) {
    const Object& conv = *op.object(Attribute::kForwardConvolution);
    const Tensor x(*op.object(Attribute::kForwardInput));
    const Tensor w(*op.object(Attribute::kForwardWeights));
    const Tensor y(*op.object(Attribute::kForwardOutput));
    const auto stride = conv.all<int64_t>(Attribute::kConvolutionStrides);
    const auto pad = conv.all<int64_t>(Attribute::kConvolutionPrePadding);
    const Floats &in = read(x), &weights = read(w);
    Floats out(y.size());
    for (int64_t n = 0; n < y.dims[0]; ++n)
      for (int64_t k = 0; k < y.dims[1]; ++k)
        for (int64_t h = 0; h < y.dims[2]; ++h)
          for (int64_t v = 0; v < y.dims[3]; ++v) {
            float sum = 0;
            for (int64_t r = 0; r < w.dims[2]; ++r)
              for (int64_t s = 0; s < w.dims[3]; ++s) {
                const int64_t ih = h * stride[0] - pad[0] + r, iw = v * stride[1] - pad[1] + s;
                if (ih < 0 || iw < 0 || ih >= x.dims[2] || iw >= x.dims[3]) continue;
                for (int64_t c = 0; c < x.dims[1]; ++c)
                  sum += in[x.at(n, c, ih, iw)] * weights[w.at(k, c, r, s)];
              }
            out[y.at(n, k, h, v)] = sum;
          }
    write(y, std::move(out));
  }

  void combine(const Object& op) {
    const int mode = op.object(Attribute::kOperationPointwise)->one<int>(Attribute::kPointwiseMode);
    const Tensor x(*op.object(Attribute::kOperationInput));
    const Tensor y(*op.object(Attribute::kOperationOutput));
    Floats out = read(x);
    if (mode == cudnn::kPointwiseRelu) {
      for (float& v : out) v = std::max(v, 0.f);
    } else {
      const Tensor b(*op.object(Attribute::kOperationSecond));
      const Floats& second = read(b);
      for (int64_t n = 0; n < y.dims[0]; ++n)
        for (int64_t c = 0; c < y.dims[1]; ++c)
          for (int64_t h = 0; h < y.dims[2]; ++h)
            for (int64_t w = 0; w < y.dims[3]; ++w)
              out[y.at(n, c, h, w)] += second[b.at(n, c, h, w)];
    }
    write(y, std::move(out));
  }

  const std::map<int64_t, void*>& pointers_;
  float scale_;
  std::map<int64_t, Floats> values_;
};

// ---- the functions ----

cudaStream_t& current_stream() {
  static cudaStream_t stream = nullptr;
  return stream;
}

size_t version() { return static_cast<size_t>(fake_cudnn().version); }
const char* error_string(Status status) {
  return status == kNotSupported ? "NOT_SUPPORTED" : "FAKE_STATUS";
}
void last_error_string(char* text, size_t size) { std::strncpy(text, "as the test wants", size); }

Status create(void** handle) {
  if (!fake_cudnn().starts) return kNotSupported;
  ++fake_cudnn().live_handles;
  *handle = &fake_cudnn();
  return cudnn::kSuccess;
}
Status destroy(void*) {
  --fake_cudnn().live_handles;
  return cudnn::kSuccess;
}
Status set_stream(void*, cudaStream_t stream) {
  current_stream() = stream;
  return cudnn::kSuccess;
}

Status create_descriptor(int kind, void** descriptor) {
  ++fake_cudnn().live_descriptors;
  *descriptor = new Object{static_cast<Kind>(kind), false, {}, {}};
  return cudnn::kSuccess;
}
Status destroy_descriptor(void* descriptor) {
  --fake_cudnn().live_descriptors;
  delete static_cast<Object*>(descriptor);
  return cudnn::kSuccess;
}

Status set_attribute(void* descriptor, int attribute, int type, int64_t count, const void* values) {
  auto& object = *static_cast<Object*>(descriptor);
  if (object.finalized) misused("attribute " + std::to_string(attribute) + " set after finalize");
  const auto* bytes = static_cast<const char*>(values);
  object.values[attribute] = {type, count, {bytes, bytes + count * element_size(type)}};
  if (static_cast<Type>(type) == Type::kDescriptor)
    for (void* other : object.all<void*>(static_cast<Attribute>(attribute)))
      if (!static_cast<const Object*>(other)->finalized)
        misused("attribute " + std::to_string(attribute) + " is a descriptor not finalized");
  return cudnn::kSuccess;
}

Status finalize(void* descriptor) {
  auto& object = *static_cast<Object*>(descriptor);
  FakeCudnn& fake = fake_cudnn();
  for (const Attribute attribute : required(object.kind))
    if (!object.values.contains(static_cast<int>(attribute)))
      misused("attribute " + std::to_string(static_cast<int>(attribute)) + " is not set");
  if (object.kind == Kind::kHeuristics) ++fake.heuristics;
  if (object.kind == Kind::kEngine) {
    const int64_t index = object.one<int64_t>(Attribute::kEngineIndex);
    const auto plan = std::find_if(fake.plans.begin(), fake.plans.end(),
                                   [&](const FakePlan& p) { return p.engine == index; });
    if (plan == fake.plans.end()) return kNotSupported;
    object.plan = *plan;
  }
  if (object.kind == Kind::kEngineConfig) {
    const Object& engine = *object.object(Attribute::kConfigEngine);
    object.plan = engine.plan;
    object.values[kGraphOf] = engine.values.at(static_cast<int>(Attribute::kEngineGraph));
  }
  if (object.kind == Kind::kPlan) {
    object.plan = object.object(Attribute::kPlanConfig)->plan;
    if (!object.plan.builds) return kNotSupported;
    object.values[kGraphOf] = object.object(Attribute::kPlanConfig)->values.at(kGraphOf);
  }
  object.finalized = true;
  return cudnn::kSuccess;
}

Status give(const std::vector<int64_t>& found, size_t element, int64_t capacity, int64_t* count,
            void* values) {
  *count = static_cast<int64_t>(found.size());
  for (int64_t i = 0; i < std::min(capacity, *count); ++i)
    std::memcpy(static_cast<char*>(values) + i * element, &found[i], element);
  return cudnn::kSuccess;
}

Status give_notes(int note, int64_t capacity, int64_t* count, void* values) {
  return give(note < 0 ? std::vector<int64_t>{} : std::vector<int64_t>{note}, 4, capacity, count,
              values);
}

/// Results of heuristics: configurations that the caller has made are filled in.
Status give_configurations(const Object& heuristics, int64_t capacity, int64_t* count,
                           void* values) {
  const FakeCudnn& fake = fake_cudnn();
  *count = static_cast<int64_t>(fake.plans.size());
  for (int64_t i = 0; i < std::min(capacity, *count); ++i) {
    auto& config = *static_cast<Object**>(values)[i];
    config.plan = fake.plans[i];
    config.finalized = true;
    config.values[kGraphOf] = heuristics.values.at(static_cast<int>(Attribute::kHeuristicsGraph));
  }
  return cudnn::kSuccess;
}

Status get_attribute(void* descriptor, int attribute, int, int64_t capacity, int64_t* count,
                     void* values) {
  auto& object = *static_cast<Object*>(descriptor);
  if (!object.finalized)
    misused("attribute " + std::to_string(attribute) + " read before finalize");
  switch (static_cast<Attribute>(attribute)) {
    case Attribute::kHeuristicsResults:
      return give_configurations(object, capacity, count, values);
    case Attribute::kConfigEngine: {
      auto& engine = **static_cast<Object**>(values);
      engine.plan = object.plan;
      engine.finalized = true;
      engine.values[static_cast<int>(Attribute::kEngineGraph)] = object.values.at(kGraphOf);
      *count = 1;
      return cudnn::kSuccess;
    }
    case Attribute::kConfigKnobs: {
      auto& knob = **static_cast<Object**>(values);
      knob.finalized = true;
      *count = 1;
      return cudnn::kSuccess;
    }
    case Attribute::kKnobType:
      return give({2}, 4, capacity, count, values);
    case Attribute::kKnobValue:
      return give({20}, 8, capacity, count, values);
    case Attribute::kEngineIndex:
      return give({object.plan.engine}, 8, capacity, count, values);
    case Attribute::kEngineBehaviorNotes:
      return give_notes(object.plan.behavior_note, capacity, count, values);
    case Attribute::kEngineNumericalNotes:
      return give_notes(object.plan.numerical_note, capacity, count, values);
    case Attribute::kPlanWorkspace:
      return give({static_cast<int64_t>(object.plan.workspace)}, 8, capacity, count, values);
    default:
      misused("attribute " + std::to_string(attribute) + " is not known to the fake");
      return kBadParameter;
  }
}

Status execute(void*, void* plan_descriptor, void* pack_descriptor) {
  const auto& object = *static_cast<const Object*>(plan_descriptor);
  const auto& pack = *static_cast<const Object*>(pack_descriptor);
  ++fake_cudnn().executions;
  if (!object.finalized || !pack.finalized) misused("executed before finalize");
  const FakePlan plan = object.plan;
  if (!plan.runs) return kExecutionFailed;
  if (plan.workspace > 0 && pack.one<void*>(Attribute::kPackWorkspace) == nullptr)
    misused("no workspace");
  const auto ids = pack.all<int64_t>(Attribute::kPackIds);
  const auto data = pack.all<void*>(Attribute::kPackPointers);
  std::map<int64_t, void*> pointers;
  for (size_t i = 0; i < ids.size(); ++i) pointers[ids[i]] = data.at(i);
  const Object* graph = object.object(static_cast<Attribute>(kGraphOf));
  const cudaError_t queued = emu::enqueue(current_stream(), "cudnnBackendExecute", [=] {
    Run(pointers, plan.scale).execute(*graph);
    if (emu::machine().clock != nullptr) *emu::machine().clock += plan.milliseconds;
  });
  return queued == cudaSuccess ? cudnn::kSuccess : kExecutionFailed;
}

}  // namespace

FakeCudnn& fake_cudnn() {
  static FakeCudnn fake;
  return fake;
}

std::shared_ptr<const cudnn::Library> fake_library() {
  return std::make_shared<const cudnn::Library>(cudnn::Functions{
      version, error_string, last_error_string, create, destroy, set_stream, create_descriptor,
      destroy_descriptor, set_attribute, get_attribute, finalize, execute});
}

}  // namespace face::cuda::test
