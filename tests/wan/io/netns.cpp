#include "tests/wan/io/netns.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string_view>
#include <utility>

namespace reef::wan {
namespace {

const std::string kFolder = "/run/netns/";

// /proc/sys/net is that of the thread's namespace. A setting that this kernel does not have is passed over:
// each is an improvement, none is needed for packets to flow.
void set_sysctl(std::string_view name, std::string_view value) {
  const Fd file(::open(("/proc/sys/net/" + std::string(name)).c_str(), O_WRONLY | O_CLOEXEC));
  if (file.is_open()) [[maybe_unused]]
    auto written = ::write(file.get(), value.data(), value.size());
}

void tune() {
  constexpr std::pair<std::string_view, std::string_view> kSettings[] = {
      // bbr, a common default, paces by per-socket timers without fq and costs twice the CPU.
      {"ipv4/tcp_congestion_control", "reno"},
      // Each connection starts as if it were the first, so that runs do not learn from each other.
      {"ipv4/tcp_no_metrics_save", "1"},
      {"ipv4/conf/all/rp_filter", "0"},
      {"ipv4/conf/default/rp_filter", "0"},
      {"ipv4/icmp_ratelimit", "0"},
      {"ipv4/icmp_msgs_per_sec", "1000000"},
      {"ipv6/icmp/ratelimit", "0"},
      {"ipv4/ping_group_range", "0 2147483647"},
      {"ipv4/ip_unprivileged_port_start", "0"},
      {"ipv4/ip_local_port_range", "10000 65000"},
      {"ipv4/tcp_rmem", "4096 262144 16777216"},
      {"ipv4/tcp_wmem", "4096 262144 16777216"},
      {"ipv6/conf/all/accept_dad", "0"},
      {"ipv6/conf/default/accept_dad", "0"},
      {"ipv6/conf/all/accept_ra", "0"},
      {"ipv6/conf/default/accept_ra", "0"},
      {"ipv6/conf/default/router_solicitations", "0"},
      {"ipv6/conf/default/addr_gen_mode", "1"},
  };
  for (const auto& [name, value] : kSettings) set_sysctl(name, value);
}

Result<> bring_loopback_up() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) < 0) return fail(errno_error("loopback flags"));
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) < 0) return fail(errno_error("loopback up"));
  return {};
}

}  // namespace

Result<Fd> current_netns() {
  Fd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) return fail(errno_error("own network namespace"));
  return fd;
}

Result<Fd> open_netns(const std::string& name) {
  Fd fd(::open((kFolder + name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) return fail(errno_error("network namespace " + name));
  return fd;
}

Result<> enter_netns(const Fd& netns) {
  if (::setns(netns.get(), CLONE_NEWNET) < 0) return fail(errno_error("enter network namespace"));
  return {};
}

Result<> prepare_netns_folder() {
  if (::mkdir(kFolder.c_str(), 0755) < 0 && errno != EEXIST) return fail(errno_error(kFolder));
  // Shared, so that the end of a name is seen in the private mount namespaces of those who run inside.
  if (::mount("", kFolder.c_str(), "none", MS_SHARED | MS_REC, nullptr) == 0) return {};
  if (errno != EINVAL) return fail(errno_error("share " + kFolder));
  if (::mount(kFolder.c_str(), kFolder.c_str(), "none", MS_BIND | MS_REC, nullptr) < 0 ||
      ::mount("", kFolder.c_str(), "none", MS_SHARED | MS_REC, nullptr) < 0) {
    return fail(errno_error("mount " + kFolder));
  }
  return {};
}

Result<> create_netns(const std::string& name) {
  const std::string path = kFolder + name;
  const Fd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!file.is_open()) return fail(errno_error(path));
  if (::unshare(CLONE_NEWNET) < 0) return fail(errno_error("new network namespace"));
  if (::mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) < 0)
    return fail(errno_error(path));
  tune();
  return bring_loopback_up();
}

void remove_netns(const std::string& name) {
  const std::string path = kFolder + name;
  ::umount2(path.c_str(), MNT_DETACH);
  ::unlink(path.c_str());
}

}  // namespace reef::wan
