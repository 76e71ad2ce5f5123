#include "proxy/io/resolver.h"

#include <algorithm>

#include "base/check.h"

namespace reef::proxy {
namespace {

Error to_error(int status, const std::string& host) {
  switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
      return {make_error_code(std::errc::host_unreachable), host + " has no address"};
    case ARES_ETIMEOUT:
      return {make_error_code(std::errc::timed_out), "no answer for " + host};
    default:
      return {make_error_code(std::errc::io_error), host + ": " + ares_strerror(status)};
  }
}

// The library's process-wide part, once, before the first channel.
void init_library() {
  static const int status = ares_library_init(ARES_LIB_INIT_ALL);
  BASE_CHECK(status == ARES_SUCCESS);
}

}  // namespace

struct Resolver::Query {
  Resolver* resolver;
  std::string host;
  std::vector<Done> waiting;
};

Resolver::Resolver(EventLoop& loop, ResolverOptions options)
    : loop_(loop),
      options_(std::move(options)),
      watch_(loop,
             [this](int fd, short what) {
               ares_process_fd(channel_, (what & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
                               (what & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
               arm();
             }),
      timer_(loop, [this] {
        ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        arm();
      }) {
  init_library();
  ares_options settings{};
  settings.timeout = static_cast<int>(options_.timeout.count());
  settings.tries = options_.tries;
  settings.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<Resolver*>(self)->watch_.watch(
        fd, static_cast<short>((readable != 0 ? EV_READ : 0) | (writable != 0 ? EV_WRITE : 0)));
  };
  settings.sock_state_cb_data = this;
  int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
  std::string lookups = "b";
  if (!options_.servers.empty()) {
    // Servers that were named are asked, and nothing else.
    settings.lookups = lookups.data();
    mask |= ARES_OPT_LOOKUPS;
  }
  const int status = ares_init_options(&channel_, &settings, mask);
  BASE_CHECK(status == ARES_SUCCESS);
  if (!options_.servers.empty()) {
    std::string list;
    for (const Endpoint& server : options_.servers) list += (list.empty() ? "" : ",") + to_string(server);
    ares_set_servers_ports_csv(channel_, list.c_str());
  }
}

Resolver::~Resolver() {
  ending_ = true;
  ares_destroy(channel_);
}

void Resolver::resolve(const std::string& host, Done done) {
  if (auto literal = IpAddress::parse(host)) {
    done(Addresses{*literal});
    return;
  }
  if (host == "localhost" || host.ends_with(".localhost")) {  // RFC 6761 §6.3
    done(Addresses{IpAddress::v4(127, 0, 0, 1)});
    return;
  }
  if (auto cached = cache_.find(host); cached != cache_.end()) {
    if (loop_.now() < cached->second.expires) {
      const Result<Addresses> answer = cached->second.answer;  // a copy: `done` may change the cache
      done(answer);
      return;
    }
    cache_.erase(cached);
  }
  auto& query = running_[host];
  if (query != nullptr) {
    query->waiting.push_back(std::move(done));
    return;
  }
  query = std::make_unique<Query>(Query{this, host, {}});
  query->waiting.push_back(std::move(done));
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  ares_getaddrinfo(
      channel_, host.c_str(), nullptr, &hints,
      [](void* arg, int status, int, ares_addrinfo* found) {
        Query& self = *static_cast<Query*>(arg);
        self.resolver->answered(self, status, found);
      },
      query.get());
  arm();
}

void Resolver::answered(Query& query, int status, ares_addrinfo* found) {
  if (ending_) {
    if (found != nullptr) ares_freeaddrinfo(found);
    return;
  }
  Result<Addresses> answer = fail(to_error(status, query.host));
  auto ttl = options_.negative_ttl;
  if (status == ARES_SUCCESS && found != nullptr) {
    Addresses addresses;
    ttl = options_.ttl_max;
    for (const ares_addrinfo_node* node = found->nodes; node != nullptr; node = node->ai_next) {
      const IpAddress address = Endpoint::from(node->ai_addr).address;
      if (address.is_unspecified()) continue;
      if (std::find(addresses.begin(), addresses.end(), address) == addresses.end())
        addresses.push_back(address);
      ttl = std::min(ttl, std::chrono::seconds(std::max(node->ai_ttl, 0)));
    }
    // IPv4 first: a volunteer's IPv6 route may be broken, and there is no race between the families here.
    std::stable_partition(addresses.begin(), addresses.end(), [](const IpAddress& a) { return a.is_v4(); });
    if (addresses.empty()) {
      answer = fail(to_error(ARES_ENODATA, query.host));
      ttl = options_.negative_ttl;
    } else {
      answer = std::move(addresses);
      ttl = std::max(ttl, options_.ttl_min);
    }
  }
  if (found != nullptr) ares_freeaddrinfo(found);
  // The query may have been answered inside ares_getaddrinfo(); those who wait are always told from the
  // loop's turn or from resolve() itself, with the query already gone.
  const auto node = running_.extract(query.host);
  remember(node.key(), answer, ttl);
  for (Done& done : node.mapped()->waiting) done(answer);
}

void Resolver::remember(const std::string& host, Result<Addresses> answer, std::chrono::seconds ttl) {
  if (cache_.size() >= options_.names_max) {
    std::erase_if(cache_, [now = loop_.now()](const auto& entry) { return entry.second.expires <= now; });
    if (cache_.size() >= options_.names_max) cache_.erase(cache_.begin());
  }
  cache_.insert_or_assign(host, Cached{std::move(answer), loop_.now() + ttl});
}

void Resolver::arm() {
  if (ending_) return;
  timeval wait{};
  if (ares_timeout(channel_, nullptr, &wait) == nullptr) {
    timer_.stop();
    return;
  }
  timer_.start(std::chrono::seconds(wait.tv_sec) + std::chrono::microseconds(wait.tv_usec));
}

}  // namespace reef::proxy
