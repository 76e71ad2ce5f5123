// HTTP requests that the proxy makes itself, to origins and to other proxies: what to ask, what comes back.
//
// An interface with two behind it: PlainFetcher for http, on raw sockets, and CurlFetcher for https;
// RoutingFetcher is both of them.
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
  // Enough of it is here for a server to be asked: all of it, or as much as is kept beforehand, or it has
  // turned out to be broken. A server's connection is not to wait for a client who sends slowly.
  [[nodiscard]] virtual bool is_ready() { return true; }
};

// Receives a response. Calls come on the fetch's loop, never inside start() or cancel(), in this order: any
// number of on_interim, at most one on_head, any number of on_body, exactly one on_end. A sink may cancel its
// own fetch (then nothing more is called) or start others.
class FetchSink {
 public:
  virtual ~FetchSink() = default;
  // A head of 100 to 199, without 101; views die with the call.
  virtual void on_interim(const http::ResponseHead& head) { static_cast<void>(head); }
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
  // The response head is due within connect_timeout + head_timeout of the beginning of a try, or, where a
  // body is sent, within head_timeout of the last time that the server took some of it; waiting for the
  // source of the body does not count.
  milliseconds head_timeout{15000};
  std::uint32_t rate_min_bytes =
      1;  // a response body slower than this for `rate_window` has stalled; 0: no limit
  std::chrono::seconds rate_window{30};
  milliseconds total_timeout{600000};
  UploadSource* upload = nullptr;  // borrowed until on_end or cancel
  std::int64_t upload_bytes = -1;  // -1: unknown, sent in chunks
  bool fresh_connection = false;   // never reuse one: for requests that must not be sent twice
};

struct FetcherOptions {
  std::size_t connections_max = 256;            // kept open for reuse, of one fetcher
  std::size_t connections_per_server_max = 32;  // of those, to one server; only http
  // A kept connection unused for so long is closed. Less than the 30 s after which a node closes an idle
  // client: the side that might still send is the one that closes.
  std::chrono::seconds idle_timeout{25};
  std::size_t head_bytes_max = 64 << 10;  // of all header lines of one response, interim ones too
  std::size_t fields_max = 200;
  int interim_max = 16;  // 1xx responses before the final one
  std::string ca_file;   // for https; empty: the system's
};

// Methods whose requests carry "Content-Length: 0" where there is no body (RFC 9110 §8.6): servers answer 411
// without it.
[[nodiscard]] bool says_empty_body(std::string_view method);

enum class FetchId : std::uint64_t { none = 0 };

class Fetcher {
 public:
  virtual ~Fetcher() = default;
  [[nodiscard]] virtual FetchId start(FetchRequest request, FetchSink& sink) = 0;
  // Unknown ids are ignored.
  virtual void cancel(FetchId id) = 0;
  virtual void resume_upload(FetchId id) = 0;
  // From inside on_body: nothing more is read of the response, and no time runs for the server, until
  // resume(). What was read already, some ten KiB, may still be delivered. Both do nothing a second time.
  virtual void pause(FetchId id) = 0;
  virtual void resume(FetchId id) = 0;
};

}  // namespace reef::proxy
