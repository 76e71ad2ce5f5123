#include "world.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/io/disk_pool.h"
#include "base/io/socket.h"
#include "proxy/io/worker.h"

namespace reef::proxy::model {
namespace {

constexpr std::int64_t kBeginning = 1'800'000'000'250;  // ms; within a second, as clocks are
constexpr const char* kSite = "www.small.org";
constexpr const char* kChoosySite = "www.choosy.org";
constexpr int kTurnsMax = 400;  // of the loop, for one exchange: then it hangs

std::int64_t g_now = kBeginning;  // ms since 1970: a WallClock has no argument

WallTime virtual_time() { return WallTime(std::chrono::milliseconds(g_now)); }

// All that the RFCs leave open, decided the other way.
rules::Options choosy_rules() {
  rules::Options out = rules::Options::site();
  out.heuristic_min = std::chrono::seconds(30);
  out.repeated = rules::Repeated::stale;
  out.set_cookie = rules::SetCookie::strip;
  out.newer_ends_stored = false;
  out.honour_request_directives = false;
  out.stale_if_error_default = std::chrono::seconds(40);
  out.stale_default_covers_5xx = true;
  out.stale_beside_s_maxage = false;
  out.range_on_miss = rules::RangeOnMiss::pass;
  return out;
}

// An impatient proxy gives an answer up that this process, held up by others, was about to give itself: a
// difference counts when it comes again.
constexpr std::chrono::milliseconds kImpatience{60};

Options options_for(std::uint16_t origin_port, bool impatient) {
  Options options;
  options.listen = {{IpAddress::v4(127, 0, 0, 1), 0}};
  options.node_name = "node";
  options.names.allow_ipv4 = true;
  options.origins.allowed = {*IpPrefix::parse("127.0.0.0/8")};
  options.clients.exempt_clients = {*IpPrefix::parse("127.0.0.0/8")};
  const std::string origin = "http://127.0.0.1:" + std::to_string(origin_port);
  options.sites = {{kSite, origin}, {kChoosySite, origin, choosy_rules()}};
  options.peers.cooperate = false;
  // What spares sick origins has tests of its own; here each request is judged by itself.
  options.origins.negative_ttl = std::chrono::seconds(0);
  options.origins.unshared_ttl = std::chrono::seconds(0);
  options.origins.resumes_max = 0;
  if (impatient) options.origins.connect_timeout = options.origins.head_timeout = kImpatience / 2;
  return options;
}

Fields fields_of(const std::string& head) {
  Fields out;
  std::size_t at = head.find("\r\n");
  while (at != std::string::npos && at + 2 < head.size()) {
    const std::size_t end = head.find("\r\n", at + 2);
    const std::string line = head.substr(at + 2, end - at - 2);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    out.emplace_back(line.substr(0, colon), trimmed(line.substr(colon + 1)));
    at = end;
  }
  return out;
}

// Takes a message off the front of `input`; nullopt: it is not all there. `at_end`: nothing will follow.
struct Message {
  std::string start;
  Fields fields;
  std::string body;
  bool whole = true;
};
std::optional<Message> take_message(std::string& input, bool bodyless, bool is_answer, bool at_end) {
  const std::size_t end = input.find("\r\n\r\n");
  if (end == std::string::npos) return std::nullopt;
  Message out;
  const std::string head = input.substr(0, end + 2);
  out.start = head.substr(0, head.find("\r\n"));
  out.fields = fields_of(head);
  std::size_t at = end + 4;
  if (bodyless) {
    input.erase(0, at);
    return out;
  }
  const auto cut = [&]() -> std::optional<Message> {
    if (!at_end) return std::nullopt;
    out.whole = false;
    out.body = input.substr(end + 4);
    input.clear();
    return out;
  };
  if (lower(first(out.fields, "Transfer-Encoding")) == "chunked") {
    while (true) {
      const std::size_t line = input.find("\r\n", at);
      if (line == std::string::npos) return cut();
      const std::size_t size = std::stoul(input.substr(at, line - at), nullptr, 16);
      if (input.size() < line + 2 + size + 2) return cut();
      out.body += input.substr(line + 2, size);
      at = line + 2 + size + 2;
      if (size == 0) break;
    }
  } else if (has(out.fields, "Content-Length")) {
    const std::size_t size = std::stoul(first(out.fields, "Content-Length"));
    if (input.size() < at + size) return cut();
    out.body = input.substr(at, size);
    at += size;
  } else if (is_answer) {
    if (!at_end) return std::nullopt;
    out.body = input.substr(at);
    at = input.size();
  }
  input.erase(0, at);
  return out;
}

Fd connect_to(std::uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  BASE_CHECK(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

// Small messages on loopback: they fit into the socket's buffer.
void send_all(int fd, const std::string& bytes) {
  BASE_CHECK(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()) ||
             errno == EPIPE || errno == ECONNRESET);
}

// False: the connection has ended.
bool read_available(int fd, std::string& input) {
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0) {
      input.append(buffer.data(), static_cast<std::size_t>(got));
      continue;
    }
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }
}

std::string site_of(Mode mode) { return mode == Mode::choosy ? kChoosySite : kSite; }

std::string shown(const Response& response) {
  std::string out = std::to_string(response.status);
  for (const auto& [name, value] : response.fields) out += " | " + name + ": " + value;
  return out + " | \"" + response.body + "\"" + (response.whole ? "" : " (broken off)");
}

std::string shown(const Observed& seen) {
  const char* ends[] = {"", " (closes)", " (no HTTP)", " (breaks off)", " (silent)"};
  std::string out;
  for (const OriginExchange& exchange : seen.exchanges) {
    out += "      proxy to origin: " + exchange.request.method + " " + exchange.request.path;
    for (const auto& [name, value] : exchange.request.fields) out += " | " + name + ": " + value;
    out +=
        "\n      origin to proxy: " + shown(exchange.response) + ends[static_cast<int>(exchange.end)] + "\n";
  }
  return out + "      proxy to client: " + shown(seen.answer) + "\n";
}

}  // namespace

class World::Impl {
 public:
  explicit Impl(bool impatient) {
    auto listener = listen_tcp({IpAddress::v4(127, 0, 0, 1), 0}, false);
    BASE_CHECK(listener.has_value());
    listener_ = std::move(*listener);
    origin_port_ = local_endpoint(listener_.get())->port;
    accepting_ = std::make_unique<FdEvent>(loop_, listener_.get(), EV_READ, [this](short) { accept(); });
    auto store = Store::open({}, pool_, loop_);
    BASE_CHECK(store.has_value());
    store_ = std::move(*store);
    workers_.push_back(std::make_unique<Worker>(WorkerParts{.loop = loop_,
                                                            .options = options_for(origin_port_, impatient),
                                                            .store = *store_,
                                                            .disk = pool_,
                                                            .key_of = {},
                                                            .wall_clock = virtual_time}));
    Worker::link(workers_);
    BASE_CHECK(workers_.front()->listen().has_value());
    port_ = workers_.front()->listening().front().port;
  }

  std::optional<Outcome> play(const History& history, std::map<std::string, std::uint64_t>& outcomes) {
    g_now = kBeginning;
    prefix_ = "/" + std::to_string(++played_);
    resources_.clear();
    const std::string origin = "http://127.0.0.1:" + std::to_string(origin_port_);
    CacheModel model(history.mode, {"http://" + site_of(history.mode) + prefix_, origin + prefix_, prefix_});
    std::optional<Outcome> found;
    for (std::size_t i = 0; i < history.steps.size() && !found; ++i) {
      const Step& step = history.steps[i];
      if (step.kind == Step::Kind::wait) g_now += step.wait;
      if (step.kind == Step::Kind::change) resources_[step.path] = step.resource;
      if (step.kind != Step::Kind::ask) continue;
      const Observed seen = ask(step.request, history.mode);
      if (const auto difference = hung_ ? std::optional<std::string>("nothing moves any more")
                                        : model.judge(step.request, seen)) {
        found = {i, *difference, shown(seen)};
      }
    }
    for (const auto& [name, count] : model.outcomes()) outcomes[name] += count;
    return found;
  }

 private:
  struct OriginConnection {
    Fd fd;
    std::unique_ptr<FdEvent> event;  // before the descriptor is closed
    std::string input;
    bool closed = false;
  };

  // --- the client

  Observed ask(const Request& request, Mode mode) {
    Observed seen;
    exchanges_.clear();
    seen.asked = g_now;
    if (!client_.is_open()) {
      client_ = connect_to(port_);
      input_.clear();
    }
    const std::string host = mode == Mode::coralized
                                 ? "127.0.0.1." + std::to_string(origin_port_) + ".reef.localhost"
                                 : site_of(mode);
    std::string text = request.method + " " + prefix_ + request.path + " HTTP/1.1\r\nHost: " + host + "\r\n";
    for (const auto& [name, value] : request.fields) text += name + ": " + value + "\r\n";
    const bool has_body = request.method == "POST" || request.method == "PUT";
    text += has_body ? "Content-Length: 2\r\n\r\nhi" : "\r\n";
    send_all(client_.get(), text);
    bool open = true;
    for (int turns = 0; open && seen.answer.status == 0; ++turns) {
      if (turns > kTurnsMax) {
        hung_ = true;
        return seen;
      }
      turn();
      open = read_available(client_.get(), input_);
      take_answer(request, !open, seen.answer);
    }
    if (!open || lower(first(seen.answer.fields, "Connection")) == "close") client_.reset();
    // What began behind the answer ends before the next request.
    for (int turns = 0; workers_.front()->stats().fills_open.value() > 0; ++turns) {
      if (turns > kTurnsMax) {
        hung_ = true;
        return seen;
      }
      turn();
    }
    seen.answered = g_now;
    seen.exchanges = exchanges_;
    return seen;
  }

  void take_answer(const Request& request, bool at_end, Response& answer) {
    if (input_.size() < 12) return;
    const int status = std::stoi(input_.substr(9, 3));
    const bool bodyless = request.method == "HEAD" || status == 204 || status == 304;
    auto message = take_message(input_, bodyless, true, at_end);
    if (!message) return;
    answer.status = status;
    answer.fields = std::move(message->fields);
    answer.body = std::move(message->body);
    answer.whole = message->whole;
  }

  void turn() { event_base_loop(loop_.base(), EVLOOP_ONCE); }

  // --- the origin

  void accept() {
    Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.is_open()) return;
    std::erase_if(connections_, [](const auto& connection) { return connection->closed; });
    connections_.push_back(std::make_unique<OriginConnection>());
    OriginConnection& connection = *connections_.back();
    connection.fd = std::move(fd);
    connection.event = std::make_unique<FdEvent>(loop_, connection.fd.get(), EV_READ,
                                                 [this, &connection](short) { serve(connection); });
  }

  void serve(OriginConnection& connection) {
    const bool open = read_available(connection.fd.get(), connection.input);
    while (auto message = take_message(connection.input, false, false, false)) {
      const std::string reply = answer(*message);
      if (!reply.empty()) send_all(connection.fd.get(), reply);
      if (exchanges_.back().end == OriginExchange::End::silent) continue;
      if (exchanges_.back().end == OriginExchange::End::answered && !exchanges_.back().until_close) continue;
      return close(connection);
    }
    if (!open) close(connection);
  }

  static void close(OriginConnection& connection) {
    connection.event.reset();
    connection.fd.reset();
    connection.closed = true;
  }

  std::string answer(const Message& message) {
    OriginExchange exchange;
    const std::size_t space = message.start.find(' ');
    exchange.request.method = message.start.substr(0, space);
    exchange.request.path = message.start.substr(space + 1, message.start.rfind(' ') - space - 1);
    if (exchange.request.path.starts_with(prefix_)) exchange.request.path.erase(0, prefix_.size());
    exchange.request.fields = message.fields;
    const Resource& resource = resources_[exchange.request.path];
    exchange.asked = g_now;
    g_now += resource.delay;
    exchange.answered = g_now;
    exchange.end = resource.end;
    using End = OriginExchange::End;
    if (resource.end == End::closed || resource.end == End::garbage || resource.end == End::silent) {
      note(std::move(exchange));
      return resource.end != End::garbage ? "" : "SSH-2.0-small\r\n\r\n";
    }
    exchange.response = answer_of(resource, exchange.request, g_now);
    for (auto& [name, value] : exchange.response.fields) {
      if (name == "Location" || name == "Content-Location") value = in_history(value);
    }
    const Response& response = exchange.response;
    std::string text = "HTTP/1.1 " + std::to_string(response.status) + " Said\r\n";
    for (const auto& [name, value] : response.fields) text += name + ": " + value + "\r\n";
    const bool bodyless = response.body.empty();
    const bool chunked = !bodyless && resource.framing == Resource::Framing::chunked;
    if (bodyless && exchange.end == End::truncated) exchange.end = End::answered;
    exchange.until_close = !bodyless && resource.framing == Resource::Framing::close;
    if (exchange.until_close) exchange.end = End::answered;  // its end cannot be told from a break
    if (chunked) text += "Transfer-Encoding: chunked\r\n";
    text += "\r\n";
    const bool whole = exchange.end == End::answered;
    const std::string body = whole ? response.body : response.body.substr(0, response.body.size() / 2);
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", body.size());
    text += chunked ? size + body + (whole ? "\r\n0\r\n\r\n" : "") : body;
    note(std::move(exchange));
    return text;
  }

  // A reference of a step, among the URLs of this history.
  [[nodiscard]] std::string in_history(const std::string& reference) const {
    const std::size_t path = reference.starts_with("http://") ? reference.find('/', 7) : reference.find('/');
    return path == std::string::npos ? reference
                                     : reference.substr(0, path) + prefix_ + reference.substr(path);
  }

  // A kept connection that closes without a byte may be asked again on a new one (RFC 9112 §9.3.1), once and
  // where it is safe: still one question.
  void note(OriginExchange exchange) {
    const bool safe = exchange.request.method == "GET" || exchange.request.method == "HEAD";
    const auto same = [&](const OriginExchange& last) {
      return last.end == OriginExchange::End::closed && last.request.method == exchange.request.method &&
             last.request.path == exchange.request.path && last.request.fields == exchange.request.fields;
    };
    if (safe && !exchanges_.empty() && same(exchanges_.back()) && !asked_again_) {
      exchanges_.back() = std::move(exchange);
      asked_again_ = true;
      return;
    }
    asked_again_ = false;
    exchanges_.push_back(std::move(exchange));
  }

  EventLoop loop_{TimerPrecision::milliseconds};
  DiskPool pool_{1, 64};
  Fd listener_;
  std::unique_ptr<FdEvent> accepting_;
  std::vector<std::unique_ptr<OriginConnection>> connections_;
  std::unique_ptr<Store> store_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::uint16_t origin_port_ = 0;
  std::uint16_t port_ = 0;
  Fd client_;
  std::string input_;
  std::map<std::string, Resource> resources_;
  std::vector<OriginExchange> exchanges_;
  bool asked_again_ = false;
  bool hung_ = false;
  std::string prefix_;
  std::uint64_t played_ = 0;
};

World::World(bool impatient) : impl_(std::make_unique<Impl>(impatient)) {}
World::~World() = default;

std::optional<World::Outcome> World::play(const History& history,
                                          std::map<std::string, std::uint64_t>& outcomes) {
  return impl_->play(history, outcomes);
}

}  // namespace reef::proxy::model
