#include <doctest/doctest.h>

#include "tests/wan/client/dns.h"
#include "tests/wan/client/plan.h"

using namespace reef;
using namespace reef::wan;
using namespace std::chrono_literals;

namespace {

// An answer to `query`: the question again, a CNAME, two addresses.
Bytes answer_to(const Bytes& query, std::uint16_t flags = 0x8180) {
  Bytes out(query.size() + 100);
  ByteWriter writer(out);
  writer.bytes(ByteView(query).first(2));
  writer.u16(flags);
  writer.u16(1);
  writer.u16(3);
  writer.u32(0);
  writer.bytes(ByteView(query).subspan(12));
  const auto record = [&](std::uint16_t type, ByteView data) {
    writer.u16(0xc00c);
    writer.u16(type);
    writer.u16(1);
    writer.u32(60);
    writer.u16(static_cast<std::uint16_t>(data.size()));
    writer.bytes(data);
  };
  record(5, as_bytes("\xc0\x0c"));
  record(1, as_bytes("\x3e\x01\x02\x03"));
  record(1, as_bytes("\x3e\x01\x02\x04"));
  out.resize(writer.size());
  return out;
}

}  // namespace

TEST_CASE("the addresses of an answer are read in order, past a CNAME") {
  const auto query = encode_query(77, "www.origin.example.");
  REQUIRE(query);
  const auto addresses = decode_answer(77, answer_to(*query));
  REQUIRE(addresses);
  CHECK(*addresses == std::vector{IpAddress::v4(62, 1, 2, 3), IpAddress::v4(62, 1, 2, 4)});
}

TEST_CASE("what is no good answer is an error") {
  const Bytes query = *encode_query(77, "www.origin.example");
  const Bytes good = answer_to(query);
  CHECK_FALSE(decode_answer(78, good));
  CHECK_FALSE(decode_answer(77, query));                     // a question
  CHECK_FALSE(decode_answer(77, answer_to(query, 0x8183)));  // NXDOMAIN
  CHECK_FALSE(decode_answer(77, answer_to(query, 0x8380)));  // truncated
  for (std::size_t cut = 0; cut < good.size(); ++cut)
    CHECK_FALSE(decode_answer(77, ByteView(good).first(cut)));
}

TEST_CASE("names that DNS cannot carry are refused") {
  CHECK_FALSE(encode_query(1, ""));
  CHECK_FALSE(encode_query(1, "a..b"));
  CHECK_FALSE(encode_query(1, std::string(64, 'x') + ".example"));
  CHECK_FALSE(encode_query(1, std::string(300, 'x')));
}

TEST_CASE("a plan is read with its defaults") {
  const auto plan =
      parse_plan(R"({"host":"a.example","clients":[{"name":"c","netns":"n","resolver":"62.1.1.1"}],
                                   "pages":[["/x","/y"]],"digests":{"/x":"00"},"lasts_s":1.5})");
  REQUIRE(plan);
  CHECK(plan->port == 80);
  CHECK(plan->lasts == 1500ms);
  CHECK(plan->think == 5s);
  CHECK(plan->clients[0].resolver == IpAddress::v4(62, 1, 1, 1));
  CHECK(plan->pages[0].size() == 2);
}

TEST_CASE("a plan may name several hosts in place of one") {
  const std::string rest =
      R"("clients":[{"name":"c","netns":"n","resolver":"62.1.1.1"}],"pages":[["/x"]],"digests":{}})";
  const auto plan = parse_plan(R"({"hosts":["a.example","b.example"],)" + rest);
  REQUIRE(plan);
  CHECK(plan->hosts == std::vector<std::string>{"a.example", "b.example"});
  CHECK_FALSE(parse_plan(R"({"hosts":[],)" + rest));
  CHECK_FALSE(parse_plan("{" + rest));
}

TEST_CASE("a plan that makes no sense is refused") {
  CHECK_FALSE(parse_plan("{"));
  CHECK_FALSE(parse_plan("{}"));
  CHECK_FALSE(parse_plan(R"({"host":"a","clients":[],"pages":[["/"]],"digests":{}})"));
  CHECK_FALSE(parse_plan(
      R"({"host":"a","clients":[{"name":"c","netns":"n","resolver":"x"}],"pages":[["/"]],"digests":{}})"));
}
