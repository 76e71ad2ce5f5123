// What a crowd of clients is to do.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "base/time.h"

namespace reef::wan {

struct CrowdClient {
  std::string name;
  std::string netns;                    // where it lives
  IpAddress resolver;                   // asked over UDP port 53
  std::optional<IpAddress> connect_to;  // a fixed server instead of what DNS says
};

// Every client fetches each page once, in an order of its own, all files of a page at a time; then, until
// `lasts` has passed, random pages with `think` between them. Every file is a new connection after a new DNS
// question, as in the paper's measure (DNS, connect, fetch).
struct CrowdPlan {
  // Of the URLs; resolved and sent as Host. All files of a page come from one, drawn for each page. Never
  // empty.
  std::vector<std::string> hosts;
  std::uint16_t port = 80;
  std::vector<CrowdClient> clients;
  std::vector<std::vector<std::string>> pages;
  std::map<std::string, std::string> digests;  // path to SHA-256 in hex
  std::uint64_t seed = 1;
  std::size_t first_pages = 0;  // pages of the first round; 0: all
  Duration lasts{};             // 0: the first round only
  Duration think = std::chrono::seconds(5);
  Duration spread = std::chrono::seconds(1);    // clients start at random times within it
  Duration timeout = std::chrono::seconds(60);  // of one file
  Duration give_up{};  // everything still running then is reported as unfinished; 0: never
};

// From JSON: {"host" or
// "hosts","port","clients":[{"name","netns","resolver","connect_to"}],"pages":[[path,..],..],
// "digests":{path:hex},"seed","first_pages","lasts_s","think_s","spread_s","timeout_s","give_up_s"}.
[[nodiscard]] Result<CrowdPlan> parse_plan(std::string_view json);

}  // namespace reef::wan
