// DNS over TCP (RFC 7766): length-prefixed messages, pipelined; answers come as they are ready.
//
// A connection reads until its unsent answers reach a bound, then only writes until they are gone. It ends
// when the peer closes and all is sent, on nonsense, when no whole message and no byte of an answer has moved
// for the idle time-out, or, the longest idle one, when a newcomer needs its place.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/io/event_loop.h"
#include "base/io/fd.h"
#include "dnsd/io/answerer.h"

namespace reef::dnsd {

struct TcpOptions {
  std::size_t connections_max = 512;               // a loop
  std::size_t connections_per_client_max = 64;     // a loop, by address; more are closed at once
  std::chrono::milliseconds idle_timeout{10'000};  // "a few seconds" (RFC 7766 §6.2.3)
  std::size_t query_bytes_max = 4096;              // a longer message closes its connection
  std::size_t unsent_bytes_max = 65536;            // of one connection; reading pauses there
};

class TcpListener {
 public:
  // Accepts on `socket` (listening, non-blocking) until destroyed; then all connections close. The loop and
  // the answerer are borrowed.
  TcpListener(EventLoop& loop, Fd socket, const TcpOptions& options, Answerer& answerer);
  ~TcpListener();
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

 private:
  using ConnId = std::uint64_t;
  struct Connection;
  enum class Keep : bool { no, yes };

  void listen();
  void on_acceptable();
  void admit(Fd socket, const Endpoint& peer);
  void evict_longest_idle();
  void on_readable(ConnId id);
  void on_writable(ConnId id);
  Keep take_in(Connection& connection);
  Keep answer_and_flush(ConnId id, Connection& connection);
  Keep answer_whole_messages(ConnId id, Connection& connection);
  void append(Connection& connection, ByteView response);
  void answer_late(ConnId id, ByteView query);
  Keep flush(Connection& connection);
  void settle(ConnId id, Connection& connection, Keep keep);
  void close(ConnId id);
  void sweep();

  EventLoop& loop_;
  const TcpOptions options_;
  Answerer& answerer_;
  Fd socket_;
  ConnId next_id_ = 1;
  std::unordered_map<ConnId, std::unique_ptr<Connection>> connections_;
  std::unordered_map<IpAddress, std::size_t> per_client_;
  std::optional<FdEvent> acceptable_;
  Timer accept_again_;  // out of descriptors: accepting rests for a moment
  Timer sweeper_;
};

}  // namespace reef::dnsd
