#include "dsht/io/udp_node.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/io/log.h"
#include "base/io/socket.h"
#include "dsht/io/data_files.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kBatch = 32;  // datagrams per system call
constexpr Duration kBudgetMin = std::chrono::milliseconds(300);
constexpr Duration kBudgetMax = std::chrono::milliseconds(1500);

SipKey secret_key() {
  SipKey secret;
  random_bytes(secret);
  return secret;
}

}  // namespace

struct UdpNode::Buffers {
  // One byte more than a message may have: longer ones show as too long, instead of cut to a valid one.
  std::array<std::array<std::byte, kDatagramBytesMax + 1>, kBatch> data;
  std::array<sockaddr_storage, kBatch> addresses;
  std::array<iovec, kBatch> pieces;
  std::array<mmsghdr, kBatch> messages;
};

struct UdpNode::Waiting {
  std::unordered_map<WalkId, std::function<void(Found)>> gets;
  std::unordered_map<WalkId, std::function<void(Announced)>> announces;
  std::unordered_map<WalkId, std::function<void(bool)>> puts;
  std::function<void()> left;
};

UdpNode::UdpNode(EventLoop& loop, DiskPool& disk, const Identity& identity, const UdpNodeOptions& options)
    : loop_(loop),
      disk_(disk),
      options_(options),
      node_(options_.node, identity.id(), network_id_of(options_.network_key), secret_key(),
            Random::from_os(), loop.now()),
      buffers_(std::make_unique<Buffers>()),
      waiting_(std::make_unique<Waiting>()),
      handle_(std::make_shared<Handle>(Handle{this})),
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
  log::info("dsht", "event=started id={} rpc={} seeds={} known={}", to_string(node_.id()), to_string(bound_),
            options_.seeds.size(), known.size());
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
  waiting_->gets[node_.get(loop_.now(), key, budget)] = std::move(done);
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

// ---- turns

void UdpNode::on_readable() {
  const TimePoint now = loop_.now();
  Buffers& b = *buffers_;
  for (std::size_t left = options_.datagrams_per_turn; left > 0;) {
    const std::size_t wanted = std::min(left, kBatch);
    for (std::size_t i = 0; i < wanted; ++i) {
      b.pieces[i] = {b.data[i].data(), b.data[i].size()};
      b.messages[i] = {};
      b.messages[i].msg_hdr.msg_name = &b.addresses[i];
      b.messages[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage);
      b.messages[i].msg_hdr.msg_iov = &b.pieces[i];
      b.messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int got =
        ::recvmmsg(socket_.get(), b.messages.data(), static_cast<unsigned>(wanted), MSG_DONTWAIT, nullptr);
    if (got <= 0) break;  // nothing more, or an ICMP error of an earlier datagram: its time-out tells
    for (int i = 0; i < got; ++i) {
      const auto index = static_cast<std::size_t>(i);
      node_.on_datagram(now, Endpoint::from(reinterpret_cast<const sockaddr*>(&b.addresses[index])),
                        ByteView(b.data[index]).first(b.messages[index].msg_len));
    }
    left -= static_cast<std::size_t>(got);
    if (static_cast<std::size_t>(got) < wanted) break;
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
  node_.take_actions(actions_);
  for (Action& action : actions_) {
    if (auto* datagram = std::get_if<SendDatagram>(&action)) {
      outgoing_.push_back(std::move(*datagram));
    } else {
      answers_.push_back(std::move(action));
    }
  }
  actions_.clear();
  flush();
  if (!answers_.empty() && !answer_timer_.is_pending()) answer_timer_.start(Duration::zero());
  timer_.start(node_.next_deadline() - loop_.now());
}

void UdpNode::flush() {
  Buffers& b = *buffers_;
  for (std::size_t at = 0; at < outgoing_.size();) {
    const std::size_t count = std::min(outgoing_.size() - at, kBatch);
    for (std::size_t i = 0; i < count; ++i) {
      SendDatagram& datagram = outgoing_[at + i];
      b.pieces[i] = {datagram.data.data(), datagram.data.size()};
      b.messages[i] = {};
      b.messages[i].msg_hdr.msg_name = &b.addresses[i];
      b.messages[i].msg_hdr.msg_namelen = datagram.to.to(b.addresses[i]);
      b.messages[i].msg_hdr.msg_iov = &b.pieces[i];
      b.messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int sent = ::sendmmsg(socket_.get(), b.messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    if (sent <= 0)
      counters_.send_failed.add();  // the first of them; UDP may lose it, and retries it if it matters
    at += sent <= 0 ? 1 : static_cast<std::size_t>(sent);
  }
  outgoing_.clear();
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
      finish(waiting_->gets, get_done->walk, get_done->found);
    } else if (auto* announce_done = std::get_if<AnnounceDone>(&answer)) {
      finish(waiting_->announces, announce_done->walk, announce_done->announced);
    } else if (auto* put_done = std::get_if<PutDone>(&answer)) {
      finish(waiting_->puts, put_done->walk, put_done->stored);
    } else if (std::holds_alternative<Joined>(answer)) {
      log::info("dsht", "event=joined contacts={}", node_.contact_count());
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
  return Contact{node_.id(), *endpoint, o.http_port, o.dns_port, o.services};
}

std::vector<Neighbour> UdpNode::nodes(const NodesQuery& query) const {
  return node_.nodes(loop_.now(), query);
}

Duration UdpNode::budget() const {
  return std::clamp(4 * node_.rtt_quantile(0.9).value_or(Duration::zero()), kBudgetMin, kBudgetMax);
}

}  // namespace reef::dsht
