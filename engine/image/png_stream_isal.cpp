// SPDX-License-Identifier: MIT
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <memory>

#include "engine/image/png_stream.h"

namespace face::image {
namespace {

constexpr size_t kSignatureBytes = 8, kChunkFrame = 12;  // frame: length, name, checksum
constexpr size_t kZlibHeader = 2, kZlibTrailer = 4;      // of the stream that chunks hold

uint8_t byte(size_t value) { return static_cast<uint8_t>(value); }

/// Picture data of a PNG: the first IDAT chunk and those that follow it without another between.
class IdatChunks {
 public:
  /// REQUIRES: probe_png() took the file.
  explicit IdatChunks(Bytes file) : file_(file) {
    while (!at_idat()) skip();
    begin_ = at_;
    while (at_idat()) skip();
    end_ = at_;
    at_ = begin_;
  }

  /// What the next chunk that is not empty holds; none after the last, or if a checksum is wrong.
  [[nodiscard]] Bytes next() {
    while (at_ < end_ && !checksum_wrong_) {
      const Bytes named = file_.subspan(at_ + 4, be32(file_, at_) + 4);
      skip();
      checksum_wrong_ = crc32_gzip_refl(0, named.data(), named.size()) != be32(file_, at_ - 4);
      if (named.size() > 4 && !checksum_wrong_) return named.subspan(4);
    }
    return {};
  }
  [[nodiscard]] bool checksum_wrong() const { return checksum_wrong_; }

  [[nodiscard]] Bytes before() const { return file_.first(begin_); }  // what is not of the chunks
  [[nodiscard]] Bytes behind() const { return file_.subspan(end_); }

 private:
  [[nodiscard]] bool at_idat() const { return has_at(file_, at_ + 4, "IDAT"); }
  void skip() { at_ += be32(file_, at_) + kChunkFrame; }

  Bytes file_;
  size_t at_ = kSignatureBytes, begin_ = 0, end_ = 0;
  bool checksum_wrong_ = false;
};

/// The zlib stream in the chunks, inflated part by part.
class Inflater {
 public:
  enum class State {
    kRunning,
    kDone,    // the stream has ended
    kBroken,  // no deflate stream from here on
    kCut,     // the chunks ended within the stream
  };
  static constexpr size_t kMaxPart = 65'535;  // what a stored block holds

  explicit Inflater(IdatChunks& chunks) : chunks_(chunks) { isal_inflate_init(&isal_); }

  /// The first bytes of the stream, before the first next().
  [[nodiscard]] std::array<uint8_t, kZlibHeader> header() {
    std::array<uint8_t, kZlibHeader> header{};
    for (uint8_t& each : header) {
      if (!has_input()) break;
      each = *isal_.next_in++;
      --isal_.avail_in;
    }
    return header;
  }

  /// Writes what the next kMaxInput bytes or less give: kMaxPart bytes at most, perhaps none.
  [[nodiscard]] size_t next(uint8_t* to) {
    isal_.next_out = to;
    isal_.avail_out = kMaxPart;
    if (state_ == State::kRunning) step();
    // At a fault ISA-L 2.30 counts bytes that it did not write.
    return state_ == State::kBroken ? 0 : kMaxPart - isal_.avail_out;
  }
  [[nodiscard]] State state() const { return state_; }

 private:
  void step() {
    const bool more = has_input();
    const bool sound = isal_inflate(&isal_) == ISAL_DECOMP_OK;
    const bool wants_more = isal_.avail_out > 0;
    if (sound && isal_.block_state == ISAL_BLOCK_FINISH) {
      state_ = has_trailer() ? State::kDone : State::kCut;
    } else if (!sound || (wants_more && isal_.avail_in > 0)) {
      state_ = State::kBroken;  // or stuck: it must not be asked for ever
    } else if (wants_more && !more) {
      state_ = State::kCut;
    }
  }

  [[nodiscard]] bool has_input() {
    if (isal_.avail_in > 0) return true;
    if (chunk_.empty()) chunk_ = chunks_.next();
    if (chunk_.empty()) return false;
    const size_t size = std::min(chunk_.size(), kMaxInput);
    isal_.next_in = const_cast<uint8_t*>(chunk_.data());  // only read
    isal_.avail_in = static_cast<uint32_t>(size);
    chunk_ = chunk_.subspan(size);
    return true;
  }

  /// Some of what follows the last block may have been read already.
  [[nodiscard]] bool has_trailer() {
    size_t left = static_cast<size_t>(isal_.read_in_length) / 8;
    while (left < kZlibTrailer && has_input()) {
      left += isal_.avail_in;
      isal_.avail_in = 0;
    }
    return left >= kZlibTrailer;
  }

  /// 64 kB of blocks that hold nothing take 4 ms.
  static constexpr size_t kMaxInput = size_t{64} << 10;

  IdatChunks& chunks_;
  Bytes chunk_;  // what isal_ was not given of it
  inflate_state isal_;
  State state_ = State::kRunning;
};

class IsalPngStream final : public PngStream {
 public:
  IsalPngStream(Bytes file, size_t max_data)
      : chunks_(file),
        inflater_(chunks_),
        data_left_(max_data),
        buffer_(std::make_unique_for_overwrite<uint8_t[]>(kHeaders + Inflater::kMaxPart)) {}

  bool read(uint8_t* to, size_t count) override {
    while (count > 0) {
      if (piece_.empty() && !next_piece()) return false;
      const size_t now = std::min(count, piece_.size());
      std::memcpy(to, piece_.data(), now);
      piece_ = piece_.subspan(now);
      to += now;
      count -= now;
    }
    return true;
  }
  const char* fault() const override {
    if (chunks_.checksum_wrong()) return "IDAT: CRC error";
    return broken_ ? "IDAT: broken deflate stream" : nullptr;
  }
  bool checks_data() const override { return true; }
  void skip_data() override {
    piece_ = {};
    part_ = Part::kTail;
  }

 private:
  enum class Part { kHead, kChunks, kTail, kNothing };
  static constexpr std::initializer_list<uint8_t> kNoChecksum = {0, 0, 0, 0};
  static constexpr size_t kHeaders = 4 + 8 + kZlibHeader + 5;  // as in frame_, before a block

  bool next_piece() {
    switch (part_) {
      case Part::kHead:
        piece_ = chunks_.before();
        part_ = Part::kChunks;
        return true;
      case Part::kChunks:
        next_chunk();
        return !chunks_.checksum_wrong();
      case Part::kTail:
        piece_ = chunks_.behind();
        part_ = Part::kNothing;
        return rest_is_sound();
      case Part::kNothing:
        break;
    }
    return false;
  }

  /// Chunks behind the end of the stream count too.
  bool rest_is_sound() {
    while (!chunks_.next().empty()) {
    }
    return !chunks_.checksum_wrong();
  }

  /// A chunk with one stored block, or with what ends the stream.
  void next_chunk() {
    if (!begun_) zlib_header_ = inflater_.header();
    uint8_t* data = buffer_.get() + kHeaders;
    const size_t size = std::min(inflater_.next(data), data_left_);
    data_left_ -= size;
    frame_bytes_ = 0;
    if (begun_) put(kNoChecksum);
    if (size == 0 && (data_left_ == 0 || inflater_.state() != Inflater::State::kRunning)) {
      put_end();
      piece_ = {frame_.data(), frame_bytes_};
      part_ = Part::kTail;
      return;
    }
    put_chunk({0, byte(size), byte(size >> 8), byte(~size), byte(~size >> 8)}, size);
    std::memcpy(data - frame_bytes_, frame_.data(), frame_bytes_);
    piece_ = {data - frame_bytes_, frame_bytes_ + size};
  }

  /// Puts nothing if there is too little data: libpng says so when it finds no chunk.
  void put_end() {
    broken_ = data_left_ == 0 || inflater_.state() == Inflater::State::kBroken;
    if (broken_) {
      put_chunk({7}, 0);  // no type of block
    } else if (inflater_.state() == Inflater::State::kDone) {
      put_chunk({1, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, 0);  // the last block, checksum
    } else {
      return;
    }
    put(kNoChecksum);
  }

  /// Its `data` bytes follow.
  void put_chunk(std::initializer_list<uint8_t> block_header, size_t data) {
    const size_t size = (begun_ ? 0 : kZlibHeader) + block_header.size() + data;
    put({byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size), 'I', 'D', 'A', 'T'});
    if (!begun_) put({zlib_header_[0], zlib_header_[1]});
    put(block_header);
    begun_ = true;
  }

  void put(std::initializer_list<uint8_t> bytes) {
    std::copy(bytes.begin(), bytes.end(), frame_.begin() + static_cast<ptrdiff_t>(frame_bytes_));
    frame_bytes_ += bytes.size();
  }

  IdatChunks chunks_;
  Inflater inflater_;
  size_t data_left_;
  Part part_ = Part::kHead;  // what comes after piece_
  Bytes piece_;
  std::array<uint8_t, kZlibHeader> zlib_header_{};
  std::array<uint8_t, 32> frame_{};  // last chunk's checksum, chunk's and block's headers
  size_t frame_bytes_ = 0;
  std::unique_ptr<uint8_t[]> buffer_;    // room for headers, then inflated data
  bool begun_ = false, broken_ = false;  // begun: there was a chunk
};

}  // namespace

std::unique_ptr<PngStream> open_png_stream(Bytes file, size_t max_data) {
  return std::make_unique<IsalPngStream>(file, max_data);
}

}  // namespace face::image
