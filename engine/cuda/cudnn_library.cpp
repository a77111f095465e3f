// SPDX-License-Identifier: MIT
#include "engine/cuda/cudnn_library.h"

#include <dlfcn.h>

#include <cstdlib>

#include "engine/error.h"

namespace face::cuda::cudnn {
namespace {

constexpr const char* kPlaces[] = {"libcudnn.so.9", "/usr/local/cuda/lib64/libcudnn.so.9"};
constexpr int kMajor = 10'000;  // a version is 10000 * major + 100 * minor + patch

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorKind::kDevice, message); }

std::string loader_error() {
  const char* text = ::dlerror();
  return text != nullptr ? text : "unknown error";
}

template <typename Function>
void resolve(void* library, const std::string& path, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(::dlsym(library, name));
  if (function == nullptr)
    fail("cuDNN: " + path + " has no function " + name + " (" + loader_error() +
         "); install cuDNN 9 or use --no-cudnn");
}

}  // namespace

Library::Library(const Functions& functions)
    : functions_(functions), version_(static_cast<int>(functions.version())) {}

std::shared_ptr<const Library> Library::open(const std::string& path) {
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    fail("cuDNN: cannot load " + path + " (" + loader_error() +
         "); install cuDNN 9 or use --no-cudnn");
  Functions f;
  resolve(library, path, "cudnnGetVersion", f.version);
  resolve(library, path, "cudnnGetErrorString", f.error_string);
  resolve(library, path, "cudnnGetLastErrorString", f.last_error_string);
  resolve(library, path, "cudnnCreate", f.create);
  resolve(library, path, "cudnnDestroy", f.destroy);
  resolve(library, path, "cudnnSetStream", f.set_stream);
  resolve(library, path, "cudnnBackendCreateDescriptor", f.create_descriptor);
  resolve(library, path, "cudnnBackendDestroyDescriptor", f.destroy_descriptor);
  resolve(library, path, "cudnnBackendSetAttribute", f.set_attribute);
  resolve(library, path, "cudnnBackendGetAttribute", f.get_attribute);
  resolve(library, path, "cudnnBackendFinalize", f.finalize);
  resolve(library, path, "cudnnBackendExecute", f.execute);
  auto result = std::make_shared<const Library>(f);
  if (result->version() / kMajor != 9)
    fail("cuDNN: " + path + " is version " + result->version_text() +
         ", want 9; install cuDNN 9 or use --no-cudnn");
  return result;
}

std::shared_ptr<const Library> Library::find() {
  const char* given = std::getenv("FACE_CUDNN");
  if (given != nullptr && *given != '\0') return open(given);
  for (const char* place : kPlaces)
    if (void* library = ::dlopen(place, RTLD_NOW | RTLD_LOCAL); library != nullptr) {
      ::dlclose(library);
      return open(place);
    }
  return nullptr;
}

std::string Library::version_text() const {
  return std::to_string(version_ / kMajor) + "." + std::to_string(version_ / 100 % 100) + "." +
         std::to_string(version_ % 100);
}

void Library::check(Status status, const std::string& doing) const {
  if (status == kSuccess) return;
  char detail[512] = "";
  functions_.last_error_string(detail, sizeof(detail));
  fail("cuDNN " + version_text() + ": " + doing + ": " + functions_.error_string(status) +
       (detail[0] != '\0' ? std::string(", ") + detail : "") + "; --no-cudnn runs without it");
}

Descriptor::Descriptor(const Library& library, Kind kind) : library_(&library) {
  library.check(library.functions().create_descriptor(static_cast<int>(kind), &raw_),
                "creating a descriptor of kind " + std::to_string(static_cast<int>(kind)));
}

Descriptor::~Descriptor() {
  if (raw_ != nullptr) static_cast<void>(library_->functions().destroy_descriptor(raw_));
}

void Descriptor::set(Attribute attribute, Type type, int64_t count, const void* values) {
  library_->check(library_->functions().set_attribute(raw_, static_cast<int>(attribute),
                                                      static_cast<int>(type), count, values),
                  "setting attribute " + std::to_string(static_cast<int>(attribute)));
}

void Descriptor::finalize(const std::string& doing) {
  library_->check(library_->functions().finalize(raw_), doing);
}

bool Descriptor::try_finalize() { return library_->functions().finalize(raw_) == kSuccess; }

int64_t Descriptor::get(Attribute attribute, Type type, int64_t capacity, void* values) const {
  int64_t count = -1;
  const Status status = library_->functions().get_attribute(
      raw_, static_cast<int>(attribute), static_cast<int>(type), capacity, &count, values);
  return status == kSuccess ? count : -1;
}

}  // namespace face::cuda::cudnn
