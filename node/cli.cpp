#include "node/cli.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "base/result.h"
#include "node/json.h"
#include "node/seeds.h"
#include "proxy/names/url.h"

namespace reef::node {
namespace {

constexpr long kTimeoutSeconds = 30;

int complain(const std::string& text) {
  fmt::print(stderr, "reef: {}\n", text);
  return 1;
}

std::string escaped(const std::string& text) {
  const std::unique_ptr<char, decltype(&curl_free)> out(
      curl_easy_escape(nullptr, text.data(), static_cast<int>(text.size())), &curl_free);
  return out ? out.get() : "";
}

// A request to the admin listener; the JSON that it answered with status 200.
Result<Json> ask(const CliOptions& options, const std::string& path, bool changes) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), &curl_easy_cleanup);
  std::string body;
  const std::string url = "http://" + options.admin + path;
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");
  if (changes) curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, "");
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, kTimeoutSeconds);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &body);
  curl_easy_setopt(
      curl.get(), CURLOPT_WRITEFUNCTION, +[](char* data, std::size_t size, std::size_t count, void* out) {
        static_cast<std::string*>(out)->append(data, size * count);
        return size * count;
      });
  if (const CURLcode code = curl_easy_perform(curl.get()); code != CURLE_OK) {
    return fail(invalid(fmt::format("no node answers on {} ({}); is it running, and is --admin right?",
                                    options.admin, curl_easy_strerror(code))));
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  Json parsed = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (status != 200 || parsed.is_discarded()) {
    const std::string why = parsed.is_object() ? parsed.value("error", body) : body;
    return fail(invalid(fmt::format("the node answered {}: {}", status, why)));
  }
  return parsed;
}

// Asks, and prints the answer as JSON or with `print`.
template <class Print>
int show(const CliOptions& options, const std::string& path, Print print, bool changes = false) {
  const auto answer = ask(options, path, changes);
  if (!answer) return complain(answer.error().message());
  if (options.json) {
    fmt::print("{}\n", answer->dump(2));
  } else {
    print(*answer);
  }
  return 0;
}

std::string milliseconds(const Json& value) {
  return value.is_number() ? fmt::format("{:.1f}", value.get<double>()) : "-";
}

// Rows of cells as aligned columns under `header`; a '<' in `align` is a column that stands left.
void print_table(const std::vector<std::string>& header, const std::string& align,
                 const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& title : header) widths.push_back(title.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const auto print_row = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      line += align[i] == '<' ? fmt::format("{:<{}}", row[i], widths[i])
                              : fmt::format("{:>{}}", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
  };
  print_row(header);
  for (const auto& row : rows) print_row(row);
}

void print_peer_table(const Json& peers) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& peer : peers) {
    rows.push_back({peer["id"].get<std::string>(), peer["rpc"].get<std::string>(),
                    milliseconds(peer["rtt_ms"]), peer["level"].dump(),
                    fmt::format("{:.1f}", peer["heard_s"].get<double>())});
  }
  print_table({"id", "rpc", "rtt ms", "level", "heard s"}, "<<>>>", rows);
}

void print_value_lines(const Json& values) {
  for (const Json& value : values) {
    fmt::print("{}  ttl {} s  {}{}\n", value["publisher"].get<std::string>(),
               value["ttl"].get<std::int64_t>(),
               value.contains("text") ? value["text"].get<std::string>() : value["hex"].get<std::string>(),
               value["provisional"].get<bool>() ? "  (still fetching)" : "");
  }
}

void print_values(const Json& answer) {
  print_value_lines(answer["values"]);
  fmt::print("{} value(s), {} hop(s), level {}, {}\n", answer["values"].size(), answer["hops"].get<int>(),
             answer["level"].get<int>(), answer["end"].get<std::string>());
}

void print_walk(const Json& answer) {
  fmt::print("key {}\n", answer["key"].get<std::string>());
  std::vector<std::vector<std::string>> rows;
  for (const Json& step : answer["steps"]) {
    rows.push_back({step["level"].dump(), step["hops"].dump(), step["bits"].dump(),
                    step["id"].get<std::string>().substr(0, 12), step["rpc"].get<std::string>(),
                    fmt::format("{:.1f}", step["sent_ms"].get<double>()), milliseconds(step["rtt_ms"]),
                    step["outcome"].get<std::string>(), step["named"].dump()});
  }
  if (rows.empty()) {
    fmt::print("nobody was asked\n");
  } else {
    print_table({"level", "hop", "bits", "id", "rpc", "sent ms", "rtt ms", "outcome", "named"}, ">>><<>><>",
                rows);
  }
  const bool found = answer["end"] == "found";
  fmt::print("{}{}: {}", answer["end"].get<std::string>(),
             found ? fmt::format(" at level {} after {} hop(s)", answer["level"].get<int>(),
                                 answer["hops"].get<int>())
                   : "",
             answer["why"].get<std::string>());
  const int reached = answer["reached_bits"].get<int>();
  if (!found && reached >= 0) fmt::print("; the closest that answered shares {} bits with the key", reached);
  fmt::print("\n");
  print_value_lines(answer["values"]);
}

std::string age(const Json& seconds) {
  if (!seconds.is_number()) return "-";
  const auto s = static_cast<std::int64_t>(seconds.get<double>());
  if (s < 120) return fmt::format("{} s", s);
  if (s < 7200) return fmt::format("{} min", s / 60);
  return fmt::format("{} h", s / 3600);
}

std::string optional_number(const Json& value, const char* unit = "") {
  return value.is_number() ? fmt::format("{:.0f}{}", value.get<double>(), unit) : "-";
}

void print_clusters(const Json& answer) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& cluster : answer["levels"]) {
    const bool everybody = cluster["level"] == 0;
    rows.push_back({cluster["level"].dump(), optional_number(cluster["threshold_ms"], " ms"),
                    everybody ? "everybody" : cluster["id"].get<std::string>(),
                    fmt::format("{:.0f}", cluster["estimated_nodes"].get<double>()),
                    cluster["contacts"].dump(), cluster["values"].dump(),
                    everybody ? "-" : optional_number(cluster["percent_within"], " %"),
                    everybody ? "-" : age(cluster["age_s"]), everybody ? "-" : age(cluster["joined_s"]),
                    everybody ? "-" : cluster["switches"].dump()});
  }
  print_table({"level", "within", "cluster", "nodes", "known", "values", "near", "age", "joined", "switches"},
              ">><>>>>>>>", rows);
}

// "&levels=2,1", or nothing.
std::string levels_parameter(const CliOptions& options) {
  return options.levels.empty() ? "" : fmt::format("&levels={}", fmt::join(options.levels, ","));
}

}  // namespace

int print_url(const CliOptions& options, const std::string& url) {
  namespace names = proxy::names;
  names::Options rules;
  rules.suffix = options.suffix;
  // It only translates: whether a node would fetch it is the node's to say.
  rules.allow_localhost = rules.allow_ipv4 = true;
  rules.ports = {{1, 65535}};
  const names::Names known(rules);
  const names::Front front{names::Scheme::http, options.port == 80 ? std::uint16_t{0} : options.port,
                           options.one_label ? names::Form::one_label : names::Form::dotted};
  auto out = names::coralize_url(known, url, front);
  if (!out && out.error() == names::NameError::nested) out = names::origin_url(known, url);
  if (!out) return complain(fmt::format("'{}': {}", url, names::to_text(out.error())));
  fmt::print("{}\n", *out);
  return 0;
}

int print_status(const CliOptions& options) {
  return show(options, "/api/status", [](const Json& status) {
    for (const auto& [key, value] : status.items()) {
      if (value.is_array()) {
        fmt::print("{}\n", key);
        for (const Json& entry : value)
          fmt::print("  {}\n", entry.is_string() ? entry.get<std::string>() : entry.dump());
      } else if (value.is_object()) {
        fmt::print("{}\n", key);
        for (const auto& [name, number] : value.items()) fmt::print("  {:<28} {}\n", name, number.dump());
      } else {
        fmt::print("{:<30} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
      }
    }
  });
}

int print_peers(const CliOptions& options) {
  return show(options, "/api/peers", [](const Json& answer) { print_peer_table(answer["peers"]); });
}

int print_trace(const CliOptions& options, const std::string& host) {
  const auto endpoints = resolve_seeds({{host, 0}});
  if (endpoints.empty()) return complain(fmt::format("'{}' has no address", host));
  const std::string address = to_string(endpoints.front().address);
  return show(options, "/api/trace?address=" + escaped(address), [](const Json& answer) {
    std::vector<std::vector<std::string>> rows;
    for (const Json& hop : answer["hops"]) {
      std::string at = hop["address"].is_string() ? hop["address"].get<std::string>() : "*";
      if (hop["inferred"].get<bool>()) at += " (its place is inferred)";
      rows.push_back({hop["ttl"].dump(), std::move(at), milliseconds(hop["rtt_ms"])});
    }
    if (!rows.empty()) print_table({"ttl", "address", "rtt ms"}, "><>", rows);
    fmt::print("{}: {}, {} ms, {} probe(s)\n", answer["target"].get<std::string>(),
               answer["end"].get<std::string>(), milliseconds(answer["took_ms"]), answer["probes"].dump());
    if (!answer["hints"].empty()) fmt::print("hints, nearest to it first:\n");
    for (const Json& hint : answer["hints"]) fmt::print("  {}\n", hint["name"].get<std::string>());
  });
}

namespace {

std::string name_and_domain(const CliOptions& options, const std::string& name) {
  return fmt::format("?name={}&domain={}", escaped(name), escaped(options.domain));
}

std::string value_and_ttl(const CliOptions& options, const std::string& value) {
  return fmt::format("&value={}&ttl={}", escaped(value), options.ttl_seconds);
}

}  // namespace

int dht_get(const CliOptions& options, const std::string& name) {
  return show(options, "/api/dht/get" + name_and_domain(options, name) + levels_parameter(options),
              print_values);
}

int dht_trace(const CliOptions& options, const std::string& name) {
  return show(options, "/api/dht/trace" + name_and_domain(options, name) + levels_parameter(options),
              print_walk);
}

int dht_put(const CliOptions& options, const std::string& name, const std::string& value) {
  return show(
      options, "/api/dht/put" + name_and_domain(options, name) + value_and_ttl(options, value),
      [](const Json& answer) {
        fmt::print("{}\n", answer["stored"].get<bool>() ? "stored" : "nobody took it");
      },
      /*changes=*/true);
}

int dht_announce(const CliOptions& options, const std::string& name, const std::string& value) {
  return show(
      options, "/api/dht/announce" + name_and_domain(options, name) + value_and_ttl(options, value),
      [](const Json& answer) {
        print_value_lines(answer["earlier"]);
        if (!answer["stored"].get<bool>()) {
          fmt::print("nobody took the announcement ({})\n", answer["end"].get<std::string>());
        } else if (answer["earlier"].empty()) {
          fmt::print("announced: this node is the first\n");
        } else {
          fmt::print("announced: {} before this node (level {})\n", answer["earlier"].size(),
                     answer["level"].get<int>());
        }
      },
      /*changes=*/true);
}

int dht_nodes(const CliOptions& options) {
  std::string path = fmt::format("/api/dht/nodes?level={}&count={}", options.level, options.count);
  if (!options.near.empty()) path += "&near=" + escaped(options.near);
  if (!options.target.empty()) path += "&target=" + escaped(options.target);
  if (options.ask) path += "&ask=1";
  return show(options, path, [](const Json& answer) {
    print_peer_table(answer["nodes"]);
    if (!answer.value("complete", true)) fmt::print("time was up before all of them had answered\n");
    if (!answer.contains("near")) return;
    const Json& near = answer["near"];
    fmt::print("{}: level {}, known by {}, rtt {} ms\n", near["address"].get<std::string>(),
               near["level"].get<int>(), near["known_by"].get<std::string>(), milliseconds(near["rtt_ms"]));
  });
}

int print_cluster(const CliOptions& options) { return show(options, "/api/cluster", print_clusters); }

namespace {

std::string yes_or_no(const Json& value) { return value.get<bool>() ? "yes" : "no"; }

void print_verdict(const Json& answer) {
  const Json& verdict = answer["verdict"];
  if (verdict.is_null()) {
    fmt::print("{}: nothing is known yet; level 0 until then (--locate finds out)\n",
               answer["network"].get<std::string>());
    return;
  }
  fmt::print("{}: level {}, by {}, rtt {} ms, measured to {} {} ago\n", answer["network"].get<std::string>(),
             verdict["level"].dump(), verdict["source"].get<std::string>(), milliseconds(verdict["rtt_ms"]),
             verdict["measured"].get<std::string>(), age(verdict["age_s"]));
  std::vector<std::vector<std::string>> rows;
  for (const Json& near : verdict["near"]) {
    rows.push_back({near["address"].get<std::string>(), near["id"].get<std::string>().substr(0, 12),
                    near["rank"].dump(), milliseconds(near["away_ms"]), yes_or_no(near["live"]),
                    yes_or_no(near["proxy"]), yes_or_no(near["dns"])});
  }
  if (!rows.empty())
    print_table({"near it", "id", "rank", "ms away", "live", "proxy", "dns"}, "<<>><<<", rows);
}

void print_explanation(const Json& answer) {
  print_verdict(answer);
  if (!answer.contains("rcode")) return;
  fmt::print("{} {}\n", answer["name"].get<std::string>(), answer["rcode"].get<std::string>());
  std::vector<std::vector<std::string>> rows;
  for (const Json& record : answer["records"]) {
    rows.push_back({record["section"].get<std::string>(), record["name"].get<std::string>(),
                    record["ttl"].dump(), record["type"].get<std::string>(),
                    record["data"].get<std::string>()});
  }
  if (!rows.empty()) print_table({"section", "name", "ttl", "type", "data"}, "<<><<", rows);
  rows.clear();
  for (const Json& address : answer["addresses"]) {
    const bool is_known = address.contains("level");
    rows.push_back({address["address"].get<std::string>(), address["why"].get<std::string>(),
                    is_known ? address["level"].dump() : "-",
                    is_known ? milliseconds(address["rtt_ms"]) : "-"});
  }
  if (!rows.empty()) print_table({"address", "why", "level", "rtt ms"}, "<<>>", rows);
}

void print_records(const Json& answer) {
  for (const Json& line : answer["records"]) fmt::print("{}\n", line.get<std::string>());
}

}  // namespace

int dns_explain(const CliOptions& options, const std::string& client, const std::string& name) {
  std::string path = "/api/dns/explain?client=" + escaped(client);
  if (!name.empty()) path += "&name=" + escaped(name);
  if (!options.type.empty()) path += "&type=" + escaped(options.type);
  if (!options.subnet.empty()) path += "&subnet=" + escaped(options.subnet);
  if (options.locate) path += "&locate=1";
  return show(options, path, print_explanation);
}

int dns_set(const CliOptions& options, const std::string& name, const std::string& type,
            const std::string& value) {
  return show(options,
              fmt::format("/api/dns/set?name={}&type={}&value={}&ttl={}", escaped(name), escaped(type),
                          escaped(value), options.ttl_seconds),
              print_records, /*changes=*/true);
}

int dns_remove(const CliOptions& options, const std::string& name) {
  std::string path = "/api/dns/remove?name=" + escaped(name);
  if (!options.type.empty()) path += "&type=" + escaped(options.type);
  if (!options.value.empty()) path += "&value=" + escaped(options.value);
  return show(options, path, print_records, /*changes=*/true);
}

int dns_records(const CliOptions& options) { return show(options, "/api/dns/records", print_records); }

}  // namespace reef::node
