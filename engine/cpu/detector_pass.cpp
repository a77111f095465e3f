// SPDX-License-Identifier: MIT
#include "engine/cpu/detector_pass.h"

namespace face {

DetectorPass::DetectorPass(std::unique_ptr<Executable> executable, int max_batch,
                           uint32_t first_index)
    : executable_(std::move(executable)),
      size_(executable_->input_shape().height),
      end_index_(first_index),
      input_(size_t(max_batch) * 3 * size_ * size_),
      slots_(max_batch) {
  const Network& network = executable_->network();
  normalisation_ = {network.input.pixel_mean, network.input.pixel_scale};
  const std::vector<Shape> shapes = infer_shapes(network, size_, size_);
  for (const DetectorLevel& level : network.levels) {
    const Shape& shape = shapes[level.tensor];
    const cpu::LevelView view{
        nullptr,       shape.height,        shape.width,       shape.channels,        level.stride,
        level.anchors, level.score_channel, level.box_channel, level.landmark_channel};
    levels_.push_back({level.tensor, view, end_index_});
    end_index_ += view.anchor_count();
  }
}

void DetectorPass::draw(cpu::Letterbox& letterbox, const ImageView& image, int slot) {
  const size_t floats = size_t(3) * size_ * size_;
  const cpu::InputImage out{input_.data() + slot * floats, size_, size_, PixelLayout::kNhwc};
  Slot& s = slots_[slot];
  s.fit = letterbox.run(image, normalisation_, out, s.drawn ? &s.fit : nullptr);
  s.drawn = true;
}

bool DetectorPass::decode(int slot, float threshold, cpu::Candidates& candidates) const {
  for (const Level& level : levels_) {
    cpu::LevelView view = level.view;
    view.data = executable_->output(level.tensor).data() +
                size_t(slot) * view.height * view.width * view.channels;
    if (!cpu::decode_level(view, threshold, slots_[slot].fit.scale, level.first_index, candidates))
      return false;
  }
  return true;
}

}  // namespace face
