// The index as a worker's loop sees it: asks the node on the control loop by message, and is answered by
// message.
//
// Belongs to the worker's thread. Its own timer ends every call, even when the control loop is stuck. Either
// side may be destroyed first: what is then on its way is dropped. Both loops must outlive both sides.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/io/event_loop.h"
#include "base/metrics.h"
#include "dsht/index.h"
#include "dsht/io/udp_node.h"

namespace reef::dsht {

struct RemoteIndexOptions {
  std::size_t calls_max = 4096;  // under way at once; more are answered `overloaded`
  // Beyond its budget a call waits this long for the node's own answer, which says more than silence.
  Duration grace = std::chrono::milliseconds(20);
  Duration put_max = std::chrono::seconds(11);  // a put with a callback hears by then
};

class RemoteIndex : public Index {
 public:
  // Made anywhere while the node's thread does not run or on it; used and destroyed on the loop `own`.
  RemoteIndex(EventLoop& own, UdpNode& node, const RemoteIndexOptions& options = {});
  ~RemoteIndex() override;
  RemoteIndex(const RemoteIndex&) = delete;
  RemoteIndex& operator=(const RemoteIndex&) = delete;

  [[nodiscard]] bool has_others() const override { return node_->has_others.load(std::memory_order_relaxed); }
  void announce(const Key& key, ByteView value, std::chrono::seconds ttl, Duration budget,
                std::function<void(Announced)> done) override;
  void put(const Key& key, ByteView value, std::chrono::seconds ttl,
           std::function<void(bool stored)> done) override;
  void withdraw(const Key& key) override;
  void get(const Key& key, Duration budget, std::function<void(Found)> done) override;

  struct Counters {
    Counter calls, overloaded, late;  // late: ended by our own timer
  };
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  using CallId = std::uint64_t;
  struct Call {
    TimePoint ends;
    std::function<void(Announced)> announced;
    std::function<void(Found)> found;
    std::function<void(bool)> stored;
  };
  // Lives as long as anybody may still answer; `index` is read on the worker's loop only.
  struct Link {
    EventLoop* loop;
    RemoteIndex* index;
  };

  // Runs `ask(node, answer)` on the control loop, where `answer(result)` sends the result back to call `id`.
  template <class Result, class Ask>
  void send(CallId id, Ask ask);
  CallId begin(Call call, Duration within);
  void settle(CallId id, Announced& result);
  void settle(CallId id, Found& result);
  void settle(CallId id, bool& result);
  template <class Field, class Result>
  void settle_as(CallId id, Field field, Result& result);
  void refuse(CallId id);
  void on_timer();
  void start_timer();
  static void end_empty_handed(Call& call, WalkEnd end);

  EventLoop& own_;
  EventLoop& control_;
  const std::shared_ptr<const UdpNode::Handle> node_;
  const RemoteIndexOptions options_;
  Counters counters_;
  std::shared_ptr<Link> link_;
  CallId last_call_ = 0;
  std::unordered_map<CallId, Call> calls_;
  std::multimap<TimePoint, CallId> by_end_;
  std::vector<Call> refused_;  // answered from the next turn
  Timer timer_;
};

}  // namespace reef::dsht
