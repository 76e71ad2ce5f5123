#include "tests/wan/client/plan.h"

#include <nlohmann/json.hpp>

namespace reef::wan {
namespace {

using nlohmann::json;

Duration seconds_of(const json& in, const char* name, Duration otherwise) {
  if (!in.contains(name)) return otherwise;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(in.at(name).get<double>()));
}

IpAddress address_of(const json& in) {
  const auto address = IpAddress::parse(in.get<std::string>());
  if (!address) throw std::invalid_argument(address.error().message());
  return *address;
}

CrowdPlan read(const json& in) {
  CrowdPlan plan;
  plan.hosts = in.contains("hosts") ? in.at("hosts").get<std::vector<std::string>>()
                                    : std::vector{in.at("host").get<std::string>()};
  plan.port = in.value("port", plan.port);
  for (const json& client : in.at("clients")) {
    CrowdClient out{client.at("name").get<std::string>(), client.at("netns").get<std::string>(), {}, {}};
    if (client.contains("resolver")) out.resolver = address_of(client.at("resolver"));
    if (client.contains("connect_to")) out.connect_to = address_of(client.at("connect_to"));
    plan.clients.push_back(std::move(out));
  }
  plan.pages = in.at("pages").get<std::vector<std::vector<std::string>>>();
  plan.digests = in.at("digests").get<std::map<std::string, std::string>>();
  plan.seed = in.value("seed", plan.seed);
  plan.first_pages = in.value("first_pages", plan.first_pages);
  plan.lasts = seconds_of(in, "lasts_s", plan.lasts);
  plan.think = seconds_of(in, "think_s", plan.think);
  plan.spread = seconds_of(in, "spread_s", plan.spread);
  plan.timeout = seconds_of(in, "timeout_s", plan.timeout);
  plan.give_up = seconds_of(in, "give_up_s", plan.give_up);
  if (plan.pages.empty() || plan.clients.empty() || plan.hosts.empty())
    throw std::invalid_argument("pages, clients and hosts must not be empty");
  return plan;
}

}  // namespace

// The JSON library reports by exceptions; they end here.
Result<CrowdPlan> parse_plan(std::string_view text) {
  try {
    return read(json::parse(text));
  } catch (const std::exception& error) {
    return fail(invalid(std::string("plan: ") + error.what()));
  }
}

}  // namespace reef::wan
