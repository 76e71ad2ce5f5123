// reef_wan_client: a crowd of clients on the hosts of the emulated Internet, in one light process. Reads a
// plan (client/plan.h), prints a JSON line per fetched file on standard output, and a first one with the time
// of the start.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/wan/client/fetch.h"
#include "tests/wan/client/plan.h"
#include "tests/wan/io/netns.h"

namespace {

using namespace reef;
using namespace reef::wan;

TimePoint clock_now() { return std::chrono::steady_clock::now(); }

// One person before a browser.
struct Visitor {
  const CrowdClient* client = nullptr;
  Fd netns;
  std::vector<std::size_t> to_visit;  // pages of the first round, the next one last
  TimePoint next_page_at{};
  int open_files = 0;
  bool done = false;
};

class Crowd {
 public:
  explicit Crowd(const CrowdPlan& plan)
      : plan_(plan), random_(plan.seed), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

  Result<> run() {
    if (auto done = open_visitors(); !done) return done;
    while (std::ranges::any_of(visitors_, [](const Visitor& v) { return !v.done; })) {
      const TimePoint now = clock_now();
      for (std::size_t i = 0; i < visitors_.size(); ++i) turn_page(i, now);
      wait();
      for (auto& [id, entry] : fetches_) {
        entry.fetch->on_deadline(clock_now());
        if (is_over(clock_now())) entry.fetch->give_up(clock_now(), "unfinished");
      }
      collect();
    }
    return {};
  }

 private:
  struct Entry {
    std::unique_ptr<Fetch> fetch;
    std::size_t visitor;
  };

  Result<> open_visitors() {
    auto home = current_netns();
    if (!home) return fail(home.error());
    home_ = std::move(*home);
    started_at_ = clock_now();
    const double wall =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    std::printf("%s\n", fmt::format(R"({{"started":{:.6f}}})", wall).c_str());
    for (const CrowdClient& client : plan_.clients) {
      auto netns = open_netns(client.netns);
      if (!netns) return fail(netns.error());
      Visitor visitor;
      visitor.client = &client;
      visitor.netns = std::move(*netns);
      for (std::size_t page = 0; page < plan_.pages.size(); ++page) visitor.to_visit.push_back(page);
      std::shuffle(visitor.to_visit.begin(), visitor.to_visit.end(), random_);
      if (plan_.first_pages > 0 && plan_.first_pages < visitor.to_visit.size())
        visitor.to_visit.resize(plan_.first_pages);
      visitor.next_page_at = started_at_ + random_.between(Duration::zero(), plan_.spread);
      visitors_.push_back(std::move(visitor));
    }
    return {};
  }

  [[nodiscard]] bool is_over(TimePoint now) const {
    return plan_.give_up > Duration::zero() && now - started_at_ >= plan_.give_up;
  }

  void turn_page(std::size_t index, TimePoint now) {
    Visitor& visitor = visitors_[index];
    if (visitor.done || visitor.open_files > 0 || now < visitor.next_page_at) return;
    std::size_t page = 0;
    if (!visitor.to_visit.empty()) {
      page = visitor.to_visit.back();
      visitor.to_visit.pop_back();
    } else if (now - started_at_ < plan_.lasts) {
      page = random_.below(plan_.pages.size());
    } else {
      visitor.done = true;
      return;
    }
    if (is_over(now)) {
      visitor.done = true;
      return;
    }
    const std::string& host =
        plan_.hosts.size() == 1 ? plan_.hosts[0] : plan_.hosts[random_.below(plan_.hosts.size())];
    for (const std::string& path : plan_.pages[page]) {
      const std::uint64_t id = next_id_++;
      const Fetch::Place place{plan_, *visitor.client, visitor.netns, home_, epoll_.get()};
      fetches_[id] = {std::make_unique<Fetch>(id, place, Fetch::Url{host, path}, random_, now), index};
      ++visitor.open_files;
    }
  }

  void wait() {
    const TimePoint now = clock_now();
    TimePoint next = now + std::chrono::seconds(1);
    for (const auto& [id, entry] : fetches_) next = std::min(next, entry.fetch->next_deadline());
    for (const Visitor& visitor : visitors_) {
      if (!visitor.done && visitor.open_files == 0) next = std::min(next, visitor.next_page_at);
    }
    const auto left = std::clamp<Duration>(next - now, Duration::zero(), std::chrono::milliseconds(100));
    const timespec timeout{.tv_sec = 0, .tv_nsec = left.count()};
    epoll_event events[64];
    const int ready = ::epoll_pwait2(epoll_.get(), events, 64, &timeout, nullptr);
    for (int i = 0; i < ready; ++i) {
      const auto found = fetches_.find(events[i].data.u64);
      if (found != fetches_.end()) found->second.fetch->on_ready(clock_now());
    }
  }

  void collect() {
    std::erase_if(fetches_, [this](const auto& item) {
      const Entry& entry = item.second;
      if (!entry.fetch->is_finished()) return false;
      print(*entry.fetch);
      Visitor& visitor = visitors_[entry.visitor];
      if (--visitor.open_files == 0) {
        // The first round is a crowd that clicks on at once; afterwards people read.
        visitor.next_page_at = clock_now() + (visitor.to_visit.empty() ? plan_.think : Duration::zero());
        if (visitor.to_visit.empty() && visitor.next_page_at - started_at_ >= plan_.lasts)
          visitor.done = true;
      }
      return true;
    });
    std::fflush(stdout);
  }

  void print(const Fetch& fetch) const {
    const FetchReport& report = fetch.report();
    const auto digest = plan_.digests.find(fetch.url().path);
    const bool right = digest != plan_.digests.end() && digest->second == report.digest;
    const nlohmann::json line = {{"client", fetch.client().name},
                                 {"host", fetch.url().host},
                                 {"path", fetch.url().path},
                                 {"start_s", to_ms(fetch.started_at() - started_at_) / 1000},
                                 {"addresses", report.addresses},
                                 {"server", report.server},
                                 {"status", report.status},
                                 {"bytes", report.bytes},
                                 {"right", right},
                                 {"error", report.error},
                                 {"cache_status", report.cache_status},
                                 {"dns_ms", report.dns_ms},
                                 {"connect_ms", report.connect_ms},
                                 {"first_byte_ms", report.first_byte_ms},
                                 {"total_ms", report.total_ms},
                                 {"silence_ms", report.silence_ms},
                                 {"refused", report.refused}};
    // What a server sent may not be UTF-8.
    std::printf("%s\n", line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).c_str());
  }

  const CrowdPlan& plan_;
  Random random_;
  Fd epoll_;
  Fd home_;
  TimePoint started_at_{};
  std::vector<Visitor> visitors_;
  std::map<std::uint64_t, Entry> fetches_;
  std::uint64_t next_id_ = 1;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || std::string_view(argv[1]).starts_with("-")) {
    std::fprintf(stderr, "usage: reef_wan_client PLAN.json\n");
    return 2;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // nothing is left behind when the experiment is killed
  std::ifstream file(argv[1]);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto plan = parse_plan(text);
  if (!plan) {
    std::fprintf(stderr, "reef_wan_client: %s\n", plan.error().message().c_str());
    return 2;
  }
  Crowd crowd(*plan);
  if (auto done = crowd.run(); !done) {
    std::fprintf(stderr, "reef_wan_client: %s\n", done.error().message().c_str());
    return 1;
  }
  return 0;
}
