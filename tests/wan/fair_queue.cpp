#include "tests/wan/fair_queue.h"

#include <algorithm>

namespace reef::wan {
namespace {

constexpr std::size_t kQuantum = 1514;  // bytes a turn: one full packet

}  // namespace

std::size_t FairQueue::push(std::uint64_t flow, Bytes packet) {
  Flow& mine = flows_[flow];
  if (mine.packets.empty()) turns_.push_back(flow);
  bytes_ += packet.size();
  mine.bytes += packet.size();
  mine.packets.push_back(std::move(packet));
  std::size_t dropped = 0;
  for (; bytes_ > limit_ && (turns_.size() > 1 || flows_.begin()->second.packets.size() > 1); ++dropped) {
    drop_from_longest();
  }
  return dropped;
}

std::optional<Bytes> FairQueue::pop() {
  while (!turns_.empty()) {
    const auto found = flows_.find(turns_.front());
    Flow& flow = found->second;
    if (flow.deficit <
        flow.packets.front().size()) {  // its turn begins, or was not enough: to the end of the line
      flow.deficit += kQuantum;
      turns_.push_back(turns_.front());
      turns_.pop_front();
      if (flow.deficit < flow.packets.front().size() || turns_.size() > 1) continue;
    }
    Bytes packet = take_head(flow);
    flow.deficit -= std::min(flow.deficit, packet.size());
    if (flow.packets.empty()) {
      turns_.pop_front();
      flows_.erase(found);
    }
    return packet;
  }
  return std::nullopt;
}

Bytes FairQueue::take_head(Flow& flow) {
  Bytes packet = std::move(flow.packets.front());
  flow.packets.pop_front();
  flow.bytes -= packet.size();
  bytes_ -= packet.size();
  return packet;
}

void FairQueue::drop_from_longest() {
  const auto longest =
      std::ranges::max_element(flows_, {}, [](const auto& item) { return item.second.bytes; });
  take_head(longest->second);
  if (longest->second.packets.empty()) {
    std::erase(turns_, longest->first);
    flows_.erase(longest);
  }
}

}  // namespace reef::wan
