// SPDX-License-Identifier: MIT
// server/http_server.cpp - the listener's loop: accepts, caps, watches for hang-ups, drains.
#include "server/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>

#include "engine/error.h"
#include "server/http_connection.h"
#include "server/http_library.h"

namespace face::http {
namespace {

constexpr size_t kRefusalSlots = 64;  // connections over the cap that are told so
constexpr std::chrono::milliseconds kTick{20};

bool out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

/// Threads: run() on one; the others from any.
class Listener {
 public:
  Listener(Handler& handler, const ServerOptions& options);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void run();
  void drain(std::chrono::milliseconds accept_for);
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] ServerStats stats() const;

 private:
  /// A connection and its thread; `ended` once the thread has nothing left to do but end.
  struct Entry {
    Entry(Descriptor socket, Shared& shared) : connection(std::move(socket), shared) {}
    Connection connection;
    std::thread thread;
    std::atomic<bool> ended{false};
  };

  void wait();
  /// Accepts one; false when there is none, or no descriptor or thread for it.
  bool accept_one();
  bool start(Descriptor socket, bool over_cap);
  /// Wakes the connection that has been idle longest, so that it ends; false if none is idle.
  bool make_room();
  void reap();
  void watch_clients();
  void tick_drain();
  void stop_listening();

  const ServerOptions options_;
  Library library_;
  Shared shared_;
  Descriptor socket_;
  Descriptor wake_;
  int port_ = 0;
  mutable std::mutex mutex_;  // of entries_
  std::list<Entry> entries_;
  std::atomic<int64_t> drain_until_{0};  // Clock ticks, 0: not draining
};

Listener::Listener(Handler& handler, const ServerOptions& options)
    : options_(options),
      shared_{handler,  options_,
              library_, Gate(static_cast<size_t>(options.workers), options.max_pending),
              {},       {},
              {true}},
      socket_(listen_on(options.host, options.port)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      port_(bound_port(socket_.get())) {
  if (wake_.get() < 0) throw Error(ErrorKind::kIo, std::string("eventfd: ") + std::strerror(errno));
}

Listener::~Listener() {
  for (Entry& entry : entries_) {
    entry.connection.interrupt();
    entry.thread.join();
  }
}

void Listener::run() {
  while (true) {
    wait();
    reap();
    watch_clients();
    if (drain_until_.load() != 0) tick_drain();
    const std::lock_guard lock(mutex_);
    if (!shared_.listening && entries_.empty()) return;
  }
}

void Listener::wait() {
  std::array<pollfd, 2> entries{{{wake_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}}};
  const bool busy = stats().connections > 0 || drain_until_.load() != 0;
  (void)::poll(entries.data(), entries.size(), busy ? int(kTick.count()) : -1);
  uint64_t count = 0;
  (void)!::read(wake_.get(), &count, sizeof(count));
  constexpr int kAcceptsPerTurn = 64;
  for (int i = 0; i < kAcceptsPerTurn && shared_.listening && accept_one(); ++i) {
  }
}

bool Listener::accept_one() {
  Descriptor socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket.get() < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    if (!out_of_resources(errno)) return true;  // that connection is gone already, take the next
    make_room();
    std::this_thread::sleep_for(kTick);  // the backlog keeps new clients until some come free
    return false;
  }
  set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  const size_t open = stats().connections;
  const bool over_cap = open >= options_.max_connections && !make_room();
  if (over_cap && open >= options_.max_connections + kRefusalSlots) return true;
  return start(std::move(socket), over_cap);
}

bool Listener::start(Descriptor socket, bool over_cap) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_.emplace_back(std::move(socket), shared_);
  try {
    entry.thread = std::thread([this, &entry, over_cap] {
      if (over_cap) {
        entry.connection.refuse(503, "Too many connections, try again");
      } else {
        entry.connection.serve();
      }
      entry.connection.interrupt();
      entry.ended = true;
      const uint64_t one = 1;
      (void)!::write(wake_.get(), &one, sizeof(one));
    });
  } catch (const std::system_error&) {  // no thread to be had: this client is closed
    entries_.pop_back();
    return false;
  }
  return true;
}

bool Listener::make_room() {
  const std::lock_guard lock(mutex_);
  Entry* oldest = nullptr;
  for (Entry& entry : entries_) {
    if (!entry.connection.idle() || entry.ended) continue;
    if (oldest == nullptr || entry.connection.since() < oldest->connection.since()) oldest = &entry;
  }
  if (oldest == nullptr) return false;
  oldest->connection.interrupt();
  return true;
}

void Listener::reap() {
  const std::lock_guard lock(mutex_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (it->ended) {
      it->thread.join();
      it = entries_.erase(it);
    } else {
      ++it;
    }
  }
}

void Listener::watch_clients() {
  const std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) {
    entry.connection.watch_hang_up();
    const bool over = !shared_.listening && entry.connection.idle();
    if (over && entry.connection.answered_before()) entry.connection.interrupt();
  }
}

void Listener::tick_drain() {
  if (!shared_.listening || Clock::now().time_since_epoch().count() < drain_until_.load()) return;
  constexpr int kMostWaiting = 65'536;
  for (int i = 0; i < kMostWaiting && accept_one(); ++i) {
  }
  stop_listening();
}

void Listener::stop_listening() {
  socket_.reset();
  shared_.listening = false;
}

void Listener::drain(std::chrono::milliseconds accept_for) {
  const auto until = Clock::now() + accept_for;
  drain_until_ = std::max<int64_t>(1, until.time_since_epoch().count());
  shared_.draining = true;
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
}

ServerStats Listener::stats() const {
  const std::lock_guard lock(mutex_);
  return {entries_.size(), shared_.gate.waiting(), shared_.gate.inside(),
          shared_.upload_bytes.load()};
}

Server::Server(Handler& handler, const ServerOptions& options)
    : listener_(std::make_unique<Listener>(handler, options)) {}
Server::~Server() = default;
int Server::port() const { return listener_->port(); }
void Server::run() { listener_->run(); }
void Server::drain(std::chrono::milliseconds accept_for) { listener_->drain(accept_for); }
ServerStats Server::stats() const { return listener_->stats(); }

}  // namespace face::http
