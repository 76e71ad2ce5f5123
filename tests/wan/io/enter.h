// Running a program inside a host.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace reef::wan {

// Replaces this process by `command` (not empty) inside the named namespace. Its /etc/resolv.conf is
// `resolv_conf` where that is not empty, by a mount that only this program sees. The program dies with the
// process that started it, so that nothing is left behind when an experiment is killed. Returns only on
// failure.
[[nodiscard]] Error enter_and_run(const std::string& netns, const std::string& resolv_conf,
                                  const std::vector<std::string>& command);

}  // namespace reef::wan
