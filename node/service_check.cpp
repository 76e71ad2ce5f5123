#include "node/service_check.h"

#include <event2/bufferevent.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <optional>

#include "base/crypto.h"
#include "base/io/handles.h"
#include "node/options.h"
#include "proxy/io/visit.h"

namespace reef::node {
namespace {

using BufferEventPtr = std::unique_ptr<bufferevent, FreeWith<bufferevent_free>>;

constexpr std::size_t kAnswerBytesMax = 4096;
constexpr std::uint16_t kTypeSoa = 6, kClassIn = 1;  // RFC 1035 §3.2
constexpr std::uint16_t kResponse = 0x8000, kAuthoritative = 0x0400, kRcodeMask = 0x000f;

std::string new_nonce() {
  std::array<std::byte, 16> bytes;
  random_bytes(bytes);
  return to_hex(bytes);
}

}  // namespace

// One node being visited: both of its services at once, under one time-out.
class ServiceCheck::Visit {
 public:
  Visit(ServiceCheck& owner, std::uint64_t id, const dsht::Contact& contact,
        std::function<void(dsht::Services)> done)
      : owner_(owner), id_(id), contact_(contact), done_(std::move(done)), timer_(owner.loop_, [this] {
          on_timer();
        }) {
    if (contact_.http_port != 0) call_proxy();
    if (contact_.dns_port != 0) ask_name_server();
    timer_.start(proxy_ || socket_.is_open() ? owner_.options_.timeout / 3 : Duration::zero());
  }

  std::function<void(dsht::Services)> done() { return std::move(done_); }
  [[nodiscard]] dsht::Services reached() const { return reached_; }

 private:
  void call_proxy() {
    proxy_.reset(bufferevent_socket_new(owner_.loop_.base(), -1, BEV_OPT_CLOSE_ON_FREE));
    if (!proxy_) return;
    nonce_ = new_nonce();
    const std::string request = fmt::format("GET {}?{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                                            proxy::kVisitPath, nonce_, owner_.options_.suffix);
    bufferevent_setcb(
        proxy_.get(), [](bufferevent*, void* self) { static_cast<Visit*>(self)->on_answer(false); }, nullptr,
        [](bufferevent*, short what, void* self) {
          if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) static_cast<Visit*>(self)->on_answer(true);
        },
        this);
    bufferevent_setwatermark(proxy_.get(), EV_READ, 0, kAnswerBytesMax);
    bufferevent_write(proxy_.get(), request.data(), request.size());
    bufferevent_enable(proxy_.get(), EV_READ);
    sockaddr_storage to;
    const socklen_t length = Endpoint{contact_.rpc.address, contact_.http_port}.to(to);
    // Failure is told by the event callback, or here when there is no socket to be had.
    if (bufferevent_socket_connect(proxy_.get(), reinterpret_cast<sockaddr*>(&to),
                                   static_cast<int>(length)) != 0) {
      proxy_.reset();
    }
  }

  void on_answer(bool is_end) {
    evbuffer* input = bufferevent_get_input(proxy_.get());
    std::string text(evbuffer_get_length(input), '\0');
    evbuffer_copyout(input, text.data(), text.size());
    const std::string wanted = "\r\n\r\n" + proxy::visit_answer(node_name(contact_.id), nonce_);
    if (text.starts_with("HTTP/1.1 200 ") && text.find(wanted) != std::string::npos) {
      reached_ |= dsht::kServiceProxy;
    } else if (!is_end && text.size() < kAnswerBytesMax) {
      return;
    }
    proxy_done_ = true;
    bufferevent_disable(proxy_.get(), EV_READ | EV_WRITE);
    end_if_settled();
  }

  void ask_name_server() {
    sockaddr_storage to;
    const socklen_t length = Endpoint{contact_.rpc.address, contact_.dns_port}.to(to);
    Fd socket(::socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.is_open() || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), length) != 0)
      return;
    std::array<std::byte, 2> id;
    random_bytes(id);
    query_.resize(12 + owner_.options_.zone.size() + 4);
    ByteWriter out(query_);
    out.bytes(id);
    out.u16(0);  // a plain query
    for (const std::uint16_t count : {1, 0, 0, 0}) out.u16(count);
    out.bytes(owner_.options_.zone.wire());
    out.u16(kTypeSoa);
    out.u16(kClassIn);
    socket_ = std::move(socket);
    readable_.emplace(owner_.loop_, socket_.get(), EV_READ, [this](short) { on_datagram(); });
    send_query();
  }

  void send_query() {
    // What the kernel refuses is as good as lost.
    [[maybe_unused]] const auto sent = ::send(socket_.get(), query_.data(), query_.size(), MSG_NOSIGNAL);
  }

  void on_datagram() {
    std::array<std::byte, 512> buffer;
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) return;
      return close_socket();  // refused
    }
    ByteReader in(ByteView(buffer).first(static_cast<std::size_t>(got)));
    const ByteView id = in.bytes(2);
    const std::uint16_t flags = in.u16();
    in.u16();
    const std::uint16_t answers = in.u16();
    if (!in.ok() || !std::equal(id.begin(), id.end(), query_.begin())) return;
    const bool is_good =
        (flags & kResponse) != 0 && (flags & kAuthoritative) != 0 && (flags & kRcodeMask) == 0 && answers > 0;
    if (is_good) reached_ |= dsht::kServiceDns;
    close_socket();
  }

  void close_socket() {
    readable_.reset();
    socket_ = Fd();
    end_if_settled();
  }

  void on_timer() {
    if (++thirds_ < 3 && (proxy_ || socket_.is_open())) {
      if (socket_.is_open()) send_query();
      return timer_.start(owner_.options_.timeout / 3);
    }
    owner_.end(id_);  // destroys this
  }

  void end_if_settled() {
    if ((proxy_ && !proxy_done_) || socket_.is_open()) return;
    // Not here: a callback of ours is still running.
    thirds_ = 3;
    timer_.start(Duration::zero());
  }

  ServiceCheck& owner_;
  const std::uint64_t id_;
  const dsht::Contact contact_;
  std::function<void(dsht::Services)> done_;
  dsht::Services reached_ = 0;
  std::string nonce_;
  BufferEventPtr proxy_;
  bool proxy_done_ = false;
  Bytes query_;
  Fd socket_;
  std::optional<FdEvent> readable_;
  int thirds_ = 0;
  Timer timer_;
};

ServiceCheck::ServiceCheck(EventLoop& loop, ServiceCheckOptions options)
    : loop_(loop), options_(std::move(options)) {}

ServiceCheck::~ServiceCheck() = default;

void ServiceCheck::check(const dsht::Contact& contact, std::function<void(dsht::Services)> done) {
  const std::uint64_t id = ++last_id_;
  visits_.emplace(id, std::make_unique<Visit>(*this, id, contact, std::move(done)));
}

void ServiceCheck::end(std::uint64_t id) {
  const auto ended = visits_.extract(id);
  const auto done = ended.mapped()->done();
  done(ended.mapped()->reached());
}

}  // namespace reef::node
