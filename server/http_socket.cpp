// SPDX-License-Identifier: MIT
// server/http_socket.cpp - addresses, listening.
#include "server/http_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/error.h"

namespace face::http {
namespace {

constexpr int kBacklog = 1'024;

struct AddressInfo {
  explicit AddressInfo(const std::string& host, int port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    const char* node = host.empty() ? nullptr : host.c_str();
    const int error = ::getaddrinfo(node, std::to_string(port).c_str(), &hints, &list);
    if (error != 0) {
      throw Error(ErrorKind::kIo, "--host " + host + ": " + ::gai_strerror(error));
    }
  }
  ~AddressInfo() { ::freeaddrinfo(list); }
  AddressInfo(const AddressInfo&) = delete;
  AddressInfo& operator=(const AddressInfo&) = delete;
  addrinfo* list = nullptr;
};

/// A listening socket for the address, or none with errno set.
Descriptor try_listen(const addrinfo& address) {
  constexpr int kFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  Descriptor socket(::socket(address.ai_family, address.ai_socktype | kFlags, 0));
  if (socket.get() < 0) return socket;
  set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.ai_family == AF_INET6) set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  const bool listens = ::bind(socket.get(), address.ai_addr, address.ai_addrlen) == 0 &&
                       ::listen(socket.get(), kBacklog) == 0;
  return listens ? std::move(socket) : Descriptor();
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Descriptor::reset() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void set_option(int fd, int level, int name, int value) {
  (void)::setsockopt(fd, level, name, &value, sizeof(value));
}

Descriptor listen_on(const std::string& host, int port) {
  const AddressInfo addresses(host, port);
  int error = 0;
  for (const addrinfo* address = addresses.list; address != nullptr; address = address->ai_next) {
    Descriptor socket = try_listen(*address);
    if (socket.get() >= 0) return socket;
    error = errno;
  }
  throw Error(ErrorKind::kIo, "cannot listen on " + host + ", port " + std::to_string(port) + ": " +
                                  std::strerror(error));
}

int bound_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

}  // namespace face::http
