// SPDX-License-Identifier: MIT
// engine/cpu/detector_pass.h - the detector at one input size, with its input and decoding.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/backend.h"
#include "kernels/cpu/decode.h"
#include "kernels/cpu/letterbox.h"
#include "kernels/math/pixel.h"

namespace face {

/// Threads: draw() and decode() of different slots may run at the same time.
class DetectorPass {
 public:
  /// first_index: number of anchors of the passes before this one.
  DetectorPass(std::unique_ptr<Executable> executable, int max_batch, uint32_t first_index);

  /// Letterboxes `image` into slot `slot` of the batch. letterbox.size() is size().
  void draw(cpu::Letterbox& letterbox, const ImageView& image, int slot);
  void run(int batch) { executable_->run(input_.data(), batch); }
  /// Adds the candidates of a slot; false if the network gave what is not a number.
  [[nodiscard]] bool decode(int slot, float threshold, cpu::Candidates& candidates) const;

  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] uint32_t end_index() const { return end_index_; }
  [[nodiscard]] const Executable& executable() const { return *executable_; }
  [[nodiscard]] size_t input_bytes() const { return input_.size() * sizeof(float); }

 private:
  struct Level {
    TensorId tensor;
    cpu::LevelView view;  // data is filled in by decode()
    uint32_t first_index;
  };
  struct Slot {
    Fit fit;
    bool drawn = false;
  };

  std::unique_ptr<Executable> executable_;
  int size_;
  Normalisation normalisation_;
  std::vector<Level> levels_;
  uint32_t end_index_;
  std::vector<float> input_;  // (max_batch, size, size, 3)
  std::vector<Slot> slots_;
};

}  // namespace face
