#include "node/dns_routes.h"

#include <fmt/format.h>

#include <charconv>

#include "node/dns_text.h"
#include "node/explain.h"
#include "node/json.h"

namespace reef::node {
namespace {

using Reply = Admin::Reply;

constexpr std::uint32_t kTtlMax = 86'400;

std::string parameter(const AdminRequest& request, std::string_view name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

void answer(const Reply& reply, const Json& value) { reply({200, "application/json", text_of(value)}); }

void refuse(const Reply& reply, const std::string& why) {
  reply({400, "application/json", text_of(Json{{"error", why}})});
}

Result<Question> question_of(const AdminRequest& request, const dnsd::Options& options) {
  Question out;
  const std::string client = parameter(request, "client");
  const auto address = IpAddress::parse(client);
  if (!address) {
    return fail(invalid(fmt::format("client: found \"{}\"; allowed: the address of a resolver", client)));
  }
  out.client = *address;
  const std::string subnet = parameter(request, "subnet");
  if (!subnet.empty()) {
    const auto prefix = IpPrefix::parse(subnet);
    if (!prefix) return fail(invalid(fmt::format("subnet: found \"{}\"; allowed: a prefix", subnet)));
    out.subnet = *prefix;
  }
  const std::string given = parameter(request, "name");
  const auto name = dnsd::Name::parse(given.empty() ? "www." + options.zone.suffix.text() : given);
  if (!name) return fail(invalid(fmt::format("name: found \"{}\"; allowed: a domain name", given)));
  out.name = *name;
  const std::string type = parameter(request, "type");
  if (!type.empty()) {
    const auto number = parse_dns_type(type);
    if (!number) return fail(invalid(fmt::format("type: found \"{}\"; allowed: a record type", type)));
    out.type = *number;
  } else {
    out.type = out.client.is_v4() ? 1 : 28;
  }
  return out;
}

Json lines_json(const RecordBook& records) { return {{"records", records.lines()}}; }

}  // namespace

void add_dns_routes(Admin& admin, DnsRoutesParts parts) {
  admin.on_get("/api/dns/explain", [parts](const AdminRequest& request, const Reply& reply) {
    const auto question = question_of(request, parts.options);
    if (!question) return refuse(reply, question.error().context);
    const auto answer_now = [parts, question = *question, reply] {
      answer(reply, explain(question, parts.options, parts.guide, *parts.view(), *parts.all_records(),
                            parts.loop.now()));
    };
    if (parameter(request, "locate") != "1") return answer_now();
    const dnsd::LocalityOptions& locality = parts.options.responder.locality;
    const IpAddress target = question->subnet ? question->subnet->address : question->client;
    parts.guide.find_out(dnsd::network_of(target, locality, question->subnet ? question->subnet->bits : -1),
                         target, [answer_now](const std::optional<StoredVerdict>&) { answer_now(); });
  });
  admin.on_get("/api/dns/records", [parts](const AdminRequest&, const Reply& reply) {
    answer(reply, lines_json(parts.records));
  });
  admin.on_post("/api/dns/set", [parts](const AdminRequest& request, const Reply& reply) {
    std::optional<std::uint32_t> ttl;
    if (const std::string given = parameter(request, "ttl"); !given.empty()) {
      std::uint32_t number = 0;
      const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), number);
      if (error != std::errc{} || end != given.data() + given.size() || number > kTtlMax)
        return refuse(reply, fmt::format("ttl: found \"{}\"; allowed: 0 to {}", given, kTtlMax));
      ttl = number;
    }
    auto all = parts.records.set(parameter(request, "name"), parameter(request, "type"),
                                 parameter(request, "value"), ttl);
    if (!all) return refuse(reply, all.error().context);
    parts.set_records(std::move(*all));
    answer(reply, lines_json(parts.records));
  });
  admin.on_post("/api/dns/remove", [parts](const AdminRequest& request, const Reply& reply) {
    auto all = parts.records.remove(parameter(request, "name"), parameter(request, "type"),
                                    parameter(request, "value"));
    if (!all) return refuse(reply, all.error().context);
    parts.set_records(std::move(*all));
    answer(reply, lines_json(parts.records));
  });
}

}  // namespace reef::node
