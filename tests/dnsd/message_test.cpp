#include "dnsd/message.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>

#include "tests/dnsd/messages.h"

using namespace reef;
using namespace reef::dnsd;
using test::make_query;
using test::QuerySpec;
using test::Raw;

namespace {
std::optional<Query> read(const Raw& raw) { return read_query(std::as_bytes(std::span(raw))); }
Rcode verdict(const Raw& raw) { return read(raw).value().verdict; }
}  // namespace

TEST_CASE("a query with EDNS0 is read field by field") {
  const Raw raw = make_query({.name = "wWw.x.com.Reef.Example",
                              .qtype = 28,
                              .id = 0xbeef,
                              .payload = 1400,
                              .dnssec_ok = true,
                              .options = test::cookie_option({1, 2, 3, 4, 5, 6, 7, 8})});
  const auto query = read(raw);
  REQUIRE(query);
  CHECK(query->verdict == Rcode::noerror);
  CHECK(query->id == 0xbeef);
  CHECK(query->recursion_desired);
  CHECK(query->qname.text() == "wWw.x.com.Reef.Example.");
  CHECK(query->qtype == 28);
  CHECK(query->qclass == 1);
  CHECK(query->question.size() == 24 + 4);
  REQUIRE(query->edns);
  CHECK(query->edns->payload_bytes_max == 1400);
  CHECK(query->edns->version == 0);
  CHECK(query->edns->dnssec_ok);
  CHECK(query->edns->cookie.size() == 8);
}

TEST_CASE("every truncation of a valid query is silence below 12 bytes and FORMERR from there on") {
  const Raw raw = make_query({.payload = 1232, .options = test::cookie_option({1, 2, 3, 4, 5, 6, 7, 8})});
  for (std::size_t size = 0; size < raw.size(); ++size) {
    const auto query = read(Raw(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(size)));
    CHECK(query.has_value() == (size >= 12));
    if (query) CHECK(query->verdict == Rcode::formerr);
  }
  CHECK(verdict(raw) == Rcode::noerror);
}

TEST_CASE("bytes behind the last record are FORMERR") {
  Raw raw = make_query({});
  raw.push_back(0);
  CHECK(verdict(raw) == Rcode::formerr);
}

TEST_CASE("a response is never read as a query") {
  Raw raw = make_query({});
  raw[2] |= 0x80;
  CHECK_FALSE(read(raw));
}

TEST_CASE("other opcodes are NOTIMP whatever follows the header") {
  for (unsigned opcode = 1; opcode < 16; ++opcode) {
    Raw raw = make_query({.flags = opcode << 11});
    CHECK(verdict(raw) == Rcode::notimp);
    raw.resize(12);
    CHECK(verdict(raw) == Rcode::notimp);
  }
}

TEST_CASE("compression pointers in a question are FORMERR, loops included") {
  for (const Raw& name : {Raw{0xc0, 0x0c}, Raw{1, 'a', 0xc0, 0x0c}, Raw{0xc0, 0x00}, Raw{0x41, 'a', 0}}) {
    Raw raw = make_query({.name = ""});
    raw.erase(raw.begin() + 12);
    raw.insert(raw.begin() + 12, name.begin(), name.end());
    CHECK(verdict(raw) == Rcode::formerr);
  }
}

TEST_CASE("section counts that do not belong to a query are FORMERR") {
  for (const auto& [offset, count] : {std::pair{5, 0}, {5, 2}, {7, 1}, {9, 1}, {11, 2}, {10, 255}}) {
    Raw raw = make_query({.payload = 1232});
    raw[static_cast<std::size_t>(offset)] = static_cast<std::uint8_t>(count);
    CHECK(verdict(raw) == Rcode::formerr);
  }
}

TEST_CASE("a second OPT, or an additional record that is no OPT, is FORMERR") {
  QuerySpec spec{.payload = 1232};
  Raw raw = make_query(spec);
  const Raw opt = test::opt_record(spec);
  raw.insert(raw.end(), opt.begin(), opt.end());
  raw[11] = 2;
  CHECK(verdict(raw) == Rcode::formerr);
  raw = make_query(spec);
  raw[raw.size() - opt.size() + 2] = 1;  // OPT becomes A
  CHECK(verdict(raw) == Rcode::formerr);
  raw = make_query(spec);
  raw[raw.size() - opt.size()] = 1;  // its owner is no longer the root
  CHECK(verdict(raw) == Rcode::formerr);
}

TEST_CASE("an EDNS option that runs over its record, or a cookie of a wrong length, is FORMERR") {
  CHECK(verdict(make_query({.payload = 512, .options = {0, 3, 0, 1}})) == Rcode::formerr);
  CHECK(verdict(make_query({.payload = 512, .options = {0, 3}})) == Rcode::formerr);
  for (std::size_t size = 0; size <= 41; ++size) {
    const bool good = size == 8 || (size >= 16 && size <= 40);
    const Raw raw = make_query({.payload = 512, .options = test::cookie_option(Raw(size, 7))});
    CHECK(verdict(raw) == (good ? Rcode::noerror : Rcode::formerr));
  }
  CHECK(verdict(make_query({.payload = 512, .options = {0, 3, 0, 0, 0, 12, 0, 1, 0}})) == Rcode::noerror);
}

TEST_CASE("a question may be missing only beside a cookie (RFC 7873 §5.4)") {
  Raw raw = make_query({.name = "", .payload = 512, .options = test::cookie_option(Raw(8, 7))});
  raw.erase(raw.begin() + 12, raw.begin() + 17);
  raw[5] = 0;
  CHECK(verdict(raw) == Rcode::noerror);
  Raw bare = make_query({.name = "", .payload = 512});
  bare.erase(bare.begin() + 12, bare.begin() + 17);
  bare[5] = 0;
  CHECK(verdict(bare) == Rcode::formerr);
}

TEST_CASE("an IXFR may carry its SOA") {
  Raw raw = make_query({.qtype = 251});
  raw[9] = 1;
  const Raw soa = {0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 3, 1, 2, 3};
  raw.insert(raw.end(), soa.begin(), soa.end());
  CHECK(verdict(raw) == Rcode::noerror);
  raw.pop_back();
  CHECK(verdict(raw) == Rcode::formerr);
}

TEST_CASE("what the writer writes, an independent reader reads back") {
  const Raw raw = make_query({.name = "WWW.x.com.reef.example", .payload = 1232, .dnssec_ok = true});
  const auto query = read(raw);
  const Name zone = *Name::parse("reef.example");
  std::array<std::byte, 1232> out;
  ResponseWriter writer(out, 1232, ResponseWriter::opt_bytes(*query, 0, false), *query);
  writer.anchor(zone, writer.offset_in_question(zone));
  using Section = ResponseWriter::Section;
  const NameRef owner = ResponseWriter::question();
  CHECK(writer.add_address(Section::answer, owner, 60, IpAddress::v4(192, 0, 2, 7)));
  CHECK(writer.add_address(Section::answer, owner, 61, *IpAddress::parse("2001:db8::7")));
  const Name ns1 = *Name::parse("ns1.reef.example"), other = *Name::parse("ns.other.example");
  const Name mail = *Name::parse("dns.x.org");
  const std::size_t ns1_at =
      writer.add_target(Section::authority, writer.name(zone), 2, 3600, writer.name(ns1));
  CHECK(ns1_at != 0);
  CHECK(writer.add_target(Section::authority, writer.name(zone), 2, 3600, writer.name(other)) != 0);
  CHECK(writer.add_soa(Section::authority, writer.name(zone), 30,
                       {writer.name(ns1), writer.name(mail), 1, 2, 3, 4, 5}));
  CHECK(writer.add_address(Section::additional, ResponseWriter::at(ns1_at), 60, IpAddress::v4(192, 0, 2, 8)));
  const std::size_t size = writer.finish({Rcode::badvers, true, false}, {1232, {}, {}});
  const auto* begin = reinterpret_cast<const std::uint8_t*>(out.data());
  const auto response = test::read_response(Raw(begin, begin + size));
  REQUIRE(response);
  CHECK(response->id == query->id);
  CHECK(response->aa());
  CHECK(response->rcode() == 16);
  CHECK(response->answer.at(0).owner == "www.x.com.reef.example.");
  CHECK(response->answer.at(0).rdata == Raw{192, 0, 2, 7});
  CHECK(response->answer.at(1).type == 28);
  CHECK(response->answer.at(1).ttl == 61);
  CHECK(response->authority.at(0).owner == "reef.example.");
  CHECK(response->authority.at(0).target == "ns1.reef.example.");
  CHECK(response->authority.at(1).target == "ns.other.example.");
  CHECK(response->authority.at(2).target == "ns1.reef.example. dns.x.org. 1 2 3 4 5");
  CHECK(response->additional.at(0).owner == "ns1.reef.example.");
  REQUIRE(response->opt);
  CHECK(response->opt->rrclass == 1232);
  CHECK((response->opt->ttl & 0x8000) != 0);
}

TEST_CASE("a record that does not fit is left out whole, and smaller ones may follow") {
  const Raw raw = make_query({});
  const auto query = read(raw);
  std::array<std::byte, 512> out;
  const std::size_t room = 12 + query->question.size() + 16;
  ResponseWriter writer(out, room, 0, *query);
  using Section = ResponseWriter::Section;
  const NameRef owner = ResponseWriter::question();
  CHECK_FALSE(writer.add_address(Section::answer, owner, 60, *IpAddress::parse("2001:db8::7")));
  CHECK(writer.add_address(Section::answer, owner, 60, IpAddress::v4(192, 0, 2, 7)));
  CHECK_FALSE(writer.add_address(Section::answer, owner, 60, IpAddress::v4(192, 0, 2, 8)));
  const std::size_t size = writer.finish({}, {1232, {}, {}});
  CHECK(size == room);
  const auto* begin = reinterpret_cast<const std::uint8_t*>(out.data());
  CHECK(test::read_response(Raw(begin, begin + size))->answer.size() == 1);
}
