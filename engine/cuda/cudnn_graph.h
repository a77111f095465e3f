// SPDX-License-Identifier: MIT
// engine/cuda/cudnn_graph.h - one convolution of a network as a cuDNN operation graph, and the
// execution plans that cuDNN offers for it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cuda/cudnn_library.h"
#include "engine/cuda/cudnn_problem.h"

namespace face::cuda::cudnn {

/// cuDNN with a GPU to plan for. Threads: one at a time.
class Session {
 public:
  /// For the calling thread's current device. Throws Error(kDevice).
  explicit Session(std::shared_ptr<const Library> library);
  /// For a GPU described in cuDNN's JSON: plans can be built, never run. Needs cuDNN 9.11.
  Session(std::shared_ptr<const Library> library, const std::string& device_json);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  [[nodiscard]] const Library& library() const { return *library_; }
  [[nodiscard]] void* handle() const { return handle_; }
  [[nodiscard]] const std::optional<Descriptor>& device() const { return device_; }

 private:
  std::shared_ptr<const Library> library_;
  void* handle_ = nullptr;
  std::optional<Descriptor> device_;
};

struct Pointers {
  const void* in = nullptr;
  const void* weights = nullptr;
  const void* addend = nullptr;
  const void* bias = nullptr;  // halves
  void* out = nullptr;
  void* workspace = nullptr;
};

/// A finished execution plan. Borrows its Session.
class Plan {
 public:
  /// `parts` are the descriptors that `plan` was made of: they live as long as it does.
  Plan(const Session& session, const Problem& problem, std::string name,
       std::vector<Descriptor> parts, std::shared_ptr<const std::vector<Descriptor>> graph,
       Descriptor plan);

  /// Engine and knobs in one word, e.g. "eng41:k2=20:k13=0"; makes the same plan again.
  [[nodiscard]] const std::string& name() const { return name_; }
  /// "eng41"
  [[nodiscard]] std::string engine() const { return name_.substr(0, name_.find(':')); }
  [[nodiscard]] const Problem& problem() const { return problem_; }
  [[nodiscard]] size_t workspace_bytes() const { return workspace_; }
  /// May be captured. Throws Error(kDevice).
  void enqueue(const Pointers& pointers, cudaStream_t stream) const;

 private:
  const Session* session_;
  Problem problem_;
  std::string name_;
  size_t workspace_ = 0;
  std::shared_ptr<const std::vector<Descriptor>> graph_;
  std::vector<Descriptor> parts_;
  Descriptor plan_;
};

/// Plans for one problem.
class Graph {
 public:
  /// Throws Error(kDevice) if cuDNN has no such graph.
  Graph(const Session& session, const Problem& problem);

  /// The first `limit` plans of heuristic mode A, best guess first, of at most `workspace_limit`
  /// bytes. Left out: what is compiled when run, is not deterministic, adds in halves or by
  /// Winograd.
  [[nodiscard]] std::vector<Plan> plans(size_t limit, size_t workspace_limit) const;
  /// The plan of that name; none if this cuDNN does not build it.
  [[nodiscard]] std::optional<Plan> plan(const std::string& name) const;

 private:
  [[nodiscard]] std::vector<Descriptor> configurations() const;
  /// The plan of the configuration that is the last of `parts`.
  [[nodiscard]] std::optional<Plan> finish(std::vector<Descriptor> parts,
                                           const std::string& name) const;
  [[nodiscard]] const Descriptor& graph() const { return parts_->back(); }

  const Session& session_;
  Problem problem_;
  std::shared_ptr<const std::vector<Descriptor>> parts_;  // the operation graph is the last
};

}  // namespace face::cuda::cudnn
