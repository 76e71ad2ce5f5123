#include "node/cli.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/result.h"
#include "proxy/names/url.h"

namespace reef::node {
namespace {

using Json = nlohmann::ordered_json;  // keeps the order in which the node wrote it

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

void print_values(const Json& answer) {
  for (const Json& value : answer["values"]) {
    fmt::print("{}  ttl {} s  {}{}\n", value["publisher"].get<std::string>(),
               value["ttl"].get<std::int64_t>(),
               value.contains("text") ? value["text"].get<std::string>() : value["hex"].get<std::string>(),
               value["provisional"].get<bool>() ? "  (still fetching)" : "");
  }
  fmt::print("{} value(s), {} hop(s), level {}, {}\n", answer["values"].size(), answer["hops"].get<int>(),
             answer["level"].get<int>(), answer["end"].get<std::string>());
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
      if (value.is_object()) {
        fmt::print("{}\n", key);
        for (const auto& [name, number] : value.items()) fmt::print("  {:<28} {}\n", name, number.dump());
      } else {
        fmt::print("{:<30} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
      }
    }
  });
}

int print_peers(const CliOptions& options) {
  return show(options, "/api/peers", [](const Json& answer) {
    fmt::print("{:<40}  {:<24}  {:>7}  {:>5}  {:>9}\n", "id", "rpc", "rtt ms", "level", "heard s");
    for (const Json& peer : answer["peers"]) {
      fmt::print("{:<40}  {:<24}  {:>7}  {:>5}  {:>9.1f}\n", peer["id"].get<std::string>(),
                 peer["rpc"].get<std::string>(), milliseconds(peer["rtt_ms"]), peer["level"].get<int>(),
                 peer["heard_s"].get<double>());
    }
  });
}

int print_trace(const CliOptions& options, const std::string& address) {
  return show(options, "/api/trace?address=" + escaped(address), [](const Json& answer) {
    for (const Json& hop : answer["hops"]) {
      fmt::print("{:>3}  {:<40}  {} ms\n", hop["ttl"].get<int>(),
                 hop["address"].is_string() ? hop["address"].get<std::string>() : "*",
                 milliseconds(hop["rtt_ms"]));
    }
    fmt::print("{}, {} ms\n", answer["end"].get<std::string>(), milliseconds(answer["took_ms"]));
  });
}

int dht_get(const CliOptions& options, const std::string& name) {
  return show(options, "/api/dht/get?name=" + escaped(name) + "&domain=" + escaped(options.domain),
              print_values);
}

int dht_put(const CliOptions& options, const std::string& name, const std::string& value) {
  return show(
      options,
      fmt::format("/api/dht/put?name={}&value={}&ttl={}", escaped(name), escaped(value), options.ttl_seconds),
      [](const Json& answer) {
        fmt::print("{}\n", answer["stored"].get<bool>() ? "stored" : "nobody took it");
      },
      /*changes=*/true);
}

}  // namespace reef::node
