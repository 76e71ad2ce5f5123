// What leads clients to near nodes: who lives and can be reached (live_set.h, reachability.h), and where
// clients are (locator.h, verdict_store.h), with the pings, look-ups, traces and visits that these ask for.
// The name servers of the worker loops get the outcome: candidates once a second, verdicts as they come and
// whenever a node that they name dies or comes back.
//
// Belongs to the control loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/io/disk_pool.h"
#include "base/io/event_loop.h"
#include "dnsd/locality.h"
#include "dnsd/view.h"
#include "dsht/io/udp_node.h"
#include "node/live_set.h"
#include "node/locator.h"
#include "node/reachability.h"
#include "node/service_check.h"
#include "node/verdict_file.h"
#include "node/verdict_store.h"
#include "probe/io/prober.h"

namespace reef::node {

struct GuideOptions {
  LocatorOptions locator;
  LiveSetOptions live;
  ReachabilityOptions reachability;
  VerdictStoreOptions verdicts;
  ServiceCheckOptions check;
  std::string data_dir;                              // verdicts are kept here; empty: nowhere
  std::size_t file_bytes_max = 64u << 20;            // of the verdicts' file
  Duration search_budget = std::chrono::seconds(2);  // of one look-up in the index
  Duration look_again = std::chrono::minutes(2);     // for nodes near a network that is still asked about
  Duration tell_again = std::chrono::seconds(30);    // verdicts with addresses, which grow old
  Duration active_for = std::chrono::minutes(10);    // after a network was asked about
  std::size_t active_max = 4096;                     // networks whose addresses are kept true
  Duration write_every = std::chrono::seconds(10);
  std::uint16_t http_port = 0;  // of this node: an address record says no port, so that others need the same
  std::uint16_t dns_port = 0;
};

struct GuideParts {
  EventLoop& loop;
  DiskPool& disk;
  dsht::UdpNode& index;
  probe::Prober& prober;
};

class Guide {
 public:
  using Told = std::vector<std::pair<dnsd::Prefix, std::shared_ptr<const dnsd::Verdict>>>;

  // `tell` hands verdicts to all name servers; called from turn(), want() and on_...(), never after ~Guide.
  Guide(GuideParts parts, GuideOptions options, std::function<void(std::shared_ptr<const Told>)> tell);
  ~Guide();
  Guide(const Guide&) = delete;
  Guide& operator=(const Guide&) = delete;

  // Reads what was kept. What cannot be read is only logged.
  void start();

  // What surrounds this node, once a second: its addresses, its hints, how often others visited its proxy.
  struct Surroundings {
    std::vector<IpAddress> own;
    std::vector<std::string> hints;
    std::optional<Duration> last_mile;  // round trip to our first public router
    std::uint64_t visits = 0;
    bool is_draining = false;
    bool is_busy = false;
  };
  void turn(Surroundings surroundings);

  // A name server met a network of which it knows nothing, or nothing new.
  void want(const dnsd::Prefix& client, const IpAddress& target);
  // The same, and what came out, once; with nullopt when too much is under way.
  void find_out(const dnsd::Prefix& client, const IpAddress& target,
                std::function<void(std::optional<StoredVerdict>)> done);

  // For a View: who lives and was reached, ourselves among them unless nobody outside reaches us.
  [[nodiscard]] std::vector<dnsd::Candidate> candidates() const;
  // What this node may say that it offers.
  [[nodiscard]] dsht::Services services() const;

  // What is known of a network.
  [[nodiscard]] const StoredVerdict* known(const dnsd::Prefix& client);
  [[nodiscard]] std::shared_ptr<const dnsd::Verdict> verdict_of(const StoredVerdict& stored) const;
  [[nodiscard]] bool is_live(const dsht::Contact& contact) const;
  [[nodiscard]] dsht::Services reached(const dsht::Contact& contact) const;
  [[nodiscard]] bool is_self(const dsht::Contact& contact) const;

  [[nodiscard]] const Locator& locator() const { return locator_; }
  [[nodiscard]] const LiveSet& live_set() const { return live_; }
  [[nodiscard]] std::size_t verdict_count() const { return verdicts_.size(); }

 private:
  // A network that is asked about, whose nearest nodes are kept true.
  struct Active {
    StoredVerdict stored;
    TimePoint looked_at = TimePoint::min();  // for nodes near it, the last time
    TimePoint wanted_at{};
    TimePoint told_at = TimePoint::min();
    std::shared_ptr<const dnsd::Verdict> told;
  };
  struct PrefixLess {
    bool operator()(const dnsd::Prefix& a, const dnsd::Prefix& b) const {
      return std::pair(a.address, a.bits) < std::pair(b.address, b.bits);
    }
  };

  void carry_out();
  void carry_out(const Locator::Ping& ping);
  void carry_out(const Locator::Trace& trace);
  void carry_out(const Locator::Search& search);
  void carry_out(Locator::Located& located);
  void ask_members();
  void visit_members();
  void tell_changed();
  void tell_one(const dnsd::Prefix& client, Active& active, Told& out);
  void make_room();
  void write_some();
  [[nodiscard]] bool is_shown() const;
  [[nodiscard]] dsht::Services usable(const dsht::Contact& contact) const;

  EventLoop& loop_;
  DiskPool& disk_;
  dsht::UdpNode& index_;
  probe::Prober& prober_;
  const GuideOptions options_;
  const std::function<void(std::shared_ptr<const Told>)> tell_;
  Locator locator_;
  LiveSet live_;
  Reachability reachability_;
  VerdictStore verdicts_;
  ServiceCheck check_;
  std::shared_ptr<VerdictFile> file_;  // shared with a write under way
  bool is_writing_ = false;
  TimePoint written_at_{};
  Surroundings now_;
  std::map<dnsd::Prefix, Active, PrefixLess> active_;
  std::multimap<dnsd::Prefix, std::function<void(std::optional<StoredVerdict>)>, PrefixLess> waiting_;
  std::vector<Locator::Action> actions_;
  bool is_carrying_out_ = false;
  // Late answers of parts that outlive us ask it first.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace reef::node
