// SPDX-License-Identifier: MIT
// engine/precision.cpp - names of precisions.
#include "engine/backend.h"
#include "engine/error.h"

namespace face {

const char* to_string(Precision precision) {
  switch (precision) {
    case Precision::kAuto:
      return "auto";
    case Precision::kFp32:
      return "fp32";
    case Precision::kBf16:
      return "bf16";
    case Precision::kFp16:
      return "fp16";
  }
  throw Error(ErrorKind::kInternal, "unknown precision");
}

Precision parse_precision(const std::string& text) {
  for (const Precision precision :
       {Precision::kAuto, Precision::kFp32, Precision::kBf16, Precision::kFp16}) {
    if (text == to_string(precision)) return precision;
  }
  throw Error(ErrorKind::kInvalidArgument,
              "precision \"" + text + "\" is none of " + kPrecisionWords);
}

}  // namespace face
