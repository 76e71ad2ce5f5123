// Who takes part in the network, as the index knows it and hands it out.
#pragma once

#include <cstdint>
#include <optional>

#include "base/id.h"
#include "base/ip.h"
#include "base/time.h"

namespace reef::dsht {

// 0: everyone; 1: RTT below 60 ms; 2: RTT below 20 ms (NSDI 2004, §4).
using Level = std::uint8_t;
inline constexpr Level kLevels = 3;

// A set of levels: bit l is level l.
using LevelMask = std::uint8_t;
[[nodiscard]] constexpr LevelMask mask_of(Level level) { return static_cast<LevelMask>(1u << level); }
inline constexpr LevelMask kAllLevels = 0b111;

// What a node offers besides the index; a set of bits.
using Services = std::uint8_t;
inline constexpr Services kServiceProxy = 1;
inline constexpr Services kServiceDns = 2;
inline constexpr Services kServiceBusy = 4;  // it has about as much to do as it can: others first

struct Contact {
  NodeId id;
  Endpoint rpc;                 // where it answers RPCs; its address is also where its services are
  std::uint16_t http_port = 0;  // 0: no proxy there
  std::uint16_t dns_port = 0;   // 0: no name server there
  Services services = 0;

  bool operator==(const Contact&) const = default;
};

// A contact with what we measured ourselves.
struct Neighbour {
  Contact contact;
  std::optional<Duration> rtt;  // the least seen lately; nullopt: never answered us
  TimePoint heard_at{};         // the last time that it answered us
  Level level = 0;              // the highest level whose cluster we share
};

}  // namespace reef::dsht
