// SPDX-License-Identifier: MIT
#include "weights_tool/network_table.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace face {
namespace {

__attribute__((format(printf, 1, 2))) std::string format(const char* text, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, text);
  std::vsnprintf(line, sizeof(line), text, arguments);
  va_end(arguments);
  return line;
}

uint64_t weight_bytes(const Op& op) {
  return op.weights.size_bytes() + op.bias.size_bytes() + op.slopes.size_bytes();
}

std::string shape_text(const Shape& s) { return format("%dx%dx%d", s.channels, s.height, s.width); }

/// "3x3/2 g64": kernel, stride where it is not 1, groups where there are several.
std::string window_text(const Op& op) {
  if (op.kind != OpKind::kConv && op.kind != OpKind::kMaxPool && op.kind != OpKind::kAveragePool)
    return "";
  std::string text = format("%dx%d", op.kernel_h, op.kernel_w);
  if (op.stride_h != 1 || op.stride_w != 1) text += format("/%d", op.stride_h);
  if (op.groups != 1) text += format(" g%d", op.groups);
  return text;
}

/// What runs with the operation: bias, addend, activation.
std::string fused_text(const Network& network, const Op& op) {
  std::string text;
  if (op.bias_kind == BiasKind::kPerChannel) text += " bias";
  if (op.bias_kind == BiasKind::kBorder9) text += " border-bias";
  if (op.addend != kNoTensor)
    text += (op.addend_upsampled ? " +2x " : " +") + network.tensors[op.addend].name;
  if (op.activation != Activation::kNone) text += std::string(" ") + to_string(op.activation);
  return text.empty() ? text : text.substr(1);
}

std::string op_line(const Network& network, const Op& op, const std::vector<Shape>& shapes,
                    size_t name_width) {
  return format("  %-*s %-10s %-10s %-14s %10.2f %10.1f  %s\n", static_cast<int>(name_width),
                op.name.c_str(), to_string(op.kind), window_text(op).c_str(),
                shape_text(shapes[op.output]).c_str(),
                static_cast<double>(mac_count(op, shapes)) / 1e6,
                static_cast<double>(weight_bytes(op)) / 1024, fused_text(network, op).c_str());
}

std::string output_line(const Output& output, const std::vector<Shape>& shapes) {
  const Shape& s = shapes[output.tensor];
  return format("  output %s: %d x %d%s\n", output.name.c_str(),
                s.height * s.width * output.channel_count / output.columns, output.columns,
                output.sigmoid ? ", sigmoid" : "");
}

std::string totals(const Network& network, const std::vector<Shape>& shapes) {
  uint64_t macs = 0, bytes = 0, values = 0;
  for (const Op& op : network.ops) {
    macs += mac_count(op, shapes);
    bytes += weight_bytes(op);
  }
  for (const Shape& s : shapes) values += uint64_t(s.channels) * s.height * s.width;
  return format("  total: %zu operations, %.3f GMAC, %.2f MB of weights, %.2f M activations\n",
                network.ops.size(), static_cast<double>(macs) / 1e9,
                static_cast<double>(bytes) / 1e6, static_cast<double>(values) / 1e6);
}

}  // namespace

std::string network_table(const Network& network, int height, int width) {
  const std::vector<Shape> shapes = infer_shapes(network, height, width);
  size_t name_width = 4;
  for (const Op& op : network.ops) name_width = std::clamp(op.name.size(), name_width, size_t{40});
  std::string table = format("%s, input %s as (x - %g) * %g of RGB 0..255\n",
                             network.role == NetworkRole::kDetector ? "detector" : "recogniser",
                             shape_text(shapes[network.input.tensor]).c_str(),
                             network.input.pixel_mean, network.input.pixel_scale);
  table += format("  %-*s %-10s %-10s %-14s %10s %10s  %s\n", static_cast<int>(name_width), "name",
                  "kind", "window", "output", "MMAC", "KiB", "fused");
  for (const Op& op : network.ops) table += op_line(network, op, shapes, name_width);
  for (const Output& output : network.outputs) table += output_line(output, shapes);
  return table + totals(network, shapes);
}

}  // namespace face
