// SPDX-License-Identifier: MIT
// engine/pack.h - the weight file (.fwp): both networks, their weights, and where they come from.
// The bytes are described in weights_tool/FORMAT.md.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/network.h"

namespace face {

/// Where one network came from.
struct Source {
  NetworkRole role = NetworkRole::kDetector;
  std::string file_name;  // without its folder
  std::string sha256;     // lower-case hex
};

struct Provenance {
  std::string tool_version;
  std::string licence;     // licence note of the weights
  bool generated = false;  // seeded random weights: every answer is meaningless
  std::vector<Source> sources;
};

/// A weight file, mapped read-only; weights are used where they lie.
/// Threads: immutable after open(), any number of readers.
class Pack {
 public:
  /// Maps and checks the whole file: version, sections, checksums, graph.
  /// Errors: kIo - cannot be opened; kBadModel - message is "FILE: field: reason".
  [[nodiscard]] static std::shared_ptr<const Pack> open(const std::filesystem::path& path);

  virtual ~Pack() = default;
  /// The network, or nullptr if the file holds none of that role. Lives as long as the Pack.
  [[nodiscard]] virtual const Network* detector() const = 0;
  [[nodiscard]] virtual const Network* recogniser() const = 0;
  [[nodiscard]] virtual const Provenance& provenance() const = 0;
  /// 16 hex digits that change whenever a weight or the graph does.
  [[nodiscard]] virtual const std::string& fingerprint() const = 0;
  [[nodiscard]] virtual const std::filesystem::path& path() const = 0;
  /// Gives the memory of the mapped file back once its weights have been packed: reading them
  /// again is allowed and brings the pages back.
  virtual void release_pages() const {}
};

/// Writes a weight file: to a temporary file beside `path`, synced, then renamed. The bytes depend
/// on the arguments alone. Errors: kIo; kBadModel if a network fails validate().
void write_pack(const std::filesystem::path& path, const std::vector<const Network*>& networks,
                const Provenance& provenance);

}  // namespace face
