// Conditional and range requests of clients, answered from what is stored (RFC 9110 §13, §14; RFC 9111
// §4.3.2). Pure; any thread; no allocation.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/http/head.h"
#include "proxy/http/range.h"
#include "proxy/rules/policy.h"

namespace reef::proxy::rules {

// The stored response as the conditions see it.
struct Selected {
  int status = 200;
  std::string_view etag;           // the stored ETag, empty: none
  std::string_view last_modified;  // the stored Last-Modified as text, empty: none
  const CachePolicy* policy = nullptr;
  std::uint64_t body_bytes = 0;
};

enum class Answer : std::uint8_t {
  whole,            // the stored status, all of the body
  not_modified,     // 304
  parts,            // 206, `ranges`
  not_satisfiable,  // 416, with Content-Range: bytes */body_bytes
};

struct ConditionalAnswer {
  Answer answer = Answer::whole;
  http::RangeRequest ranges;  // with Answer::parts
};

// For GET and HEAD. If-None-Match first (weak comparison, lists, "*"), then If-Modified-Since, then, for GET
// of a 200, Range with If-Range (strong comparison; a date must equal a Last-Modified that is at least a
// second older than Date, §8.8.2.2). If-Modified-Since or Range on several lines is ignored, If-Range on
// several does not hold. If-Match and If-Unmodified-Since are the origin's to judge.
[[nodiscard]] ConditionalAnswer evaluate(const http::RequestHead& request, const Selected& selected) noexcept;

// Whether a request has a field whose judgement belongs to the origin (If-Match, If-Unmodified-Since).
[[nodiscard]] bool has_origin_precondition(http::FieldsView fields) noexcept;

// The fields of a 304 besides those made anew for each answer (RFC 9110 §15.4.5).
[[nodiscard]] bool is_not_modified_field(std::string_view name) noexcept;

}  // namespace reef::proxy::rules
