// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>

#include "engine/error.h"
#include "weights_tool/onnx_graph.h"
#include "weights_tool/onnx_tensor.h"
#include "weights_tool/sha256.h"

namespace face::onnx {
namespace {

namespace fs = std::filesystem;
using ::onnx::AttributeProto;

constexpr int64_t kMinOpset = 9;
constexpr int64_t kMaxOpset = 17;

/// A file's bytes, mapped until the end of its life.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};
    const bool opened = fd >= 0 && ::fstat(fd, &status) == 0;
    if (opened && S_ISREG(status.st_mode) && status.st_size > 0) {
      size_ = static_cast<size_t>(status.st_size);
      data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    const int error = errno;
    if (fd >= 0) ::close(fd);
    const std::string name = path.filename().string();
    if (!opened || (size_ > 0 && data_ == MAP_FAILED))
      throw Error(ErrorKind::kIo, name + ": cannot read: " + std::strerror(error));
    if (size_ == 0) throw Error(ErrorKind::kBadModel, name + ": empty, or not a file");
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() {
    if (data_ != MAP_FAILED) ::munmap(data_, size_);
  }
  [[nodiscard]] std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = MAP_FAILED;
  size_t size_ = 0;
};

/// Turns one parsed model into a Graph, emptying it on the way.
class GraphReader {
 public:
  GraphReader(::onnx::ModelProto& model, std::string file, fs::path folder)
      : model_(model), proto_(*model.mutable_graph()), folder_(std::move(folder)) {
    graph_.file = std::move(file);
  }

  Graph run() {
    graph_.producer = model_.producer_name();
    graph_.opset = opset();
    if (proto_.sparse_initializer_size() > 0) fail("sparse initializers are not known");
    read_initializers();
    for (const auto& v : proto_.input())
      if (!graph_.initializers.contains(v.name())) graph_.inputs.push_back(value_info(v));
    for (const auto& v : proto_.output()) graph_.outputs.push_back(value_info(v));
    for (int i = 0; i < proto_.node_size(); ++i)
      graph_.nodes.push_back(read_node(*proto_.mutable_node(i), i));
    sort_nodes();
    return std::move(graph_);
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw Error(ErrorKind::kBadModel, graph_.file + ": " + reason);
  }
  [[noreturn]] void fail(const Node& node, const std::string& reason) const {
    fail("node " + node.name + ": " + reason);
  }

  int64_t opset() const {
    for (const auto& import : model_.opset_import()) {
      if (!import.domain().empty() && import.domain() != "ai.onnx") continue;
      if (import.version() < kMinOpset || import.version() > kMaxOpset)
        fail("opset " + std::to_string(import.version()) + ", known are " +
             std::to_string(kMinOpset) + " to " + std::to_string(kMaxOpset));
      return import.version();
    }
    fail("not ONNX, or truncated: no opset");
  }

  void read_initializers() {
    for (auto& tensor : *proto_.mutable_initializer()) {
      const std::string name = tensor.name();
      if (!graph_.initializers.emplace(name, read_initializer(tensor, name)).second)
        fail("initializer '" + name + "': defined twice");
    }
  }

  std::shared_ptr<const Array> read_initializer(::onnx::TensorProto& tensor,
                                                const std::string& name) const {
    try {
      return take_tensor(tensor, folder_);
    } catch (const Error& e) {
      fail("initializer '" + name + "': " + e.what());
    }
  }

  ValueInfo value_info(const ::onnx::ValueInfoProto& proto) const {
    ValueInfo info{proto.name(), {}};
    if (!proto.type().has_tensor_type()) fail("'" + proto.name() + "' is not a tensor");
    for (const auto& dim : proto.type().tensor_type().shape().dim())
      info.dims.push_back(dim.has_dim_value() && dim.dim_value() > 0 ? dim.dim_value() : -1);
    return info;
  }

  Node read_node(::onnx::NodeProto& proto, int index) const {
    Node node;
    node.op_type = proto.op_type();
    node.name = proto.name().empty() ? proto.op_type() + "_" + std::to_string(index) : proto.name();
    node.inputs.assign(proto.input().begin(), proto.input().end());
    node.outputs.assign(proto.output().begin(), proto.output().end());
    if (!proto.domain().empty() && proto.domain() != "ai.onnx")
      fail(node, "op " + proto.domain() + "." + proto.op_type() + " is not known");
    for (auto& attribute : *proto.mutable_attribute())
      node.attributes.emplace(attribute.name(), read_attribute(attribute, node));
    return node;
  }

  Attribute read_attribute(AttributeProto& a, const Node& node) const {
    switch (a.type()) {
      case AttributeProto::INT:
        return a.i();
      case AttributeProto::FLOAT:
        return a.f();
      case AttributeProto::STRING:
        return a.s();
      case AttributeProto::INTS:
        return std::vector<int64_t>(a.ints().begin(), a.ints().end());
      case AttributeProto::FLOATS:
        return std::vector<float>(a.floats().begin(), a.floats().end());
      case AttributeProto::TENSOR:
        try {
          return take_tensor(*a.mutable_t(), folder_);
        } catch (const Error& e) {
          fail(node, "attribute '" + a.name() + "': " + e.what());
        }
      default:
        fail(node, "attribute '" + a.name() + "' of kind " +
                       AttributeProto::AttributeType_Name(a.type()) + " is not known");
    }
  }

  /// Names that are there before any node runs.
  std::set<std::string> given_names() const {
    std::set<std::string> names{""};
    for (const auto& [name, array] : graph_.initializers) names.insert(name);
    for (const ValueInfo& input : graph_.inputs) names.insert(input.name);
    return names;
  }

  void check_names(const std::set<std::string>& given) const {
    std::set<std::string> known = given;
    for (const Node& node : graph_.nodes)
      for (const std::string& name : node.outputs)
        if (!name.empty() && !known.insert(name).second)
          fail(node, "writes '" + name + "', which exists already");
    for (const Node& node : graph_.nodes)
      for (const std::string& name : node.inputs)
        if (!known.contains(name)) fail(node, "input '" + name + "' is produced by nothing");
    for (const ValueInfo& output : graph_.outputs)
      if (!known.contains(output.name)) fail("output '" + output.name + "' is produced by nothing");
  }

  /// Brings nodes into an order in which they can run; one that has it already is kept as it is.
  void sort_nodes() {
    std::set<std::string> ready = given_names();
    check_names(ready);
    std::vector<Node> waiting = std::move(graph_.nodes), sorted;
    while (!waiting.empty()) {
      std::vector<Node> later;
      for (Node& node : waiting) {
        bool runs = true;
        for (const std::string& name : node.inputs) runs = runs && ready.contains(name);
        if (runs) ready.insert(node.outputs.begin(), node.outputs.end());
        (runs ? sorted : later).push_back(std::move(node));
      }
      if (later.size() == waiting.size()) fail(later.front(), "is part of a cycle");
      waiting = std::move(later);
    }
    graph_.nodes = std::move(sorted);
  }

  ::onnx::ModelProto& model_;
  ::onnx::GraphProto& proto_;
  const fs::path folder_;
  Graph graph_;
};

::onnx::ModelProto parse_model(std::string_view bytes, const std::string& file) {
  const auto fail = [&](const std::string& reason) {
    throw Error(ErrorKind::kBadModel, file + ": " + reason);
  };
  if (bytes.size() > INT_MAX) fail("larger than 2 GiB");
  ::onnx::ModelProto model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    fail("not ONNX, or truncated");
  if (!model.has_graph() || model.graph().node_size() == 0)
    fail("not ONNX, or truncated: no graph");
  return model;
}

}  // namespace

Graph read_onnx(const fs::path& path) {
  const std::string file = path.filename().string();
  ::onnx::ModelProto model;
  std::string sha256;
  {
    const MappedFile mapped(path);
    sha256 = sha256_hex(mapped.bytes());
    model = parse_model(mapped.bytes(), file);
  }
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  Graph graph = GraphReader(model, file, folder).run();
  graph.sha256 = std::move(sha256);
  return graph;
}

Graph parse_onnx(std::string bytes, const std::string& file) {
  std::string sha256 = sha256_hex(bytes);
  ::onnx::ModelProto model = parse_model(bytes, file);
  std::string().swap(bytes);
  Graph graph = GraphReader(model, file, {}).run();
  graph.sha256 = std::move(sha256);
  return graph;
}

}  // namespace face::onnx
