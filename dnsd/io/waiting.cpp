#include "dnsd/io/waiting.h"

#include <algorithm>

namespace reef::dnsd {

void Waiting::hold(std::span<const Wanted> wanted, std::function<void()> resume) {
  One one{{}, loop_.now() + longest_, std::move(resume)};
  for (const Wanted& w : wanted) one.missing.push_back(w.network);
  waiting_.push_back(std::move(one));
  if (waiting_.size() == 1) set_timer();
}

void Waiting::on_verdict(const Prefix& network) {
  std::list<One> ready;
  for (auto one = waiting_.begin(); one != waiting_.end();) {
    const auto next = std::next(one);
    std::erase(one->missing, network);
    if (one->missing.empty()) ready.splice(ready.end(), waiting_, one);
    one = next;
  }
  resume(std::move(ready));
}

void Waiting::on_time() {
  const TimePoint now = loop_.now();
  std::list<One> ready;
  while (!waiting_.empty() && waiting_.front().until <= now) {
    ready.splice(ready.end(), waiting_, waiting_.begin());
  }
  resume(std::move(ready));
  set_timer();
}

void Waiting::resume(std::list<One> ready) {
  for (One& one : ready) one.resume();
}

void Waiting::set_timer() {
  if (!waiting_.empty()) timer_.start(std::max(waiting_.front().until - loop_.now(), Duration::zero()));
}

}  // namespace reef::dnsd
