// The Fetcher on libcurl's multi interface, driven by the worker's loop
// (CURLMOPT_SOCKETFUNCTION/TIMERFUNCTION).
//
// curl does framing, connection reuse and TLS; everything else it could do by itself is off: it never
// resolves a name (every connection is pinned to an address that the caller checked, and the socket is
// refused if it is another), never follows a redirect, never decodes a body, never reads a proxy from the
// environment.
#pragma once

#include <curl/curl.h>

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/io/event_loop.h"
#include "proxy/http/parser.h"
#include "proxy/io/fetcher.h"
#include "proxy/io/socket_watch.h"

namespace reef::proxy {

// Belongs to one loop. Destruction ends all transfers silently.
class CurlFetcher final : public Fetcher {
 public:
  CurlFetcher(EventLoop& loop, FetcherOptions options);
  ~CurlFetcher() override;
  CurlFetcher(const CurlFetcher&) = delete;
  CurlFetcher& operator=(const CurlFetcher&) = delete;

  [[nodiscard]] FetchId start(FetchRequest request, FetchSink& sink) override;
  void cancel(FetchId id) override;
  void resume_upload(FetchId id) override;
  // The longest time of a whole fetch runs on meanwhile.
  void pause(FetchId id) override;
  void resume(FetchId id) override;

 private:
  struct Transfer;
  using MultiPtr = std::unique_ptr<CURLM, FreeWith<curl_multi_cleanup>>;

  void in_curl(const std::function<void()>& action);
  void action(curl_socket_t fd, int events);
  void launch(Transfer& transfer);
  void prepare(Transfer& transfer);
  void collect();
  void finish(Transfer& transfer, FetchEnd end, std::string detail);
  void settle();

  static std::size_t header_line(char* data, std::size_t size, std::size_t count, void* transfer) noexcept;
  static std::size_t body_bytes(char* data, std::size_t size, std::size_t count, void* transfer) noexcept;
  static std::size_t upload_bytes(char* data, std::size_t size, std::size_t count, void* transfer) noexcept;
  static curl_socket_t open_socket(void* transfer, curlsocktype purpose, curl_sockaddr* address) noexcept;

  EventLoop& loop_;
  const FetcherOptions options_;
  SocketWatch watch_;
  Timer timer_;
  Timer soon_;  // for what must not happen inside a caller's call
  http::ResponseHeadParser parser_;
  MultiPtr multi_;
  std::uint64_t last_id_ = 0;
  bool inside_ = false;  // curl is running: it must not be entered again
  std::unordered_map<std::uint64_t, std::unique_ptr<Transfer>> transfers_;
  std::vector<std::uint64_t> to_launch_;
  std::vector<std::uint64_t> to_drop_;
  struct Ended {
    std::uint64_t id;
    FetchEnd end;
    std::string detail;
  };
  std::vector<Ended> ended_;
};

}  // namespace reef::proxy
