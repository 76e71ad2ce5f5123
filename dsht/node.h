// One participant of the index, Coral's distributed sloppy hash table (NSDI 2004) over Kademlia's XOR space
// (2002): three levels of clusters by RTT, lookups from the nearest outwards, puts that crowds cannot bring
// down on one node, announcements ordered by the closest one. docs/dsht.md has the states, timers and limits.
//
// Does no I/O: datagrams and time come in, actions go out, next_deadline() says when to call again. Every
// input queues actions; the caller takes them with take_actions() afterwards and carries them out. Actions
// are values, so nothing re-enters the node. `now` is the caller's time, the same for a whole turn, never
// running backwards. Not thread-safe: belongs to the loop that calls it.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "base/random.h"
#include "dsht/clusters.h"
#include "dsht/counters.h"
#include "dsht/credentials.h"
#include "dsht/index.h"
#include "dsht/load_meter.h"
#include "dsht/messages.h"
#include "dsht/rate_limit.h"
#include "dsht/routing_table.h"
#include "dsht/storage.h"
#include "dsht/tokens.h"
#include "dsht/walk.h"

namespace reef::dsht {

struct NodeOptions {
  // What we say of ourselves in every message.
  std::uint16_t http_port = 0;
  std::uint16_t dns_port = 0;
  Services services = 0;  // at first: set_services()

  RoutingTableOptions table;
  StorageOptions storage;  // of each level
  LoadMeterOptions load;
  ClusterOptions clusters;
  RateLimitOptions rate_limit;
  Level levels = kLevels;  // 1: no clusters, everything at level 0

  // b: bits of the key that a hop of a put corrects. A get goes straight (0): it adds no load worth bounding,
  // since a node that finds a key hot remembers what it was told.
  int put_bits = 1;
  int get_bits = 0;
  // By level. Near by, where a request costs next to nothing, it is worth having more copies and asking for
  // all of them at once: the nearest answers first.
  std::array<int, kLevels> alpha = {4, 4, 6};              // requests in flight per get or announcement
  std::array<std::size_t, kLevels> replicas = {4, 2, 8};   // nodes that store a value (r)
  std::array<std::size_t, kLevels> get_width = {6, 4, 6};  // closest nodes that a get asks before it gives up
  int put_window = 1;                                      // requests in flight per put on its way
  std::size_t reply_values = 4;                            // values in one reply
  // A node that is asked for a key more often than this in a minute says that it is hot; the asker then
  // remembers the values for hot_memory.
  std::size_t hot_gets = 60;
  Duration hot_memory = std::chrono::seconds(15);
  int find_attempts = 2;   // sends of one FIND or PING before its node counts as dead
  int store_attempts = 3;  // sends of one STORE, ANNOUNCE, WITHDRAW or HANDOVER

  Duration first_timeout_max = std::chrono::seconds(1);  // of a contact that never answered us
  Duration walk_max = std::chrono::seconds(10);          // a walk ends by then, whatever its budget
  Duration store_max = std::chrono::seconds(2);          // of which a put keeps this to store what it found
  std::size_t walks_max = 2048;
  std::size_t rpcs_max = 16384;
  double signatures_per_second = 2000;  // checked or made for others; what needs more is dropped

  Duration tick = std::chrono::seconds(5);
  // DNS answers want contacts heard first-hand within the last minute: the k closest by id and by RTT are.
  Duration near_ping = std::chrono::seconds(40);
  // Everybody else in a table of up to 160, others in proportion; at once when many of those asked turn out
  // to be silent.
  Duration far_ping = std::chrono::minutes(4);
  Duration bucket_refresh = std::chrono::hours(1);
  // Looks for new neighbours: soon after joining, then ever more rarely up to this.
  Duration self_refresh_min = std::chrono::seconds(1);
  Duration self_refresh_max = std::chrono::minutes(10);
  std::size_t unverified_pings_max = 64;  // in flight, to nodes that asked us something

  std::chrono::seconds hint_ttl = std::chrono::hours(1);  // hints are put again after half of it

  Duration join_retry_min = std::chrono::milliseconds(500);
  Duration join_retry_max = std::chrono::seconds(30);

  Duration replicate_delay = std::chrono::milliseconds(20);  // gathers announcements that arrive together
  std::size_t replicate_batch = 32;                          // keys per replicate_delay
  Duration leave_max = std::chrono::seconds(2);
};

// Which of our clusters somebody at an address would be in, as far as we can tell.
struct LevelVerdict {
  enum class Source : std::uint8_t { unknown, hint, same_prefix, measured };
  Level level = 0;
  Source source = Source::unknown;
  std::optional<Duration> rtt;  // the one it follows from
};

// What find_nodes() looks for.
struct FindNodes {
  // Where the target is, as keys of the hint domain, the most specific first; 24 count. None: strangers of
  // our own cluster of `level` are looked for, by a random walk among its members.
  std::vector<Key> hints;
  // Asked besides, as though the first hint had named them: those whose word is wanted anew. 64 in all. Who
  // is silent is not named, but keeps its place in the table: whoever wants to know within seconds who lives
  // asks so often that a short trouble of our own would empty it.
  std::vector<Contact> contacts{};
  Level level = 0;
  std::size_t count = 8;
  Services services = 0;  // all of these
  // Who answered us no longer ago is not asked again.
  Duration heard_within = std::chrono::minutes(1);
};
struct NodesNear {
  // Who answered us, now or within the last minute: the most specific hint first, then the least RTT.
  std::vector<Neighbour> nodes;
  std::vector<std::size_t> named_by;  // the index of the hint that named each of `nodes`
  LevelVerdict verdict;               // of the target: where those under the most specific hint are
  bool complete = false;  // false: the budget was spent before everybody named had answered or failed to
};

struct SendDatagram {
  Endpoint to;
  Bytes data;
};
struct GetDone {
  WalkId walk = 0;
  Found found;
  std::vector<TraceStep> steps;  // only if asked for
};
struct PutDone {
  WalkId walk = 0;
  bool stored = false;
  bool covered = false;  // the key is full and loaded where the put came by: it can do without this value
};
struct AnnounceDone {
  WalkId walk = 0;
  Announced announced;
};
struct NodesFound {
  WalkId walk = 0;
  NodesNear near;
};
struct Joined {};     // the network was found, and our place in it
struct LeaveDone {};  // values are handed over and neighbours told; the socket may be closed
using Action =
    std::variant<SendDatagram, GetDone, PutDone, AnnounceDone, NodesFound, Joined, LeaveDone, ClusterChanged>;

struct GetOptions {
  LevelMask levels = kAllLevels;  // where to look
  bool trace = false;
};

struct NodesQuery {
  Level level = 0;  // in our cluster of that level
  std::size_t count = 8;
  Services services = 0;                 // all of these
  std::optional<NodeId> target;          // closest ids first; otherwise least RTT first
  std::optional<IpAddress> near;         // or those in its /24 (/48) first, then least RTT
  std::optional<Duration> heard_within;  // answered us no longer ago than this
};

struct ClusterStatus {
  ClusterId id;
  double estimated_nodes = 1;
  std::chrono::seconds age{};
  TimePoint joined_at{};
  std::size_t contacts = 0;            // known members
  std::optional<double> share_within;  // of the members measured, within the threshold
  std::uint64_t switches = 0;
};

class Node {
 public:
  // `secret`: from the secure source; it makes transaction ids and write tokens unforgeable. `random` need
  // not be. `credentials` must outlive the node. `first_sequence`: greater than any sequence that this
  // identity used before; milliseconds since 1970 will do.
  Node(const NodeOptions& options, const Credentials& credentials, NetworkId network, const SipKey& secret,
       Random random, TimePoint now, std::uint64_t first_sequence);

  // ---- input
  void on_datagram(TimePoint now, const Endpoint& from, ByteView payload);
  void on_deadline(TimePoint now);
  [[nodiscard]] TimePoint next_deadline() const;

  // Finds the network through any of `seeds` and `known` (contacts of an earlier life), retrying with
  // back-off until one answers, and again whenever the table has become empty. With neither, we are the first
  // node.
  void join(TimePoint now, std::vector<Endpoint> seeds, std::vector<Contact> known);
  // Hands all values to the nodes next to their keys, tells the contacts; LeaveDone follows within leave_max.
  void leave(TimePoint now);

  // ---- the index (dsht/index.h). Each returns the id under which its answer comes: GetDone, AnnounceDone,
  // PutDone.
  WalkId get(TimePoint now, const Key& key, Duration budget, const GetOptions& how = {});
  // The announcement itself goes on when the budget is spent, so that later ones find it.
  WalkId announce(TimePoint now, const Key& key, ByteView value, std::chrono::seconds ttl, Duration budget);
  WalkId put(TimePoint now, const Key& key, ByteView value, std::chrono::seconds ttl);
  WalkId withdraw(TimePoint now, const Key& key);  // ends with PutDone: whether somebody had it

  // Nodes that stand under the same hints as somebody else does, or strangers of our cluster; each is asked
  // whether it lives before it is named. Ends with NodesFound, within the budget.
  WalkId find_nodes(TimePoint now, FindNodes what, Duration budget);

  static constexpr std::size_t kHintsMax = 24;  // of somebody: each is one more walk, all at once
  // Where we are, as keys of the hint domain (dsht/hints.h): we are put under them, in place of those given
  // before, and whoever stands there already may be near. The first kHintsMax count: give the most specific
  // first.
  void set_hints(TimePoint now, std::vector<Key> hints);

  // What every message of ours says from now on of what we offer.
  void set_services(Services services) { services_ = services; }

  // ---- what it knows
  [[nodiscard]] const NodeId& id() const { return self_; }
  [[nodiscard]] Services services() const { return services_; }
  // From our own knowledge, ourselves not among them.
  [[nodiscard]] std::vector<Neighbour> nodes(TimePoint now, const NodesQuery& query) const;
  // How near somebody at that address is to us.
  [[nodiscard]] LevelVerdict level_of(const IpAddress& address) const;
  [[nodiscard]] ClusterStatus cluster(TimePoint now, Level level) const;  // 1 or 2
  [[nodiscard]] bool is_joined() const { return joined_; }
  [[nodiscard]] std::size_t contact_count() const { return table_.size(); }
  // No contact, and nobody who knows us either: a leaf that cannot be dialled is no contact, but asks.
  [[nodiscard]] bool is_alone(TimePoint now) const;
  // How most of those who answered us lately see us.
  [[nodiscard]] std::optional<Endpoint> observed() const;
  // That quantile (0 to 1) of the RTTs to our contacts of level 0; nullopt before there is one.
  [[nodiscard]] std::optional<Duration> rtt_quantile(double share) const;
  [[nodiscard]] const RoutingTable& table() const { return table_; }
  [[nodiscard]] const Storage& storage(Level level) const { return storage_[level]; }
  [[nodiscard]] const NodeCounters& counters() const { return counters_; }

  // What is to be done since the last call, in order; `out` is replaced.
  void take_actions(std::vector<Action>& out);

 private:
  static constexpr std::size_t kVotesToKnow = 4;  // of others before we believe how they see us
  enum class Purpose : std::uint8_t { ping, seed, find, store, announce, withdraw, handover, sample };
  struct Rpc {
    Endpoint to;
    NodeId expected;  // zero: whoever is there
    MessageType reply_type{};
    Purpose purpose{};
    Level level = 0;
    WalkId walk = 0;
    Bytes request;  // sent again as it is
    TimePoint sent_at{};
    TimePoint due{};
    Duration timeout{};
    int attempts = 1;
    int attempts_max = 1;
    int step = -1;         // of the walk's trace
    bool overdue = false;  // later than the contact usually is: the walk no longer waits for it alone
    bool token_retried = false;
    bool unverified = false;  // a ping to somebody who only asked us something
    bool is_check = false;    // a ping of FindNodes::contacts: silence is no failure of the contact
    ClusterId cluster;        // of a SAMPLE
    WalkId search = 0;        // that it was sent for
  };
  struct Timer {
    TimePoint at;
    bool is_walk;
    std::uint64_t id;
    bool operator>(const Timer& other) const { return at > other.at; }
  };

  // node.cpp: datagrams, requests of ours and their time-outs
  void on_reply(TimePoint now, const Endpoint& from, Message& message);
  void fulfil(TimePoint now, Rpc& rpc, Message& message, const Contact& contact);
  void note_silence(double silent);
  void rpc_timed_out(TimePoint now, std::uint64_t transaction);
  void rpc_overdue(TimePoint now, std::uint64_t transaction);
  void rpc_failed(TimePoint now, const Rpc& rpc);
  bool send_rpc(TimePoint now, Rpc rpc, Body body);
  bool send_again_with_token(TimePoint now, const Rpc& rpc, std::uint64_t token);
  void send(const Endpoint& to, Bytes data);
  [[nodiscard]] Header own_header(std::uint64_t transaction, Level level) const;
  [[nodiscard]] std::uint64_t next_transaction();
  [[nodiscard]] Duration timeout_for(TimePoint now, const TableEntry* entry);
  void note_contact(TimePoint now, const Contact& contact, const Rpc& rpc, const Message& message);
  [[nodiscard]] LevelMask shared_levels(const std::array<ClusterDescription, 2>& clusters,
                                        std::optional<Duration> rtt) const;
  void note_requester(TimePoint now, const Contact& contact, const Header& header);
  void vote(const NodeId& voter, const Endpoint& observed);
  [[nodiscard]] Level level_within(Duration rtt) const;
  void note_ended(bool is_walk, std::uint64_t id);
  void prune_timers();

  // node_trust.cpp: records and proofs, ours and others'
  [[nodiscard]] bool may_use_signature(TimePoint now);
  [[nodiscard]] Record make_record(TimePoint now, const Key& key, ByteView data, std::chrono::seconds ttl,
                                   bool provisional);
  [[nodiscard]] bool is_authentic(const Key& key, const Record& record);
  // Leaves what is signed by whom it names.
  void keep_authentic(const Key& key, std::vector<WireValue>& values);
  [[nodiscard]] bool is_proof_wanted(const Rpc& rpc, const TableEntry* entry) const;
  [[nodiscard]] bool is_proven(const Message& message);

  // node_serve.cpp: requests of others
  void on_request(TimePoint now, const Endpoint& from, std::size_t request_bytes, Message& message);
  struct Asking;  // who asks, and how large the answer may be
  // nullopt: no answer, since just now it would cost us too much
  [[nodiscard]] std::optional<Body> serve(TimePoint now, const Asking& asking, const Find& find);
  [[nodiscard]] std::optional<Body> serve(TimePoint now, const Asking& asking, const Store& store);
  [[nodiscard]] std::optional<Body> serve(TimePoint now, const Asking& asking, const Announce& announce);
  [[nodiscard]] std::optional<Body> serve(TimePoint now, const Asking& asking, const Withdraw& withdraw);
  [[nodiscard]] std::optional<Body> serve(TimePoint now, const Asking& asking, const Handover& handover);
  [[nodiscard]] std::optional<Body> serve(TimePoint now, const Asking& asking, const Sample& sample);
  void add_values(TimePoint now, const Asking& asking, const Key& key, std::size_t& used,
                  std::vector<WireValue>& out);
  void add_proof_of_full(TimePoint now, const Asking& asking, const Find& find, std::size_t& used,
                         std::vector<WireValue>& out);
  void add_contacts(const Asking& asking, Level level, const Key& toward, std::size_t count,
                    std::size_t& used, std::vector<Contact>& out);
  [[nodiscard]] bool may_check(TimePoint now, const Asking& asking, std::uint64_t token);
  [[nodiscard]] std::optional<StoreStatus> refusal(TimePoint now, const Asking& asking, std::uint64_t token,
                                                   const Key& key, const Record& record);
  [[nodiscard]] WireValue to_wire(TimePoint now, const StoredValue& value) const;
  void on_leave(TimePoint now, const Contact& from);

  // node_walk.cpp: what all walks have in common, and gets
  Walk* start_walk(TimePoint now, WalkKind kind, const Key& key, Duration budget, LevelMask levels,
                   Record record = {});
  WalkId refuse_walk(Action refusal);
  void begin_level(TimePoint now, Walk& walk, Level level);
  bool go_outwards(TimePoint now, Walk& walk);
  void advance(TimePoint now, WalkId id);
  bool look_around(TimePoint now, Walk& walk);
  [[nodiscard]] bool is_settled(Walk& walk) const;
  [[nodiscard]] int parallelism(const Walk& walk) const;
  void conclude(TimePoint now, Walk& walk);
  void ask(TimePoint now, Walk& walk, Candidate& candidate);
  [[nodiscard]] bool is_followed(const Contact& contact, const Endpoint& by);
  // `by`: who named them, at `from`.
  void add_named(Walk& walk, const std::vector<Contact>& contacts, const NodeId& by, const Endpoint& from,
                 int hops);
  void note_answer(TimePoint now, Walk& walk, const Rpc& rpc, const Nodes& nodes);
  void on_nodes(TimePoint now, const Rpc& rpc, const Contact& from, Nodes& nodes);
  void collect(Walk& walk, std::vector<WireValue>& values);
  void candidate_failed(TimePoint now, const Rpc& rpc);
  void walk_timed_out(TimePoint now, WalkId id);
  void remember_hot(TimePoint now, const Walk& walk);
  void finish_get(TimePoint now, Walk& walk, WalkEnd end);
  void finish(TimePoint now, Walk& walk);
  int trace_step(TimePoint now, Walk& walk, const Candidate& candidate);
  [[nodiscard]] Value to_value(const WireValue& value) const;

  // node_put.cpp: puts and withdrawals
  WalkId start_writing(TimePoint now, WalkKind kind, const Key& key, Record record,
                       LevelMask levels = kAllLevels);
  void begin_put_level(TimePoint now, Walk& walk);
  void put_on(TimePoint now, Walk& walk);
  [[nodiscard]] bool wants_replicas(const Walk& walk) const;
  void note_place(Walk& walk, const Rpc& rpc, const Nodes& nodes, const Contact& contact);
  enum class Fullness : std::uint8_t { none, own_value, many_values };
  [[nodiscard]] Fullness shown_fullness(const Walk& walk, const Nodes& nodes) const;
  [[nodiscard]] bool store_here(TimePoint now, Walk& walk);
  void store_back(TimePoint now, Walk& walk);
  void hurry_put(TimePoint now, Walk& walk);
  void end_put_level(TimePoint now, Walk& walk);
  void on_stored(TimePoint now, const Rpc& rpc, const Stored& reply);

  // node_announce.cpp
  void announce_on(TimePoint now, Walk& walk);
  void announce_near(TimePoint now, Walk& walk);
  bool announce_to(TimePoint now, Walk& walk, Candidate& candidate, std::uint64_t token);
  void announce_here(TimePoint now, Walk& walk);
  void on_announced(TimePoint now, const Rpc& rpc, AnnounceReply& reply);
  void confirm_announced(TimePoint now, Walk& walk);
  void report_announced(Walk& walk, const std::vector<WireValue>& earlier, bool stored, WalkEnd end);

  // node_upkeep.cpp: what nobody asked for
  void tick(TimePoint now);
  void ping_due(TimePoint now);
  void note_refreshed(TimePoint now, int bucket);
  void try_join(TimePoint now);
  void ask_seed(TimePoint now, const Contact& seed);
  void on_seed_answered(TimePoint now, const Contact& seed, const std::vector<Contact>& contacts);
  void on_joined(TimePoint now);
  void refresh_all(TimePoint now);
  void refresh_next(TimePoint now);
  [[nodiscard]] bool is_depleted() const;
  void look_for_the_lost(TimePoint now);
  void refresh_self(TimePoint now);
  enum class PingKind : std::uint8_t { upkeep, unverified, check };
  void ping(TimePoint now, const Contact& contact, PingKind kind = PingKind::upkeep);
  void contact_dropped(TimePoint now, const Contact& contact);

  // node_replicate.cpp: values where they belong
  void neighbourhood_changed(TimePoint now, const Contact& contact);
  void mark_for_replication(TimePoint now, const Key& key);
  void replicate_some(TimePoint now);
  void replicate(TimePoint now, const Key& key);
  void hand_over(TimePoint now, const Key& key, Level level, const Contact& to, std::uint64_t token);
  void end_leaving();

  // node_find.cpp: nodes near somebody else
  struct Named {
    enum class State : std::uint8_t { asked, answered, failed };
    Contact contact;
    std::size_t hint = 0;
    State state = State::asked;
    std::optional<Duration> rtt;
    TimePoint heard_at{};
  };
  struct Search {
    FindNodes what;
    TimePoint due{};
    std::vector<Named> named;
    int open = 0;         // walks and samples under way
    bool is_cut = false;  // one of them ran out of time
  };
  void read_hints(TimePoint now, WalkId id, Search& search, Duration budget);
  void sample_members(TimePoint now, WalkId id, Search& search);
  void note_named(TimePoint now, Search& search, const Contact& contact, std::size_t hint,
                  bool is_check = false);
  void search_read(TimePoint now, const Walk& walk, WalkEnd end);
  void search_sampled(TimePoint now, WalkId id, const std::vector<Contact>& contacts);
  // The ping to somebody named has ended: `settle` says how.
  void settle_named(const NodeId& id, const std::function<void(Named&)>& settle);
  void end_overdue_searches(TimePoint now);
  void end_if_settled(WalkId id);
  void end_search(WalkId id, bool complete);

  // node_clusters.cpp: clusters and hints
  void describe_clusters(TimePoint now);
  void run_clusters(TimePoint now);
  void cluster_changed(TimePoint now, const ClusterChanged& change);
  void on_sampled(TimePoint now, const Rpc& rpc, const Nodes& nodes);
  void refresh_level(TimePoint now, Level level);
  void hurry_refresh(TimePoint now, Level level);
  void refresh_hints(TimePoint now);
  void on_hint(TimePoint now, const std::vector<WireValue>& values);
  // Who stands under a hint, ourselves not among them.
  [[nodiscard]] std::vector<Contact> contacts_under_hint(const std::vector<WireValue>& values);
  // `search`: that it is for, or 0. False: too many requests are in flight.
  bool send_sample(TimePoint now, const Contact& via, Level level, const ClusterId& cluster,
                   WalkId search = 0);

  const NodeOptions options_;
  const Credentials& credentials_;
  const NodeId self_;
  const NetworkId network_;
  const SipKey secret_;
  Services services_;
  Random random_;
  TokenMint tokens_;
  RateLimit rate_limit_;
  RoutingTable table_;
  std::array<Storage, kLevels> storage_;
  std::array<LoadMeter, kLevels> puts_;  // that passed us
  LoadMeter gets_;                       // that asked us
  Clusters clusters_;
  std::array<ClusterDescription, 2> described_{};  // ours, as every message says; zero ids: none
  TimePoint describe_at_{};
  std::array<double, kLevels> estimated_nodes_{};  // at the last description; 0: not yet known
  NodeCounters counters_;

  std::uint64_t transactions_ = 0;
  std::uint64_t last_sequence_ = 0;
  const std::uint64_t first_sequence_;
  const TimePoint started_at_;
  std::optional<TimePoint> asked_at_;  // when somebody asked us last
  double signatures_ = 0;              // that may still be made or checked now
  TimePoint signatures_at_{};

  std::unordered_map<std::uint64_t, Rpc> rpcs_;
  std::unordered_map<WalkId, std::unique_ptr<Walk>> walks_;
  std::unordered_map<WalkId, Search> searches_;
  WalkId last_walk_ = 0;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;  // those of ended ones are skipped
  bool is_next_timer_ended_ = false;

  std::vector<Endpoint> seeds_;
  std::deque<Contact> remembered_;  // contacts of an earlier life and those that were dropped: ways back
  bool joined_ = false;
  WalkId join_walk_ = 0;
  Duration join_backoff_{};
  TimePoint join_at_ = TimePoint::max();

  TimePoint tick_at_{};
  TimePoint self_refresh_at_ = TimePoint::max();
  Duration self_refresh_period_{};
  std::vector<TimePoint> bucket_refreshed_at_;  // of level 0, by bucket
  std::deque<int> refresh_queue_;               // buckets of level 0
  double most_contacts_ = 0;                    // of level 0, in the last hours
  WalkId refresh_walk_ = 0;
  struct LevelRefresh {
    TimePoint at = TimePoint::max();
    Duration period{};
    std::size_t known = 0;  // contacts at the last one
    bool looked_at_self = false;
  };
  std::array<LevelRefresh, kLevels> level_refresh_;  // of levels 1 and 2
  std::unordered_set<NodeId, KeyedIdHash> pinging_;  // by id, in flight
  std::size_t unverified_pings_ = 0;

  TimePoint doubted_at_ = TimePoint::min();  // when so many were silent that everybody had to be asked
  double silent_share_ = 0;  // of our contacts asked lately, those that did not answer in time
  TimePoint timeout_estimated_at_ = TimePoint::min();
  Duration first_timeout_{};   // of a stranger
  Duration first_patience_{};  // with him

  std::vector<Key> hints_;
  TimePoint hints_at_ = TimePoint::max();
  Duration hints_period_{};
  TimePoint hints_put_at_{};

  struct Replication {
    Key key;
    TimePoint due;
  };
  std::deque<Replication> replications_;
  std::unordered_set<Key, KeyedIdHash> replicating_;
  std::size_t handovers_in_flight_ = 0;
  bool leaving_ = false;
  bool left_ = false;
  TimePoint leave_by_ = TimePoint::max();

  struct Vote {
    NodeId voter;
    Endpoint observed;
  };
  std::vector<Vote> votes_;  // the oldest first
  // Scratch, each of one function or handed on by it at once.
  std::vector<const TableEntry*> closest_;
  std::vector<char> is_near_;
  std::vector<std::pair<Duration, const TableEntry*>> by_rtt_;
  std::vector<ClusterAction> cluster_actions_;
  std::vector<Action> actions_;
};

}  // namespace reef::dsht
