// SPDX-License-Identifier: MIT
#include "kernels/cuda/emu/turns.h"

#include <algorithm>
#include <utility>

#include "kernels/cuda/emu/block.h"

namespace face::cuda::emu {

uint64_t Turns::random() {
  state_ ^= state_ << 13;
  state_ ^= state_ >> 7;
  state_ ^= state_ << 17;
  return state_;
}

void Turns::start(int threads) {
  threads_ = threads;
  warps_ = (threads + kWarp - 1) / kWarp;
  state_ = config().seed * 0x9E3779B97F4A7C15ull | 1;
}

void Turns::shuffle_warps() {
  const Order order = config().order;
  for (int i = 0; i < warps_; ++i)
    order_[i] = static_cast<uint8_t>(order == Order::kReverse ? warps_ - 1 - i : i);
  if (order != Order::kRandom) return;
  for (int i = warps_; i > 1; --i) std::swap(order_[i - 1], order_[random() % i]);
  first_lane_ = static_cast<int>(random() % kWarp);
}

void Turns::all_ready() {
  shuffle_warps();
  for (int w = 0; w < warps_; ++w) {
    const int lanes = std::min(kWarp, threads_ - w * kWarp);
    ready_[w] = lanes == kWarp ? ~0u : (1u << lanes) - 1;
  }
}

int Turns::pick_lane(uint32_t ready) const {
  if (config().order == Order::kReverse) return 31 - __builtin_clz(ready);
  if (config().order == Order::kSequential) return __builtin_ctz(ready);
  const int r = first_lane_;
  const uint32_t rotated = r == 0 ? ready : ready >> r | ready << (kWarp - r);
  return (__builtin_ctz(rotated) + r) % kWarp;
}

int Turns::next() {
  for (int i = 0; i < warps_; ++i) {
    const int w = order_[i];
    if (ready_[w] == 0) continue;
    const int lane = pick_lane(ready_[w]);
    ready_[w] &= ~(1u << lane);
    return w * kWarp + lane;
  }
  return -1;
}

}  // namespace face::cuda::emu
