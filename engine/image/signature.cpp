// SPDX-License-Identifier: MIT
// engine/image/signature.cpp - the table of signatures.
#include "engine/image/signature.h"

#include <algorithm>
#include <optional>
#include <string>

#include "engine/error.h"

namespace face::image {
namespace {

using namespace std::string_view_literals;

struct Signature {
  size_t at;
  std::string_view text;
  const char* name;
};

constexpr Signature kRefused[] = {
    {0, "GIF87a"sv, "GIF"},
    {0, "GIF89a"sv, "GIF"},
    {0, "II*\0"sv, "TIFF"},
    {0, "MM\0*"sv, "TIFF"},
    {0, "II+\0"sv, "TIFF"},
    {0, "MM\0+"sv, "TIFF"},
    {0, "II\xbc"sv, "JPEG XR"},
    {0, "IIRO"sv, "camera raw"},
    {0, "FUJIFILMCCD-RAW"sv, "camera raw"},
    {0, "\xff\x0a"sv, "JPEG XL"},
    {0, "\0\0\0\x0cJXL \r\n\x87\n"sv, "JPEG XL"},
    {0, "\0\0\0\x0cjP  \r\n\x87\n"sv, "JPEG 2000"},
    {0, "\xff\x4f\xff\x51"sv, "JPEG 2000"},
    {0, "8BPS"sv, "PSD"},
    {0, "\0\0\1\0"sv, "ICO"},
    {0, "\0\0\2\0"sv, "CUR"},
    {0, "qoif"sv, "QOI"},
    {0, "%PDF"sv, "PDF"},
    {0, "%!PS"sv, "PostScript"},
    {0, "<svg"sv, "SVG"},
    {0, "v/1\x01"sv, "OpenEXR"},
    {0, "#?RADIANCE"sv, "Radiance HDR"},
    {0, "#?RGBE"sv, "Radiance HDR"},
    {0, "DDS "sv, "DDS"},
    {0, "FLIF"sv, "FLIF"},
    {0, "BPG\xfb"sv, "BPG"},
    {0, "gimp xcf"sv, "XCF"},
    {0, "farbfeld"sv, "farbfeld"},
    {0, "SIMPLE  ="sv, "FITS"},
    {0, "\x8aMNG\r\n\x1a\n"sv, "MNG"},
    {0, "\x8bJNG\r\n\x1a\n"sv, "JNG"},
    {0, "AT&TFORM"sv, "DjVu"},
    {0, "\x1a\x45\xdf\xa3"sv, "Matroska or WebM video"},
    {128, "DICM"sv, "DICOM"},
};

// Brands of ISO base media files, at byte 8 behind "ftyp".
constexpr Signature kBrands[] = {
    {8, "avif"sv, "AVIF"},
    {8, "avis"sv, "AVIF"},
    {8, "heic"sv, "HEIC"},
    {8, "heix"sv, "HEIC"},
    {8, "hevc"sv, "HEIC"},
    {8, "hevx"sv, "HEIC"},
    {8, "heim"sv, "HEIC"},
    {8, "heis"sv, "HEIC"},
    {8, "mif1"sv, "HEIF"},
    {8, "msf1"sv, "HEIF"},
    {8, "jxl "sv, "JPEG XL"},
    {8, "crx "sv, "camera raw"},
    {8, "qt  "sv, "QuickTime video"},
};

bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Portable anymaps: P1 to P7, Pf, PF and white space.
bool is_anymap(Bytes b) {
  return b.size() >= 3 && b[0] == 'P' && is_space(b[2]) &&
         ((b[1] >= '1' && b[1] <= '7') || b[1] == 'f' || b[1] == 'F');
}

/// An XML document with an <svg> element near its start.
bool is_svg(Bytes b) {
  std::string_view head(reinterpret_cast<const char*>(b.data()), std::min<size_t>(b.size(), 1024));
  if (head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
  while (!head.empty() && is_space(static_cast<uint8_t>(head[0]))) head.remove_prefix(1);
  return head.starts_with('<') && head.find("<svg") != head.npos;
}

const char* refused_name(Bytes b) {
  for (const Signature& s : kRefused) {
    if (has_at(b, s.at, s.text)) return s.name;
  }
  if (has_at(b, 4, "ftyp")) {
    for (const Signature& s : kBrands) {
      if (has_at(b, s.at, s.text)) return s.name;
    }
    return "MP4 video";
  }
  if (is_anymap(b)) return "PNM";
  return is_svg(b) ? "SVG" : nullptr;
}

std::optional<ImageFormat> decoded_format(Bytes b) {
  if (has_at(b, 0, "\xff\xd8\xff"sv)) return ImageFormat::kJpeg;
  if (has_at(b, 0, "\x89PNG\r\n\x1a\n"sv)) return ImageFormat::kPng;
  if (has_at(b, 0, "RIFF") && has_at(b, 8, "WEBP")) return ImageFormat::kWebp;
  if (has_at(b, 0, "BM")) return ImageFormat::kBmp;
  return std::nullopt;
}

}  // namespace

ImageFormat sniff(Bytes bytes) {
  if (bytes.empty()) throw Error(ErrorKind::kBadImage, "Invalid image format: the file is empty");
  if (const auto format = decoded_format(bytes)) return *format;
  if (const char* name = refused_name(bytes)) {
    throw Error(ErrorKind::kUnsupportedFormat,
                std::string(name) + " is not supported; send JPEG, PNG, WebP or BMP");
  }
  throw Error(ErrorKind::kBadImage, "Invalid image format: not a picture of a known kind");
}

}  // namespace face::image
