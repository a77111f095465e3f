// SPDX-License-Identifier: MIT
// kernels/cuda/emu/scheduler.h - the blocks of a launch, one after the other, their threads as
// fibers. block.h has the rules; who is next is decided in turns.h, who meets in meetings.h.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/emu/block.h"
#include "kernels/cuda/emu/crew.h"
#include "kernels/cuda/emu/fiber.h"
#include "kernels/cuda/emu/meetings.h"
#include "kernels/cuda/emu/turns.h"

namespace face::cuda::emu {

[[nodiscard]] std::string text(const uint3& v);

class Scheduler {
 public:
  void run(const Launch& launch);

  // ---- for the thread that is running: as the functions of block.h ----
  void barrier(Site site);
  void collective(uint32_t mask, void (*operation)(uint32_t, void**), void* operand, Site site);
  void warp_barrier(uint32_t mask, Site site);
  void* shared_array(const void* key, size_t size);
  SharedMemory& shared() { return crew_->shared; }
  Thread& current() { return crew_->threads[current_]; }
  [[nodiscard]] int lane() const { return current_ % kWarp; }
  /// Ends the block with the error `describe()` returns. The stack is dropped, not unwound, so
  /// what owns memory must live in `describe` only.
  template <class Describe>
  [[noreturn]] void fail(Describe describe) {
    error_ = describe();
    give_up();
  }

 private:
  static void fiber_main();
  void run_threads();
  void run_blocks();
  void run_block();
  void start_launch(const Launch& launch);
  void start_block();
  void choose_crew(size_t block);
  void wait();
  void resume(int thread);
  void jump(Fiber& to);
  Fiber& fiber_for(int thread);
  [[noreturn]] void give_up();
  [[nodiscard]] std::string who_is_stuck() const;
  [[nodiscard]] std::string others_wait() const;
  [[nodiscard]] std::string where(int thread) const;

  const Launch* launch_ = nullptr;
  int count_ = 0, done_ = 0, waiting_ = 0, current_ = 0;
  std::array<Crew, kCrews> crews_;
  std::array<Crew*, kCrews> next_crews_{};
  Crew* crew_ = crews_.data();  // of the block that runs
  uint64_t state_ = 1;          // of the choice of crews
  Turns turns_;
  Meetings meetings_;
  Site barrier_site_;
  std::array<uint32_t, 1 + kMaxThreads / kWarp> passed_{};  // the block's barrier, each warp's
  char begin_ = 0, left_ = 0;  // races.h: of the launch; by threads that may never go on

  Fiber caller_;
  Fiber* running_ = &caller_;
  std::vector<std::unique_ptr<Fiber>> fibers_;  // of any thread, where no races are watched
  std::vector<Fiber*> idle_;
  std::string error_;
};

inline Scheduler& scheduler() {
  static Scheduler instance;
  return instance;
}

}  // namespace face::cuda::emu
