#include "node/index_routes.h"

#include <fmt/format.h>

#include <charconv>

#include "node/index_json.h"

namespace reef::node {
namespace {

using std::chrono::seconds;
using Reply = Admin::Reply;

constexpr Duration kBudget = seconds(5);
constexpr std::size_t kPeersMax = 1000;  // in one answer
constexpr std::size_t kNodesDefault = 8;
constexpr int kTtlMax = 86'400;

std::string parameter(const AdminRequest& request, std::string_view name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

void answer(const Reply& reply, const Json& value) { reply({200, "application/json", text_of(value)}); }

void refuse(const Reply& reply, std::string_view why) {
  reply({400, "application/json", text_of(Json{{"error", why}})});
}

std::string_view to_text(dsht::LevelVerdict::Source source) {
  switch (source) {
    case dsht::LevelVerdict::Source::measured:
      return "measured";
    case dsht::LevelVerdict::Source::same_prefix:
      return "same prefix";
    case dsht::LevelVerdict::Source::hint:
      return "hint";
    case dsht::LevelVerdict::Source::unknown:
      return "nothing";
  }
  return "nothing";
}

std::optional<int> number(std::string_view text, int min, int max) {
  int out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out < min || out > max) return std::nullopt;
  return out;
}

// The parameters of one request, read one after the other; the first that is wrong is what is said.
class Parameters {
 public:
  Parameters(const AdminRequest& request, const dsht::UdpNode& index) : request_(request), index_(index) {}

  Key key() {
    const std::string domain = text("domain");
    const std::string name = text("name");
    if (name.empty()) wrong("name: what is looked for is missing; allowed: any text");
    if (domain.empty() || domain == "test") return index_.key(dsht::KeyDomain::test, name);
    if (domain == "url") return index_.key(dsht::KeyDomain::url, name);
    if (domain == "hint") return index_.key(dsht::KeyDomain::hint, name);
    wrong(fmt::format("domain: found \"{}\"; allowed: test, url or hint", domain));
    return {};
  }
  std::string value() {
    std::string out = text("value");
    if (out.empty() || out.size() > dsht::kValueBytesMax)
      wrong(fmt::format("value: found {} bytes; allowed: 1 to {}", out.size(), dsht::kValueBytesMax));
    return out;
  }
  seconds ttl() { return seconds(integer("ttl", 1, kTtlMax, std::nullopt)); }
  int integer(std::string_view name, int min, int max, std::optional<int> otherwise) {
    const std::string given = text(name);
    if (given.empty() && otherwise) return *otherwise;
    if (const auto out = number(given, min, max)) return *out;
    wrong(fmt::format("{}: found \"{}\"; allowed: a number from {} to {}", name, given, min, max));
    return min;
  }
  // "2,0"; without it: all.
  dsht::LevelMask levels() {
    const std::string given = text("levels");
    const int highest = index_.node_options().levels - 1;
    dsht::LevelMask out = 0;
    if (given.empty()) return dsht::kAllLevels;
    for (std::string_view rest = given;;) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      const auto level = number(rest.substr(0, comma), 0, highest);
      if (!level) {
        wrong(fmt::format("levels: found \"{}\"; allowed: some of 0 to {}, such as 2,1", given, highest));
        return 0;
      }
      out = static_cast<dsht::LevelMask>(out | dsht::mask_of(static_cast<dsht::Level>(*level)));
      if (comma == rest.size()) return out;
      rest.remove_prefix(comma + 1);
    }
  }
  dsht::NodesQuery nodes() {
    dsht::NodesQuery out;
    out.level = static_cast<dsht::Level>(integer("level", 0, index_.node_options().levels - 1, 0));
    out.count = static_cast<std::size_t>(integer("count", 1, static_cast<int>(kPeersMax), kNodesDefault));
    const std::string near = text("near"), target = text("target");
    if (!near.empty() && !target.empty()) wrong("near and target: both are given; allowed: one of them");
    if (!near.empty()) {
      if (const auto address = IpAddress::parse(near)) {
        out.near = *address;
      } else {
        wrong(fmt::format("near: found \"{}\"; allowed: an IPv4 or IPv6 address", near));
      }
    }
    if (!target.empty()) {
      if (const auto id = parse_id<NodeId>(target)) {
        out.target = *id;
      } else {
        wrong(fmt::format("target: found \"{}\"; allowed: an id of 40 hex digits", target));
      }
    }
    return out;
  }
  // Whether the network shall be asked, and not only this node's memory.
  bool asks(const dsht::NodesQuery& query) {
    if (integer("ask", 0, 1, 0) == 0) return false;
    if (query.target)
      wrong("ask: not with target, which is about what this node knows; allowed: near, level");
    if (!query.near && query.level == 0) wrong("ask: for what? allowed: with near, or with level 1 or 2");
    return true;
  }

  // Empty: all were right.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  [[nodiscard]] std::string text(std::string_view name) const { return parameter(request_, name); }
  void wrong(std::string what) {
    if (error_.empty()) error_ = std::move(what);
  }

  const AdminRequest& request_;
  const dsht::UdpNode& index_;
  std::string error_;
};

Json verdict_json(const IpAddress& address, const dsht::LevelVerdict& verdict) {
  return {{"address", to_string(address)},
          {"level", verdict.level},
          {"known_by", to_text(verdict.source)},
          {"rtt_ms", ms_or_null(verdict.rtt)}};
}

// The hints that an address is known to have without a trace to it.
std::vector<Key> surroundings(const dsht::UdpNode& index, const IpAddress& address) {
  return {index.key(dsht::KeyDomain::hint, to_string(IpPrefix::around(address, address.is_v4() ? 24 : 48))),
          index.key(dsht::KeyDomain::hint, to_string(address))};
}

}  // namespace

void add_index_routes(Admin& admin, EventLoop& loop, dsht::UdpNode& index) {
  admin.on_get("/api/peers", [&loop, &index](const AdminRequest&, const Reply& reply) {
    dsht::NodesQuery query;
    query.count = kPeersMax;
    answer(reply, {{"peers", peers_json(index.nodes(query), loop.now())}});
  });
  admin.on_get("/api/cluster", [&loop, &index](const AdminRequest&, const Reply& reply) {
    answer(reply, {{"id", to_string(index.id())}, {"levels", clusters_json(index, loop.now())}});
  });
  admin.on_get("/api/dht/nodes", [&loop, &index](const AdminRequest& request, const Reply& reply) {
    Parameters given(request, index);
    const dsht::NodesQuery query = given.nodes();
    const bool asks = given.asks(query);
    if (!given.error().empty()) return refuse(reply, given.error());
    if (!asks) {
      Json out = {{"level", query.level}, {"nodes", peers_json(index.nodes(query), loop.now())}};
      if (query.near) out["near"] = verdict_json(*query.near, index.level_of(*query.near));
      return answer(reply, out);
    }
    dsht::FindNodes what;
    what.level = query.level;
    what.count = query.count;
    if (query.near) what.hints = surroundings(index, *query.near);
    index.find_nodes(std::move(what), kBudget, [&loop, reply, query](const dsht::NodesNear& found) {
      Json out = {{"level", query.level},
                  {"nodes", peers_json(found.nodes, loop.now())},
                  {"complete", found.complete}};
      if (query.near) out["near"] = verdict_json(*query.near, found.verdict);
      answer(reply, out);
    });
  });
  admin.on_get("/api/dht/get", [&index](const AdminRequest& request, const Reply& reply) {
    Parameters given(request, index);
    const Key key = given.key();
    const dsht::GetOptions how{.levels = given.levels(), .trace = false};
    if (!given.error().empty()) return refuse(reply, given.error());
    index.get(key, kBudget, how,
              [reply, key](const dsht::GetDone& done) { answer(reply, found_json(key, done.found)); });
  });
  admin.on_get("/api/dht/trace", [&index](const AdminRequest& request, const Reply& reply) {
    Parameters given(request, index);
    const Key key = given.key();
    const dsht::GetOptions how{.levels = given.levels(), .trace = true};
    if (!given.error().empty()) return refuse(reply, given.error());
    index.get(key, kBudget, how,
              [reply, key](const dsht::GetDone& done) { answer(reply, walk_json(key, done)); });
  });
  admin.on_post("/api/dht/put", [&index](const AdminRequest& request, const Reply& reply) {
    Parameters given(request, index);
    const Key key = given.key();
    const std::string value = given.value();
    const seconds ttl = given.ttl();
    if (!given.error().empty()) return refuse(reply, given.error());
    index.put(key, as_bytes(value), ttl, [reply, key](bool stored) {
      answer(reply, {{"key", to_string(key)}, {"stored", stored}});
    });
  });
  admin.on_post("/api/dht/announce", [&index](const AdminRequest& request, const Reply& reply) {
    Parameters given(request, index);
    const Key key = given.key();
    const std::string value = given.value();
    const seconds ttl = given.ttl();
    if (!given.error().empty()) return refuse(reply, given.error());
    index.announce(key, as_bytes(value), ttl, kBudget, [reply, key](const dsht::Announced& announced) {
      answer(reply, announced_json(key, announced));
    });
  });
}

}  // namespace reef::node
