#include "dsht/io/udp_node.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/io/log.h"
#include "base/io/socket.h"
#include "dsht/io/data_files.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kBatch = 64;  // datagrams per system call
constexpr Duration kBudgetMin = std::chrono::milliseconds(300);
constexpr Duration kBudgetMax = std::chrono::milliseconds(1500);

SipKey secret_key() {
  SipKey secret;
  random_bytes(secret);
  return secret;
}

std::uint64_t unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

// What one system call takes and gives. Laid out once: the kernel changes only lengths.
struct Batch {
  std::array<sockaddr_storage, kBatch> addresses;
  std::array<iovec, kBatch> pieces;
  std::array<mmsghdr, kBatch> messages{};

  Batch() {
    for (std::size_t i = 0; i < kBatch; ++i) {
      messages[i].msg_hdr.msg_name = &addresses[i];
      messages[i].msg_hdr.msg_iov = &pieces[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
};

}  // namespace

struct UdpNode::Receiving : Batch {
  // One byte more than a message may have: longer ones show as too long, instead of cut to a valid one.
  std::array<std::array<std::byte, kDatagramBytesMax + 1>, kBatch> data;

  Receiving() {
    for (std::size_t i = 0; i < kBatch; ++i) {
      pieces[i] = {data[i].data(), data[i].size()};
      messages[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    }
  }
};

struct UdpNode::Sending : Batch {
  // What one datagram costs the kernel on its way out is most of what an answer costs at all. Several in a
  // row of one size to one peer go as one (UDP_SEGMENT): a busy peer's questions are answered at two thirds
  // of it.
  static constexpr std::size_t kSegmentsMax = 48;  // 64 KiB at kDatagramBytesMax
  struct Control {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> bytes{};
  };
  std::array<Control, kBatch> controls;
  std::size_t datagrams = 0;
  std::size_t sends = 0;  // of them, those in a row taken together
  Endpoint last_to;
  bool can_segment = true;

  [[nodiscard]] bool is_full() const { return datagrams == kBatch; }

  void add(SendDatagram& datagram) {
    iovec& piece = pieces[datagrams++];
    piece = {datagram.data.data(), datagram.data.size()};
    if (can_segment && sends > 0 && datagram.to == last_to) {
      msghdr& last = messages[sends - 1].msg_hdr;
      if (last.msg_iovlen < kSegmentsMax && last.msg_iov->iov_len == piece.iov_len) {
        ++last.msg_iovlen;
        return;
      }
    }
    msghdr& next = messages[sends].msg_hdr;
    next.msg_namelen = datagram.to.to(addresses[sends]);
    next.msg_iov = &piece;
    next.msg_iovlen = 1;
    next.msg_control = nullptr;
    next.msg_controllen = 0;
    last_to = datagram.to;
    ++sends;
  }

  // What the kernel does not take is lost: UDP may lose it, and who needs an answer asks again.
  void flush(int socket, Counter& failed) {
    for (std::size_t i = 0; i < sends; ++i) {
      if (messages[i].msg_hdr.msg_iovlen > 1) mark_segments(i);
    }
    for (std::size_t at = 0; at < sends;) {
      const int sent =
          ::sendmmsg(socket, messages.data() + at, static_cast<unsigned>(sends - at), MSG_DONTWAIT);
      if (sent > 0) {
        at += static_cast<std::size_t>(sent);
      } else {  // the first of them
        send_singly(socket, messages[at++].msg_hdr, failed);
      }
    }
    datagrams = sends = 0;
  }

 private:
  void mark_segments(std::size_t index) {
    msghdr& message = messages[index].msg_hdr;
    Control& control = controls[index];
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto size = static_cast<std::uint16_t>(message.msg_iov->iov_len);
    std::memcpy(CMSG_DATA(header), &size, sizeof size);
  }
  void send_singly(int socket, msghdr refused, Counter& failed) {
    const std::size_t count = refused.msg_iovlen;
    if (count == 1) return failed.add();
    // A device that cannot compute checksums takes no segments (EIO), nor does one with a small MTU (EINVAL).
    // A full buffer is another thing.
    if (errno != EAGAIN && errno != ENOBUFS) can_segment = false;
    refused.msg_control = nullptr;
    refused.msg_controllen = 0;
    refused.msg_iovlen = 1;
    for (std::size_t i = 0; i < count; ++i, ++refused.msg_iov) {
      if (::sendmsg(socket, &refused, MSG_DONTWAIT) < 0) failed.add();
    }
  }
};

struct UdpNode::Waiting {
  std::unordered_map<WalkId, std::function<void(GetDone)>> gets;
  std::unordered_map<WalkId, std::function<void(Announced)>> announces;
  std::unordered_map<WalkId, std::function<void(bool)>> puts;
  std::unordered_map<WalkId, std::function<void(NodesNear)>> searches;
  std::function<void()> left;
};

UdpNode::UdpNode(EventLoop& loop, DiskPool& disk, const Identity& identity, const UdpNodeOptions& options)
    : loop_(loop),
      disk_(disk),
      options_(options),
      identity_(identity.seed()),
      membership_(options_.network_key, options_.membership, secret_key()),
      node_(options_.node, identity_, network_id_of(options_.network_key), secret_key(), Random::from_os(),
            loop.now(), unix_ms()),
      receiving_(std::make_unique<Receiving>()),
      sending_(std::make_unique<Sending>()),
      waiting_(std::make_unique<Waiting>()),
      handle_(std::make_shared<Handle>(this)),
      timer_(loop, [this] { on_timer(); }),
      answer_timer_(loop, [this] { answer(); }),
      save_timer_(loop, [this] { save(); }) {}

UdpNode::~UdpNode() { handle_->node = nullptr; }

Result<> UdpNode::start() {
  BASE_CHECK(!socket_.is_open());
  auto socket = bind_udp(options_.listen, false);
  if (!socket) return fail(socket.error());
  auto bound = local_endpoint(socket->get());
  if (!bound) return fail(bound.error());
  // Fewer bytes than asked for are no error: the kernel's limit decides.
  (void)::setsockopt(socket->get(), SOL_SOCKET, SO_RCVBUF, &options_.receive_buffer_bytes,
                     sizeof options_.receive_buffer_bytes);
  (void)::setsockopt(socket->get(), SOL_SOCKET, SO_SNDBUF, &options_.send_buffer_bytes,
                     sizeof options_.send_buffer_bytes);
  socket_ = std::move(*socket);
  bound_ = *bound;
  readable_.emplace(loop_, socket_.get(), EV_READ, [this](short) { on_readable(); });
  std::vector<Contact> known;
  if (!options_.data_dir.empty()) {
    auto loaded = load_contacts(options_.data_dir);
    if (loaded) {
      known = std::move(*loaded);
    } else {
      log::warn("dsht", "event=contacts_unreadable error=\"{}\"", loaded.error().message());
    }
    save_timer_.start(options_.save_contacts_every);
  }
  log::info("dsht", "event=started id={} rpc={} network={} seeds={} known={}", to_string(node_.id()),
            to_string(bound_), membership_.is_open() ? "open" : "closed", options_.seeds.size(),
            known.size());
  if (!options_.seeds.empty() || !known.empty() || !options_.seeds_follow) {
    join_through(options_.seeds, std::move(known));
  }
  return {};
}

void UdpNode::join(std::vector<Endpoint> seeds) { join_through(std::move(seeds), {}); }

void UdpNode::join_through(std::vector<Endpoint> seeds, std::vector<Contact> known) {
  std::erase(seeds, bound_);
  node_.join(loop_.now(), std::move(seeds), std::move(known));
  finish_turn();
}

void UdpNode::leave(std::function<void()> done) {
  waiting_->left = std::move(done);
  save();
  node_.leave(loop_.now());
  finish_turn();
}

// ---- the index

void UdpNode::get(const Key& key, Duration budget, std::function<void(Found)> done) {
  get(key, budget, GetOptions{}, [done = std::move(done)](GetDone answer) {
    if (done) done(std::move(answer.found));
  });
}

void UdpNode::get(const Key& key, Duration budget, const GetOptions& how, std::function<void(GetDone)> done) {
  waiting_->gets[node_.get(loop_.now(), key, budget, how)] = std::move(done);
  finish_turn();
}

void UdpNode::announce(const Key& key, ByteView value, std::chrono::seconds ttl, Duration budget,
                       std::function<void(Announced)> done) {
  waiting_->announces[node_.announce(loop_.now(), key, value, ttl, budget)] = std::move(done);
  finish_turn();
}

void UdpNode::put(const Key& key, ByteView value, std::chrono::seconds ttl, std::function<void(bool)> done) {
  const WalkId walk = node_.put(loop_.now(), key, value, ttl);
  if (done) waiting_->puts[walk] = std::move(done);
  finish_turn();
}

void UdpNode::withdraw(const Key& key) {
  node_.withdraw(loop_.now(), key);
  finish_turn();
}

void UdpNode::find_nodes(FindNodes what, Duration budget, std::function<void(NodesNear)> done) {
  waiting_->searches[node_.find_nodes(loop_.now(), std::move(what), budget)] = std::move(done);
  finish_turn();
}

void UdpNode::set_hints(std::vector<Key> hints) {
  node_.set_hints(loop_.now(), std::move(hints));
  finish_turn();
}

// ---- turns

void UdpNode::on_readable() {
  const TimePoint now = loop_.now();
  const std::uint64_t wall_clock = membership_.is_open() ? 0 : unix_ms();
  Receiving& in = *receiving_;
  for (std::size_t left = options_.datagrams_per_turn; left > 0;) {
    const std::size_t wanted = std::min(left, kBatch);
    const int got =
        ::recvmmsg(socket_.get(), in.messages.data(), static_cast<unsigned>(wanted), MSG_DONTWAIT, nullptr);
    if (got <= 0) break;  // nothing more, or an ICMP error of an earlier datagram: its time-out tells
    const auto count = static_cast<std::size_t>(got);
    for (std::size_t i = 0; i < count; ++i) {
      const Endpoint from = Endpoint::from(reinterpret_cast<const sockaddr*>(&in.addresses[i]));
      in.messages[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage);
      const ByteView datagram = ByteView(in.data[i]).first(in.messages[i].msg_len);
      if (membership_.is_open()) {
        node_.on_datagram(now, from, datagram);
      } else if (const auto message = membership_.open(wall_clock, datagram)) {
        node_.on_datagram(now, from, *message);
      }
    }
    // The answers go out while their requests are in the cache, and nobody waits for the rest of the turn.
    send_actions();
    left -= count;
    if (count < wanted) break;
    if (left == 0) counters_.receive_full.add();
  }
  finish_turn();
}

void UdpNode::on_timer() {
  node_.on_deadline(loop_.now());
  finish_turn();
}

// Sends now, but calls back from a turn of its own: a callback must not run inside the call that caused it.
void UdpNode::finish_turn() {
  send_actions();
  handle_->has_others.store(!node_.is_alone(loop_.now()), std::memory_order_relaxed);
  if (!answers_.empty() && !answer_timer_.is_pending()) answer_timer_.start(Duration::zero());
  start_timer();
}

void UdpNode::start_timer() {
  const TimePoint at = node_.next_deadline();
  if (at == timer_at_ && timer_.is_pending()) return;  // most turns: each start is a system call
  timer_at_ = at;
  timer_.start(at - loop_.now());
}

void UdpNode::send_actions() {
  node_.take_actions(actions_);
  const std::uint64_t wall_clock = membership_.is_open() || actions_.empty() ? 0 : unix_ms();
  for (Action& action : actions_) {
    if (auto* datagram = std::get_if<SendDatagram>(&action)) {
      if (!membership_.is_open()) membership_.seal(wall_clock, datagram->data);
      sending_->add(*datagram);
      if (sending_->is_full()) sending_->flush(socket_.get(), counters_.send_failed);
    } else {
      answers_.push_back(std::move(action));
    }
  }
  sending_->flush(socket_.get(), counters_.send_failed);
}

void UdpNode::answer() {
  const auto finish = [](auto& waiting, WalkId walk, auto& result) {
    const auto found = waiting.find(walk);
    if (found == waiting.end()) return;
    const auto done = std::move(found->second);
    waiting.erase(found);
    if (done) done(std::move(result));
  };
  std::vector<Action> answers;
  answers.swap(answers_);
  const std::shared_ptr<const Handle> alive = handle_;
  for (Action& answer : answers) {
    if (auto* get_done = std::get_if<GetDone>(&answer)) {
      finish(waiting_->gets, get_done->walk, *get_done);
    } else if (auto* announce_done = std::get_if<AnnounceDone>(&answer)) {
      finish(waiting_->announces, announce_done->walk, announce_done->announced);
    } else if (auto* put_done = std::get_if<PutDone>(&answer)) {
      finish(waiting_->puts, put_done->walk, put_done->stored);
    } else if (auto* nodes_found = std::get_if<NodesFound>(&answer)) {
      finish(waiting_->searches, nodes_found->walk, nodes_found->near);
    } else if (std::holds_alternative<Joined>(answer)) {
      log::info("dsht", "event=joined contacts={}", node_.contact_count());
    } else if (const auto* changed = std::get_if<ClusterChanged>(&answer)) {
      log::info("dsht", "event=cluster level={} from={} to={} why={}", changed->level,
                to_string(changed->from), to_string(changed->to), to_string(changed->why));
    } else if (std::holds_alternative<LeaveDone>(answer)) {
      log::info("dsht", "event=left handed_over={}", node_.counters().replicated.value());
      const auto left = std::exchange(waiting_->left, nullptr);
      if (left) left();
    }
    if (alive->node == nullptr) return;  // a callback destroyed us
  }
}

void UdpNode::save() {
  if (options_.data_dir.empty()) return;
  std::vector<Contact> contacts;
  NodesQuery all;
  all.count = kSavedContactsMax;
  for (const Neighbour& neighbour : node_.nodes(loop_.now(), all)) contacts.push_back(neighbour.contact);
  save_timer_.start(options_.save_contacts_every);
  if (contacts.empty()) return;  // those of the last time may be of more use
  const bool queued = disk_.submit(
      [directory = options_.data_dir, contacts = std::move(contacts)] {
        if (const auto saved = save_contacts(directory, contacts); !saved) {
          log::warn("dsht", "event=contacts_unsaved error=\"{}\"", saved.error().message());
        }
      },
      loop_, nullptr);
  if (!queued) log::debug("dsht", "event=contacts_unsaved error=\"the disk is busy\"");
}

// ---- what it knows

Key UdpNode::key(KeyDomain domain, std::string_view name) const {
  return key_of(options_.network_key, domain, name);
}

std::optional<Endpoint> UdpNode::advertised() const {
  const auto observed = node_.observed();
  if (options_.advertise) return Endpoint{*options_.advertise, observed ? observed->port : bound_.port};
  if (observed) return observed;
  if (bound_.port == 0 || bound_.address.is_unspecified()) return std::nullopt;
  return bound_;
}

std::optional<Contact> UdpNode::self() const {
  const auto endpoint = advertised();
  if (!endpoint) return std::nullopt;
  const NodeOptions& o = options_.node;
  return Contact{node_.id(), *endpoint, o.http_port, o.dns_port, node_.services()};
}

std::vector<Neighbour> UdpNode::nodes(const NodesQuery& query) const {
  return node_.nodes(loop_.now(), query);
}

LevelVerdict UdpNode::level_of(const IpAddress& address) const { return node_.level_of(address); }

ClusterStatus UdpNode::cluster(Level level) const { return node_.cluster(loop_.now(), level); }

Duration UdpNode::budget() const {
  return std::clamp(4 * node_.rtt_quantile(0.9).value_or(Duration::zero()), kBudgetMin, kBudgetMax);
}

}  // namespace reef::dsht
