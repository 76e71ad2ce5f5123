#include "node/admin.h"

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <sys/queue.h>

#include "base/check.h"
#include "base/io/socket.h"

namespace reef::node {
namespace {

constexpr int kHeadBytesMax = 8192;
constexpr int kBodyBytesMax = 64 * 1024;
constexpr int kTimeoutSeconds = 30;

AdminRequest parse_query(evhttp_request* request) {
  AdminRequest out;
  const char* query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
  evkeyvalq fields{};
  if (query == nullptr || evhttp_parse_query_str(query, &fields) != 0) return out;
  for (const evkeyval* field = fields.tqh_first; field != nullptr; field = field->next.tqe_next) {
    out.query[field->key] = field->value;
  }
  evhttp_clear_headers(&fields);
  return out;
}

// Why a request is refused whatever it asks for; null: it is not.
const char* refusal(evhttp_request* request) {
  if (evhttp_find_header(evhttp_request_get_input_headers(request), "Origin") != nullptr) {
    return "requests by web pages are refused\n";
  }
  const char* host = evhttp_request_get_host(request);  // without the port
  if (host != nullptr && std::string_view(host) != "localhost") {
    std::string_view name(host);
    if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
    if (!IpAddress::parse(name)) return "use an address or localhost to reach this listener\n";
  }
  return nullptr;
}

}  // namespace

// evhttp frees a request together with its connection, so a late answer must first ask whether it is still
// there.
struct Admin::Pending {
  evhttp_request* request;

  explicit Pending(evhttp_request* owed) : request(owed) {
    evhttp_connection_set_closecb(
        evhttp_request_get_connection(owed),
        [](evhttp_connection*, void* self) { static_cast<Pending*>(self)->request = nullptr; }, this);
  }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  ~Pending() {
    if (request != nullptr) answer({500, "text/plain", "the request was dropped\n"});
  }

  void answer(const AdminResponse& response) {
    if (request == nullptr) return;
    evhttp_request* owed = std::exchange(request, nullptr);
    evhttp_connection_set_closecb(evhttp_request_get_connection(owed), nullptr, nullptr);
    evkeyvalq* fields = evhttp_request_get_output_headers(owed);
    evhttp_add_header(fields, "Content-Type", response.content_type.c_str());
    evhttp_add_header(fields, "Cache-Control", "no-store");
    evhttp_add_header(fields, "X-Content-Type-Options", "nosniff");
    const BufferPtr body(evbuffer_new());
    evbuffer_add(body.get(), response.body.data(), response.body.size());
    evhttp_send_reply(owed, response.status, nullptr, body.get());
  }
};

Admin::Admin(EventLoop& loop) : http_(evhttp_new(loop.base())) {
  BASE_CHECK(http_ != nullptr);
  evhttp_set_max_headers_size(http_.get(), kHeadBytesMax);
  evhttp_set_max_body_size(http_.get(), kBodyBytesMax);
  evhttp_set_timeout(http_.get(), kTimeoutSeconds);
  evhttp_set_allowed_methods(http_.get(), EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST);
  evhttp_set_gencb(
      http_.get(), [](evhttp_request* request, void* self) { static_cast<Admin*>(self)->serve(request); },
      this);
}

Admin::~Admin() = default;

Result<> Admin::listen(const Endpoint& endpoint) {
  auto fd = listen_tcp(endpoint, /*reuse_port=*/false, /*backlog=*/128);
  if (!fd) return fail(fd.error());
  if (evhttp_accept_socket(http_.get(), fd->get()) != 0) return fail(errno_error("admin listener"));
  (void)fd->release();  // evhttp closes it
  return {};
}

void Admin::serve(evhttp_request* request) {
  const auto pending = std::make_shared<Pending>(request);
  if (const char* why = refusal(request)) {
    pending->answer({403, "text/plain", why});
    return;
  }
  const char* path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
  const auto found = routes_.find(std::string_view(path == nullptr ? "" : path));
  if (found == routes_.end()) {
    std::string body = "no such page; there are:\n";
    for (const auto& [known, route] : routes_) body += (route.changes ? "  POST " : "  GET  ") + known + "\n";
    pending->answer({404, "text/plain", std::move(body)});
    return;
  }
  const Route& route = found->second;
  const bool is_post = evhttp_request_get_command(request) == EVHTTP_REQ_POST;
  if (is_post != route.changes) {
    const char* allowed = route.changes ? "POST" : "GET, HEAD";
    evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", allowed);
    pending->answer({405, "text/plain", std::string("allowed here: ") + allowed + "\n"});
    return;
  }
  route.handler(parse_query(request), [pending](AdminResponse response) { pending->answer(response); });
}

}  // namespace reef::node
