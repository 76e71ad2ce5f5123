// HTTP requests that the proxy makes itself, to origins and to other proxies: what to ask, what comes back.
//
// An interface, so that a plain HTTP/1.1 client on our own connection layer can stand beside the one on
// libcurl.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "proxy/http/head.h"

namespace reef::proxy {

using std::chrono::milliseconds;

// Why a fetch ended, in the words of the log, the counters and the error pages.
enum class FetchEnd : std::uint8_t {
  complete,         // by its own framing
  refused_address,  // no address that this node may connect to
  connect_failed,   // refused, unreachable, or no connection in time
  tls_failed,       // handshake or certificate
  head_timeout,     // connected, but no response head in time
  stalled,          // below the least rate for too long
  timed_out,        // longer than the longest fetch
  broken,           // closed before the end of the response, or framed wrongly
  bad_head,         // a response head that is not HTTP, too large, or ambiguous
  refused_by_sink,  // the receiver did not want it
};
[[nodiscard]] std::string_view to_text(FetchEnd end);

// Bytes of a request body that is still arriving. Called on the fetch's loop.
class UploadSource {
 public:
  virtual ~UploadSource() = default;
  enum class State : std::uint8_t { ready, wait, end, broken };
  // Fills the front of `out`: `count` bytes with State::ready. wait: nothing now; Fetcher::resume_upload()
  // later.
  virtual State read(std::span<std::byte> out, std::size_t& count) = 0;
};

// Receives a response. Calls come on the fetch's loop, never inside start() or cancel(), in this order: any
// number of on_interim, at most one on_head, any number of on_body, exactly one on_end. A sink may cancel its
// own fetch (then nothing more is called) or start others.
class FetchSink {
 public:
  virtual ~FetchSink() = default;
  virtual void on_interim(int status) { static_cast<void>(status); }
  // A valid final head; views die with the call. False refuses the response (on_end(refused_by_sink)
  // follows).
  [[nodiscard]] virtual bool on_head(const http::ResponseHead& head) = 0;
  [[nodiscard]] virtual bool on_body(ByteView bytes) = 0;
  virtual void on_end(FetchEnd end, std::string_view detail) = 0;
};

struct FetchRequest {
  bool https = false;
  std::string host;  // for Host and the certificate, without port
  std::uint16_t port = 80;
  std::string method = "GET";
  std::string target;               // sent as it is
  std::vector<std::string> fields;  // "Name: value"; without Host and framing
  std::string host_field;           // empty: made of host and port
  std::vector<Endpoint> addresses;  // tried in turn until one connects; nothing else is ever connected to
  milliseconds connect_timeout{3000};
  milliseconds head_timeout{15000};  // from the connection to the response head
  std::uint32_t rate_min_bytes =
      1;  // a response body slower than this for `rate_window` has stalled; 0: no limit
  std::chrono::seconds rate_window{30};
  milliseconds total_timeout{600000};
  UploadSource* upload = nullptr;  // borrowed until on_end or cancel
  std::int64_t upload_bytes = -1;  // -1: unknown, sent in chunks
  bool fresh_connection = false;   // never reuse one: for requests that must not be sent twice
};

enum class FetchId : std::uint64_t { none = 0 };

class Fetcher {
 public:
  virtual ~Fetcher() = default;
  [[nodiscard]] virtual FetchId start(FetchRequest request, FetchSink& sink) = 0;
  // Unknown ids are ignored.
  virtual void cancel(FetchId id) = 0;
  virtual void resume_upload(FetchId id) = 0;
};

}  // namespace reef::proxy
