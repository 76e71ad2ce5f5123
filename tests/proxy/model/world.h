// The proxy of a history: one worker with its store in memory, its origin and its client, all on one thread
// and with a clock that only steps move. Everything between the sockets is the proxy's own.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cache_model.h"
#include "history.h"

namespace reef::proxy::model {

class World {
 public:
  // `impatient`: time-outs of origins are a fraction of a second.
  explicit World(bool impatient);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  struct Outcome {
    std::size_t step = 0;
    std::string difference;
    std::string exchanges;  // what was said, readable
  };
  // Plays a history on URLs of its own and judges each answer; nullopt: no difference.
  [[nodiscard]] std::optional<Outcome> play(const History& history,
                                            std::map<std::string, std::uint64_t>& outcomes);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace reef::proxy::model
