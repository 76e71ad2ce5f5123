// The index as its users see it: soft state under 160-bit keys, several values a key.
//
// A proxy worker is given one Index in its constructor (RemoteIndex in dsht/io posts to the control loop;
// tests give a fake). All calls and all callbacks happen on the caller's own loop; a callback never runs
// inside the call. Destroying the Index drops what it still owes. Every call ends: with an answer, or
// empty-handed once its budget is spent.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/time.h"
#include "dsht/contact.h"

namespace reef::dsht {

inline constexpr std::size_t kValueBytesMax = 128;

struct Value {
  NodeId publisher;             // one value per key and publisher: a newer one replaces the older
  Bytes data;                   // opaque to the index, at most kValueBytesMax
  std::chrono::seconds ttl{};   // left
  bool provisional = false;     // from announce(): its publisher is still fetching
  std::optional<Duration> rtt;  // to the publisher, where we measured it
};

// Why a walk ended, in the words of the log, the counters and `reef dht trace`.
enum class WalkEnd : std::uint8_t {
  found,       // a node held values
  exhausted,   // the closest live nodes were asked; there are none
  deadline,    // the budget was spent
  isolated,    // no contact to start from
  overloaded,  // too many walks are running; nothing was sent
};

struct Found {
  std::vector<Value> values;
  Level level = 0;  // where they were found
  int hops = 0;
  WalkEnd end = WalkEnd::exhausted;
  // How far it came: leading bits of the key that the closest node which answered shares; -1: nobody did.
  int reached_bits = -1;
};

// The answer to an announcement.
struct Announced {
  // Those who hold the object, and those who announced it before us and still fetch it, in order of arrival.
  // Never ourselves. Empty: we are the first, and the origin is ours to ask.
  std::vector<Value> earlier;
  Level level = 0;
  bool stored = false;  // false: nobody took our announcement, so nobody will learn of us
  WalkEnd end = WalkEnd::exhausted;
};

class Index {
 public:
  virtual ~Index() = default;

  // False: we know nobody, and nobody has asked us for a long time, so that there is nobody to learn from and
  // nobody to be told. A hint that may be a moment old; costs next to nothing.
  [[nodiscard]] virtual bool has_others() const { return true; }

  // Says that we are about to fetch `key`, and learns who did so before: put and get in one traversal. A
  // second announcement by the same publisher, while the first lives, renews it and keeps its place in the
  // order; one that follows a put() (the object was had and lost) goes to the end.
  virtual void announce(const Key& key, ByteView value, std::chrono::seconds ttl, Duration budget,
                        std::function<void(Announced)> done) = 0;

  // Says that we hold `key`. `done` may be empty. Not stored is also what a hot key can do without: enough
  // others stand under it where the put came by.
  virtual void put(const Key& key, ByteView value, std::chrono::seconds ttl,
                   std::function<void(bool stored)> done) = 0;

  // Takes our own value back (the fetch failed, the object was evicted); best effort.
  virtual void withdraw(const Key& key) = 0;

  // Ends at the first node that holds values. Our own value is given only when nobody else's is found.
  virtual void get(const Key& key, Duration budget, std::function<void(Found)> done) = 0;
};

}  // namespace reef::dsht
