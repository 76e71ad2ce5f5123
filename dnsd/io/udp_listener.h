// DNS over UDP: one socket, read and written in batches.
#pragma once

#include <sys/socket.h>

#include <memory>

#include "base/io/event_loop.h"
#include "base/io/fd.h"
#include "base/result.h"
#include "dnsd/io/answerer.h"

namespace reef::dnsd {

class UdpListener {
 public:
  // Answers on `socket` (bound, non-blocking) until destroyed. `any_address`: it is bound to a wildcard, and
  // so must answer from the address that each query came to. The loop and the answerer are borrowed.
  static Result<std::unique_ptr<UdpListener>> start(EventLoop& loop, Fd socket, bool any_address,
                                                    Answerer& answerer);
  ~UdpListener();
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;

 private:
  struct Batch;
  UdpListener(EventLoop& loop, Fd socket, Answerer& answerer);
  void on_readable();
  void send(std::size_t count);
  struct Late;
  void hold(const msghdr& header, ByteView query, const Client& client);
  void answer_late(Late& late);

  EventLoop& loop_;
  Answerer& answerer_;
  Fd socket_;
  std::unique_ptr<Batch> batch_;
  FdEvent readable_;
};

}  // namespace reef::dnsd
