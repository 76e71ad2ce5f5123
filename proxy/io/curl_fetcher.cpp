#include "proxy/io/curl_fetcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/check.h"
#include "proxy/http/fields.h"
#include "proxy/http/parser.h"

namespace reef::proxy {

namespace {

using EasyPtr = std::unique_ptr<CURL, FreeWith<curl_easy_cleanup>>;
using ListPtr = std::unique_ptr<curl_slist, FreeWith<curl_slist_free_all>>;

void append(ListPtr& list, const std::string& line) {
  curl_slist* grown = curl_slist_append(list.get(), line.c_str());
  BASE_CHECK(grown != nullptr);
  static_cast<void>(list.release());
  list.reset(grown);
}

void init_library() {
  static const CURLcode status = curl_global_init(CURL_GLOBAL_DEFAULT);
  BASE_CHECK(status == CURLE_OK);
}

}  // namespace

struct CurlFetcher::Transfer {
  CurlFetcher* fetcher;
  std::uint64_t id;
  FetchRequest request;
  FetchSink* sink;  // nullptr: cancelled
  std::size_t address = 0;
  ListPtr fields;
  ListPtr connect_to;
  std::unique_ptr<Timer> head_timer;
  std::string head;            // raw lines of the head that is arriving
  std::size_t head_bytes = 0;  // of all heads so far
  int interim = 0;
  std::int64_t uploaded = 0;
  bool have_head = false;
  bool added = false;
  std::optional<FetchEnd> verdict;  // why we made curl give up, where it was us
  EasyPtr easy;                     // last: it borrows the lists

  [[nodiscard]] bool head_complete();
};

CurlFetcher::CurlFetcher(EventLoop& loop, FetcherOptions options)
    : loop_(loop),
      options_(std::move(options)),
      watch_(loop,
             [this](int fd, short what) {
               action(fd, ((what & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
                              ((what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0));
             }),
      timer_(loop, [this] { action(CURL_SOCKET_TIMEOUT, 0); }),
      soon_(loop, [this] { settle(); }),
      parser_({.head_bytes_max = options_.head_bytes_max,
               .start_line_bytes_max = 8 << 10,
               .fields_max = options_.fields_max}) {
  init_library();
  multi_.reset(curl_multi_init());
  BASE_CHECK(multi_ != nullptr);
  curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(
      multi_.get(), CURLMOPT_SOCKETFUNCTION,
      +[](CURL*, curl_socket_t fd, int what, void* self, void*) -> int {
        short events = 0;
        if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) events |= EV_READ;
        if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) events |= EV_WRITE;
        static_cast<CurlFetcher*>(self)->watch_.watch(fd, events);
        return 0;
      });
  curl_multi_setopt(multi_.get(), CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(
      multi_.get(), CURLMOPT_TIMERFUNCTION, +[](CURLM*, long ms, void* self) -> int {
        Timer& timer = static_cast<CurlFetcher*>(self)->timer_;
        ms < 0 ? timer.stop() : timer.start(milliseconds(ms));
        return 0;
      });
  curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(options_.connections_max));
  curl_multi_setopt(multi_.get(), CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
}

CurlFetcher::~CurlFetcher() {
  inside_ = true;
  for (auto& [id, transfer] : transfers_) {
    transfer->sink = nullptr;
    if (transfer->added) curl_multi_remove_handle(multi_.get(), transfer->easy.get());
  }
  transfers_.clear();
}

FetchId CurlFetcher::start(FetchRequest request, FetchSink& sink) {
  const std::uint64_t id = ++last_id_;
  auto transfer = std::make_unique<Transfer>();
  transfer->fetcher = this;
  transfer->id = id;
  transfer->request = std::move(request);
  transfer->sink = &sink;
  const bool nowhere = transfer->request.addresses.empty();
  Transfer& started = *transfers_.emplace(id, std::move(transfer)).first->second;
  if (nowhere) {
    finish(started, FetchEnd::refused_address, "");
  } else {
    prepare(started);
    to_launch_.push_back(id);
  }
  soon_.start(Duration::zero());
  return FetchId{id};
}

void CurlFetcher::cancel(FetchId id) {
  const auto found = transfers_.find(static_cast<std::uint64_t>(id));
  if (found == transfers_.end()) return;
  found->second->sink = nullptr;
  found->second->request.upload = nullptr;
  to_drop_.push_back(found->first);
  if (!inside_) soon_.start(Duration::zero());
}

void CurlFetcher::resume_upload(FetchId id) {
  const auto found = transfers_.find(static_cast<std::uint64_t>(id));
  if (found == transfers_.end() || !found->second->added || inside_) return;
  in_curl([&] { curl_easy_pause(found->second->easy.get(), CURLPAUSE_CONT); });
}

void CurlFetcher::pause(FetchId id) {
  const auto found = transfers_.find(static_cast<std::uint64_t>(id));
  if (found == transfers_.end() || !found->second->added) return;
  curl_easy_pause(found->second->easy.get(), CURLPAUSE_RECV);
}

void CurlFetcher::resume(FetchId id) {
  const auto found = transfers_.find(static_cast<std::uint64_t>(id));
  if (found == transfers_.end() || !found->second->added || inside_) return;
  in_curl([&] { curl_easy_pause(found->second->easy.get(), CURLPAUSE_CONT); });
}

void CurlFetcher::in_curl(const std::function<void()>& call) {
  BASE_CHECK(!inside_);
  inside_ = true;
  call();
  inside_ = false;
  collect();
  settle();
}

void CurlFetcher::action(curl_socket_t fd, int events) {
  in_curl([&] {
    int running = 0;
    curl_multi_socket_action(multi_.get(), fd, events, &running);
  });
}

// The transfers that curl has ended.
void CurlFetcher::collect() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode result = message->data.result;
    Transfer* transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    double connected = 0;
    curl_easy_getinfo(message->easy_handle, CURLINFO_CONNECT_TIME, &connected);
    double elapsed = 0;
    curl_easy_getinfo(message->easy_handle, CURLINFO_TOTAL_TIME, &elapsed);
    curl_multi_remove_handle(multi_.get(), transfer->easy.get());
    transfer->added = false;
    FetchEnd end = FetchEnd::broken;
    switch (result) {
      case CURLE_OK:
        end = transfer->have_head ? FetchEnd::complete : FetchEnd::bad_head;
        break;
      case CURLE_COULDNT_CONNECT:
      case CURLE_COULDNT_RESOLVE_HOST:
        end = FetchEnd::connect_failed;
        break;
      case CURLE_OPERATION_TIMEDOUT:
        end = connected == 0 ? FetchEnd::connect_failed
              : elapsed * 1000 + 50 >= static_cast<double>(transfer->request.total_timeout.count())
                  ? FetchEnd::timed_out
                  : FetchEnd::stalled;
        break;
      case CURLE_SSL_CONNECT_ERROR:
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_CACERT_BADFILE:
        end = FetchEnd::tls_failed;
        break;
      case CURLE_OUT_OF_MEMORY:  // a line longer than curl's own limit
        end = transfer->have_head ? FetchEnd::broken : FetchEnd::bad_head;
        break;
      case CURLE_UNSUPPORTED_PROTOCOL:  // HTTP/0.9
      case CURLE_WEIRD_SERVER_REPLY:
        end = FetchEnd::bad_head;
        break;
      default:
        end = FetchEnd::broken;
    }
    if (transfer->verdict) end = *transfer->verdict;
    if (end == FetchEnd::connect_failed && transfer->sink != nullptr &&
        transfer->address + 1 < transfer->request.addresses.size()) {
      ++transfer->address;
      prepare(*transfer);
      to_launch_.push_back(transfer->id);
      continue;
    }
    finish(*transfer, end, result == CURLE_OK ? "" : curl_easy_strerror(result));
  }
}

void CurlFetcher::finish(Transfer& transfer, FetchEnd end, std::string detail) {
  ended_.push_back({transfer.id, end, std::move(detail)});
}

// Does what was put off while curl was running; sinks may put off more meanwhile.
void CurlFetcher::settle() {
  if (inside_) return;
  while (!ended_.empty() || !to_drop_.empty() || !to_launch_.empty()) {
    for (const std::uint64_t id : std::exchange(to_drop_, {})) {
      const auto found = transfers_.find(id);
      if (found == transfers_.end()) continue;
      inside_ = true;
      if (found->second->added) curl_multi_remove_handle(multi_.get(), found->second->easy.get());
      inside_ = false;
      transfers_.erase(found);
    }
    for (Ended& ended : std::exchange(ended_, {})) {
      const auto found = transfers_.find(ended.id);
      if (found == transfers_.end()) continue;
      if (found->second->added) {
        inside_ = true;
        curl_multi_remove_handle(multi_.get(), found->second->easy.get());
        inside_ = false;
      }
      const std::unique_ptr<Transfer> transfer = std::move(found->second);
      transfers_.erase(found);
      if (transfer->sink != nullptr) transfer->sink->on_end(ended.end, ended.detail);
    }
    for (const std::uint64_t id : std::exchange(to_launch_, {})) {
      if (const auto found = transfers_.find(id); found != transfers_.end()) launch(*found->second);
    }
  }
}

void CurlFetcher::launch(Transfer& transfer) {
  if (transfer.sink == nullptr || transfer.added) return;
  transfer.head_timer = std::make_unique<Timer>(loop_, [this, id = transfer.id] {
    const auto found = transfers_.find(id);
    if (found == transfers_.end()) return;
    finish(*found->second, FetchEnd::head_timeout, "");
    settle();
  });
  transfer.head_timer->start(transfer.request.connect_timeout + transfer.request.head_timeout);
  inside_ = true;
  const CURLMcode added = curl_multi_add_handle(multi_.get(), transfer.easy.get());
  inside_ = false;
  transfer.added = added == CURLM_OK;
  if (!transfer.added) finish(transfer, FetchEnd::broken, curl_multi_strerror(added));
}

void CurlFetcher::prepare(Transfer& transfer) {
  const FetchRequest& request = transfer.request;
  transfer.easy.reset(curl_easy_init());
  BASE_CHECK(transfer.easy != nullptr);
  CURL* easy = transfer.easy.get();
  const bool default_port = request.port == (request.https ? 443 : 80);
  const std::string authority =
      default_port ? request.host : fmt::format("{}:{}", request.host, request.port);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
  curl_easy_setopt(easy, CURLOPT_URL,
                   fmt::format("{}://{}/", request.https ? "https" : "http", authority).c_str());
  curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, request.target.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, request.https ? "https" : "http");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!options_.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.total_timeout.count()));
  if (request.rate_min_bytes > 0) {
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(request.rate_min_bytes));
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.rate_window.count()));
  }
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 64L << 10);
  curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, static_cast<long>(options_.idle_timeout.count()));
  if (request.fresh_connection) {
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  }

  // The one address that this try may connect to: no name is resolved, and open_socket() compares.
  transfer.connect_to.reset();
  append(transfer.connect_to, "::" + to_string(request.addresses[transfer.address]));
  curl_easy_setopt(easy, CURLOPT_CONNECT_TO, transfer.connect_to.get());
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &transfer);

  transfer.fields.reset();
  append(transfer.fields, "Host: " + (request.host_field.empty() ? authority : request.host_field));
  for (const std::string& field : request.fields) append(transfer.fields, field);
  if (request.upload == nullptr && says_empty_body(request.method))
    append(transfer.fields, "Content-Length: 0");
  // What curl would add by itself.
  for (const char* name : {"Accept", "Expect", "User-Agent"}) {
    const auto given =
        std::any_of(request.fields.begin(), request.fields.end(), [&](const std::string& field) {
          return http::starts_with_ignoring_case(field, std::string(name) + ":");
        });
    if (!given) append(transfer.fields, std::string(name) + ":");
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.fields.get());

  if (request.upload != nullptr) {
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, &upload_bytes);
    curl_easy_setopt(easy, CURLOPT_READDATA, &transfer);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.upload_bytes));
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else {
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (request.method != "GET") curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &header_line);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &body_bytes);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
}

curl_socket_t CurlFetcher::open_socket(void* self, curlsocktype, curl_sockaddr* address) noexcept {
  const Transfer& transfer = *static_cast<Transfer*>(self);
  const Endpoint to = Endpoint::from(&address->addr);
  if (to != transfer.request.addresses[transfer.address]) return CURL_SOCKET_BAD;
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
}

std::size_t CurlFetcher::header_line(char* data, std::size_t size, std::size_t count, void* self) noexcept {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const std::size_t bytes = size * count;
  if (transfer.sink == nullptr) return 0;
  const std::string_view line(data, bytes);
  if (transfer.have_head) return bytes;  // trailers are not merged into the head and not kept
  transfer.head_bytes += bytes;
  if (transfer.head_bytes > transfer.fetcher->options_.head_bytes_max) {
    transfer.verdict = FetchEnd::bad_head;
    return 0;
  }
  transfer.head.append(line);
  if (line != "\r\n" && line != "\n") return bytes;
  return transfer.head_complete() ? bytes : 0;
}

// A blank line: what came so far is a head, interim or final. False ends the transfer.
bool CurlFetcher::Transfer::head_complete() {
  http::HeadProgress progress;
  const auto parsed = fetcher->parser_.feed(head, progress, request.method);
  if (parsed.state != http::ParseState::complete) {
    verdict = FetchEnd::bad_head;
    return false;
  }
  const int status = parsed.head.status;
  if (status < 200) {
    if (status == 101 || ++interim > fetcher->options_.interim_max) {
      verdict = FetchEnd::bad_head;
      return false;
    }
    sink->on_interim(parsed.head);
    head.clear();
    return sink != nullptr;
  }
  have_head = true;
  head_timer->stop();
  if (!sink->on_head(parsed.head)) {
    verdict = FetchEnd::refused_by_sink;
    return false;
  }
  return sink != nullptr;
}

std::size_t CurlFetcher::body_bytes(char* data, std::size_t size, std::size_t count, void* self) noexcept {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const std::size_t bytes = size * count;
  if (transfer.sink == nullptr || !transfer.have_head) return 0;
  if (!transfer.sink->on_body(as_bytes({data, bytes}))) {
    if (transfer.sink != nullptr) transfer.verdict = FetchEnd::refused_by_sink;
    return 0;
  }
  return bytes;
}

std::size_t CurlFetcher::upload_bytes(char* data, std::size_t size, std::size_t count, void* self) noexcept {
  Transfer& transfer = *static_cast<Transfer*>(self);
  if (transfer.sink == nullptr || transfer.request.upload == nullptr) return CURL_READFUNC_ABORT;
  std::size_t filled = 0;
  const std::span<char> room(data, size * count);
  switch (transfer.request.upload->read(std::as_writable_bytes(room), filled)) {
    case UploadSource::State::end:
      if (transfer.request.upload_bytes >= 0 && transfer.uploaded != transfer.request.upload_bytes) break;
      [[fallthrough]];
    case UploadSource::State::ready:
      if (!transfer.have_head) transfer.head_timer->start(transfer.request.head_timeout);
      transfer.uploaded += static_cast<std::int64_t>(filled);
      return filled;
    case UploadSource::State::wait:
      transfer.head_timer->stop();
      return CURL_READFUNC_PAUSE;
    case UploadSource::State::broken:
      break;
  }
  return CURL_READFUNC_ABORT;
}

}  // namespace reef::proxy
