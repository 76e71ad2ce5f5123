// Named network namespaces, as `ip netns` has them (/run/netns), made and entered by the calling thread.
// Needs root.
#pragma once

#include <string>

#include "base/io/fd.h"
#include "base/result.h"

namespace reef::wan {

// The namespace that the calling thread is in.
[[nodiscard]] Result<Fd> current_netns();
// One that has a name.
[[nodiscard]] Result<Fd> open_netns(const std::string& name);
// Moves the calling thread.
[[nodiscard]] Result<> enter_netns(const Fd& netns);

// Makes /run/netns as `ip netns add` does, where it is missing.
[[nodiscard]] Result<> prepare_netns_folder();
// Makes a namespace of that name, sets it up for emulation (loopback up, sysctls), and leaves the calling
// thread in it. A name that exists is an error.
[[nodiscard]] Result<> create_netns(const std::string& name);
// Ends the name; the namespace itself ends with its last process. Missing is fine.
void remove_netns(const std::string& name);

}  // namespace reef::wan
