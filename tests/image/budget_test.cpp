// SPDX-License-Identifier: MIT
// tests/image/budget_test.cpp - memory tickets, alone and between threads.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/image/check.h"

namespace face::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

Clock::time_point in(milliseconds time) { return Clock::now() + time; }

TEST(MemoryBudget, TicketsTakeAndGiveBack) {
  MemoryBudget budget(100);
  {
    MemoryBudget::Ticket a = budget.acquire(60, in(milliseconds(0)));
    EXPECT_EQ(budget.free_bytes(), 40u);
    a.shrink(10);
    EXPECT_EQ(budget.free_bytes(), 90u);
    a.shrink(50);  // never grows
    EXPECT_EQ(budget.free_bytes(), 90u);
    MemoryBudget::Ticket b = std::move(a);
    a.release();  // NOLINT(bugprone-use-after-move): a moved ticket holds nothing
    EXPECT_EQ(budget.free_bytes(), 90u);
    b = budget.acquire(90, in(milliseconds(0)));
    EXPECT_EQ(budget.free_bytes(), 10u);
  }
  EXPECT_EQ(budget.free_bytes(), 100u);
}

TEST(MemoryBudget, Errors) {
  MemoryBudget budget(100);
  EXPECT_TRUE(fails([&] { (void)budget.acquire(101, in(milliseconds(0))); }, ErrorKind::kTooLarge,
                    "101 bytes of memory, the limit is 100"));
  const MemoryBudget::Ticket ticket = budget.acquire(50, in(milliseconds(0)));
  EXPECT_TRUE(fails([&] { (void)budget.acquire(51, in(milliseconds(5))); }, ErrorKind::kBusy,
                    "no memory came free"));
  EXPECT_EQ(budget.free_bytes(), 50u);
  EXPECT_NO_THROW((void)budget.acquire(50, in(milliseconds(0))));
}

TEST(MemoryBudget, LargeRequestIsNotOvertaken) {
  MemoryBudget budget(100);
  MemoryBudget::Ticket held = budget.acquire(50, in(milliseconds(0)));
  std::atomic<bool> large_served{false};
  std::thread large([&] {
    const MemoryBudget::Ticket t = budget.acquire(100, in(milliseconds(60'000)));
    large_served = true;
  });
  // Small requests fit, but not before the large one: wait until it stands in the line.
  while (true) {
    try {
      (void)budget.acquire(10, in(milliseconds(1)));
    } catch (const Error&) {
      break;
    }
  }
  EXPECT_FALSE(large_served);
  held.release();
  (void)budget.acquire(10, in(milliseconds(60'000)));
  EXPECT_TRUE(large_served);
  large.join();
}

TEST(MemoryBudget, ThreadsNeverExceedIt) {
  constexpr size_t kTotal = 1000;
  MemoryBudget budget(kTotal);
  std::atomic<size_t> used{0}, most{0}, served{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 500; ++i) {
        const size_t bytes = 1 + (t * 7919 + i * 104729) % kTotal;
        const MemoryBudget::Ticket ticket = budget.acquire(bytes, in(milliseconds(60'000)));
        const size_t now = used += bytes;
        size_t seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        ++served;
        used -= bytes;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(served, 8u * 500);
  EXPECT_LE(most, kTotal);
  EXPECT_EQ(budget.free_bytes(), kTotal);
}

}  // namespace
}  // namespace face::test
