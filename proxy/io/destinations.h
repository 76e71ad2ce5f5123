// Where the host names that clients write lead, remembered: a host name is parsed once and not for each
// request. Belongs to one worker's loop.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "proxy/io/options.h"
#include "proxy/io/request_info.h"

namespace reef::proxy {

class Destinations {
 public:
  // Both are borrowed.
  Destinations(const Options& options, const names::Names& names) : options_(options), names_(names) {}

  // A host name as clients write it, and where it leads or why not.
  struct Host {
    std::shared_ptr<const Destination> to;
    int status = 0;  // the refusal, where `to` is null; 200: the node's own page
    std::string why;
  };
  // `authority`: "host[:port]" in any case, not yet checked. Valid until the next call.
  [[nodiscard]] const Host& find(std::string_view authority);

 private:
  [[nodiscard]] Host look_up(std::string_view authority) const;

  const Options& options_;
  const names::Names& names_;
  std::unordered_map<std::string, Host> hosts_;
  std::string key_;  // scratch of find()
};

}  // namespace reef::proxy
