// The Fetcher that the proxy uses: http goes to the lean client, https to the one on libcurl.
#pragma once

#include <cstdint>
#include <utility>

#include "proxy/io/curl_fetcher.h"
#include "proxy/io/plain_fetcher.h"

namespace reef::proxy {

// Belongs to one loop. Destruction ends all fetches silently.
class RoutingFetcher final : public Fetcher {
 public:
  RoutingFetcher(EventLoop& loop, const FetcherOptions& options)
      : plain_(loop, options), curl_(loop, options) {}

  [[nodiscard]] FetchId start(FetchRequest request, FetchSink& sink) override {
    const bool https = request.https;
    const FetchId id = https ? curl_.start(std::move(request), sink) : plain_.start(std::move(request), sink);
    return FetchId{static_cast<std::uint64_t>(id) << 1 | (https ? 1U : 0U)};
  }
  void cancel(FetchId id) override { behind(id).cancel(inner(id)); }
  void resume_upload(FetchId id) override { behind(id).resume_upload(inner(id)); }
  void pause(FetchId id) override { behind(id).pause(inner(id)); }
  void resume(FetchId id) override { behind(id).resume(inner(id)); }

 private:
  // The lowest bit of an id says whose it is.
  [[nodiscard]] Fetcher& behind(FetchId id) {
    if ((static_cast<std::uint64_t>(id) & 1) != 0) return curl_;
    return plain_;
  }
  [[nodiscard]] static FetchId inner(FetchId id) { return FetchId{static_cast<std::uint64_t>(id) >> 1}; }

  PlainFetcher plain_;
  CurlFetcher curl_;
};

}  // namespace reef::proxy
