// One client connection speaking HTTP/1.1 or 1.0 (RFC 9112), on raw libevent events.
//
//            head complete            answered, reusable
//   reading ───────────────► answering ─────────────────► reading ...
//      │ idle, slow,             │ answered, to be closed
//      │ malformed (answer)      ▼
//      └──────────────────► lingering ──► closed          (broken off: closed at once)
//
// One read, one parse, one write per request where the answer fits the socket's buffer. An idle connection
// owns no buffer: reads go to a scratch buffer of the worker, and only what is left of an unfinished head,
// pipelined requests or a request body is copied, within ClientLimits::buffer_bytes_max. While an answer
// waits for its client nothing is read from it, and a body is followed at the client's own pace.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/io/disk_pool.h"
#include "base/io/event_loop.h"
#include "proxy/http/message.h"
#include "proxy/http/parser.h"
#include "proxy/io/body_framing.h"
#include "proxy/io/exchange.h"
#include "proxy/io/options.h"
#include "proxy/io/stats.h"
#include "proxy/io/timer_wheel.h"
#include "proxy/io/transport.h"

namespace reef::proxy {

class Connection;

class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  // The exchange is `connection`; the head's views die with the call. Answered inside the call or later.
  virtual void on_request(Connection& connection, const http::RequestHead& head, const RequestBody& body) = 0;
  // What came is not a request that can be understood: to be answered with this status.
  virtual void on_bad_request(Connection& connection, int status, std::string_view why) = 0;
  // More of the request's body can be read.
  virtual void on_upload_data(Connection& connection) = 0;
  // Some of a body that passes through a window (Body::is_window()) has been sent.
  virtual void on_taken(Connection& connection) = 0;
  // The exchange ends without its answer having been sent in full.
  virtual void on_abandoned(Connection& connection) = 0;
  // To be destroyed, but not inside this call.
  virtual void on_closed(Connection& connection) = 0;
  [[nodiscard]] virtual Connection* find_connection(std::uint64_t id) = 0;
};

// What all connections of a worker share.
struct ConnectionContext {
  EventLoop& loop;
  TimerWheel& wheel;
  DiskPool& disk;
  Stats& stats;
  const ClientLimits& limits;
  ConnectionHost& host;
  http::RequestHeadParser& parser;
  std::span<char> scratch;  // at least 64 KiB
  bool draining = false;    // answers end their connections
};

class Connection final : public Exchange, public TimerWheel::Entry {
 public:
  Connection(ConnectionContext& context, std::uint64_t id, std::unique_ptr<Transport> transport,
             Endpoint client);
  ~Connection() override;
  // Begins to read; the connection may be closed when this returns. To be called once.
  void start();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Exchange:
  [[nodiscard]] ExchangeId id() const override {
    return ExchangeId{connection_id_ << kSequenceBits | sequence_};
  }
  [[nodiscard]] const Endpoint& client() const override { return client_; }
  void reply(const Reply& reply) override;
  void interim(int status, std::string_view fields) override;
  void body_grew() override;
  [[nodiscard]] UploadSource& upload() override { return upload_; }

  [[nodiscard]] std::uint64_t connection_id() const { return connection_id_; }
  static std::uint64_t connection_id(ExchangeId id) {
    return static_cast<std::uint64_t>(id) >> kSequenceBits;
  }
  // Waiting for reply().
  [[nodiscard]] bool is_waiting() const { return state_ == State::answering && !replied_; }
  [[nodiscard]] bool is_answering() const { return state_ == State::answering; }
  [[nodiscard]] bool is_idle() const { return state_ == State::reading && input_.empty(); }

  void on_deadline();
  void close();
  // Its host is going: nothing is told to it any more.
  void detach() { state_ = State::closed; }
  // Ends the connection so that the client knows that the answer is not whole.
  void abort();

 private:
  static constexpr int kSequenceBits = 24;
  static constexpr std::uint64_t kOpen = std::numeric_limits<std::uint64_t>::max();
  enum class State : std::uint8_t { reading, answering, lingering, closed };

  // An answer that did not leave in one write.
  struct Out {
    std::string text;  // head, chunk framing, short bodies
    std::size_t text_at = 0;
    std::shared_ptr<const Body> body;
    std::uint64_t at = 0;
    std::uint64_t end = 0;  // kOpen: when the body is complete
    Multipart multipart;    // further pieces of the body, from next_part on
    std::size_t next_part = 0;
    bool chunked = false;
    bool last_chunk_written = false;
    std::uint64_t chunk_left = 0;
    std::shared_ptr<std::string> cold;  // bytes that the disk pool read, from cold_at on
    std::uint64_t cold_at = 0;
    bool cold_pending = false;
    std::uint64_t sent_since_check = 0;
  };

  class Upload final : public UploadSource {
   public:
    explicit Upload(Connection& owner) : owner_(owner) {}
    State read(std::span<std::byte> out, std::size_t& count) override;
    [[nodiscard]] bool is_ready() override;

   private:
    Connection& owner_;
  };

  void on_readable(bool is_first);
  void on_writable();
  void want_read(bool on);
  void want_write(bool on);
  void set_deadline(std::chrono::seconds delay);

  void consume(std::string_view bytes);
  bool take_request(std::string_view& bytes);
  void begin_exchange();
  [[nodiscard]] bool is_late_with_body();
  void say_continue();
  void unframe(std::size_t room);
  [[nodiscard]] UploadSource::State fault(http::BadMessage bad);
  void refuse(int status, std::string_view why);
  void finish_answer();
  [[nodiscard]] bool body_unread() const {
    return framing_.has_value() && framing_->state() != BodyFraming::State::complete;
  }

  void pump(std::size_t most);
  void send_some(std::size_t most);
  enum class Gathered : std::uint8_t { data, nothing_yet, finished, failed };
  [[nodiscard]] Gathered gather(std::size_t most, std::array<iovec, 10>& pieces, std::size_t& count);
  [[nodiscard]] Gathered gather_from_file(const Piece& piece, std::size_t limit, iovec& out);
  void read_cold(const Piece& piece);
  void begin_part();
  void sent(std::size_t bytes);

  ConnectionContext& context_;
  const std::uint64_t connection_id_;
  std::uint64_t sequence_ = 0;
  std::unique_ptr<Transport> transport_;
  const Endpoint client_;
  EventPtr read_event_;  // both are made when first needed
  EventPtr write_event_;
  bool reading_ = false;
  bool writing_ = false;

  State state_ = State::reading;
  bool replied_ = false;
  bool keep_alive_ = true;
  bool close_after_ = false;
  bool is_head_ = false;  // the request's method: its answer has no body
  bool consuming_ = false;
  bool input_ended_ = false;
  bool sends_no_more_ = false;  // the last request was to be the last, and nothing came behind it
  int minor_version_ = 1;
  bool expects_continue_ = false;
  std::string input_;
  http::HeadProgress progress_;  // in input_
  std::optional<BodyFraming> framing_;
  std::uint64_t upload_taken_ = 0;
  std::uint64_t upload_came_ = 0;  // of the body's bytes, since its rate was looked at
  std::optional<http::BadMessage>
      upload_fault_;                           // what the client did wrong: its answer, whatever came of it
  std::unique_ptr<std::string> upload_early_;  // of the body, from before anybody wanted it
  Upload upload_{*this};
  std::unique_ptr<Out> out_;
};

}  // namespace reef::proxy
