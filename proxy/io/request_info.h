// What is kept of a request once its bytes have gone: while it waits for a fill, on whichever worker.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "proxy/http/head.h"
#include "proxy/io/exchange.h"
#include "proxy/names/host.h"
#include "proxy/rules/options.h"
#include "proxy/store/url_hash.h"

namespace reef::proxy {

// A request head that owns its bytes.
class HeadCopy {
 public:
  HeadCopy() = default;
  explicit HeadCopy(const http::RequestHead& head);
  HeadCopy(const HeadCopy&) = delete;
  HeadCopy& operator=(const HeadCopy&) = delete;
  [[nodiscard]] const http::RequestHead& head() const { return head_; }

 private:
  std::string bytes_;
  std::vector<http::Field> fields_;
  http::RequestHead head_;
};

// Where a host name leads: worked out once per name and worker.
struct Destination {
  rules::Mode mode = rules::Mode::coralized;
  names::Origin origin;
  std::string authority;        // of the origin, for Host: port only where it is not the scheme's default
  std::string url_prefix;       // of the cache key: what stands in front of path and query
  std::uint16_t host_port = 0;  // the port that the client named, for Coralized Location fields; 0: none
  bool trusted = false;         // an origin that the operator named: exempt from the address rule
  rules::Options rules;         // of this site; their mode is `mode`
};

// Immutable, shared between the worker that has the client and the owner of the key.
struct RequestInfo {
  explicit RequestInfo(const http::RequestHead& request) : copy(request) {}
  [[nodiscard]] const http::RequestHead& head() const { return copy.head(); }

  HeadCopy copy;
  ExchangeId exchange = ExchangeId::none;  // none: nobody waits (revalidation in the background)
  std::size_t worker = 0;                  // that has the exchange
  std::shared_ptr<const Destination> to;
  std::string path_query;  // as it goes to the origin, never empty
  std::string plain_url;   // the normalized URL
  UrlHash plain_hash;      // of that: says which worker owns it with all its variants
  std::string url;         // the cache key: the normalized URL, or a variant's key
  UrlHash hash;
  std::string vary_names;  // where `url` is a variant's key: of its index
  std::int64_t generation = 0;
  bool only_if_cached = false;
  bool has_body = false;
  std::optional<std::uint64_t> body_bytes;
  bool from_peer = false;
  std::optional<Endpoint> peer;  // where that peer answers its own peers
  // The end of the part that it asks for, which it wants at once or not at all; 0: no part.
  std::uint64_t part_end = 0;
};

}  // namespace reef::proxy
