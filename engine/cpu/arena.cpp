// SPDX-License-Identifier: MIT
#include "engine/cpu/arena.h"

#include <algorithm>
#include <numeric>

namespace face::cpu {
namespace {

/// One place: the tensor that names it, its size and the times at which it is needed. An op takes
/// two of them; an ordinary one needs all of its tensors at both.
struct Place {
  size_t floats = 0;
  int first = 0, last = 0;
  size_t offset = 0;
};

size_t whole_lines(size_t floats) { return (floats + 15) / 16 * 16; }

bool reads_first(const std::vector<OpMemory>& memory, size_t op) {
  return op < memory.size() && memory[op].reads_input_first;
}

/// When each tensor is needed for the last time: by an op that reads it, or the one that writes it
/// if none does.
std::vector<int> last_uses(const Network& network, const std::vector<OpMemory>& memory) {
  std::vector<int> last(network.tensors.size(), 0);
  for (size_t i = 0; i < network.ops.size(); ++i) {
    const Op& op = network.ops[i];
    const int begin = static_cast<int>(2 * i), end = begin + 1;
    last[op.input] = reads_first(memory, i) ? begin : end;
    for (const TensorId id : {op.output, op.addend})
      if (id != kNoTensor) last[id] = end;
  }
  return last;
}

bool overlap(const Place& a, const Place& b) { return a.first <= b.last && b.first <= a.last; }

/// Lowest offset at which `place` collides with none of `placed`.
size_t lowest_gap(const Place& place, std::vector<const Place*> placed) {
  std::erase_if(placed, [&](const Place* other) { return !overlap(place, *other); });
  std::sort(placed.begin(), placed.end(),
            [](const Place* a, const Place* b) { return a->offset < b->offset; });
  size_t offset = 0;
  for (const Place* other : placed) {
    if (offset + place.floats <= other->offset) break;
    offset = std::max(offset, other->offset + other->floats);
  }
  return offset;
}

void assign_offsets(std::vector<Place>& places) {
  std::vector<size_t> order(places.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return places[a].floats > places[b].floats; });
  std::vector<const Place*> placed;
  for (const size_t i : order) {
    places[i].offset = lowest_gap(places[i], placed);
    placed.push_back(&places[i]);
  }
}

}  // namespace

std::vector<bool> leaving_tensors(const Network& network) {
  std::vector<bool> leaving(network.tensors.size(), false);
  for (const Output& output : network.outputs) leaving[output.tensor] = true;
  for (const DetectorLevel& level : network.levels) leaving[level.tensor] = true;
  return leaving;
}

ArenaPlan plan_arena(const Network& network, const std::vector<size_t>& floats,
                     const std::vector<OpMemory>& memory) {
  const std::vector<bool> leaving = leaving_tensors(network);
  const std::vector<int> last = last_uses(network, memory);
  std::vector<Place> places;
  std::vector<int> place_of(network.tensors.size(), -1);
  const auto add_place = [&](TensorId id, int first) {
    if (leaving[id]) return;
    place_of[id] = static_cast<int>(places.size());
    places.push_back({whole_lines(floats[id]), first, last[id], 0});
  };
  add_place(network.input.tensor, 0);
  for (size_t i = 0; i < network.ops.size(); ++i) {
    const Op& op = network.ops[i];
    const int begin = static_cast<int>(2 * i) + (reads_first(memory, i) ? 1 : 0);
    const int end = static_cast<int>(2 * i) + 1;
    const bool reuse = op.addend != kNoTensor && op.addend != op.input &&
                       floats[op.addend] == floats[op.output] && !op.addend_upsampled &&
                       !leaving[op.output] && place_of[op.addend] >= 0 && last[op.addend] == end;
    if (!reuse) {
      add_place(op.output, begin);
      continue;
    }
    place_of[op.output] = place_of[op.addend];
    places[place_of[op.output]].last = last[op.output];
  }
  const size_t tensor_places = places.size();
  for (size_t i = 0; i < memory.size(); ++i)
    places.push_back({whole_lines(memory[i].scratch), int(2 * i), int(2 * i + 1), 0});
  assign_offsets(places);
  ArenaPlan plan;
  for (size_t i = tensor_places; i < places.size(); ++i)
    plan.scratch_offset.push_back(places[i].offset);
  plan.offset.assign(network.tensors.size(), ArenaPlan::kNone);
  for (size_t id = 0; id < plan.offset.size(); ++id)
    if (place_of[id] >= 0) plan.offset[id] = places[place_of[id]].offset;
  for (const Place& place : places)
    plan.floats = std::max(plan.floats, place.offset + place.floats);
  return plan;
}

}  // namespace face::cpu
