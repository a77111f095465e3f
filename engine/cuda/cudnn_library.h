// SPDX-License-Identifier: MIT
// engine/cuda/cudnn_library.h - cuDNN 9, looked for when the program runs: nothing is linked, no
// header of it is needed to build.
//
// Source of names and numbers: NVIDIA's documentation of the cuDNN backend API and the public
// headers of cuDNN 9.19. They belong to the binary interface of version 9.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "kernels/cuda/gpu.h"

namespace face::cuda::cudnn {

/// cudnnStatus_t; the thousands are the category.
using Status = int;
constexpr Status kSuccess = 0;

/// The functions in use. All but the first two return a status; what is opaque there is void* here.
struct Functions {
  size_t (*version)() = nullptr;
  const char* (*error_string)(Status) = nullptr;
  void (*last_error_string)(char* text, size_t size) = nullptr;
  Status (*create)(void** handle) = nullptr;
  Status (*destroy)(void* handle) = nullptr;
  Status (*set_stream)(void* handle, cudaStream_t stream) = nullptr;
  Status (*create_descriptor)(int kind, void** descriptor) = nullptr;
  Status (*destroy_descriptor)(void* descriptor) = nullptr;
  Status (*set_attribute)(void* descriptor, int attribute, int type, int64_t count,
                          const void* values) = nullptr;
  Status (*get_attribute)(void* descriptor, int attribute, int type, int64_t capacity,
                          int64_t* count, void* values) = nullptr;
  Status (*finalize)(void* descriptor) = nullptr;
  Status (*execute)(void* handle, void* plan, void* variant_pack) = nullptr;
};

/// Threads: const members are safe.
class Library {
 public:
  explicit Library(const Functions& functions);

  /// Loads `path`, which stays loaded. Throws Error(kDevice): not there, a function missing, or not
  /// version 9; names path and reason.
  [[nodiscard]] static std::shared_ptr<const Library> open(const std::string& path);
  /// $FACE_CUDNN, which has to be one; else libcudnn.so.9 by the loader's search path or in the
  /// toolkit's usual folder. Null where there is none: that is no error.
  [[nodiscard]] static std::shared_ptr<const Library> find();

  [[nodiscard]] const Functions& functions() const { return functions_; }
  [[nodiscard]] int version() const { return version_; }  // 91900 is 9.19.0
  [[nodiscard]] std::string version_text() const;
  /// Throws Error(kDevice) that names version, `doing` and both of cuDNN's own texts.
  void check(Status status, const std::string& doing) const;

 private:
  Functions functions_;
  int version_ = 0;
};

/// cudnnBackendDescriptorType_t.
enum class Kind : int {
  kPointwise = 0,
  kConvolution = 1,
  kEngine = 2,
  kEngineConfig = 3,
  kHeuristics = 4,
  kPlan = 5,
  kKnobChoice = 7,
  kConvolutionForward = 10,
  kPointwiseOperation = 13,
  kGraph = 15,
  kVariantPack = 16,
  kTensor = 17,
  kDevice = 38,  // from 9.11 on
};

/// cudnnBackendAttributeType_t.
enum class Type : int {
  kHandle = 0,
  kDataType = 1,
  kBoolean = 2,
  kInt64 = 3,
  kFloat = 4,
  kPointer = 6,
  kConvolutionMode = 7,
  kHeuristicMode = 8,
  kKnob = 9,
  kNumericalNote = 11,
  kPointwiseMode = 14,
  kDescriptor = 15,
  kBehaviorNote = 19,
  kChar = 24,
};

/// cudnnBackendAttributeName_t.
enum class Attribute : int {
  kPointwiseMode = 0,
  kPointwisePrecision = 1,
  kConvolutionType = 100,
  kConvolutionMode = 101,
  kConvolutionDilations = 102,
  kConvolutionStrides = 103,
  kConvolutionPostPadding = 104,
  kConvolutionPrePadding = 105,
  kConvolutionDimensions = 106,
  kHeuristicsMode = 200,
  kHeuristicsGraph = 201,
  kHeuristicsResults = 202,
  kHeuristicsDevice = 204,
  kConfigEngine = 300,
  kConfigKnobs = 302,
  kPlanHandle = 400,
  kPlanConfig = 401,
  kPlanWorkspace = 402,
  kPlanDevice = 407,
  kKnobType = 600,
  kKnobValue = 601,
  kForwardAlpha = 700,
  kForwardBeta = 701,
  kForwardConvolution = 702,
  kForwardWeights = 703,
  kForwardInput = 704,
  kForwardOutput = 705,
  kOperationPointwise = 750,
  kOperationInput = 751,
  kOperationSecond = 752,
  kOperationOutput = 753,
  kGraphHandle = 800,
  kGraphOperations = 801,
  kTensorAlignment = 900,
  kTensorType = 901,
  kTensorDimensions = 902,
  kTensorStrides = 903,
  kTensorId = 906,
  kTensorVirtual = 907,
  kPackIds = 1000,
  kPackPointers = 1001,
  kPackWorkspace = 1003,
  kEngineGraph = 1300,
  kEngineIndex = 1301,
  kEngineNumericalNotes = 1303,
  kEngineBehaviorNotes = 1305,
  kEngineDevice = 1307,
  kDeviceHandle = 2701,
  kDeviceJson = 2702,
};

// cudnnDataType_t, cudnnConvolutionMode_t, cudnnBackendHeurMode_t, cudnnPointwiseMode_t.
constexpr int kFloatData = 0, kHalfData = 2;
constexpr int kCrossCorrelation = 1;
constexpr int kHeuristicModeA = 3;
constexpr int kPointwiseAdd = 0, kPointwiseRelu = 100;
// cudnnBackendBehaviorNote_t, cudnnBackendNumericalNote_t.
constexpr int kRuntimeCompilation = 0;
constexpr int kReducedPrecision = 2, kNondeterministic = 4, kWinograd = 5;

/// An owned descriptor of the backend API: attributes are set, then it is finalized.
class Descriptor {
 public:
  Descriptor(const Library& library, Kind kind);
  Descriptor(Descriptor&& other) noexcept
      : library_(other.library_), raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(library_, other.library_);
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Descriptor();

  [[nodiscard]] void* raw() const { return raw_; }

  /// Throws Error(kDevice).
  void set(Attribute attribute, Type type, int64_t count, const void* values);
  template <typename T>
  void set(Attribute attribute, Type type, const T& value) {
    set(attribute, type, 1, &value);
  }
  void set(Attribute attribute, const Descriptor& value) {
    set(attribute, Type::kDescriptor, 1, &value.raw_);
  }
  void set(Attribute attribute, std::span<const int64_t> values) {
    set(attribute, Type::kInt64, static_cast<int64_t>(values.size()), values.data());
  }
  void finalize(const std::string& doing);
  /// Whether cuDNN took it: plans and engines that do not fit a graph are no errors.
  [[nodiscard]] bool try_finalize();

  /// Reads up to `capacity` elements and returns how many there are; -1 if it has no such
  /// attribute.
  int64_t get(Attribute attribute, Type type, int64_t capacity, void* values) const;

 private:
  const Library* library_;
  void* raw_ = nullptr;
};

}  // namespace face::cuda::cudnn
