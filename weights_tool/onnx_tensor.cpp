// SPDX-License-Identifier: MIT
#include "weights_tool/onnx_tensor.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <fstream>
#include <utility>

#include "engine/error.h"

namespace face::onnx {
namespace {

namespace fs = std::filesystem;
using ::onnx::TensorProto;

constexpr int64_t kMaxElements = int64_t{1} << 31;

[[noreturn]] void fail(const std::string& reason) { throw Error(ErrorKind::kBadModel, reason); }

float from_half(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 1023;
  const uint32_t sign = uint32_t(bits & 0x8000) << 16;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | uint32_t(mantissa) << 13);
}

float from_bfloat(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

std::string dtype_name(int dtype) {
  return TensorProto::DataType_IsValid(dtype)
             ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(dtype))
             : std::to_string(dtype);
}

/// Bytes of one element in raw and external data; fails for what is not a number.
size_t element_size(int dtype) {
  switch (dtype) {
    case TensorProto::BOOL:
    case TensorProto::INT8:
    case TensorProto::UINT8:
      return 1;
    case TensorProto::INT16:
    case TensorProto::UINT16:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return 2;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return 4;
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
    case TensorProto::UINT64:
      return 8;
    default:
      fail("dtype " + dtype_name(dtype) + " is not known");
  }
}

bool is_float(int dtype) {
  return dtype == TensorProto::FLOAT || dtype == TensorProto::DOUBLE ||
         dtype == TensorProto::FLOAT16 || dtype == TensorProto::BFLOAT16;
}

template <typename T, typename Out, typename Convert>
std::vector<Out> unpack(const std::string& raw, Convert convert) {
  std::vector<Out> values(raw.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
    values[i] = convert(value);
  }
  return values;
}

std::vector<float> unpack_floats(const std::string& raw, int dtype) {
  if (dtype == TensorProto::FLOAT16) return unpack<uint16_t, float>(raw, from_half);
  if (dtype == TensorProto::BFLOAT16) return unpack<uint16_t, float>(raw, from_bfloat);
  if (dtype == TensorProto::DOUBLE)
    return unpack<double, float>(raw, [](double v) { return static_cast<float>(v); });
  std::vector<float> values(raw.size() / sizeof(float));
  if (!raw.empty()) std::memcpy(values.data(), raw.data(), raw.size());
  return values;
}

std::vector<int64_t> unpack_ints(const std::string& raw, int dtype) {
  const auto widen = [](auto v) { return static_cast<int64_t>(v); };
  switch (dtype) {
    case TensorProto::BOOL:
    case TensorProto::UINT8:
      return unpack<uint8_t, int64_t>(raw, widen);
    case TensorProto::INT8:
      return unpack<int8_t, int64_t>(raw, widen);
    case TensorProto::INT16:
      return unpack<int16_t, int64_t>(raw, widen);
    case TensorProto::UINT16:
      return unpack<uint16_t, int64_t>(raw, widen);
    case TensorProto::INT32:
      return unpack<int32_t, int64_t>(raw, widen);
    case TensorProto::UINT32:
      return unpack<uint32_t, int64_t>(raw, widen);
    default:
      return unpack<int64_t, int64_t>(raw, widen);
  }
}

void read_raw(Array& array, const std::string& raw, int dtype) {
  const size_t wanted = static_cast<size_t>(array.size()) * element_size(dtype);
  if (raw.size() != wanted)
    fail("raw data of " + std::to_string(raw.size()) + " bytes, its shape wants " +
         std::to_string(wanted));
  if (array.is_float)
    array.floats = unpack_floats(raw, dtype);
  else
    array.ints = unpack_ints(raw, dtype);
}

void read_typed(Array& array, const TensorProto& t) {
  const auto halves = [&](auto convert) {
    for (int32_t v : t.int32_data()) array.floats.push_back(convert(static_cast<uint16_t>(v)));
  };
  switch (t.data_type()) {
    case TensorProto::FLOAT:
      array.floats.assign(t.float_data().begin(), t.float_data().end());
      break;
    case TensorProto::DOUBLE:
      array.floats.assign(t.double_data().begin(), t.double_data().end());
      break;
    case TensorProto::FLOAT16:
      halves(from_half);
      break;
    case TensorProto::BFLOAT16:
      halves(from_bfloat);
      break;
    case TensorProto::INT64:
      array.ints.assign(t.int64_data().begin(), t.int64_data().end());
      break;
    case TensorProto::UINT32:
    case TensorProto::UINT64:
      array.ints.assign(t.uint64_data().begin(), t.uint64_data().end());
      break;
    default:
      array.ints.assign(t.int32_data().begin(), t.int32_data().end());
  }
  const size_t count = array.is_float ? array.floats.size() : array.ints.size();
  if (count != static_cast<size_t>(array.size()))
    fail(std::to_string(count) + " values, its shape wants " + std::to_string(array.size()));
}

uint64_t parse_number(const std::string& key, const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    fail("external data: " + key + " '" + text + "' is not a number");
  return value;
}

/// Where external data lies in its file.
struct External {
  std::string location;
  uint64_t offset = 0;
  uint64_t length = 0;
};

External external_of(const TensorProto& t, uint64_t wanted) {
  External e;
  e.length = wanted;
  for (const auto& entry : t.external_data()) {
    if (entry.key() == "location") e.location = entry.value();
    if (entry.key() == "offset") e.offset = parse_number("offset", entry.value());
    if (entry.key() == "length") e.length = parse_number("length", entry.value());
  }
  if (e.length != wanted)
    fail("external data of " + std::to_string(e.length) + " bytes, its shape wants " +
         std::to_string(wanted));
  return e;
}

/// The file that `location` names, refused if it lies outside `folder`, links followed.
fs::path resolve(const std::string& location, const fs::path& folder) {
  if (folder.empty()) fail("external data cannot be read from here");
  if (location.empty()) fail("external data: no location");
  std::error_code error;
  const fs::path base = fs::canonical(folder, error);
  fs::path path = error ? fs::path() : fs::canonical(base / location, error);
  if (error) fail("external data: '" + location + "' cannot be opened");
  if (std::mismatch(base.begin(), base.end(), path.begin(), path.end()).first != base.end())
    fail("external data: '" + location + "' lies outside the model's folder");
  return path;
}

std::string read_external(const External& e, const fs::path& folder) {
  std::ifstream in(resolve(e.location, folder), std::ios::binary | std::ios::ate);
  const auto size = in ? static_cast<int64_t>(in.tellg()) : -1;
  if (size < 0) fail("external data: '" + e.location + "' cannot be read");
  if (e.offset > static_cast<uint64_t>(size) || e.length > static_cast<uint64_t>(size) - e.offset)
    fail("external data: '" + e.location + "' ends before byte " +
         std::to_string(e.offset + e.length));
  std::string bytes(e.length, '\0');
  in.seekg(static_cast<std::streamoff>(e.offset));
  if (!in.read(bytes.data(), static_cast<std::streamsize>(e.length)))
    fail("external data: '" + e.location + "' cannot be read");
  return bytes;
}

std::vector<int64_t> dims_of(const TensorProto& t) {
  int64_t count = 1;
  for (int64_t d : t.dims()) {
    if (d < 0 || d > kMaxElements) fail("dimension " + std::to_string(d));
    count *= d;
    if (count > kMaxElements) fail("more than 2^31 values");
  }
  return {t.dims().begin(), t.dims().end()};
}

}  // namespace

std::shared_ptr<const Array> take_tensor(TensorProto& tensor, const fs::path& folder) {
  auto array = std::make_shared<Array>();
  array->dims = dims_of(tensor);
  const int dtype = tensor.data_type();
  const size_t size = element_size(dtype);
  array->is_float = is_float(dtype);
  if (tensor.data_location() == TensorProto::EXTERNAL) {
    const uint64_t wanted = static_cast<uint64_t>(array->size()) * size;
    read_raw(*array, read_external(external_of(tensor, wanted), folder), dtype);
  } else if (tensor.has_raw_data()) {
    const std::unique_ptr<std::string> raw(tensor.release_raw_data());
    read_raw(*array, *raw, dtype);
  } else {
    read_typed(*array, tensor);
  }
  tensor.Clear();
  return array;
}

}  // namespace face::onnx
