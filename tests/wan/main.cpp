// reef_wan: an emulated Internet in network namespaces. `run` holds it up, `exec` runs a program on one of
// its hosts, `clean` removes what a killed run left behind.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
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

void remove_recorded(const std::string& file) {
  std::ifstream in(file);
  std::string name;
  while (std::getline(in, name)) {
    // Only ever names of ours, whatever the file says.
    if (name.starts_with("rw") && name.find('/') == std::string::npos) remove_netns(name);
  }
  in.close();
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
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
  remove_recorded(record);
  std::error_code ignored;
  std::filesystem::remove(options.state + "/control", ignored);
  return done ? 0 : complain(done.error());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("An emulated Internet: a TUN device per host, each host in its own network namespace.");
  app.require_subcommand(1);

  RunOptions options;
  auto* run_command = app.add_subcommand("run", "make the hosts and route their packets until told to quit");
  run_command
      ->add_option("--state", options.state, "folder for topology.json, control (socket) and namespaces")
      ->required()
      ->check(CLI::ExistingDirectory);
  run_command->add_option("--seed", options.topology.seed, "same seed, same topology and losses")
      ->capture_default_str();
  run_command->add_option("--regions", options.topology.regions, "1..6")->capture_default_str();
  run_command->add_option("--metros", options.topology.metros, "in each region, 1..4")->capture_default_str();
  run_command->add_option("--hosts", options.topology.hosts, "in each metro, 1..240")->capture_default_str();
  run_command->add_option("--silent-share", options.topology.silent_share, "routers that never answer, 0..1")
      ->capture_default_str();
  run_command->add_option("--last-mile-ms-min", options.last_mile_ms_min, "host to router, one way")
      ->capture_default_str();
  run_command->add_option("--last-mile-ms-max", options.last_mile_ms_max, "host to router, one way")
      ->capture_default_str();
  run_command->add_option("--priority", options.priority, "SCHED_FIFO priority; 0: ordinary scheduling")
      ->capture_default_str();

  std::string netns;
  std::string resolv_conf;
  std::vector<std::string> command;
  auto* exec_command = app.add_subcommand("exec", "run a program on a host");
  exec_command->add_option("--netns", netns, "the host's namespace, see topology.json")->required();
  exec_command->add_option("--resolv-conf", resolv_conf, "file to see as /etc/resolv.conf")
      ->check(CLI::ExistingFile);
  exec_command->add_option("command", command, "program and arguments, after --")->required();

  std::string state;
  auto* clean_command = app.add_subcommand("clean", "remove the namespaces that a killed run left behind");
  clean_command->add_option("--state", state, "the run's folder")->required();

  CLI11_PARSE(app, argc, argv);
  if (::geteuid() != 0) {
    std::fprintf(stderr, "reef_wan: needs root (network namespaces, TUN devices)\n");
    return kExitNotRoot;
  }
  if (*run_command) return run(options);
  if (*exec_command) return complain(enter_and_run(netns, resolv_conf, command));
  remove_recorded(state + "/namespaces");
  return 0;
}
