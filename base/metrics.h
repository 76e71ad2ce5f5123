// A counter with one writer (the loop that owns it) and any number of readers: no lock, no atomic
// read-modify-write. Parts hold a struct of these; node/ sums and names them for the admin listener.
#pragma once

#include <atomic>
#include <cstdint>

namespace reef {

class Counter {
 public:
  void add(std::uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace reef
