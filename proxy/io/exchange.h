// One request and its answer, as the caching side sees it: nothing here knows whether HTTP/1 or HTTP/2
// carries it.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>

#include "base/ip.h"
#include "proxy/http/head.h"
#include "proxy/io/fetcher.h"
#include "proxy/io/multipart.h"
#include "proxy/store/body.h"

namespace reef::proxy {

// Names an exchange for as long as the process lives; its owner may find that it is gone.
enum class ExchangeId : std::uint64_t { none = 0 };

// An answer. The views are read during the call only; the body is kept as long as it is being sent.
struct Reply {
  int status = 200;
  std::string_view reason;                            // empty: the usual one
  std::string_view fields;                            // "Name: value\r\n" lines
  std::string_view more_fields;                       // likewise
  std::string_view text;                              // the body, when it is short and made here
  const std::shared_ptr<const Body>* body = nullptr;  // or where the body is, or arrives
  std::uint64_t from = 0;                             // first byte of `body` to send
  std::optional<std::uint64_t> length;  // bytes to send of `body`; nullopt: until it is complete
  Multipart* multipart = nullptr;  // several pieces of `body` in place of `from` and `length`; moved from
  bool head_only = false;          // HEAD: `length` is announced, nothing is sent
  bool no_content = false;         // 204, 304: no body and no Content-Length
  bool close = false;              // the connection cannot be used on
};

// The bytes of the request's body, as they arrive: what an UploadSource reads.
struct RequestBody {
  bool present = false;
  std::optional<std::uint64_t> length;  // nullopt: not announced
};

class Exchange {
 public:
  virtual ~Exchange() = default;
  [[nodiscard]] virtual ExchangeId id() const = 0;
  [[nodiscard]] virtual const Endpoint& client() const = 0;

  // The answer; once.
  virtual void reply(const Reply& reply) = 0;
  // An interim response before the answer; lost where the client is slow to take it, and for HTTP/1.0.
  // `fields`: "Name: value\r\n" lines, read during the call only.
  virtual void interim(int status, std::string_view fields) = 0;
  // There may be more of the body that reply() was given (or it is complete, or broken).
  virtual void body_grew() = 0;

  // The request's body: to be read by a fetch; `on_data` says that there is more. Only where the request has
  // one.
  [[nodiscard]] virtual UploadSource& upload() = 0;
};

}  // namespace reef::proxy
