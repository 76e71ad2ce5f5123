// The running emulator: one thread that moves packets between the hosts' TUN devices when the Network says
// so, and answers commands. See tests/wan/command.h for those; the loop adds "health", "reset" and "quit".
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/io/fd.h"
#include "base/result.h"
#include "tests/wan/io/control.h"
#include "tests/wan/network.h"

namespace reef::wan {

// How late packets were delivered, in steps of 10 us up to 50 ms.
class Lateness {
 public:
  void add(Duration late);
  [[nodiscard]] double percentile_ms(double share) const;  // 0 when nothing was delivered
  [[nodiscard]] double max_ms() const { return to_ms(max_); }

 private:
  std::array<std::uint64_t, 5001> counts_{};
  std::uint64_t total_ = 0;
  Duration max_{};
};

class Emulator {
 public:
  struct HostDevice {
    Fd netns;
    Fd tun;
  };
  // `devices` in the order of the topology's hosts; topology and network must outlive this.
  Emulator(const Topology& topology, Network& network, std::vector<HostDevice> devices,
           ControlSocket control);

  // Turns until "quit" or a signal of `signals` (a signalfd).
  [[nodiscard]] Result<> run(const Fd& signals);

 private:
  void read_host(HostIndex host);
  void deliver_due();
  [[nodiscard]] std::string answer(std::string_view line);
  [[nodiscard]] std::string health();
  [[nodiscard]] std::uint64_t kernel_drops();
  void reset();

  const Topology& topology_;
  Network& network_;
  std::vector<HostDevice> devices_;
  ControlSocket control_;
  Fd epoll_;
  Lateness lateness_;
  std::uint64_t very_late_ = 0;
  std::uint64_t refused_ = 0;  // by a TUN device
  std::uint64_t drops_before_ = 0;
  TimePoint since_{};
  Duration cpu_before_{};
  bool quit_ = false;
};

}  // namespace reef::wan
