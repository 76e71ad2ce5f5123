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
  head.policy.initial_age = std::chrono::milliseconds(1234);
  const BodyCheck check{.kind = BodyCheck::Kind::sha256, .value = sha256(as_bytes("x"))};
  auto record = encode_head(head, check);
  REQUIRE(record.has_value());
  auto stored = decode_head(*record);
  REQUIRE(stored.has_value());
  CHECK(stored->check == check);
  const ObjectHead* back = &stored->head;
  CHECK(back->url == head.url);
  CHECK(back->status == 404);
  CHECK(back->reason == "Gone fishing");
  CHECK(back->fields == head.fields);
  CHECK(back->etag == head.etag);
  CHECK(back->last_modified == head.last_modified);
  CHECK(back->body_bytes == head.body_bytes);
  CHECK(back->policy == head.policy);
}

TEST_CASE("a head record with any byte changed, cut anywhere or continued is damaged") {
  const Bytes good = *encode_head(head_for("http://example.com/"), {});
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

TEST_CASE("a body in memory is checked by its checksum, one that is in a file by its digest") {
  const auto body = Body::of(as_bytes("some bytes"));
  const BodyCheck check = BodyCheck::of(*body);
  CHECK(check.kind == BodyCheck::Kind::xxh3);
  CHECK(check.agrees(as_bytes("some bytes")));
  CHECK(check.agrees(*body));
  CHECK_FALSE(check.agrees(as_bytes("some bytez")));
  CHECK_FALSE(check.agrees(as_bytes("some byte")));
  const BodyCheck digest{.kind = BodyCheck::Kind::sha256, .value = sha256(as_bytes("some bytes"))};
  CHECK(digest.agrees(as_bytes("some bytes")));
  CHECK(digest.agrees(*body));
  CHECK_FALSE(digest.agrees(as_bytes("some bytez")));
}

TEST_CASE("a head over the record's bound is refused") {
  ObjectHead head = head_for("http://example.com/");
  head.fields.assign(2u << 20, 'x');
  CHECK(encode_head(head, {}).error().code == StoreError::too_large);
}

}  // namespace
}  // namespace reef::proxy
