#include "tests/wan/io/emulator.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

#include "tests/wan/command.h"
#include "tests/wan/io/netns.h"
#include "tests/wan/io/tun.h"

namespace reef::wan {
namespace {

constexpr Duration kStep = std::chrono::microseconds(10);
// A delivery so late that the emulator was stalled, rather than interrupted: a virtual machine's host takes
// the CPU away for several milliseconds now and then.
constexpr Duration kVeryLate = std::chrono::milliseconds(20);
// Packets read from one host in a turn, so that a flood of one does not make the others late.
constexpr int kReadsPerTurn = 32;
constexpr std::uint64_t kSignalTag = ~0ull;
constexpr std::uint64_t kControlTag = kSignalTag - 1;

TimePoint clock_now() { return std::chrono::steady_clock::now(); }

Duration cpu_used() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

Result<> watch(const Fd& epoll, int fd, std::uint64_t tag) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) < 0) return fail(errno_error("epoll_ctl"));
  return {};
}

}  // namespace

void Lateness::add(Duration late) {
  late = std::max(late, Duration::zero());
  max_ = std::max(max_, late);
  ++counts_[std::min<std::size_t>(static_cast<std::size_t>(late / kStep), counts_.size() - 1)];
  ++total_;
}

double Lateness::percentile_ms(double share) const {
  const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total_));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen > wanted) return std::min(to_ms(kStep * static_cast<std::int64_t>(i + 1)), max_ms());
  }
  return total_ == 0 ? 0 : max_ms();
}

Emulator::Emulator(const Topology& topology, Network& network, std::vector<HostDevice> devices,
                   ControlSocket control)
    : topology_(topology),
      network_(network),
      devices_(std::move(devices)),
      control_(std::move(control)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

Result<> Emulator::run(const Fd& signals) {
  if (!epoll_.is_open()) return fail(errno_error("epoll_create1"));
  for (HostIndex host = 0; host < devices_.size(); ++host) {
    if (auto done = watch(epoll_, devices_[host].tun.get(), host); !done) return done;
  }
  if (auto done = watch(epoll_, control_.fd(), kControlTag); !done) return done;
  if (auto done = watch(epoll_, signals.get(), kSignalTag); !done) return done;
  reset();
  std::array<epoll_event, 128> events;
  while (!quit_) {
    deliver_due();
    timespec wait{};
    const auto deadline = network_.next_deadline();
    if (deadline) {
      const auto left = std::max((*deadline - clock_now()).count(), Duration::rep{0});
      wait.tv_sec = left / 1'000'000'000;
      wait.tv_nsec = left % 1'000'000'000;
    }
    const int ready =
        ::epoll_pwait2(epoll_.get(), events.data(), events.size(), deadline ? &wait : nullptr, nullptr);
    if (ready < 0 && errno != EINTR) return fail(errno_error("epoll_pwait2"));
    for (int i = 0; i < ready; ++i) {
      const std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
      if (tag == kSignalTag) return {};
      if (tag == kControlTag) {
        control_.serve([this](std::string_view line) { return answer(line); });
      } else {
        read_host(static_cast<HostIndex>(tag));
      }
    }
  }
  return {};
}

void Emulator::read_host(HostIndex host) {
  std::array<std::byte, 65536> packet;
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const ssize_t got = ::read(devices_[host].tun.get(), packet.data(), packet.size());
    if (got <= 0) return;
    network_.on_packet(clock_now(), host, std::span(packet).first(static_cast<std::size_t>(got)));
  }
}

void Emulator::deliver_due() {
  // Bounded, so that reading goes on while packets fall due faster than they can be delivered.
  for (int i = 0; i < 256; ++i) {
    const TimePoint now = clock_now();
    const auto delivery = network_.next_due(now);
    if (!delivery) return;
    lateness_.add(now - delivery->due);
    if (now - delivery->due > kVeryLate) ++very_late_;
    const ssize_t put =
        ::write(devices_[delivery->to].tun.get(), delivery->packet.data(), delivery->packet.size());
    if (put < 0) ++refused_;
  }
}

std::string Emulator::answer(std::string_view line) {
  if (line == "health") return health();
  if (line == "reset") {
    reset();
    return R"({"ok":true})";
  }
  if (line == "quit") {
    quit_ = true;
    return R"({"ok":true})";
  }
  auto reply = run_command(line, topology_, network_);
  if (reply) return *reply;
  std::string text;
  for (char c : reply.error().message())
    text += c == '"' || c == '\\' || static_cast<unsigned char>(c) < 32 ? '\'' : c;
  return fmt::format(R"({{"ok":false,"error":"{}"}})", text);
}

std::uint64_t Emulator::kernel_drops() {
  std::uint64_t drops = 0;
  const auto home = current_netns();
  if (!home) return 0;
  for (const HostDevice& device : devices_) {
    if (enter_netns(device.netns)) drops += tun_drops();
  }
  if (!enter_netns(*home)) quit_ = true;  // cannot go on in a host's namespace
  return drops;
}

std::string Emulator::health() {
  const double seconds = std::chrono::duration<double>(clock_now() - since_).count();
  const double cpu = std::chrono::duration<double>(cpu_used() - cpu_before_).count();
  const NetworkCounters& c = network_.counters();
  const std::uint64_t unread = kernel_drops() - drops_before_;
  return fmt::format(
      R"({{"ok":true,"late_ms_p50":{:.3f},"late_ms_p99":{:.3f},"late_ms_max":{:.3f},"cpu_share":{:.3f},)"
      R"("overruns":{},"very_late":{},"unread":{},"refused":{},"seconds":{:.3f},"received":{},"delivered":{},)"
      R"("malformed":{},"lost":{},"cut":{},"queue_full":{},"icmp_errors":{}}})",
      lateness_.percentile_ms(0.5), lateness_.percentile_ms(0.99), lateness_.max_ms(),
      cpu / std::max(seconds, 1e-9), c.overruns + very_late_ + unread, very_late_, unread, refused_, seconds,
      c.received, c.delivered, c.malformed, c.lost, c.cut, c.queue_full, c.icmp_errors);
}

void Emulator::reset() {
  lateness_ = {};
  very_late_ = refused_ = 0;
  network_.reset_counters();
  drops_before_ = kernel_drops();
  since_ = clock_now();
  cpu_before_ = cpu_used();
}

}  // namespace reef::wan
