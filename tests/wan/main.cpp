// reef_wan: an emulated Internet in network namespaces. `run` holds it up, `exec` runs a program on one of
// its hosts, `clean` removes what a killed run left behind.
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/wan/io/emulator.h"
#include "tests/wan/io/enter.h"
#include "tests/wan/io/netns.h"
#include "tests/wan/io/tun.h"
#include "tests/wan/topology_json.h"

namespace {

using namespace reef;
using namespace reef::wan;

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;
constexpr int kExitNotRoot = 77;  // "skipped", as automake and ctest have it

struct RunOptions {
  std::string state;
  TopologyOptions topology;
  double last_mile_ms_min = 0.3;
  double last_mile_ms_max = 3.0;
  int priority = 10;
};

int complain(const Error& error) {
  std::fprintf(stderr, "reef_wan: %s\n", error.message().c_str());
  return kExitFailure;
}

// The record by which a run is cleaned up, written before anything is made: one namespace a line.
Result<> record_namespaces(const std::string& file, const Topology& topology, const std::string& prefix) {
  std::ofstream out(file);
  for (const Host& host : topology.hosts()) out << prefix << host.name << "\n";
  out.flush();
  if (!out) return fail(invalid("cannot write " + file));
  return {};
}

void remove_namespaces(const std::string& record, const Topology& topology, const std::string& prefix) {
  for (const Host& host : topology.hosts()) remove_netns(prefix + host.name);
  std::error_code ignored;
  std::filesystem::remove(record, ignored);
}

Result<std::vector<Emulator::HostDevice>> make_hosts(const Topology& topology, const std::string& prefix) {
  const auto home = current_netns();
  if (!home) return fail(home.error());
  std::vector<Emulator::HostDevice> devices;
  for (const Host& host : topology.hosts()) {
    const std::string name = prefix + host.name;
    if (auto done = create_netns(name); !done) return fail(done.error());
    auto tun = open_tun(host.address, host.address6);
    if (!tun) return fail(tun.error());
    auto netns = open_netns(name);
    if (!netns) return fail(netns.error());
    devices.push_back({std::move(*netns), std::move(*tun)});
  }
  if (auto done = enter_netns(*home); !done) return fail(done.error());
  return devices;
}

// Two descriptors a host, and room for the rest.
void raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void be_on_time(int priority) {
  ::mlockall(MCL_CURRENT | MCL_FUTURE);
  const sched_param parameters{.sched_priority = priority};
  if (priority > 0 && ::sched_setscheduler(0, SCHED_FIFO, &parameters) < 0) {
    std::fprintf(stderr, "reef_wan: no real-time priority (%s); deliveries will be late under load\n",
                 errno_error("SCHED_FIFO").message().c_str());
  }
}

Result<> hold_up(const RunOptions& options, const Topology& topology, const std::string& prefix,
                 const Fd& signals) {
  if (auto done = prepare_netns_folder(); !done) return done;
  auto devices = make_hosts(topology, prefix);
  if (!devices) return fail(devices.error());
  auto control = ControlSocket::listen(options.state + "/control");
  if (!control) return fail(control.error());
  {
    std::ofstream out(options.state + "/topology.json");
    out << topology_json(topology, options.topology, prefix) << "\n";
    if (!out.flush()) return fail(invalid("cannot write " + options.state + "/topology.json"));
  }
  Network network(topology, NetworkOptions{.seed = options.topology.seed});
  Emulator emulator(topology, network, std::move(*devices), std::move(*control));
  be_on_time(options.priority);
  std::printf("ready\n");
  std::fflush(stdout);
  return emulator.run(signals);
}

int run(RunOptions& options) {
  const auto micros = [](double ms) {
    return std::chrono::microseconds(static_cast<std::int64_t>(ms * 1000));
  };
  options.topology.last_mile_min = micros(options.last_mile_ms_min);
  options.topology.last_mile_max = micros(options.last_mile_ms_max);
  const auto topology = Topology::generate(options.topology);
  if (!topology) return complain(topology.error());
  // Ends with whoever started it, as all that runs inside does.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  raise_descriptor_limit();
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  const Fd signals(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  const std::string prefix = "rw" + std::to_string(::getpid()) + "-";
  const std::string record = options.state + "/namespaces";
  if (auto done = record_namespaces(record, *topology, prefix); !done) return complain(done.error());
  const auto done = hold_up(options, *topology, prefix, signals);
  remove_namespaces(record, *topology, prefix);
  std::error_code ignored;
  std::filesystem::remove(options.state + "/control", ignored);
  return done ? 0 : complain(done.error());
}

constexpr const char* kUsage =
    R"(An emulated Internet: a TUN device per host, each host in a network namespace of its own.

  reef_wan run --state DIR [options]      makes the hosts and routes their packets until told to quit
      --state DIR              existing folder for topology.json, control (socket) and namespaces (record)
      --seed N                 same seed, same topology and losses (1)
      --regions N              1..6 (5)
      --metros N               in each region, 1..4 (3)
      --hosts N                in each metro, 1..240 (4)
      --silent-share SHARE     of routers that never answer, 0..1 (0)
      --last-mile-ms-min MS    host to router, one way (0.3)
      --last-mile-ms-max MS    host to router, one way (3)
      --priority N             SCHED_FIFO priority, 0: ordinary scheduling (10)
  reef_wan exec --netns NAME [--resolv-conf FILE] -- PROGRAM ARGS...   runs a program on a host

Needs root; exits 77 without. The control socket's commands are in tests/wan/command.h.
)";

int usage_error(const std::string& what) {
  std::fprintf(stderr, "reef_wan: %s (try: reef_wan --help)\n", what.c_str());
  return kExitUsage;
}

// Every option of every subcommand, by its name.
struct Arguments {
  std::map<std::string, std::string> values;
  std::vector<std::string> rest;

  [[nodiscard]] std::string text(const std::string& name) const {
    const auto found = values.find(name);
    return found == values.end() ? "" : found->second;
  }
  // Leaves `out` as it is where the option was not given; false: it is not a number.
  template <class Number>
  [[nodiscard]] bool number(const std::string& name, Number& out) const {
    const std::string value = text(name);
    if (value.empty()) return true;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
    return error == std::errc{} && end == value.data() + value.size();
  }
};

// `allowed` has the option names of the subcommand; all take a value. What follows the options (or --) is
// `rest`.
std::optional<Arguments> parse_arguments(int argc, char** argv, const std::vector<std::string>& allowed) {
  std::vector<option> options;
  for (const std::string& name : allowed) options.push_back({name.c_str(), required_argument, nullptr, 0});
  options.push_back({});
  Arguments out;
  int index = 0;
  optind = 2;
  for (int got = 0; (got = ::getopt_long(argc, argv, "+", options.data(), &index)) != -1;) {
    if (got != 0) return std::nullopt;  // getopt has said what was wrong
    out.values[allowed[static_cast<std::size_t>(index)]] = optarg;
  }
  out.rest.assign(argv + optind, argv + argc);
  return out;
}

int run_main(int argc, char** argv) {
  const std::vector<std::string> names = {"state",   "seed",         "regions",          "metros",
                                          "hosts",   "silent-share", "last-mile-ms-min", "last-mile-ms-max",
                                          "priority"};
  const auto arguments = parse_arguments(argc, argv, names);
  if (!arguments || !arguments->rest.empty()) return usage_error("wrong option of run");
  RunOptions options;
  options.state = arguments->text("state");
  if (!std::filesystem::is_directory(options.state)) return usage_error("--state must be an existing folder");
  const bool numbers = arguments->number("seed", options.topology.seed) &&
                       arguments->number("regions", options.topology.regions) &&
                       arguments->number("metros", options.topology.metros) &&
                       arguments->number("hosts", options.topology.hosts) &&
                       arguments->number("silent-share", options.topology.silent_share) &&
                       arguments->number("last-mile-ms-min", options.last_mile_ms_min) &&
                       arguments->number("last-mile-ms-max", options.last_mile_ms_max) &&
                       arguments->number("priority", options.priority);
  if (!numbers) return usage_error("an option of run is not a number");
  return run(options);
}

int exec_main(int argc, char** argv) {
  const auto arguments = parse_arguments(argc, argv, {"netns", "resolv-conf"});
  if (!arguments || arguments->text("netns").empty() || arguments->rest.empty()) {
    return usage_error("exec needs --netns NAME -- PROGRAM");
  }
  return complain(enter_and_run(arguments->text("netns"), arguments->text("resolv-conf"), arguments->rest));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "--help" || verb == "-h") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (verb != "run" && verb != "exec" && verb != "clean")
    return usage_error("run, exec or clean is expected");
  if (::geteuid() != 0) {
    std::fprintf(stderr, "reef_wan: needs root (network namespaces, TUN devices)\n");
    return kExitNotRoot;
  }
  return verb == "run" ? run_main(argc, argv) : exec_main(argc, argv);
}
