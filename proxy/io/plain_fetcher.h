// The Fetcher for http: HTTP/1.1 (RFC 9112) on plain TCP, one request at a time on a connection.
//
//            connected           head of the answer          end of the answer
//   connecting ──────► asking ─────────────────────► reading ─────────────────► kept in the pool, or closed
//       │ ▲              │ kept connection that
//       └─┘ next address └─► was closed: connecting, once
//
// A request on a kept connection is one system call to look at it, one to write, one to read where the answer
// comes in one piece; it allocates nothing here, and the events stay registered. Answers are read into one
// buffer of the fetcher. Only a safe request without a body, on a connection that was used before and closed
// without a byte of an answer, is sent a second time (RFC 9112 §9.3.1).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/io/event_loop.h"
#include "proxy/http/parser.h"
#include "proxy/io/connection_pool.h"
#include "proxy/io/fetcher.h"
#include "proxy/io/timer_wheel.h"

namespace reef::proxy {

// Belongs to one loop. Destruction ends all fetches silently.
class PlainFetcher final : public Fetcher {
 public:
  PlainFetcher(EventLoop& loop, FetcherOptions options);
  ~PlainFetcher() override;
  PlainFetcher(const PlainFetcher&) = delete;
  PlainFetcher& operator=(const PlainFetcher&) = delete;

  // FetchRequest::https must be false.
  [[nodiscard]] FetchId start(FetchRequest request, FetchSink& sink) override;
  void cancel(FetchId id) override;
  void resume_upload(FetchId id) override;
  void pause(FetchId id) override;
  void resume(FetchId id) override;

  [[nodiscard]] std::size_t kept_connections() const { return pool_.size(); }

 private:
  struct Fetch;
  struct Ended {
    FetchId id;
    FetchEnd end;
    std::string detail;
  };

  [[nodiscard]] Fetch& free_slot();
  [[nodiscard]] Fetch* find(FetchId id);
  void launch(Fetch& fetch);
  void connect(Fetch& fetch, std::string detail);
  void try_next_address(Fetch& fetch, std::string detail);
  void ask(Fetch& fetch);
  void write(Fetch& fetch);
  [[nodiscard]] bool read_upload(Fetch& fetch);
  static void cut(Fetch& fetch);
  void on_connected(Fetch& fetch);
  void on_readable(Fetch& fetch);
  void on_answer(Fetch& fetch, std::string_view bytes);
  void on_input_end(Fetch& fetch, bool in_good_order);
  void release(Fetch& fetch);
  void end(Fetch& fetch, FetchEnd end, std::string_view detail);
  void end_later(Fetch& fetch, FetchEnd end, std::string detail);
  void settle();

  void begin_window(Fetch& fetch);
  void schedule(Fetch& fetch);
  void on_tick();
  void on_deadline(Fetch& fetch);

  EventLoop& loop_;
  const FetcherOptions options_;
  http::ResponseHeadParser parser_;
  std::vector<char> buffer_;              // what was read last
  std::vector<std::byte> upload_buffer_;  // made when first needed
  ConnectionPool pool_;
  TimerWheel wheel_;
  TimePoint wheel_at_{};  // the time up to which the wheel has been turned
  bool turning_ = false;
  Timer tick_;  // runs while there are fetches
  std::uint64_t last_id_ = 0;
  std::size_t active_ = 0;
  std::vector<std::unique_ptr<Fetch>> fetches_;  // used again; an id says where
  std::vector<std::uint32_t> free_;
  std::vector<Ended> ended_;  // to be told when nobody is inside start(), cancel() or resume_upload()
  std::vector<FetchId> to_launch_;
  Timer soon_;
};

}  // namespace reef::proxy
