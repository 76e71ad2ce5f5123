// The DNS parser and responder on any bytes. The first byte chooses transport and client, the rest is the
// query. What must hold of every response: an independent reader reads it, it is a response to this id, it
// keeps its bounds; and it is never an answer to a response.
#include <cstdlib>
#include <span>

#include "dnsd/responder.h"
#include "tests/dnsd/messages.h"

using namespace reef;
using namespace reef::dnsd;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

Zone make_zone() {
  ZoneOptions options;
  options.zone = *Name::parse("reef.example");
  options.suffix = *Name::parse("http.l0.reef.example");
  options.name_servers = 13;
  return Zone::make(options).value();
}

View make_view() {
  std::vector<Candidate> nodes;
  for (std::uint8_t i = 1; i <= 30; ++i) {
    nodes.push_back({IpAddress::v4(192, 0, 2, i), dsht::kServiceProxy | dsht::kServiceDns, 0, std::nullopt});
    nodes.push_back({IpAddress::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, i}),
                     dsht::kServiceProxy, 1, std::nullopt});
  }
  return View(nodes, {IpAddress::v4(192, 0, 2, 99)}, 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Responder responder(make_zone(), {.authority = {.addresses_max = 16}}, Random(1));
  static const View view = make_view();
  if (size == 0) return 0;
  const std::span<const std::uint8_t> query(data + 1, size - 1);
  const bool tcp = (data[0] & 1) != 0;
  const Client client{{IpAddress::v4(127, 0, 0, data[0]), 53}, tcp ? Transport::tcp : Transport::udp};
  std::vector<std::byte> out(Responder::kResponseBytesMax);
  const Outcome outcome =
      responder.respond(std::as_bytes(query), client, view, TimePoint{}, 1'700'000'000, out);
  must((outcome.bytes == 0) == (outcome.silence != Silence::none));
  if (outcome.bytes == 0) return 0;
  must(query.size() >= 12 && (query[2] & 0x80) == 0);
  const auto* begin = reinterpret_cast<const std::uint8_t*>(out.data());
  const test::Raw raw(begin, begin + outcome.bytes);
  const auto response = test::read_response(raw);
  must(response.has_value());
  must(raw[0] == query[0] && raw[1] == query[1] && (raw[2] & 0x80) != 0);
  must(response->rcode() == static_cast<unsigned>(outcome.rcode));
  must(outcome.bytes <= (tcp ? Responder::kResponseBytesMax : 1232));
  // A cookie may be new, so that the bound holds from the size of a query with one.
  if (!tcp && response->opt && response->opt->rdata.empty()) must(outcome.bytes <= 4 * query.size());
  if (outcome.rcode != Rcode::noerror && outcome.rcode != Rcode::nxdomain) {
    must(response->answer.empty() && response->authority.empty() && response->additional.empty());
    must(outcome.bytes <= query.size() + 11 + 28);
  }
  return 0;
}
