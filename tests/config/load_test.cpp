#include "config/load.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "config/schema.h"
#include "config/text.h"
#include "tests/config/sources.h"

using namespace reef;
using namespace reef::config;
using namespace std::chrono_literals;
using std::chrono::seconds;

TEST_CASE("without any source all settings have their defaults, and the data directory is the user's own") {
  const auto loaded = load(sources({}));
  REQUIRE(loaded);
  CHECK(loaded->action == Action::run);
  CHECK(loaded->config_file.empty());
  CHECK(loaded->settings.node.data_dir == "/home/somebody/.local/share/reef");
  Settings expected;
  expected.node.data_dir = loaded->settings.node.data_dir;
  CHECK(to_toml(loaded->settings) == to_toml(expected));
}

TEST_CASE("the default data directory is /var/lib/reef for root and honours XDG_DATA_HOME for others") {
  Sources root = sources({});
  root.is_root = true;
  CHECK(load(root)->settings.node.data_dir == "/var/lib/reef");
  CHECK(load(sources({}, "", {{"XDG_DATA_HOME", "/data"}}))->settings.node.data_dir == "/data/reef");
  CHECK(load(sources({"--data-dir", "here"}))->settings.node.data_dir == "here");
  Sources homeless = sources({});
  homeless.environment.clear();
  CHECK(error_of(homeless) ==
        "node.data_dir: found nothing, and HOME is not set; allowed: a path (--data-dir DIR)");
}

TEST_CASE("flags override the environment, which overrides the file, which overrides the defaults") {
  const std::string file = "[dns]\naddress_ttl = \"10s\"\nauthority_ttl = \"20s\"\nnegative_ttl = \"30s\"\n";
  const auto loaded = load(sources({"--config", "reef.toml", "--set", "dns.address_ttl=1s"}, file,
                                   {{"REEF_DNS_ADDRESS_TTL", "2s"}, {"REEF_DNS_AUTHORITY_TTL", "3s"}}));
  REQUIRE(loaded);
  CHECK(loaded->settings.dns.address_ttl == seconds(1));
  CHECK(loaded->settings.dns.authority_ttl == seconds(3));
  CHECK(loaded->settings.dns.negative_ttl == seconds(30));
  CHECK(loaded->settings.dns.addresses_max == Settings{}.dns.addresses_max);
}

TEST_CASE("the file is named by --config, else by REEF_CONFIG") {
  const std::string file = "[node]\nworkers = 7\n";
  CHECK(load(sources({}, file, {{"REEF_CONFIG", "reef.toml"}}))->settings.node.workers == 7);
  CHECK(load(sources({"--config=reef.toml"}, file, {{"REEF_CONFIG", "other.toml"}}))->settings.node.workers ==
        7);
  CHECK(error_of(sources({}, file, {{"REEF_CONFIG", "other.toml"}})) ==
        "cannot read the configuration file other.toml: No such file or directory");
}

TEST_CASE("a flag that is given several times adds up, and together replaces what file and environment say") {
  const auto loaded =
      load(sources({"--seed", "a.example:1", "--seed=[2001:db8::1]:2", "--listen", "127.0.0.1:80", "--listen",
                    "[::1]:80", "--config", "reef.toml"},
                   "[network]\nseeds = [\"file.example:9\"]\n", {{"REEF_NETWORK_SEEDS", "env.example:9"}}));
  REQUIRE(loaded);
  CHECK(loaded->settings.network.seeds == std::vector<HostPort>{{"a.example", 1}, {"2001:db8::1", 2}});
  CHECK(loaded->settings.proxy.listen ==
        std::vector<Endpoint>{*Endpoint::parse("127.0.0.1:80"), *Endpoint::parse("[::1]:80")});
}

TEST_CASE(
    "of a scalar flag that is given twice the last one counts, and --set and flags count in their order") {
  CHECK(load(sources({"--workers", "1", "--workers", "2"}))->settings.node.workers == 2);
  CHECK(load(sources({"--workers", "1", "--set", "node.workers=3"}))->settings.node.workers == 3);
  CHECK(load(sources({"--set", "node.workers=3", "--workers", "1"}))->settings.node.workers == 1);
}

TEST_CASE("a list in the environment or in --set has commas or blanks between its elements") {
  const auto loaded = load(sources({"--set", "proxy.origin.allow=127.0.0.0/8,::1/128"}, "",
                                   {{"REEF_NETWORK_SEEDS", "a.example:1, b.example:2"}}));
  REQUIRE(loaded);
  CHECK(loaded->settings.proxy.origin.allow ==
        std::vector<IpPrefix>{*IpPrefix::parse("127.0.0.0/8"), *IpPrefix::parse("::1/128")});
  CHECK(loaded->settings.network.seeds == std::vector<HostPort>{{"a.example", 1}, {"b.example", 2}});
}

TEST_CASE("zone and suffix follow each other when only one is given") {
  auto loaded = load(sources({"--suffix", "Reef.Example."}));
  CHECK(loaded->settings.network.suffix == "reef.example");
  CHECK(loaded->settings.network.zone == "reef.example");
  loaded = load(sources({"--zone", "reef.example"}));
  CHECK(loaded->settings.network.suffix == "reef.example");
  loaded = load(sources({"--zone", "reef.example", "--suffix", "http.reef.example"}));
  CHECK(loaded->settings.network.zone == "reef.example");
  CHECK(loaded->settings.network.suffix == "http.reef.example");
  CHECK(error_of(sources({"--zone", "reef.example", "--suffix", "notreef.example"})) ==
        "--suffix: found \"notreef.example\"; allowed: the zone reef.example or a name below it");
}

TEST_CASE("every named flag of the command line exists and reaches its setting") {
  const auto loaded = load(sources({"--config",       "reef.toml",
                                    "--data-dir",     "d",
                                    "--zone",         "z.example",
                                    "--suffix",       "s.z.example",
                                    "--listen",       "10.0.0.1:1",
                                    "--dns-listen",   "10.0.0.1:2",
                                    "--rpc-listen",   "10.0.0.1:3",
                                    "--admin-listen", "10.0.0.1:4",
                                    "--advertise",    "192.0.2.1",
                                    "--seed",         "seed.example:5",
                                    "--resolver",     "192.0.2.2:53",
                                    "--allow-origin", "10.0.0.0/8",
                                    "--site",         "www.a.example=https://o.example",
                                    "--workers",      "3",
                                    "--log-level",    "debug",
                                    "--set",          "proxy.cooperate=false"}));
  REQUIRE(loaded);
  const Settings& s = loaded->settings;
  CHECK(loaded->config_file == "reef.toml");
  CHECK(s.node.data_dir == "d");
  CHECK(s.network.zone == "z.example");
  CHECK(s.network.suffix == "s.z.example");
  CHECK(s.proxy.listen == std::vector{*Endpoint::parse("10.0.0.1:1")});
  CHECK(s.dns.listen == std::vector{*Endpoint::parse("10.0.0.1:2")});
  CHECK(s.dsht.listen == std::vector{*Endpoint::parse("10.0.0.1:3")});
  CHECK(s.admin.listen == std::vector{*Endpoint::parse("10.0.0.1:4")});
  CHECK(s.node.advertise == *IpAddress::parse("192.0.2.1"));
  CHECK(s.network.seeds == std::vector{HostPort{"seed.example", 5}});
  CHECK(s.proxy.origin.resolvers == std::vector{*Endpoint::parse("192.0.2.2:53")});
  CHECK(s.proxy.origin.allow == std::vector{*IpPrefix::parse("10.0.0.0/8")});
  CHECK(s.sites == std::vector{Site{"www.a.example", "https", "o.example", 443}});
  CHECK(s.node.workers == 3);
  CHECK(s.node.log_level == "debug");
  CHECK_FALSE(s.proxy.cooperate);
}

TEST_CASE("help, version and the example are given however wrong the rest is") {
  CHECK(load(sources({"--help", "--config", "missing.toml"}))->action == Action::help);
  CHECK(load(sources({"--workers", "none", "-h"}))->action == Action::help);
  CHECK(load(sources({"--version", "--workers", "none"}))->action == Action::version);
  CHECK(load(sources({"--print-example-config"}))->action == Action::print_example);
  CHECK(load(sources({"--check-config"}))->action == Action::check);
  CHECK(load(sources({"--print-config"}))->action == Action::print_config);
  CHECK_FALSE(load(sources({"--check-config", "--workers", "none"})));
}

TEST_CASE("a wrong flag is one line that says what was found and what is allowed") {
  CHECK(error_of(sources({"--workers", "many"})) ==
        "--workers: found \"many\"; allowed: a whole number from 0 to 256");
  CHECK(error_of(sources({"--workers=-1"})) ==
        "--workers: found \"-1\"; allowed: a whole number from 0 to 256");
  CHECK(error_of(sources({"--workers"})) ==
        "--workers: found no value; allowed: a whole number from 0 to 256");
  CHECK(error_of(sources({"--listen", "localhost:80"})) ==
        "--listen: found \"localhost:80\"; allowed: ADDRESS:PORT, such as 127.0.0.1:8090 (IPv6 in brackets: "
        "[::1]:80)");
  CHECK(error_of(sources({"--seed", "a.example:1", "--seed", "b.example"})) ==
        "--seed: found \"b.example\"; allowed: HOST:PORT, such as seed.reef.example:8091 or "
        "[2001:db8::1]:8091");
  CHECK(error_of(sources({"--lisen", "127.0.0.1:80"})) == "unknown flag '--lisen'; did you mean '--listen'?");
  CHECK(error_of(sources({"--frobnicate"})) == "unknown flag '--frobnicate' (try --help)");
  CHECK(error_of(sources({"start"})) == "unknown argument 'start'; reefd takes flags only (try --help)");
  CHECK(error_of(sources({"--help=yes"})) == "--help: takes no value");
  CHECK(error_of(sources({"--config"})) == "--config: found no value; allowed: the path of a TOML file");
  CHECK(error_of(sources({"--set", "proxy.cooperate"})) ==
        "--set: found \"proxy.cooperate\"; allowed: KEY=VALUE");
  CHECK(error_of(sources({"--set", "proxy.cooperate=maybe"})) ==
        "--set proxy.cooperate: found \"maybe\"; allowed: true or false");
  CHECK(error_of(sources({"--set", "proxy.coperate=true"})) ==
        "--set: unknown setting 'proxy.coperate'; did you mean 'proxy.cooperate'?");
}

TEST_CASE("a wrong variable is one line; unknown variables are refused only where the name is ours") {
  CHECK(error_of(sources({}, "", {{"REEF_NODE_LOG_LEVEL", "loud"}})) ==
        "REEF_NODE_LOG_LEVEL: found \"loud\"; allowed: trace, debug, info, warn, error or off");
  CHECK(error_of(sources({}, "", {{"REEF_NODE_WORKER", "1"}})) ==
        "REEF_NODE_WORKER: unknown variable; did you mean 'REEF_NODE_WORKERS'?");
  CHECK(error_of(sources({}, "", {{"REEF_BUILD_DIR", "x"}, {"REEF_OTHER", "y"}})) == "");
}

TEST_CASE("a wrong value in the file is one line with file and line") {
  CHECK(error_of(sources_of_file("[node]\n\nworkers = \"many\"\n")) ==
        "reef.toml:3: node.workers: found \"many\"; allowed: a whole number from 0 to 256");
  CHECK(error_of(sources_of_file("[node]\nworkers = 257\n")) ==
        "reef.toml:2: node.workers: found 257; allowed: a whole number from 0 to 256");
  CHECK(error_of(sources_of_file("[proxy]\ncooperate = 1\n")) ==
        "reef.toml:2: proxy.cooperate: found 1; allowed: true or false");
  CHECK(error_of(sources_of_file("[proxy.cache]\nram_bytes = \"50 apples\"\n")) ==
        "reef.toml:2: proxy.cache.ram_bytes: found \"50 apples\"; allowed: a size from 1MiB to 1TiB (units: "
        "B, KiB, MiB, "
        "GiB, TiB)");
  CHECK(error_of(sources_of_file("[node]\ndrain_time = 10\n")) ==
        "reef.toml:2: node.drain_time: found 10; allowed: a duration from 0s to 10min (units: ms, s, min, h, "
        "d)");
  CHECK(error_of(sources_of_file("[proxy]\nlisten = [\"127.0.0.1:80\",\n  \"nowhere\"]\n")) ==
        "reef.toml:3: proxy.listen: found \"nowhere\"; allowed: ADDRESS:PORT, such as 127.0.0.1:8090 (IPv6 "
        "in brackets: "
        "[::1]:80)");
  CHECK(error_of(sources_of_file("[node]\nworkers = [1]\n")) ==
        "reef.toml:2: node.workers: found an array; allowed: a whole number from 0 to 256");
  CHECK(error_of(sources_of_file("[node]\nworkers = 1.5\n")) ==
        "reef.toml:2: node.workers: found 1.5; allowed: a string, a whole number, true or false, or an array "
        "of strings");
  CHECK(error_of(sources_of_file("[dns]\nlisten = []\n")) ==
        "reef.toml:2: dns.listen: found []; allowed: at least one");
}

TEST_CASE("an unknown setting in the file is one line, with the nearest one or with what its section has") {
  CHECK(error_of(sources_of_file("[proxy]\nlisen = \"127.0.0.1:80\"\n")) ==
        "reef.toml:2: unknown setting 'proxy.lisen'; did you mean 'proxy.listen'?");
  CHECK(error_of(sources_of_file("[admin]\npassword_of_the_operator = 1\n")) ==
        "reef.toml:2: unknown setting 'admin.password_of_the_operator'; allowed in [admin]: listen");
  CHECK(error_of(sources_of_file("colour_of_the_reef = 1\n")) ==
        "reef.toml:1: unknown setting 'colour_of_the_reef'; --help lists all settings");
}

TEST_CASE("what is not TOML is one line with file and line") {
  const std::string error = error_of(sources_of_file("[node]\nworkers = \n"));
  CHECK(error.starts_with("reef.toml:2: not TOML: "));
  CHECK(error.find('\n') == std::string::npos);
  CHECK(
      error_of(sources_of_file("[node]\nworkers = 1\nworkers = 2\n")).starts_with("reef.toml:3: not TOML: "));
}

TEST_CASE("settings that contradict each other are reported where the later one was given") {
  CHECK(error_of(sources({"--set", "dsht.budget_min=2s"})) ==
        "--set dsht.budget_min: found \"2s\"; allowed: at most dsht.budget_max, which is \"1500ms\"");
  CHECK(error_of(sources({"--set", "dsht.budget_max=100ms"})) ==
        "--set dsht.budget_max: found \"100ms\"; allowed: at least dsht.budget_min, which is \"300ms\"");
  CHECK(error_of(sources({"--set", "dsht.threshold_2=80ms"})) ==
        "--set dsht.threshold_2: found \"80ms\"; allowed: at most dsht.threshold_1, which is \"60ms\"");
  CHECK(error_of(sources({"--set", "dsht.accept_percent=40"})) ==
        "--set dsht.accept_percent: found 40; allowed: at least dsht.keep_percent, which is 50");
  CHECK(
      error_of(sources({"--set", "dsht.first_decision=10min"})) ==
      "--set dsht.first_decision: found \"10min\"; allowed: at most dsht.decision_period, which is \"5min\"");
  CHECK(error_of(sources_of_file("[proxy.cache]\nlifetime_ceiling = \"1min\"\n")) ==
        "reef.toml:2: proxy.cache.lifetime_ceiling: found \"1min\"; allowed: at least "
        "proxy.cache.lifetime_floor, which is "
        "\"5min\"");
}

TEST_CASE("sites come from [[site]] tables or from --site, each host once and none under the suffix") {
  const auto loaded =
      load(sources_of_file("[[site]]\nhost = \"WWW.small.org\"\norigin = \"https://origin.small.org\"\n"
                           "[[site]]\nhost = \"small.org\"\norigin = \"http://192.0.2.1:8000/\"\n"));
  REQUIRE(loaded);
  CHECK(loaded->settings.sites == std::vector<Site>{{"www.small.org", "https", "origin.small.org", 443},
                                                    {"small.org", "http", "192.0.2.1", 8000}});
  CHECK(error_of(sources_of_file("[[site]]\nhost = \"a.org\"\n")) ==
        "reef.toml:1: site: found no origin; allowed: [[site]] tables with host = \"…\" and origin = \"…\"");
  CHECK(
      error_of(sources_of_file("[[site]]\nhost = \"a.org\"\norigin = \"http://b.org\"\ncolour = 1\n")) ==
      "reef.toml:4: unknown setting 'site.colour'; allowed in [[site]]: host, origin, default_lifetime, "
      "heuristic_percent, heuristic_lifetime_max, repeated_lifetime, set_cookie, newer_ends_stored, "
      "request_directives, stale_if_error, stale_if_5xx, stale_beside_s_maxage, range_on_miss, variants_max, "
      "vary_names_max, targeted_fields");
  CHECK(error_of(sources_of_file(
            "[[site]]\nhost = \"a.org\"\norigin = \"http://b.org\"\n\n[[site]]\nhost = \"b.org\"\n"
            "origin = \"ftp://b.org\"\n")) ==
        "reef.toml:5: site: found host \"b.org\" with origin \"ftp://b.org\"; allowed: HOST=ORIGIN_URL, such "
        "as "
        "www.small.org=https://origin.small.org");
  CHECK(error_of(sources({"--site", "a.org=http://b.org", "--site", "a.org=http://c.org"})) ==
        "--site: found [\"a.org=http://b.org\", \"a.org=http://c.org\"]; allowed: each host once, not a.org "
        "twice");
  CHECK(error_of(sources({"--site", "a.reef.localhost=http://b.org"})) ==
        "--site: found [\"a.reef.localhost=http://b.org\"]; allowed: host names outside the suffix "
        "reef.localhost");
}

TEST_CASE("reload takes over what can change at once and names what has to wait for a restart") {
  Settings running = load(sources({}))->settings;
  const Settings fresh = load(sources({"--log-level", "debug", "--workers", "5"}))->settings;
  const auto changes = reload(running, fresh);
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].key == "node.workers");
  CHECK(changes[0].from == "0");
  CHECK(changes[0].to == "5");
  CHECK_FALSE(changes[0].applied);
  CHECK(changes[1].key == "node.log_level");
  CHECK(changes[1].applied);
  CHECK(running.node.log_level == "debug");
  CHECK(running.node.workers == 0);
  CHECK(reload(running, running).empty());
}

TEST_CASE("a [[site]] table has settings of its own, for that site alone") {
  const auto loaded = load(sources_of_file(
      "[[site]]\nhost = \"a.org\"\norigin = \"http://b.org\"\n[[site]]\nhost = \"c.org\"\norigin = "
      "\"http://d.org\"\ndefault_lifetime = \"5min\"\nheuristic_percent = 20\nheuristic_lifetime_max = "
      "\"1h\"\nrepeated_lifetime = \"stale\"\nset_cookie = \"strip\"\nnewer_ends_stored = "
      "false\nrequest_directives = false\nstale_if_error = \"1min\"\nstale_if_5xx = "
      "true\nstale_beside_s_maxage = false\nrange_on_miss = \"pass\"\nvariants_max = 3\nvary_names_max = "
      "4\ntargeted_fields = [\"My-Cache-Control\", \"CDN-Cache-Control\"]\n"));
  REQUIRE_MESSAGE(loaded, (loaded ? "" : loaded.error().message()));
  REQUIRE(loaded->settings.sites.size() == 2);
  CHECK(loaded->settings.sites[0].rules == SiteRules{});
  const SiteRules& rules = loaded->settings.sites[1].rules;
  CHECK(rules == SiteRules{.default_lifetime = 5min,
                           .heuristic_percent = 20,
                           .heuristic_lifetime_max = 1h,
                           .repeated_lifetime = "stale",
                           .set_cookie = "strip",
                           .newer_ends_stored = false,
                           .request_directives = false,
                           .stale_if_error = 1min,
                           .stale_if_5xx = true,
                           .stale_beside_s_maxage = false,
                           .range_on_miss = "pass",
                           .variants_max = 3,
                           .vary_names_max = 4,
                           .targeted_fields = {"My-Cache-Control", "CDN-Cache-Control"}});
  // What is printed is read back to the same, and a change is seen by a reload.
  const auto again = load(sources_of_file(to_toml(loaded->settings)));
  REQUIRE(again);
  CHECK(again->settings.sites == loaded->settings.sites);
  Settings running = loaded->settings, fresh = running;
  fresh.sites[1].rules.variants_max = 5;
  CHECK(reload(running, fresh).size() == 1);
  // And by flag.
  const auto flagged = load(sources({"--site", find_key("site")->texts(loaded->settings)[1]}));
  REQUIRE(flagged);
  CHECK(flagged->settings.sites == std::vector<Site>{loaded->settings.sites[1]});
}

TEST_CASE("a wrong setting of a site is one line with its place and what is allowed") {
  const auto error = [](const std::string& line) {
    return error_of(sources_of_file("[[site]]\nhost = \"a.org\"\norigin = \"http://b.org\"\n" + line + "\n"));
  };
  CHECK(error("set_cookie = \"drop\"") ==
        "reef.toml:4: site.set_cookie: found \"drop\"; allowed: replay, strip or refuse");
  CHECK(error("variants_max = 0") ==
        "reef.toml:4: site.variants_max: found 0; allowed: a whole number from 1 to 1024");
  CHECK(error("heuristic_percent = 101")
            .starts_with("reef.toml:4: site.heuristic_percent: found 101; allowed: "));
  CHECK(
      error("default_lifetime = \"-1s\"").starts_with("reef.toml:4: site.default_lifetime: found \"-1s\"; "));
  CHECK(error("stale_if_error = \"400d\"").starts_with("reef.toml:4: site.stale_if_error: found \"400d\"; "));
  CHECK(error("range_on_miss = \"part\"") ==
        "reef.toml:4: site.range_on_miss: found \"part\"; allowed: whole or pass");
  CHECK(error("targeted_fields = [\"a b\"]") ==
        "reef.toml:4: site.targeted_fields: found \"a b\"; allowed: the name of a field, such as "
        "CDN-Cache-Control");
  CHECK(error("set_cookie = [\"strip\"]") ==
        "reef.toml:4: site.set_cookie: found an array; allowed: replay, strip or refuse");
  CHECK(error("set_cooky = \"strip\"") ==
        "reef.toml:4: unknown setting 'site.set_cooky'; did you mean 'site.set_cookie'?");
  CHECK(error_of(sources({"--site", "a.org=http://b.org;set_cookie=drop"})) ==
        "--site: found \"a.org=http://b.org;set_cookie=drop\"; allowed: HOST=ORIGIN_URL, such as "
        "www.small.org=https://origin.small.org");
}
