#include "dsht/io/remote_index.h"

#include <algorithm>
#include <utility>

namespace reef::dsht {

RemoteIndex::RemoteIndex(EventLoop& own, UdpNode& node, const RemoteIndexOptions& options)
    : own_(own),
      control_(node.loop()),
      node_(node.handle()),
      options_(options),
      link_(std::make_shared<Link>(Link{&own, this})),
      timer_(own, [this] { on_timer(); }) {}

RemoteIndex::~RemoteIndex() { link_->index = nullptr; }

// ---- asking

template <class Result, class Ask>
void RemoteIndex::send(CallId id, Ask ask) {
  counters_.calls.add();
  const bool posted = control_.post([node = node_, link = link_, id, ask = std::move(ask)] {
    if (node->node == nullptr) return;  // our own timer will say so
    ask(*node->node, [link, id](Result result) {
      // A full mailbox of the worker: its own timer ends the call.
      (void)link->loop->post([link, id, result = std::move(result)]() mutable {
        if (link->index != nullptr) link->index->settle(id, result);
      });
    });
  });
  if (!posted) refuse(id);
}

RemoteIndex::CallId RemoteIndex::begin(Call call, Duration within) {
  const CallId id = ++last_call_;
  call.ends = own_.now() + std::max(within, Duration::zero());
  by_end_.emplace(call.ends, id);
  calls_.emplace(id, std::move(call));
  start_timer();
  if (calls_.size() > options_.calls_max) {
    refuse(id);
    return 0;
  }
  return id;
}

void RemoteIndex::announce(const Key& key, ByteView value, std::chrono::seconds ttl, Duration budget,
                           std::function<void(Announced)> done) {
  Call call;
  call.announced = std::move(done);
  const CallId id = begin(std::move(call), budget + options_.grace);
  if (id == 0) return;
  send<Announced>(id,
                  [key, data = Bytes(value.begin(), value.end()), ttl, budget](UdpNode& node, auto answer) {
                    node.announce(key, data, ttl, budget, std::move(answer));
                  });
}

void RemoteIndex::get(const Key& key, Duration budget, std::function<void(Found)> done) {
  Call call;
  call.found = std::move(done);
  const CallId id = begin(std::move(call), budget + options_.grace);
  if (id == 0) return;
  send<Found>(id, [key, budget](UdpNode& node, auto answer) { node.get(key, budget, std::move(answer)); });
}

void RemoteIndex::put(const Key& key, ByteView value, std::chrono::seconds ttl,
                      std::function<void(bool)> done) {
  Call call;
  call.stored = std::move(done);
  const CallId id = begin(std::move(call), options_.put_max);
  if (id == 0) return;
  send<bool>(id, [key, data = Bytes(value.begin(), value.end()), ttl](UdpNode& node, auto answer) {
    node.put(key, data, ttl, std::move(answer));
  });
}

void RemoteIndex::withdraw(const Key& key) {
  counters_.calls.add();
  const bool posted = control_.post([node = node_, key] {
    if (node->node != nullptr) node->node->withdraw(key);
  });
  if (!posted) counters_.overloaded.add();  // best effort: its TTL ends it
}

// ---- answers

template <class Field, class Result>
void RemoteIndex::settle_as(CallId id, Field field, Result& result) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;  // ended by the timer
  const auto done = std::move(found->second.*field);
  const auto [first, last] = by_end_.equal_range(found->second.ends);
  const auto end = std::find_if(first, last, [id](const auto& entry) { return entry.second == id; });
  if (end != last) by_end_.erase(end);
  calls_.erase(found);
  if (done) done(std::move(result));
}

void RemoteIndex::settle(CallId id, Announced& result) { settle_as(id, &Call::announced, result); }
void RemoteIndex::settle(CallId id, Found& result) { settle_as(id, &Call::found, result); }
void RemoteIndex::settle(CallId id, bool& result) { settle_as(id, &Call::stored, result); }

void RemoteIndex::refuse(CallId id) {
  counters_.overloaded.add();
  const auto found = calls_.find(id);
  const auto [first, last] = by_end_.equal_range(found->second.ends);
  const auto end = std::find_if(first, last, [id](const auto& entry) { return entry.second == id; });
  if (end != last) by_end_.erase(end);
  refused_.push_back(std::move(found->second));
  calls_.erase(found);
  start_timer();
}

void RemoteIndex::end_empty_handed(Call& call, WalkEnd end) {
  if (call.announced) {
    Announced out;
    out.end = end;
    call.announced(std::move(out));
  } else if (call.found) {
    Found out;
    out.end = end;
    call.found(std::move(out));
  } else if (call.stored) {
    call.stored(false);
  }
}

void RemoteIndex::start_timer() {
  if (!refused_.empty()) {
    timer_.start(Duration::zero());
  } else if (!by_end_.empty()) {
    timer_.start(by_end_.begin()->first - own_.now());
  }
}

void RemoteIndex::on_timer() {
  const std::shared_ptr<Link> link = link_;
  std::vector<Call> refused;
  refused.swap(refused_);
  std::vector<Call> late;
  const TimePoint now = own_.now();
  while (!by_end_.empty() && by_end_.begin()->first <= now) {
    const auto found = calls_.find(by_end_.begin()->second);
    by_end_.erase(by_end_.begin());
    late.push_back(std::move(found->second));
    calls_.erase(found);
    counters_.late.add();
  }
  start_timer();
  for (Call& call : refused) {
    end_empty_handed(call, WalkEnd::overloaded);
    if (link->index == nullptr) return;  // the callback destroyed us
  }
  for (Call& call : late) {
    end_empty_handed(call, WalkEnd::deadline);
    if (link->index == nullptr) return;
  }
}

}  // namespace reef::dsht
