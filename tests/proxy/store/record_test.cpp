#include "proxy/store/record.h"

#include "proxy/store/error.h"
#include "tests/proxy/store/fixture.h"

namespace reef::proxy {
namespace {

using namespace test;

TEST_CASE("a head record gives back every member") {
  ObjectHead head = head_for("http://example.com/a?b=c");
  head.status = 404;
  head.reason = "Gone fishing";
  head.body_bytes = 1ull << 40;
  head.body_digest = sha256(as_bytes("x"));
  head.policy.initial_age = std::chrono::milliseconds(1234);
  auto record = encode_head(head);
  REQUIRE(record.has_value());
  auto back = decode_head(*record);
  REQUIRE(back.has_value());
  CHECK(back->url == head.url);
  CHECK(back->status == 404);
  CHECK(back->reason == "Gone fishing");
  CHECK(back->fields == head.fields);
  CHECK(back->etag == head.etag);
  CHECK(back->last_modified == head.last_modified);
  CHECK(back->body_bytes == head.body_bytes);
  CHECK(back->body_digest == head.body_digest);
  CHECK(back->policy == head.policy);
}

TEST_CASE("a head record with any byte changed, cut anywhere or continued is damaged") {
  const Bytes good = *encode_head(head_for("http://example.com/"));
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes changed = good;
    changed[i] ^= std::byte{0x40};
    REQUIRE_FALSE(decode_head(changed).has_value());
    REQUIRE_FALSE(decode_head(ByteView(good).first(i)).has_value());
  }
  Bytes longer = good;
  longer.push_back(std::byte{0});
  CHECK(decode_head(longer).error().code == StoreError::damaged);
}

TEST_CASE("a head over the record's bound is refused") {
  ObjectHead head = head_for("http://example.com/");
  head.fields.assign(2u << 20, 'x');
  CHECK(encode_head(head).error().code == StoreError::too_large);
}

}  // namespace
}  // namespace reef::proxy
