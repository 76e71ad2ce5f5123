// The admin listener: a small HTTP server on loopback for operators and scripts.
//
// It stands on libevent's evhttp, which serves a handful of requests a minute well; the proxy does not use
// it. Belongs to the control loop. Handlers run there and must not block.
//
// A web page that the operator visits must not reach it through the browser: a Host that is no address and
// not localhost (DNS rebinding) and any request with an Origin (a script of another site) are refused.
#pragma once

#include <event2/http.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/io/event_loop.h"
#include "base/ip.h"
#include "base/result.h"

namespace reef::node {

struct AdminResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

// What a handler sees of the request: the decoded query parameters (the last one of a name counts).
struct AdminRequest {
  std::map<std::string, std::string, std::less<>> query;
};

class Admin {
 public:
  // Answers now, or keeps `reply` and calls it later, exactly once, on the control loop.
  using Reply = std::function<void(AdminResponse)>;
  using Handler = std::function<void(const AdminRequest&, Reply)>;

  explicit Admin(EventLoop& loop);
  ~Admin();
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  // `path` is answered by `handler`: reading by GET, changing by POST (parameters stand in the query in
  // both). Unknown paths get 404 with the list of known ones, another method 405.
  void on_get(std::string path, Handler handler) { routes_[std::move(path)] = {false, std::move(handler)}; }
  void on_post(std::string path, Handler handler) { routes_[std::move(path)] = {true, std::move(handler)}; }

  // Call after the routes are set. Fails with one line when the endpoint cannot be bound.
  Result<> listen(const Endpoint& endpoint);

 private:
  void serve(evhttp_request* request);

  // A request whose answer is still owed; evhttp drops it when the client goes.
  struct Pending;

  std::unique_ptr<evhttp, FreeWith<evhttp_free>> http_;
  struct Route {
    bool changes = false;
    Handler handler;
  };
  std::map<std::string, Route, std::less<>> routes_;
};

}  // namespace reef::node
