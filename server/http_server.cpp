// SPDX-License-Identifier: MIT
// server/http_server.cpp - the loop: listener, connections, workers, drain.
#include "server/http_server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "engine/error.h"
#include "server/http_connection.h"
#include "server/http_workers.h"

namespace face::http {
namespace {

constexpr uint64_t kListenerId = 0;
constexpr uint64_t kWakeId = 1;
constexpr uint64_t kFirstConnectionId = 2;
constexpr int kBacklog = 1'024;
constexpr int kAcceptsPerTurn = 64;
constexpr size_t kRefusalSlots = 64;  // connections over the cap that are told so
constexpr std::chrono::milliseconds kTick{100};

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

void set_option(int fd, int level, int name, int value) {
  (void)::setsockopt(fd, level, name, &value, sizeof(value));
}

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

bool out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

/// Everything the loop's thread works on; members marked "any thread" are atomic.
class LoopState {
 public:
  LoopState(Handler& handler, const ServerOptions& options);

  void run();
  void drain(std::chrono::milliseconds accept_for);
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] ServerStats stats() const;

 private:
  struct Entry {
    std::unique_ptr<Connection> connection;
    std::optional<uint32_t> events;  // registered with epoll
  };

  void watch(int fd, uint64_t id, uint32_t events, int operation);
  void turn();
  void dispatch_event(uint64_t id, uint32_t events, Clock::time_point now);
  void accept_some(Clock::time_point now);
  /// Accepts one; false when there is none, or no descriptor for it.
  bool accept_one(Clock::time_point now);
  void pause_listener(Clock::time_point now);
  bool make_room();
  void deliver_answers(Clock::time_point now);
  void tick(Clock::time_point now);
  void tick_drain(Clock::time_point now);
  /// Registers what the connection waits for now, or removes it.
  void update(uint64_t id);
  void wake();

  const ServerOptions options_;
  LoopShared shared_;
  Descriptor listener_;
  Descriptor epoll_;
  Descriptor wake_;
  int port_ = 0;
  std::unordered_map<uint64_t, Entry> connections_;
  uint64_t next_id_ = kFirstConnectionId;
  std::atomic<size_t> connection_count_{0};  // any thread
  Clock::time_point next_tick_;
  Clock::time_point paused_until_;
  bool paused_ = false;
  std::atomic<int64_t> drain_until_{0};  // any thread; Clock ticks, 0: not draining
  std::unique_ptr<Workers> workers_;     // last: its threads use the members above
};

LoopState::LoopState(Handler& handler, const ServerOptions& options)
    : options_(options),
      shared_{handler, options_, {}, {}, {}},
      listener_(listen_on(options.host, options.port)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      port_(bound_port(listener_.get())),
      next_tick_(Clock::now()),
      paused_until_(Clock::now()) {
  if (epoll_.get() < 0 || wake_.get() < 0) {
    throw Error(ErrorKind::kIo, std::string("epoll: ") + std::strerror(errno));
  }
  watch(listener_.get(), kListenerId, EPOLLIN, EPOLL_CTL_ADD);
  watch(wake_.get(), kWakeId, EPOLLIN, EPOLL_CTL_ADD);
  workers_ = std::make_unique<Workers>(handler, options_.workers, options_.max_pending,
                                       [this] { wake(); });
  shared_.dispatch = [this](uint64_t id, std::unique_ptr<Request>& request) {
    return workers_->push(id, request);
  };
}

void LoopState::watch(int fd, uint64_t id, uint32_t events, int operation) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  (void)::epoll_ctl(epoll_.get(), operation, fd, &event);
}

void LoopState::wake() {
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
}

void LoopState::run() {
  const auto finished = [this] { return listener_.get() < 0 && connections_.empty(); };
  while (!finished()) turn();
}

void LoopState::turn() {
  constexpr int kEvents = 256;
  std::array<epoll_event, kEvents> events;
  const bool timed = !connections_.empty() || paused_ || drain_until_.load() != 0;
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), kEvents, timed ? int(kTick.count()) : -1);
  const Clock::time_point now = Clock::now();
  for (int i = 0; i < count; ++i)
    dispatch_event(events[size_t(i)].data.u64, events[size_t(i)].events, now);
  deliver_answers(now);
  if (now >= next_tick_) tick(now);
}

void LoopState::dispatch_event(uint64_t id, uint32_t events, Clock::time_point now) {
  if (id == kListenerId) return accept_some(now);
  if (id == kWakeId) {
    uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof(count));
    return;
  }
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  found->second.connection->on_events(events, now);
  update(id);
}

void LoopState::accept_some(Clock::time_point now) {
  for (int i = 0; i < kAcceptsPerTurn && listener_.get() >= 0; ++i) {
    if (!accept_one(now)) return;
  }
}

bool LoopState::accept_one(Clock::time_point now) {
  Descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket.get() < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    if (!out_of_resources(errno)) return true;  // that connection is gone already, take the next
    if (!make_room()) pause_listener(now);
    return false;
  }
  const bool full = connections_.size() >= options_.max_connections && !make_room();
  if (full && connections_.size() >= options_.max_connections + kRefusalSlots) return true;
  set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  const uint64_t id = next_id_++;
  const int fd = socket.get();
  auto connection = std::make_unique<Connection>(id, std::move(socket), shared_, now);
  if (full) connection->refuse(503, "Too many connections, try again", now);
  watch(fd, id, 0, EPOLL_CTL_ADD);
  connections_.emplace(id, Entry{std::move(connection), 0U});
  update(id);
  return true;
}

/// Out of descriptors: the backlog keeps new clients until some come free.
void LoopState::pause_listener(Clock::time_point now) {
  watch(listener_.get(), kListenerId, 0, EPOLL_CTL_MOD);
  paused_ = true;
  paused_until_ = now + kTick;
}

/// Closes the connection that has been idle longest; false if none is idle.
bool LoopState::make_room() {
  auto oldest = connections_.end();
  for (auto it = connections_.begin(); it != connections_.end(); ++it) {
    const Connection& connection = *it->second.connection;
    const bool older =
        oldest == connections_.end() || connection.since() < oldest->second.connection->since();
    if (connection.idle() && older) oldest = it;
  }
  if (oldest == connections_.end()) return false;
  connections_.erase(oldest);
  connection_count_ = connections_.size();
  return true;
}

void LoopState::deliver_answers(Clock::time_point now) {
  for (Workers::Done& done : workers_->take_done()) {
    const auto found = connections_.find(done.connection);
    if (found == connections_.end()) continue;
    found->second.connection->on_answer(done.answer, *done.request, now);
    update(done.connection);
  }
}

void LoopState::tick(Clock::time_point now) {
  next_tick_ = now + kTick;
  if (paused_ && now >= paused_until_ && listener_.get() >= 0) {
    watch(listener_.get(), kListenerId, EPOLLIN, EPOLL_CTL_MOD);
    paused_ = false;
  }
  std::vector<uint64_t> ids;
  ids.reserve(connections_.size());
  for (const auto& [id, entry] : connections_) ids.push_back(id);
  for (const uint64_t id : ids) {
    connections_.at(id).connection->on_tick(now);
    if (listener_.get() < 0) connections_.at(id).connection->close_if_idle();
    update(id);
  }
  if (drain_until_.load() != 0) tick_drain(now);
}

void LoopState::tick_drain(Clock::time_point now) {
  if (listener_.get() < 0 || now.time_since_epoch().count() < drain_until_.load()) return;
  constexpr int kMostWaiting = 65'536;
  for (int i = 0; i < kMostWaiting && accept_one(now); ++i) {
  }
  listener_.reset();
}

void LoopState::update(uint64_t id) {
  const auto found = connections_.find(id);
  Entry& entry = found->second;
  if (entry.connection->state() == Connection::State::kDead) {
    connections_.erase(found);  // closing the socket takes it out of epoll
  } else {
    const auto wanted = entry.connection->wanted_events();
    if (wanted != entry.events) {
      const int operation = !wanted ? EPOLL_CTL_DEL : !entry.events ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
      watch(entry.connection->fd(), id, wanted.value_or(0), operation);
      entry.events = wanted;
    }
  }
  connection_count_ = connections_.size();
}

void LoopState::drain(std::chrono::milliseconds accept_for) {
  const auto until = Clock::now() + accept_for;
  drain_until_ = std::max<int64_t>(1, until.time_since_epoch().count());
  shared_.draining = true;
  wake();
}

ServerStats LoopState::stats() const {
  return {connection_count_.load(), workers_->pending(), workers_->working(),
          shared_.upload_bytes.load()};
}

Server::Server(Handler& handler, const ServerOptions& options)
    : loop_(std::make_unique<LoopState>(handler, options)) {}
Server::~Server() = default;
int Server::port() const { return loop_->port(); }
void Server::run() { loop_->run(); }
void Server::drain(std::chrono::milliseconds accept_for) { loop_->drain(accept_for); }
ServerStats Server::stats() const { return loop_->stats(); }

}  // namespace face::http
