#include "tests/wan/io/enter.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>

#include "tests/wan/io/netns.h"

namespace reef::wan {
namespace {

// A mount namespace of its own. Slave, not
// private: unmounts outside, such as the end of a namespace's name, still reach it.
Result<> private_mounts(const std::string& resolv_conf) {
  if (::unshare(CLONE_NEWNS) < 0) return fail(errno_error("new mount namespace"));
  if (::mount("", "/", "none", MS_SLAVE | MS_REC, nullptr) < 0) return fail(errno_error("slave mounts"));
  if (::mount(resolv_conf.c_str(), "/etc/resolv.conf", "none", MS_BIND, nullptr) < 0) {
    return fail(errno_error("mount " + resolv_conf + " over /etc/resolv.conf"));
  }
  return {};
}

}  // namespace

Error enter_and_run(const std::string& netns, const std::string& resolv_conf,
                    const std::vector<std::string>& command) {
  const auto fd = open_netns(netns);
  if (!fd) return fd.error();
  if (auto done = enter_netns(*fd); !done) return done.error();
  if (!resolv_conf.empty()) {
    if (auto done = private_mounts(resolv_conf); !done) return done.error();
  }
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return errno_error("PR_SET_PDEATHSIG");
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  return errno_error(command[0]);
}

}  // namespace reef::wan
