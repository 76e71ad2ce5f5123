// Ranges: Range and If-Range of a client, Content-Range of an origin, and the multipart body of several
// ranges. Whatever is asked, what is answered lies within the object and adds up.
//
// The input is lines: a number (the object's bytes), Range, If-Range, ETag, Last-Modified, Content-Range,
// Content-Type.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "proxy/http/date.h"
#include "proxy/http/range.h"
#include "proxy/io/multipart.h"
#include "proxy/rules/conditional.h"

using namespace reef::proxy;

namespace {

constexpr std::int64_t kDate = 1'800'000'000;

std::array<std::string_view, 7> lines_of(std::string_view text) {
  std::array<std::string_view, 7> lines;
  for (std::string_view& line : lines) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

void check_parts(std::span<const http::ByteRange> parts, std::uint64_t bytes, std::string_view content_type) {
  BASE_CHECK(!parts.empty() && parts.size() <= http::kRangesMax);
  std::uint64_t sum = 0;
  for (const http::ByteRange& part : parts) {
    BASE_CHECK(part.first <= part.last && part.last < bytes);
    BASE_CHECK(!__builtin_add_overflow(sum, part.size(), &sum));
    std::string text;
    http::append_content_range(text, part, bytes);
    const auto again = http::parse_content_range(text);
    BASE_CHECK(again && again->range == part && again->complete_bytes == bytes);
  }
  BASE_CHECK(sum <= bytes);
  const Multipart multipart = make_multipart(parts, bytes, content_type, "boundary");
  std::uint64_t all = multipart.end.size();
  for (const Multipart::Part& part : multipart.parts) all += part.text.size() + part.range.size();
  BASE_CHECK(multipart.parts.size() == parts.size() && all == multipart.bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto [length, range, if_range, etag, modified, content_range, content_type] =
      lines_of({reinterpret_cast<const char*>(data), size});
  const std::uint64_t bytes = number(length) >> 1;  // their sum must fit
  const http::RangeRequest asked = http::parse_range(range, bytes);
  if (asked.kind == http::RangeRequest::Kind::parts) check_parts(asked.parts(), bytes, content_type);

  std::vector<http::Field> fields = {{"Range", range}};
  if (!if_range.empty()) fields.push_back({"If-Range", if_range});
  const http::RequestHead request{.method = "GET", .target = "/", .minor_version = 1, .fields = fields};
  rules::CachePolicy policy;
  policy.date = kDate;
  policy.last_modified = http::parse_date(modified, kDate).value_or(rules::CachePolicy::kNoTime);
  const auto answer = rules::evaluate(request, {200, etag, modified, &policy, bytes});
  const auto plain =
      rules::evaluate({.method = "GET", .target = "/", .minor_version = 1, .fields = {fields.data(), 1}},
                      {200, etag, modified, &policy, bytes});
  // If-Range makes nothing of a range but the whole.
  BASE_CHECK(answer.answer == plain.answer || answer.answer == rules::Answer::whole);
  BASE_CHECK(answer.answer != rules::Answer::not_modified);
  if (answer.answer == rules::Answer::parts) check_parts(answer.ranges.parts(), bytes, content_type);
  // A weak tag is no proof of the same bytes (RFC 9110 §13.1.5).
  if (if_range.starts_with("W/")) BASE_CHECK(answer.answer == rules::Answer::whole);
  BASE_CHECK(!http::strong_match(etag, if_range) || http::weak_match(etag, if_range));

  if (const auto known = http::parse_content_range(content_range)) {
    BASE_CHECK(known->range.first <= known->range.last);
    BASE_CHECK(!known->complete_bytes || known->range.last < *known->complete_bytes);
  }
  return 0;
}
