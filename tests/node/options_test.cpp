// The only place where configuration meets the parts: what is set arrives, and what is not set is the part's
// own default.
#include "node/options.h"

#include <doctest/doctest.h>

#include "config/schema.h"

using namespace reef;
using namespace std::chrono_literals;

TEST_CASE("a node that is told nothing runs the index with the index's own defaults") {
  const dsht::UdpNodeOptions made = node::dsht_options(config::Settings{});
  const dsht::NodeOptions& node = made.node;
  const dsht::NodeOptions own;
  CHECK(made.network_key.empty());
  CHECK(made.membership.clock_slack == dsht::MembershipOptions{}.clock_slack);
  CHECK(node.levels == own.levels);
  CHECK(node.table.bucket_size == own.table.bucket_size);
  CHECK(node.put_bits == own.put_bits);
  CHECK(node.get_bits == own.get_bits);
  CHECK(node.alpha[0] == own.alpha[0]);
  CHECK(node.alpha[2] == own.alpha[2]);
  CHECK(node.put_window == own.put_window);
  CHECK(node.replicas[0] == own.replicas[0]);
  CHECK(node.storage.full_at == own.storage.full_at);
  CHECK(node.storage.values_per_key_max == own.storage.values_per_key_max);
  CHECK(node.load.per_window == own.load.per_window);
  CHECK(node.hot_gets == own.hot_gets);
  CHECK(node.hot_memory == own.hot_memory);
  CHECK(node.reply_values == own.reply_values);
  CHECK(node.rate_limit.per_second == own.rate_limit.per_second);
  CHECK(node.rate_limit.burst == own.rate_limit.burst);
  CHECK(node.signatures_per_second == own.signatures_per_second);
  CHECK(node.near_ping == own.near_ping);
  CHECK(node.far_ping == own.far_ping);
  CHECK(node.hint_ttl == own.hint_ttl);
  CHECK(node.clusters.threshold == own.clusters.threshold);
  CHECK(node.clusters.accept_share == doctest::Approx(own.clusters.accept_share));
  CHECK(node.clusters.keep_share == doctest::Approx(own.clusters.keep_share));
  CHECK(node.clusters.prefer_share == doctest::Approx(own.clusters.prefer_share));
  CHECK(node.clusters.split_share == doctest::Approx(own.clusters.split_share));
  CHECK(node.clusters.refuse_for == own.clusters.refuse_for);
  CHECK(node.clusters.return_after == own.clusters.return_after);
  CHECK(node.clusters.sample_size == own.clusters.sample_size);
  CHECK(node.clusters.sample_min == own.clusters.sample_min);
  CHECK(node.clusters.first_decision == own.clusters.first_decision);
  CHECK(node.clusters.decision_period == own.clusters.decision_period);
  CHECK(node.clusters.serve_left == own.clusters.serve_left);
  const node::HintKeeperOptions hints = node::hint_options(config::Settings{});
  CHECK(hints.enabled);
  CHECK(hints.period == node::HintKeeperOptions{}.period);
  CHECK(hints.traces == node::HintKeeperOptions{}.traces);
  CHECK(hints.hints.hops_max == dsht::HintOptions{}.hops_max);
}

TEST_CASE("the memory tier gets its policy and its share of the memory") {
  const config::Setting& setting = *config::find_key("proxy.cache.eviction");
  for (const proxy::EvictionPolicy policy : proxy::kEvictionPolicies) {
    config::Settings settings;
    settings.proxy.cache.ram_bytes = 64 << 20;
    const std::vector<std::string> name = {std::string(to_text(policy))};
    REQUIRE_FALSE(setting.assign(settings, name));
    const proxy::Options made = node::proxy_options(settings, NodeId{}, 4);
    CHECK(made.ram.policy == policy);
    CHECK(made.ram.bytes_max == 16 << 20);
  }
}

TEST_CASE("every setting of the index reaches it") {
  config::Settings settings;
  config::DshtSettings& dsht = settings.dsht;
  settings.network.key = "secret";
  dsht.levels = 2;
  dsht.threshold_1 = 70ms;
  dsht.threshold_2 = 10ms;
  dsht.accept_percent = 90;
  dsht.keep_percent = 40;
  dsht.prefer_percent = 95;
  dsht.split_percent = 60;
  dsht.refuse_for = 21s;
  dsht.return_after = 22s;
  dsht.sample_size = 3;
  dsht.first_decision = 1s;
  dsht.decision_period = 2s;
  dsht.serve_left = 3s;
  dsht.hints = false;
  dsht.hint_period = 4s;
  dsht.hint_traces = 5;
  dsht.hint_hops = 6;
  dsht.hint_ttl = 7s;
  dsht.k = 9;
  dsht.k_near = 10;
  dsht.put_bits = 2;
  dsht.get_bits = 3;
  dsht.alpha = 4;
  dsht.alpha_near = 5;
  dsht.put_window = 6;
  dsht.replicas = 7;
  dsht.full_at = 8;
  dsht.loaded_at = 9;
  dsht.hot_at = 10;
  dsht.hot_memory = 11s;
  dsht.reply_values = 12;
  dsht.values_per_key_max = 13;
  dsht.values_bytes_max = 14'000;
  dsht.requests_per_second = 15;
  dsht.request_burst = 16;
  dsht.signatures_per_second = 17;
  dsht.near_ping = 18s;
  dsht.far_ping = 19s;
  dsht.clock_slack = 20s;
  settings.proxy.origin.allow = {IpPrefix::parse("10.0.0.0/8").value()};

  const dsht::UdpNodeOptions made = node::dsht_options(settings);
  const dsht::NodeOptions& node = made.node;
  CHECK(as_text(made.network_key) == "secret");
  CHECK(made.membership.clock_slack == 20s);
  CHECK(node.levels == 2);
  CHECK(node.clusters.threshold == std::array<Duration, dsht::kLevels>{Duration::max(), 70ms, 10ms});
  CHECK(node.clusters.accept_share == doctest::Approx(0.9));
  CHECK(node.clusters.keep_share == doctest::Approx(0.4));
  CHECK(node.clusters.prefer_share == doctest::Approx(0.95));
  CHECK(node.clusters.split_share == doctest::Approx(0.6));
  CHECK(node.clusters.refuse_for == 21s);
  CHECK(node.clusters.return_after == 22s);
  CHECK(node.clusters.sample_size == 3);
  CHECK(node.clusters.sample_min == 3);  // never more than are remembered
  CHECK(node.clusters.first_decision == 1s);
  CHECK(node.clusters.decision_period == 2s);
  CHECK(node.clusters.serve_left == 3s);
  CHECK(node.hint_ttl == 7s);
  CHECK(node.table.bucket_size == std::array<std::size_t, dsht::kLevels>{9, 9, 10});
  CHECK(node.put_bits == 2);
  CHECK(node.get_bits == 3);
  CHECK(node.alpha[0] == 4);
  CHECK(node.alpha[2] == 5);
  CHECK(node.put_window == 6);
  CHECK(node.replicas[0] == 7);
  CHECK(node.storage.full_at == 8);
  CHECK(node.load.per_window == 9);
  CHECK(node.hot_gets == 10);
  CHECK(node.hot_memory == 11s);
  CHECK(node.reply_values == 12);
  CHECK(node.storage.values_per_key_max == 13);
  CHECK(node.storage.bytes_max == 7'000);  // of each of two levels
  CHECK(node.rate_limit.per_second == 15);
  CHECK(node.rate_limit.burst == 16);
  CHECK(node.signatures_per_second == 17);
  CHECK(node.near_ping == 18s);
  CHECK(node.far_ping == 19s);

  const node::HintKeeperOptions hints = node::hint_options(settings);
  CHECK_FALSE(hints.enabled);
  CHECK(hints.period == 4s);
  CHECK(hints.traces == 5);
  CHECK(hints.hints.hops_max == 6);
  CHECK(hints.hints.also == settings.proxy.origin.allow);
}

TEST_CASE("what a site says about caching reaches its rules, and only its") {
  using namespace proxy::rules;
  config::Settings settings;
  settings.proxy.cache.stale_if_error = 77s;
  settings.sites.resize(2);
  settings.sites[1].rules = {.default_lifetime = 1min,
                             .heuristic_percent = 20,
                             .heuristic_lifetime_max = 2min,
                             .repeated_lifetime = "stale",
                             .set_cookie = "refuse",
                             .newer_ends_stored = false,
                             .request_directives = false,
                             .stale_if_error = 3min,
                             .stale_if_5xx = true,
                             .stale_beside_s_maxage = false,
                             .range_on_miss = "pass",
                             .variants_max = 3,
                             .vary_names_max = 4,
                             .targeted_fields = {"My-Cache-Control"}};
  const proxy::Options made = node::proxy_options(settings, {}, 1);
  REQUIRE(made.sites.size() == 2);
  const Options plain = made.sites[0].rules.value();
  CHECK(plain.mode == Mode::site);
  CHECK(plain.heuristic_min == 0s);
  CHECK(plain.heuristic_max == 24h);
  CHECK(plain.set_cookie == SetCookie::replay);
  CHECK(plain.stale_if_error_default == 77s);
  CHECK(plain.range_on_miss == RangeOnMiss::whole);
  CHECK(plain.variants_max == 64);
  const Options own = made.sites[1].rules.value();
  CHECK(own.mode == Mode::site);
  CHECK(own.heuristic_min == 1min);
  CHECK(own.heuristic_percent == 20);
  CHECK(own.heuristic_max == 2min);
  CHECK(own.repeated == Repeated::stale);
  CHECK(own.set_cookie == SetCookie::refuse);
  CHECK_FALSE(own.newer_ends_stored);
  CHECK_FALSE(own.honour_request_directives);
  CHECK(own.stale_if_error_default == 3min);
  CHECK(own.stale_default_covers_5xx);
  CHECK_FALSE(own.stale_beside_s_maxage);
  CHECK(own.range_on_miss == RangeOnMiss::pass);
  CHECK(own.variants_max == 3);
  CHECK(own.vary_names_max == 4);
  CHECK(own.targeted_fields == std::vector<std::string>{"My-Cache-Control"});
}

TEST_CASE("what is said of the disk reaches the store, and what is not is the store's own default") {
  config::Settings settings;
  const proxy::StoreOptions made = node::store_options(settings);
  CHECK(made.admission == proxy::StoreOptions{}.admission);
  CHECK(made.write_delay == proxy::StoreOptions{}.write_delay);
  settings.proxy.cache.admission = "all";
  settings.proxy.cache.write_delay = 7ms;
  const proxy::StoreOptions changed = node::store_options(settings);
  CHECK(changed.admission == proxy::Admission::all);
  CHECK(changed.write_delay == 7ms);
}

TEST_CASE("what is said of locating and probing reaches the guide and the prober") {
  config::Settings settings;
  settings.dns.traces = false;
  settings.dns.verify = false;
  settings.dns.view_nodes_max = 7;
  settings.dns.near_nodes_max = 8;
  settings.dns.ping_every = 1s;
  settings.dns.heard_within = 3s;
  settings.dns.verdicts_max = 99;
  settings.dns.verdict_ttl = 20s;
  settings.dns.measured_ttl = 2min;
  settings.network.zone = settings.network.suffix = "reef.example";
  settings.node.data_dir = "/nowhere";
  const auto dns = node::dns_options(settings);
  REQUIRE(dns);
  const node::GuideOptions made = node::guide_options(settings, *dns);
  CHECK_FALSE(made.locator.traces);
  CHECK(made.locator.threshold_1 == 60ms);
  CHECK(made.locator.threshold_2 == 20ms);
  CHECK_FALSE(made.reachability.enabled);
  CHECK(made.live.nodes_max == 7);
  CHECK(made.live.named_max == 8);
  CHECK(made.live.ping_every == 1s);
  CHECK(made.live.heard_within == 3s);
  CHECK(made.verdicts.verdicts_max == 99);
  CHECK(made.verdicts.measured_ttl == 2min);
  CHECK(made.look_again == 20s);
  CHECK(made.data_dir == "/nowhere");
  CHECK(made.check.suffix == "reef.example");
  CHECK(made.check.zone.text() == "reef.example.");
  CHECK(dns->responder.locality.verdict_ttl == 20s);
  CHECK(dns->responder.locality.verdicts_max == 99);

  settings.probe.never = {IpPrefix::parse("192.0.2.0/24").value()};
  settings.probe.per_network = 2;
  settings.probe.network_interval = 60s;
  settings.probe.packets_per_second = 9;
  settings.probe.packet_burst = 30;
  settings.probe.running_max = 3;
  const probe::ProberOptions prober = node::prober_options(settings);
  CHECK(prober.budget.never == settings.probe.never);
  CHECK(prober.budget.per_network == 2);
  CHECK(prober.budget.network_interval == 60s);
  CHECK(prober.budget.packets_per_second == 9);
  CHECK(prober.budget.packets_burst == 30);
  CHECK(prober.running_max == 3);
}

TEST_CASE("without clusters of a level, no client is of that level") {
  config::Settings settings;
  settings.dsht.levels = 1;
  const auto dns = node::dns_options(settings);
  REQUIRE(dns);
  CHECK(node::guide_options(settings, *dns).locator.threshold_1 == 0s);
  CHECK(node::guide_options(settings, *dns).locator.threshold_2 == 0s);
  settings.dsht.levels = 2;
  CHECK(node::guide_options(settings, *dns).locator.threshold_1 == 60ms);
  CHECK(node::guide_options(settings, *dns).locator.threshold_2 == 0s);
}

TEST_CASE("names of nodes in a second zone, and records given by hand, reach the name server") {
  config::Settings settings;
  settings.network.zone = settings.network.suffix = "reef.example";
  settings.network.nodes_zone = "nodes.example";
  settings.dns.levels = true;
  settings.dns.https_port = 8443;
  settings.dns.records = {"a.reef.example TXT x", "b.reef.example 5 A 192.0.2.1"};
  auto dns = node::dns_options(settings);
  REQUIRE(dns);
  REQUIRE(dns->zone.nodes_zone);
  CHECK(dns->zone.nodes_zone->text() == "nodes.example.");
  CHECK(dns->zone.levels);
  CHECK(dns->zone.https_port == 8443);
  REQUIRE(dns->records.size() == 2);
  CHECK(dns->records[1].ttl == 5);
  settings.dns.records = {"nonsense"};
  CHECK_FALSE(node::dns_options(settings));
}
