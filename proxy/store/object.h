// One stored response: its head and its body.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "proxy/rules/policy.h"
#include "proxy/store/body.h"
#include "proxy/store/url_hash.h"

namespace reef::proxy {

// What is kept of a response beside its body. All strings are bytes as received, checked by the HTTP parser.
struct ObjectHead {
  std::string url;     // the normalized URL: the cache key
  int status = 0;      // 100..999
  std::string reason;  // of the status line, where it is not the usual one; else empty
  // End-to-end fields as "Name: value\r\n" lines, exactly as they go out; without Age, Via, Cache-Status,
  // Connection and Content-Length, which each answer gets anew.
  std::string fields;
  rules::CachePolicy policy;
  std::string etag;           // as received, with quotes and W/; empty: none
  std::string last_modified;  // as received; empty: none
  std::uint64_t body_bytes = 0;
};

// Immutable once made, shared by workers, RAM tiers and writers. A response whose head changed (304) is
// another Object with the same body. The body is complete.
struct Object {
  ObjectHead head;
  std::shared_ptr<const Body> body;
};

// The same body under a new head (after a 304): body_bytes is taken from `object`.
[[nodiscard]] inline std::shared_ptr<const Object> with_head(const Object& object, ObjectHead head) {
  head.body_bytes = object.head.body_bytes;
  return std::make_shared<const Object>(Object{std::move(head), object.body});
}

}  // namespace reef::proxy
