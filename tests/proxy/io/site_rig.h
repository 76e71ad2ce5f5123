// A site of its own name in front of a test origin, on one node: what RFC 9111 says without Coralized mode's
// own rules.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "scripted_server.h"
#include "test_node.h"
#include "test_origin.h"

namespace reef::proxy::test {

class Site {
 public:
  explicit Site(std::size_t workers = 1, const std::function<void(Options&)>& change = {}) {
    Options options = test_options();
    options.sites = {{"www.small.org", "http://localhost:" + std::to_string(origin.port())}};
    if (change) change(options);
    node = std::make_unique<TestNode>(options, workers);
  }

  [[nodiscard]] static std::string request(const std::string& method, const std::string& path,
                                           const std::string& fields = "", const std::string& body = "") {
    return method + " " + path + " HTTP/1.1\r\nHost: www.small.org\r\n" + fields + "\r\n" + body;
  }
  // One request on a connection of its own, once what earlier ones started has ended: a client has the last
  // byte of an answer a moment before its fill ends.
  Answer ask(const std::string& method, const std::string& path, const std::string& fields = "",
             const std::string& body = "") {
    settle();
    Client client(node->port());
    client.send(request(method, path, fields, body));
    return client.read_answer(method == "HEAD");
  }
  Answer get(const std::string& path, const std::string& fields = "") { return ask("GET", path, fields); }
  void settle() {
    for (int i = 0; i < 5000 && node->sum(&Stats::fills_open) > 0; ++i) std::this_thread::sleep_for(1ms);
  }
  // Waits until the origin has been asked for `path` so many times.
  void await_requests(const std::string& path, int count) {
    for (int i = 0; i < 5000 && origin.count(path) < count; ++i) std::this_thread::sleep_for(1ms);
  }

  TestOrigin origin;
  std::unique_ptr<TestNode> node;
};

inline bool is_hit(const Answer& answer) {
  return answer.field("Cache-Status").find("; hit") != std::string::npos;
}
inline bool says(const Answer& answer, const std::string& status) {
  return answer.field("Cache-Status").find(status) != std::string::npos;
}

}  // namespace reef::proxy::test
