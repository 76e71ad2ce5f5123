// From what a node was told (defaults < file < environment < flags) to checked Settings.
//
// Every error is one line that can be printed as it stands: where (file and line, flag or variable), what was
// found, what is allowed. The caller prints it and exits with 2.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace reef::config {

// What load() reads from; the same object serves again on SIGHUP.
struct Sources {
  std::vector<std::string> arguments;              // without the program's name
  std::map<std::string, std::string> environment;  // all of it; what is ours starts with REEF_
  bool is_root = false;                            // chooses the default data directory
  // The file's content. Its error's message goes into load()'s.
  std::function<Result<std::string>(const std::string& path)> read_file;

  // Of this process; files are read from the disk.
  static Sources from_process(int argc, const char* const* argv);
};

enum class Action {
  run,
  help,           // --help: print help() and exit 0
  version,        // --version
  print_example,  // --print-example-config: print example()
  print_config,   // --print-config: print to_toml(settings)
  check,          // --check-config: say that it is right
};

struct Loaded {
  Action action = Action::run;
  Settings settings;        // complete: data_dir is filled in, zone and suffix belong together
  std::string config_file;  // empty: none was named (--config, REEF_CONFIG)
};

// Settings are checked whatever the action is, except for help, version and print_example, which look no
// further.
[[nodiscard]] Result<Loaded> load(const Sources& sources);

// What SIGHUP does to a running node.
struct Change {
  std::string key;
  std::string from, to;  // as TOML values
  bool applied = false;  // false: waits for a restart
};
// Takes over the reloadable settings of `fresh` into `running`; returns every difference, in the schema's
// order.
std::vector<Change> reload(Settings& running, const Settings& fresh);

}  // namespace reef::config
