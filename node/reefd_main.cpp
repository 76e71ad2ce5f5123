// reefd: one node. Exit 0 after a drain (or --help and the like), 1 when it cannot start, 2 for a wrong
// setting.
#include <fmt/format.h>

#include "config/load.h"
#include "config/text.h"
#include "node/daemon.h"

int main(int argc, char** argv) {
  using reef::config::Action;

  reef::config::Sources sources = reef::config::Sources::from_process(argc, argv);
  auto loaded = reef::config::load(sources);
  if (!loaded) {
    fmt::print(stderr, "reefd: {}\n", loaded.error().message());
    return 2;
  }
  switch (loaded->action) {
    case Action::help:
      fmt::print("{}", reef::config::help());
      return 0;
    case Action::version:
      fmt::print("reefd {}\n", reef::node::version());
      return 0;
    case Action::print_example:
      fmt::print("{}", reef::config::example());
      return 0;
    case Action::print_config:
      fmt::print("{}", reef::config::to_toml(loaded->settings));
      return 0;
    case Action::check:
      fmt::print("the configuration is right\n");
      return 0;
    case Action::run:
      break;
  }
  reef::node::Daemon daemon(std::move(*loaded), std::move(sources));
  if (auto started = daemon.start(); !started) {
    fmt::print(stderr, "reefd: {}\n", started.error().message());
    return 1;
  }
  return daemon.run();
}
