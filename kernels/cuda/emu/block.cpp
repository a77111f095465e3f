// SPDX-License-Identifier: MIT
#include "kernels/cuda/emu/block.h"

#include <array>
#include <cstdlib>
#include <memory>
#include <vector>

#include "kernels/cuda/emu/fiber.h"
#include "kernels/cuda/emu/half.h"
#include "kernels/cuda/emu/races.h"
#include "kernels/cuda/emu/shared_memory.h"

namespace face::cuda::emu {
namespace {

constexpr int kWarp = 32;
constexpr int kMaxThreads = 1024;

enum class State : uint8_t { kNew, kReady, kRunning, kAtBarrier, kAtWarpOperation, kDone };

struct Thread {
  uint3 index{};
  State state = State::kNew;
  Fiber* fiber = nullptr;
  Site site;
  AsyncCopies copies;
};

/// Lanes of a warp that are meeting.
struct Meeting {
  uint32_t mask = 0, arrived = 0;
  void (*operation)(uint32_t, void**) = nullptr;
  Site site;
  std::array<void*, kWarp> operands{};
};

std::string text(const uint3& v) {
  std::string s("(");
  return s.append(std::to_string(v.x))
             .append(",")
             .append(std::to_string(v.y))
             .append(",")
             .append(std::to_string(v.z)) +
         ")";
}
std::string text(const Site& site) {
  return site.file == nullptr ? "-" : std::string(site.file) + ":" + std::to_string(site.line);
}

class Scheduler {
 public:
  Scheduler() {
    for (auto& meetings : meetings_) meetings.reserve(kWarp);
  }
  void run(const Launch& launch);
  void barrier(Site site);
  void collective(uint32_t mask, void (*operation)(uint32_t, void**), void* operand, Site site);
  void warp_barrier(uint32_t mask, Site site);
  /// Ends the block with the error `describe()` returns. The stack is dropped, not unwound, so
  /// what owns memory must live in `describe` only.
  template <class Describe>
  [[noreturn]] void fail(Describe describe);
  void* shared_array(const void* key, size_t size);
  SharedMemory& shared() { return shared_; }
  Thread& current() { return threads_[current_]; }
  int lane() const { return current_ % kWarp; }

 private:
  static void fiber_main();
  void run_threads();
  void run_block();
  void start_block();
  void all_ready();
  void shuffle_warps();
  int pick();
  int pick_lane(uint32_t ready);
  void wait();
  void resume(int thread);
  void jump(Fiber& to);
  Fiber& fiber_for(int thread);
  std::string who_is_stuck() const;
  std::string others_wait() const;
  std::string where(int thread) const;
  Meeting& meeting(uint32_t mask, Site site);
  uint64_t random();

  const Launch* launch_ = nullptr;
  int count_ = 0, warps_ = 0, done_ = 0, waiting_ = 0, current_ = 0;
  std::vector<Thread> threads_;
  std::array<uint32_t, kMaxThreads / kWarp> ready_{};  // runnable lanes of each warp
  std::array<uint8_t, kMaxThreads / kWarp> order_{};   // warps, the one to run first in front
  int first_lane_ = 0;
  std::array<std::vector<Meeting>, kMaxThreads / kWarp> meetings_;
  Site barrier_site_;
  std::array<uint32_t, 1 + kMaxThreads / kWarp> turns_{};  // of the block's barrier, of each warp's
  std::array<std::array<char, 2>, 1 + kMaxThreads / kWarp> tokens_{};  // races.h, by turn
  char begin_ = 0, end_ = 0;                                           // of the block, races.h

  Fiber caller_;
  Fiber* running_ = &caller_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;

  SharedMemory shared_;
  std::string error_;
  uint64_t state_ = 1;
};

Scheduler& scheduler() {
  static Scheduler instance;
  return instance;
}

uint64_t Scheduler::random() {
  state_ ^= state_ << 13;
  state_ ^= state_ >> 7;
  state_ ^= state_ << 17;
  return state_;
}

// ---- choosing who runs ----

void Scheduler::shuffle_warps() {
  const Order order = config().order;
  for (int i = 0; i < warps_; ++i)
    order_[i] = static_cast<uint8_t>(order == Order::kReverse ? warps_ - 1 - i : i);
  if (order != Order::kRandom) return;
  for (int i = warps_; i > 1; --i) std::swap(order_[i - 1], order_[random() % i]);
  first_lane_ = static_cast<int>(random() % kWarp);
}

void Scheduler::all_ready() {
  shuffle_warps();
  for (int w = 0; w < warps_; ++w) {
    const int lanes = std::min(kWarp, count_ - w * kWarp);
    ready_[w] = lanes == kWarp ? ~0u : (1u << lanes) - 1;
  }
}

int Scheduler::pick_lane(uint32_t ready) {
  if (config().order == Order::kReverse) return 31 - __builtin_clz(ready);
  if (config().order == Order::kSequential) return __builtin_ctz(ready);
  const int r = first_lane_;
  const uint32_t rotated = r == 0 ? ready : ready >> r | ready << (kWarp - r);
  return (__builtin_ctz(rotated) + r) % kWarp;
}

/// The thread to run next, or -1 if none can.
int Scheduler::pick() {
  for (int i = 0; i < warps_; ++i) {
    const int w = order_[i];
    if (ready_[w] == 0) continue;
    const int lane = pick_lane(ready_[w]);
    ready_[w] &= ~(1u << lane);
    return w * kWarp + lane;
  }
  return -1;
}

// ---- switching ----

void Scheduler::jump(Fiber& to) {
  Fiber& from = *running_;
  running_ = &to;
  Fiber::jump(from, to);
}

void Scheduler::resume(int thread) {
  current_ = thread;
  threads_[thread].state = State::kRunning;
  threadIdx = threads_[thread].index;
}

/// For a thread that starts. Race detectors want a stack for each.
Fiber& Scheduler::fiber_for(int thread) {
  if (races::kWatched) return *fibers_[thread];
  if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>(&Scheduler::fiber_main, fibers_.size()));
    return *fibers_.back();
  }
  Fiber* fiber = idle_.back();
  idle_.pop_back();
  return *fiber;
}

/// The running thread stops here until somebody resumes it.
void Scheduler::wait() {
  const int self = current_, next = pick();
  if (next < 0) fail([&] { return who_is_stuck(); });
  const bool fresh = threads_[next].state == State::kNew;
  resume(next);
  if (next == self) return;
  if (fresh) threads_[next].fiber = &fiber_for(next);
  races::release(&end_);  // an error elsewhere in the block may leave this thread here for good
  jump(*threads_[next].fiber);
}

void Scheduler::fiber_main() {
  Fiber::arrived();
  scheduler().run_threads();
}

/// Life of a fiber: runs threads from start to end, one after the other.
void Scheduler::run_threads() {
  for (;;) {
    Fiber* self = running_;
    current().fiber = self;
    races::acquire(&begin_);
    launch_->body(launch_->argument);
    races::release(&end_);
    current().state = State::kDone;
    ++done_;
    if (waiting_ > 0) fail([&] { return others_wait(); });
    if (!current().copies.empty())
      fail([&] { return "cp.async never waited for: " + where(current_); });
    const int next = pick();
    if (next < 0 && done_ != count_) fail([&] { return who_is_stuck(); });
    const bool fresh = next >= 0 && threads_[next].state == State::kNew;
    if (fresh && !races::kWatched) {
      resume(next);
      continue;
    }
    if (!races::kWatched) idle_.push_back(self);
    if (next < 0) {
      jump(caller_);
      continue;
    }
    if (fresh) threads_[next].fiber = &fiber_for(next);
    resume(next);
    jump(*threads_[next].fiber);
  }
}

// ---- errors ----

std::string Scheduler::where(int thread) const {
  const Thread& t = threads_[thread];
  const char* doing = t.state == State::kAtBarrier         ? " waits in __syncthreads at "
                      : t.state == State::kAtWarpOperation ? " waits in a warp operation at "
                      : t.state == State::kDone            ? " has returned, last seen at "
                                                           : " is at ";
  return "thread " + text(t.index) + doing + text(t.site);
}

std::string Scheduler::others_wait() const {
  return "divergent __syncthreads: others wait at " + text(barrier_site_) + "; " + where(current_);
}

template <class Describe>
void Scheduler::fail(Describe describe) {
  error_ = describe();
  error_ += " [block " + text(blockIdx) + ", schedule seed " + std::to_string(config().seed) + "]";
  races::release(&end_);
  jump(caller_);
  std::abort();  // the caller dropped this stack
}

std::string Scheduler::who_is_stuck() const {
  std::string message = "deadlock: ";
  int shown = 0;
  for (int t = 0; t < count_ && shown < 3; ++t) {
    const State state = threads_[t].state;
    if (state != State::kAtBarrier && state != State::kAtWarpOperation) continue;
    message += where(t) + "; ";
    ++shown;
  }
  return message + std::to_string(waiting_) + " of " + std::to_string(count_) +
         " threads in the barrier, " + std::to_string(done_) + " returned";
}

// ---- one block ----

void Scheduler::start_block() {
  done_ = waiting_ = 0;
  error_.clear();
  uint3 index{0, 0, 0};
  for (int i = 0; i < count_; ++i) {
    Thread& t = threads_[i];
    t.index = index;
    t.state = State::kNew;
    t.site = {};
    t.copies.clear();
    if (++index.x == blockDim.x) {
      index.x = 0;
      if (++index.y == blockDim.y) {
        index.y = 0;
        ++index.z;
      }
    }
  }
  for (int w = 0; w < warps_; ++w)
    for (Meeting& m : meetings_[w]) m.arrived = 0;
  shared_.start(launch_->dynamic_shared);
  all_ready();
}

void Scheduler::run_block() {
  start_block();
  const int first = pick();
  Fiber& fiber = fiber_for(first);
  resume(first);
  races::release(&begin_);
  jump(fiber);
  races::acquire(&end_);
  if (error_.empty()) {
    error_ = shared_.broken_fence();
    if (error_.empty()) return;
    error_ += " [block " + text(blockIdx) + "]";
  }
  idle_.clear();  // the waiting stacks are abandoned
  fibers_.clear();
  throw KernelError(error_);
}

void Scheduler::run(const Launch& launch) {
  launch_ = &launch;
  gridDim = launch.grid;
  blockDim = launch.block;
  count_ = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  warps_ = (count_ + kWarp - 1) / kWarp;
  if (threads_.size() < static_cast<size_t>(count_)) threads_.resize(count_);
  static_cast<void>(half_values());
  while (races::kWatched && fibers_.size() < static_cast<size_t>(count_))
    fibers_.push_back(std::make_unique<Fiber>(&Scheduler::fiber_main, fibers_.size()));
  state_ = config().seed * 0x9E3779B97F4A7C15ull | 1;
  const size_t blocks = size_t{gridDim.x} * gridDim.y * gridDim.z;
  const size_t shift = config().order == Order::kRandom ? config().seed * 7919 : 0;
  for (size_t i = 0; i < blocks; ++i) {
    const size_t b = config().order == Order::kReverse ? blocks - 1 - i : (i + shift) % blocks;
    blockIdx = {static_cast<uint32_t>(b % gridDim.x),
                static_cast<uint32_t>(b / gridDim.x % gridDim.y),
                static_cast<uint32_t>(b / gridDim.x / gridDim.y)};
    run_block();
  }
}

// ---- what threads call ----

void Scheduler::barrier(Site site) {
  Thread& self = current();
  self.site = site;
  if (done_ > 0)
    fail([&] {
      return "divergent __syncthreads: " + std::to_string(done_) +
             " threads of the block have returned; " + where(current_);
    });
  if (waiting_ == 0) barrier_site_ = site;
  if (site.line != barrier_site_.line || std::strcmp(site.file, barrier_site_.file) != 0)
    fail([&] { return others_wait(); });
  self.state = State::kAtBarrier;
  char* token = &tokens_[0][turns_[0] % 2];  // who is ahead uses the other one
  races::release(token);
  if (++waiting_ == count_) {
    waiting_ = 0;
    ++turns_[0];
    all_ready();
  }
  wait();
  races::acquire(token);
}

Meeting& Scheduler::meeting(uint32_t mask, Site site) {
  auto& meetings = meetings_[current_ / kWarp];
  Meeting* free = nullptr;
  for (Meeting& m : meetings) {
    if (m.arrived == 0) {
      free = &m;
    } else if (m.mask == mask) {
      return m;
    } else if ((m.mask & mask) != 0) {
      fail([&] {
        return "warp operation: overlapping masks, other at " + text(m.site) + "; " +
               where(current_);
      });
    }
  }
  if (free == nullptr) free = &meetings.emplace_back();
  free->mask = mask;
  free->site = site;
  free->operation = nullptr;
  return *free;
}

void Scheduler::collective(uint32_t mask, void (*operation)(uint32_t, void**), void* operand,
                           Site site) {
  current().site = site;
  const int self = current_, l = lane();
  if ((mask >> l & 1) == 0)
    fail([&] { return "warp operation: the calling lane is not in its own mask; " + where(self); });
  Meeting& m = meeting(mask, site);
  if (m.operation == nullptr) m.operation = operation;
  if (m.operation != operation || m.site.line != site.line)
    fail([&] {
      return "warp operation: lanes meet in different operations, other at " + text(m.site) + "; " +
             where(self);
    });
  m.arrived |= 1u << l;
  m.operands[l] = operand;
  current().state = State::kAtWarpOperation;
  if (m.arrived != mask) return wait();
  operation(mask, m.operands.data());
  m.arrived = 0;
  ready_[self / kWarp] |= mask & ~(1u << l);
  current().state = State::kRunning;
}

void Scheduler::warp_barrier(uint32_t mask, Site site) {
  const int warp = 1 + current_ / kWarp;
  char* token = &tokens_[warp][turns_[warp] % 2];
  races::release(token);
  collective(
      mask, [](uint32_t m, void** turns) { ++*static_cast<uint32_t*>(turns[__builtin_ctz(m)]); },
      &turns_[warp], site);
  races::acquire(token);
}

void* Scheduler::shared_array(const void* key, size_t size) {
  void* array = shared_.array(key, size, config().max_shared);
  if (array == nullptr)
    fail([&] { return "too much shared memory: an array of " + std::to_string(size) + " bytes"; });
  return array;
}

}  // namespace

const float* half_values() {
  static const auto table = [] {
    auto values = std::make_unique<float[]>(1 << 16);
    for (uint32_t i = 0; i < 1 << 16; ++i) values[i] = float_from_half(static_cast<uint16_t>(i));
    return values;
  }();
  return table.get();
}

Config& config() {
  static Config instance = [] {
    Config c;
    if (const char* seed = std::getenv("FACE_EMU_SEED")) {
      c.order = Order::kRandom;
      c.seed = std::strtoull(seed, nullptr, 10);
    }
    return c;
  }();
  return instance;
}

void run_grid(const Launch& launch) {
  const size_t threads = size_t{launch.block.x} * launch.block.y * launch.block.z;
  const dim3& g = launch.grid;
  if (threads < 1 || threads > kMaxThreads)
    throw KernelError("a block of " + std::to_string(threads) + " threads");
  if (g.x == 0 || g.y == 0 || g.z == 0 || g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535)
    throw KernelError("a grid of " + text(uint3{g.x, g.y, g.z}) + " blocks");
  if (launch.dynamic_shared > config().max_shared)
    throw KernelError(std::to_string(launch.dynamic_shared) + " bytes of dynamic shared memory");
  scheduler().run(launch);
}

void barrier(Site site) { scheduler().barrier(site); }
void collective(uint32_t mask, void (*operation)(uint32_t, void**), void* operand, Site site) {
  scheduler().collective(mask, operation, operand, site);
}
void warp_barrier(uint32_t mask, Site site) { scheduler().warp_barrier(mask, site); }
void fail(const char* message) {
  scheduler().fail([&] { return std::string(message); });
}
int lane() { return scheduler().lane(); }
void* shared_array(const void* key, size_t size) { return scheduler().shared_array(key, size); }
void* dynamic_shared() { return scheduler().shared().dynamic(); }
bool in_shared(const void* p, size_t size) { return scheduler().shared().contains(p, size); }

void cp_async(void* to, const void* from, uint32_t size, uint32_t valid) {
  if (!in_shared(to, size)) fail("cp.async: destination outside shared memory");
  if (((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) & (size - 1)) != 0)
    scheduler().fail(
        [&] { return "cp.async: address not aligned to " + std::to_string(size) + " bytes"; });
  scheduler().current().copies.add(to, from, size, valid);
}

void cp_async_commit() { scheduler().current().copies.commit(); }
void cp_async_wait(uint32_t keep_groups) { scheduler().current().copies.wait(keep_groups); }

}  // namespace face::cuda::emu
