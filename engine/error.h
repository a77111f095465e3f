// SPDX-License-Identifier: MIT
// engine/error.h - the one exception type of the project; the server maps its kind to a status.
#pragma once

#include <stdexcept>
#include <string>

namespace face {

enum class ErrorKind {
  kInvalidArgument,    // the caller broke a contract: message names the argument
  kBadModel,           // a weight file or ONNX file cannot be used: message names file and field
  kBadImage,           // not a picture, or broken: 400
  kUnsupportedFormat,  // a picture of a kind that is not decoded, named in the message: 415
  kTooLarge,           // over a limit that the message names: 413
  kBusy,               // no memory ticket or queue slot within the deadline: 503
  kDevice,             // CUDA, cuDNN or oneDNN failed: message names call, device, remedy
  kDeviceLost,         // the device cannot recover: the process has to be restarted
  kIo,                 // a file could not be read or written: message names it
  kInternal,           // a bug
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace face
