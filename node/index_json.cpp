#include "node/index_json.h"

#include <algorithm>

namespace reef::node {
namespace {

template <class Counters>
std::uint64_t sum(const Counters& counters) {
  std::uint64_t out = 0;
  for (const Counter& counter : counters) out += counter.value();
  return out;
}

// Values are opaque: shown as text where all of it is printable ASCII, as hex always.
Json value_json(const dsht::Value& value) {
  Json out = {{"publisher", to_string(value.publisher)},
              {"ttl", value.ttl.count()},
              {"provisional", value.provisional},
              {"rtt_ms", ms_or_null(value.rtt)},
              {"hex", to_hex(value.data)}};
  const std::string_view text = as_text(value.data);
  if (std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; })) out["text"] = text;
  return out;
}

Json values_json(const std::vector<dsht::Value>& values) {
  Json out = Json::array();
  for (const dsht::Value& value : values) out.push_back(value_json(value));
  return out;
}

std::string_view to_text(dsht::TraceStep::Outcome outcome) {
  switch (outcome) {
    case dsht::TraceStep::Outcome::waiting:
      return "waiting";
    case dsht::TraceStep::Outcome::contacts:
      return "contacts";
    case dsht::TraceStep::Outcome::values:
      return "values";
    case dsht::TraceStep::Outcome::timed_out:
      return "timed out";
  }
  return "unknown";
}

std::string_view why(dsht::WalkEnd end) {
  switch (end) {
    case dsht::WalkEnd::found:
      return "a node held values";
    case dsht::WalkEnd::exhausted:
      return "the live nodes closest to the key were asked, and hold none";
    case dsht::WalkEnd::deadline:
      return "its time was up";
    case dsht::WalkEnd::isolated:
      return "this node knows nobody to ask";
    case dsht::WalkEnd::overloaded:
      return "too many walks are running on this node";
  }
  return "unknown";
}

Json step_json(const dsht::TraceStep& step) {
  return {{"level", step.level},
          {"hops", step.hops},
          {"id", to_string(step.contact.id)},
          {"bits", step.bits},
          {"rpc", to_string(step.contact.rpc)},
          {"sent_ms", to_ms(step.sent_after)},
          {"rtt_ms", ms_or_null(step.rtt)},
          {"outcome", to_text(step.outcome)},
          {"named", step.named}};
}

Json percent_or_null(const std::optional<double>& share) {
  return share ? Json(100 * *share) : Json(nullptr);
}

double seconds_of(Duration duration) { return to_ms(duration) / 1000; }

}  // namespace

std::string_view to_text(dsht::WalkEnd end) {
  switch (end) {
    case dsht::WalkEnd::found:
      return "found";
    case dsht::WalkEnd::exhausted:
      return "exhausted";
    case dsht::WalkEnd::deadline:
      return "deadline";
    case dsht::WalkEnd::isolated:
      return "isolated";
    case dsht::WalkEnd::overloaded:
      return "overloaded";
  }
  return "unknown";
}

Json found_json(const Key& key, const dsht::Found& found) {
  return {{"key", to_string(key)}, {"values", values_json(found.values)}, {"level", found.level},
          {"hops", found.hops},    {"reached_bits", found.reached_bits},  {"end", to_text(found.end)}};
}

Json walk_json(const Key& key, const dsht::GetDone& done) {
  Json out = found_json(key, done.found);
  out["why"] = why(done.found.end);
  Json& steps = out["steps"] = Json::array();
  for (const dsht::TraceStep& step : done.steps) steps.push_back(step_json(step));
  return out;
}

Json announced_json(const Key& key, const dsht::Announced& announced) {
  return {{"key", to_string(key)},
          {"earlier", values_json(announced.earlier)},
          {"level", announced.level},
          {"stored", announced.stored},
          {"end", to_text(announced.end)}};
}

Json peers_json(const std::vector<dsht::Neighbour>& neighbours, TimePoint now) {
  Json out = Json::array();
  for (const dsht::Neighbour& neighbour : neighbours) {
    const dsht::Contact& contact = neighbour.contact;
    out.push_back({{"id", to_string(contact.id)},
                   {"rpc", to_string(contact.rpc)},
                   {"http_port", contact.http_port},
                   {"dns_port", contact.dns_port},
                   {"level", neighbour.level},
                   {"rtt_ms", ms_or_null(neighbour.rtt)},
                   {"heard_s", seconds_of(now - neighbour.heard_at)}});
  }
  return out;
}

Json clusters_json(const dsht::UdpNode& node, TimePoint now) {
  const dsht::NodeOptions& options = node.node_options();
  const dsht::RoutingTable& table = node.core().table();
  Json out = Json::array();
  out.push_back({{"level", 0},
                 {"threshold_ms", nullptr},
                 {"id", to_string(ClusterId{})},
                 {"estimated_nodes", table.estimated_nodes(0)},
                 {"contacts", table.size(0)},
                 {"values", node.core().storage(0).value_count()}});
  for (dsht::Level level = 1; level < options.levels; ++level) {
    const dsht::ClusterStatus cluster = node.cluster(level);
    out.push_back({{"level", level},
                   {"threshold_ms", to_ms(options.clusters.threshold[level])},
                   {"id", to_string(cluster.id)},
                   {"estimated_nodes", cluster.estimated_nodes},
                   {"contacts", cluster.contacts},
                   {"values", node.core().storage(level).value_count()},
                   {"age_s", cluster.age.count()},
                   {"joined_s", seconds_of(now - cluster.joined_at)},
                   {"percent_within", percent_or_null(cluster.share_within)},
                   {"switches", cluster.switches}});
  }
  return out;
}

Json counters_json(const dsht::UdpNode& node) {
  const dsht::NodeCounters& counters = node.core().counters();
  const dsht::UdpNodeCounters& shell = node.counters();
  return {{"datagrams_in", counters.datagrams_in.value()},
          {"datagrams_out", counters.datagrams_out.value()},
          {"bytes_in", counters.bytes_in.value()},
          {"bytes_out", counters.bytes_out.value()},
          {"send_failed", shell.send_failed.value()},
          {"receive_full", shell.receive_full.value()},
          {"not_members", sum(node.membership().refused())},
          {"undecodable", sum(counters.undecodable)},
          {"rate_limited", counters.rate_limited.value()},
          {"unexpected", counters.unexpected.value()},
          {"foreign_cluster", counters.foreign_cluster.value()},
          {"unfollowed", counters.unfollowed.value()},
          {"requests", sum(counters.requests)},
          {"token_needed", counters.token_needed.value()},
          {"forged", counters.forged.value()},
          {"unproven", counters.unproven.value()},
          {"signatures_checked", counters.signatures_checked.value()},
          {"signatures_exhausted", counters.signatures_exhausted.value()},
          {"values_old", counters.values_old.value()},
          {"puts_turned_back", counters.puts_turned_back.value()},
          {"values_full", counters.values_full.value()},
          {"values_refused", counters.values_refused.value()},
          {"redirected", counters.redirected.value()},
          {"rpcs_sent", counters.rpcs_sent.value()},
          {"rpcs_answered", counters.rpcs_answered.value()},
          {"rpcs_retried", counters.rpcs_retried.value()},
          {"rpcs_failed", counters.rpcs_failed.value()},
          {"contacts_added", counters.contacts_added.value()},
          {"contacts_dropped", counters.contacts_dropped.value()},
          {"walks", sum(counters.walks)},
          {"found_at_level_0", counters.found_at[0].value()},
          {"found_at_level_1", counters.found_at[1].value()},
          {"found_at_level_2", counters.found_at[2].value()},
          {"replicated", counters.replicated.value()},
          {"hinted", counters.hinted.value()}};
}

}  // namespace reef::node
