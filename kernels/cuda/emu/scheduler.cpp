// SPDX-License-Identifier: MIT
#include "kernels/cuda/emu/scheduler.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "kernels/cuda/emu/half.h"
#include "kernels/cuda/emu/races.h"

namespace face::cuda::emu {
namespace {

std::string text(const Site& site) {
  return site.file == nullptr ? "-" : std::string(site.file) + ":" + std::to_string(site.line);
}

}  // namespace

std::string text(const uint3& v) {
  std::string s("(");
  return s.append(std::to_string(v.x))
             .append(",")
             .append(std::to_string(v.y))
             .append(",")
             .append(std::to_string(v.z)) +
         ")";
}

// ---- switching ----

void Scheduler::jump(Fiber& to) {
  Fiber& from = *running_;
  running_ = &to;
  Fiber::jump(from, to);
}

void Scheduler::resume(int thread) {
  current_ = thread;
  crew_->threads[thread].state = State::kRunning;
  threadIdx = crew_->threads[thread].index;
}

/// For a thread that starts. Race detectors want a stack for each.
Fiber& Scheduler::fiber_for(int thread) {
  if (races::kWatched) return *crew_->fibers[thread];
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
  const int self = current_, next = turns_.next();
  if (next < 0) fail([&] { return who_is_stuck(); });
  const bool fresh = crew_->threads[next].state == State::kNew;
  resume(next);
  if (next == self) return;
  if (fresh) crew_->threads[next].fiber = &fiber_for(next);
  races::release(&left_);  // an error elsewhere in the block may leave this thread here for good
  jump(*crew_->threads[next].fiber);
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
    races::acquire(&crew_->ends[(crew_->blocks + 1) % 2]);  // of the block before
    launch_->body(launch_->argument);
    races::release(&crew_->ends[crew_->blocks % 2]);
    current().state = State::kDone;
    ++done_;
    if (waiting_ > 0) fail([&] { return others_wait(); });
    if (!current().copies.empty())
      fail([&] { return "cp.async never waited for: " + where(current_); });
    const int next = turns_.next();
    if (next < 0 && done_ != count_) fail([&] { return who_is_stuck(); });
    const bool fresh = next >= 0 && crew_->threads[next].state == State::kNew;
    if (fresh && !races::kWatched) {
      resume(next);
      continue;
    }
    if (!races::kWatched) idle_.push_back(self);
    if (next < 0) {
      jump(caller_);
      continue;
    }
    if (fresh) crew_->threads[next].fiber = &fiber_for(next);
    resume(next);
    jump(*crew_->threads[next].fiber);
  }
}

// ---- errors ----

std::string Scheduler::where(int thread) const {
  const Thread& t = crew_->threads[thread];
  const char* doing = t.state == State::kAtBarrier         ? " waits in __syncthreads at "
                      : t.state == State::kAtWarpOperation ? " waits in a warp operation at "
                      : t.state == State::kDone            ? " has returned, last seen at "
                                                           : " is at ";
  return "thread " + text(t.index) + doing + text(t.site);
}

std::string Scheduler::others_wait() const {
  return "divergent __syncthreads: others wait at " + text(barrier_site_) + "; " + where(current_);
}

void Scheduler::give_up() {
  error_ += " [block " + text(blockIdx) + ", schedule seed " + std::to_string(config().seed) + "]";
  races::release(&left_);
  jump(caller_);
  std::abort();  // the caller dropped this stack
}

std::string Scheduler::who_is_stuck() const {
  std::string message = "deadlock: ";
  int shown = 0;
  for (int t = 0; t < count_ && shown < 3; ++t) {
    const State state = crew_->threads[t].state;
    if (state != State::kAtBarrier && state != State::kAtWarpOperation) continue;
    message += where(t) + "; ";
    ++shown;
  }
  return message + std::to_string(waiting_) + " of " + std::to_string(count_) +
         " threads in the barrier, " + std::to_string(done_) + " returned";
}

// ---- one block, all blocks ----

void Scheduler::start_block() {
  done_ = waiting_ = 0;
  uint3 index{0, 0, 0};
  for (int i = 0; i < count_; ++i) {
    Thread& t = crew_->threads[i];
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
  meetings_.clear();
  shared().start(launch_->dynamic_shared);
  turns_.all_ready();
}

void Scheduler::run_block() {
  start_block();
  const int first = turns_.next();
  Fiber& fiber = fiber_for(first);
  resume(first);
  jump(fiber);
  ++crew_->blocks;
  if (!error_.empty()) return;
  error_ = shared().broken_fence();
  if (!error_.empty()) error_ += " [block " + text(blockIdx) + "]";
}

/// For the `block`-th block that runs.
void Scheduler::choose_crew(size_t block) {
  const size_t i = block % kCrews;
  if (i == 0)
    for (size_t n = kCrews; n > 1; --n) {
      state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
      std::swap(next_crews_[n - 1], next_crews_[(state_ >> 33) % n]);
    }
  crew_ = next_crews_[i];
}

void Scheduler::run_blocks() {
  const size_t blocks = size_t{gridDim.x} * gridDim.y * gridDim.z;
  const size_t shift = config().order == Order::kRandom ? config().seed * 7919 : 0;
  for (size_t i = 0; i < blocks && error_.empty(); ++i) {
    const size_t b = config().order == Order::kReverse ? blocks - 1 - i : (i + shift) % blocks;
    blockIdx = {static_cast<uint32_t>(b % gridDim.x),
                static_cast<uint32_t>(b / gridDim.x % gridDim.y),
                static_cast<uint32_t>(b / gridDim.x / gridDim.y)};
    choose_crew(i);
    run_block();
  }
}

void Scheduler::start_launch(const Launch& launch) {
  launch_ = &launch;
  gridDim = launch.grid;
  blockDim = launch.block;
  count_ = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  const auto count = static_cast<size_t>(count_);
  for (int i = 0; i < kCrews; ++i) {
    Crew& crew = crews_[i];
    next_crews_[i] = &crew;
    if (crew.threads.size() < count) crew.threads.resize(count);
    while (races::kWatched && crew.fibers.size() < count)
      crew.fibers.push_back(
          std::make_unique<Fiber>(&Scheduler::fiber_main, i * count + crew.fibers.size()));
  }
  static_cast<void>(half_values());
  turns_.start(count_);
  error_.clear();
}

void Scheduler::run(const Launch& launch) {
  start_launch(launch);
  races::release(&begin_);
  run_blocks();
  for (Crew& crew : crews_)
    for (char& end : crew.ends) races::acquire(&end);
  races::acquire(&left_);
  if (error_.empty()) return;
  idle_.clear();  // the waiting stacks are abandoned
  fibers_.clear();
  for (Crew& crew : crews_) crew.fibers.clear();
  throw KernelError(error_);
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
  char* token = &crew_->barriers[0][passed_[0] % 2];  // who is ahead uses the other one
  races::release(token);
  if (++waiting_ == count_) {
    waiting_ = 0;
    ++passed_[0];
    turns_.all_ready();
  }
  wait();
  races::acquire(token);
}

void Scheduler::collective(uint32_t mask, void (*operation)(uint32_t, void**), void* operand,
                           Site site) {
  current().site = site;
  const int self = current_, l = lane();
  if ((mask >> l & 1) == 0)
    fail([&] { return "warp operation: the calling lane is not in its own mask; " + where(self); });
  Meeting& m = meetings_.of(self / kWarp, mask, site);
  if (m.mask != mask)
    fail([&] {
      return "warp operation: overlapping masks, other at " + text(m.site) + "; " + where(self);
    });
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
  turns_.ready(self / kWarp, mask & ~(1u << l));
  current().state = State::kRunning;
}

void Scheduler::warp_barrier(uint32_t mask, Site site) {
  const int warp = 1 + current_ / kWarp;
  char* token = &crew_->barriers[warp][passed_[warp] % 2];
  races::release(token);
  collective(
      mask, [](uint32_t m, void** turns) { ++*static_cast<uint32_t*>(turns[__builtin_ctz(m)]); },
      &passed_[warp], site);
  races::acquire(token);
}

void* Scheduler::shared_array(const void* key, size_t size) {
  void* array = shared().array(key, size, config().max_shared);
  if (array == nullptr)
    fail([&] { return "too much shared memory: an array of " + std::to_string(size) + " bytes"; });
  return array;
}

}  // namespace face::cuda::emu
