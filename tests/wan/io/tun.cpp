#include "tests/wan/io/tun.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <linux/ipv6_route.h>
#include <linux/route.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

namespace reef::wan {
namespace {

ifreq named_request() {
  ifreq request{};
  std::strcpy(request.ifr_name, kTunName);
  return request;
}

sockaddr v4_sockaddr(const IpAddress& address) {
  sockaddr_storage storage{};
  Endpoint{address, 0}.to(storage);
  sockaddr out{};
  std::memcpy(&out, &storage, sizeof(out));
  return out;
}

Result<> set_up_v4(int control, const IpAddress& address) {
  ifreq request = named_request();
  request.ifr_addr = v4_sockaddr(address);
  if (::ioctl(control, SIOCSIFADDR, &request) < 0) return fail(errno_error("address " + to_string(address)));
  request.ifr_addr = v4_sockaddr(IpAddress::v4(255, 255, 255, 255));
  if (::ioctl(control, SIOCSIFNETMASK, &request) < 0) return fail(errno_error("netmask"));
  return {};
}

Result<> bring_up(int control) {
  ifreq request = named_request();
  request.ifr_mtu = kMtu;
  if (::ioctl(control, SIOCSIFMTU, &request) < 0) return fail(errno_error("mtu"));
  request = named_request();
  request.ifr_qlen = 2000;  // packets; a burst that waits for the emulator's next turn
  if (::ioctl(control, SIOCSIFTXQLEN, &request) < 0) return fail(errno_error("queue length"));
  request = named_request();
  if (::ioctl(control, SIOCGIFFLAGS, &request) < 0) return fail(errno_error("flags"));
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(control, SIOCSIFFLAGS, &request) < 0) return fail(errno_error("device up"));
  return {};
}

Result<> route_v4(int control) {
  char device[IFNAMSIZ];
  std::strcpy(device, kTunName);
  rtentry route{};
  route.rt_dst = route.rt_genmask = v4_sockaddr(IpAddress::v4(0));
  route.rt_flags = RTF_UP;
  route.rt_dev = device;
  if (::ioctl(control, SIOCADDRT, &route) < 0) return fail(errno_error("default route"));
  return {};
}

Result<> set_up_v6(const IpAddress& address) {
  const Fd control(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!control.is_open()) return {};  // a kernel without IPv6
  ifreq request = named_request();
  if (::ioctl(control.get(), SIOCGIFINDEX, &request) < 0) return fail(errno_error("device index"));
  in6_ifreq v6{};
  std::memcpy(&v6.ifr6_addr, address.bytes().data(), address.bytes().size());
  v6.ifr6_prefixlen = 128;
  v6.ifr6_ifindex = request.ifr_ifindex;
  if (::ioctl(control.get(), SIOCSIFADDR, &v6) < 0) {
    if (errno == EACCES || errno == EOPNOTSUPP) return {};  // IPv6 is switched off
    return fail(errno_error("address " + to_string(address)));
  }
  in6_rtmsg route{};
  route.rtmsg_flags = RTF_UP;
  route.rtmsg_metric = 1;
  route.rtmsg_ifindex = request.ifr_ifindex;
  if (::ioctl(control.get(), SIOCADDRT, &route) < 0) return fail(errno_error("default IPv6 route"));
  return {};
}

}  // namespace

Result<Fd> open_tun(const IpAddress& address, const IpAddress& address6) {
  Fd tun(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tun.is_open()) return fail(errno_error("/dev/net/tun"));
  ifreq request = named_request();
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (::ioctl(tun.get(), TUNSETIFF, &request) < 0) return fail(errno_error("TUNSETIFF"));
  const Fd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!control.is_open()) return fail(errno_error("socket"));
  if (auto done = set_up_v4(control.get(), address); !done) return fail(done.error());
  if (auto done = bring_up(control.get()); !done) return fail(done.error());
  if (auto done = route_v4(control.get()); !done) return fail(done.error());
  if (auto done = set_up_v6(address6); !done) return fail(done.error());
  return tun;
}

std::uint64_t tun_drops() {
  std::ifstream file("/proc/thread-self/net/dev");
  std::string line;
  while (std::getline(file, line)) {
    const auto colon = line.find(':');
    if (colon == std::string::npos || line.find(kTunName) == std::string::npos) continue;
    // Eight numbers about what was received, then bytes, packets, errors and drops of what was sent.
    std::istringstream numbers(line.substr(colon + 1));
    std::uint64_t value = 0;
    for (int i = 0; i < 12; ++i) numbers >> value;
    return value;
  }
  return 0;
}

}  // namespace reef::wan
