// One file fetched as a browser would: DNS, connect (the next address where one refuses or is silent), GET,
// body.
//
//   resolving --> connecting --> receiving --> finished
//
// Sockets are made in the client's network namespace and watched by the caller's epoll under the fetch's id.
#pragma once

#include <llhttp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "base/io/fd.h"
#include "base/ip.h"
#include "base/random.h"
#include "base/time.h"
#include "tests/wan/client/plan.h"

namespace reef::wan {

// How it went; times from the start of the fetch, in milliseconds, negative where that point was not reached.
struct FetchReport {
  std::string error;                   // empty: all of the response was received
  std::vector<std::string> addresses;  // of the DNS answer, in order
  std::string server;                  // the last one that was tried
  int status = 0;
  std::uint64_t bytes = 0;
  std::string digest;  // SHA-256 of the body in hex
  std::string cache_status;
  double dns_ms = -1;
  double connect_ms = -1;
  double first_byte_ms = -1;
  double total_ms = -1;
  double silence_ms = 0;  // the longest time without a byte, the wait for the first one included
  int refused = 0;        // addresses that were passed over
};

class Fetch {
 public:
  struct Place {
    const CrowdPlan& plan;
    const CrowdClient& client;
    const Fd& netns;
    const Fd& home;  // the namespace to return to
    int epoll;
  };

  // `url`: the host and the path. Everything that `place` refers to must outlive this.
  struct Url {
    std::string host, path;
  };
  Fetch(std::uint64_t id, const Place& place, Url url, Random& random, TimePoint now);
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  void on_ready(TimePoint now);
  void on_deadline(TimePoint now);  // at or after next_deadline()
  void give_up(TimePoint now, std::string why) { finish(now, std::move(why)); }

  [[nodiscard]] TimePoint next_deadline() const { return std::min(step_deadline_, end_deadline_); }
  [[nodiscard]] bool is_finished() const { return state_ == State::finished; }
  [[nodiscard]] const FetchReport& report() const { return report_; }
  [[nodiscard]] const Url& url() const { return url_; }
  [[nodiscard]] const CrowdClient& client() const { return place_.client; }
  [[nodiscard]] TimePoint started_at() const { return started_at_; }

 private:
  enum class State : std::uint8_t { resolving, connecting, receiving, finished };

  void open_socket(int type, const Endpoint& peer, std::uint32_t events);
  void ask_resolver(TimePoint now);
  void on_dns(TimePoint now);
  void connect_next(TimePoint now);
  void on_connected(TimePoint now);
  void on_data(TimePoint now);
  void finish(TimePoint now, std::string error);
  [[nodiscard]] double since_start_ms(TimePoint now) const { return to_ms(now - started_at_); }

  static int on_header_field(llhttp_t* parser, const char* at, std::size_t length) noexcept;
  static int on_header_value(llhttp_t* parser, const char* at, std::size_t length) noexcept;
  static int on_body(llhttp_t* parser, const char* at, std::size_t length) noexcept;
  static int on_message_complete(llhttp_t* parser) noexcept;
  static const llhttp_settings_t& parser_settings();

  const std::uint64_t id_;
  const Place place_;
  const Url url_;
  const TimePoint started_at_;
  const TimePoint end_deadline_;
  const std::uint16_t dns_id_;
  State state_ = State::resolving;
  Fd socket_;
  int dns_tries_ = 0;
  std::vector<IpAddress> addresses_;  // still to be tried
  TimePoint step_deadline_{};
  TimePoint heard_at_;  // the last byte, or the start
  llhttp_t parser_{};
  bool in_value_ = false;
  bool complete_ = false;
  std::string field_;
  Sha256 hash_;
  FetchReport report_;
};

}  // namespace reef::wan
