// SPDX-License-Identifier: MIT
// tests/server/raw_client.h - a client that sends bytes as they are, and a small answer reader.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

namespace face::test {

struct RawAnswer {
  int status = 0;                              // 0: the connection ended without an answer
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

/// A blocking connection to 127.0.0.1. Every wait ends after 20 s.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    const int at_once = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(uint16_t(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawClient() { hang_up(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  void hang_up() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void finish_sending() { ::shutdown(fd_, SHUT_WR); }

  /// False if the server stopped reading first.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t put = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (put <= 0) return false;
      bytes.remove_prefix(size_t(put));
    }
    return true;
  }

  /// Reads one answer; without_body for answers to HEAD.
  RawAnswer receive(bool without_body = false) {
    RawAnswer answer;
    while (buffer_.find("\r\n\r\n") == std::string::npos) {
      if (!fill()) return answer;
    }
    const size_t end = buffer_.find("\r\n\r\n");
    read_head(buffer_.substr(0, end), &answer);
    buffer_.erase(0, end + 4);
    const size_t length = without_body || answer.status < 200
                              ? 0
                              : size_t(std::atoll(answer.headers["content-length"].c_str()));
    while (buffer_.size() < length && fill()) {
    }
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, std::min(length, buffer_.size()));
    return answer;
  }

  RawAnswer ask(std::string_view request) {
    send(request);
    return receive(request.substr(0, 5) == "HEAD ");
  }

  /// Everything until the server closes; what receive() has not used included.
  std::string rest() {
    while (fill()) {
    }
    return std::exchange(buffer_, {});
  }

  /// True if the server closes without sending anything more.
  bool closes() { return rest().empty(); }

 private:
  bool fill() {
    char bytes[65'536];
    const ssize_t got = ::recv(fd_, bytes, sizeof(bytes), 0);
    if (got <= 0) return false;
    buffer_.append(bytes, size_t(got));
    return true;
  }

  static void read_head(const std::string& head, RawAnswer* answer) {
    answer->status = head.size() > 12 ? std::atoi(head.c_str() + 9) : 0;
    size_t line = head.find("\r\n");
    while (line != std::string::npos) {
      const size_t begin = line + 2;
      line = head.find("\r\n", begin);
      const std::string text = head.substr(begin, line - begin);
      const size_t colon = text.find(": ");
      std::string name = text.substr(0, colon);
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return char(std::tolower(c)); });
      answer->headers[name] = colon == std::string::npos ? "" : text.substr(colon + 2);
    }
  }

  int fd_;
  bool connected_ = false;
  std::string buffer_;
};

/// A POST of `body`, with its length.
inline std::string post(const std::string& path, const std::string& body,
                        const std::string& headers = {}) {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

constexpr const char* kFormType = "Content-Type: multipart/form-data; boundary=XyZ\r\n";

inline std::string form_part(const std::string& name, const std::string& file_name,
                             const std::string& content) {
  return "--XyZ\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"" + file_name +
         "\"\r\nContent-Type: image/jpeg\r\n\r\n" + content + "\r\n";
}

/// A form with one part, posted.
inline std::string post_picture(const std::string& path, const std::string& name,
                                const std::string& content, const std::string& headers = {}) {
  return post(path, form_part(name, "a.jpg", content) + "--XyZ--\r\n", kFormType + headers);
}

}  // namespace face::test
