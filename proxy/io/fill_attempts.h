// What a fill asks, and whom: the inside of Fill, for fill.cpp and fill_sources.cpp only.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "proxy/io/fill.h"
#include "proxy/io/messages.h"

namespace reef::proxy {

// A peer that the index named.
struct Fill::Source {
  Endpoint peer;
  std::optional<Duration> rtt;
  bool provisional = false;  // still fetching when it said so
  bool tried = false;
  bool doubtful = false;      // it failed somebody lately: only when nobody else is left
  dsht::Level level = 0;      // of the cluster in which the index knew it
  bool unfit = false;         // it has shown that it brings no part of this body
  std::uint64_t brought = 0;  // bytes taken from it
  double rate = 0;            // bytes a second of its last part, the wait for it included; 0: none yet
  [[nodiscard]] bool brings_parts() const { return !provisional && !doubtful && !unfit; }
};

// One request of ours for this object, to a peer or the origin.
class Fill::Attempt final : public FetchSink {
 public:
  Attempt(Fill& fill, std::uint64_t number, std::optional<std::size_t> source, TimePoint now)
      : fill_(fill), number_(number), source_(source), started_(now), last_sign_(now) {}

  void on_interim(const http::ResponseHead& head) override {
    held_ = true;
    last_sign_ = fill_.host_.loop().now();
    fill_.on_interim(*this, head);
    fill_.arm();
  }
  bool on_head(const http::ResponseHead& head) override {
    last_sign_ = fill_.host_.loop().now();
    return fill_.on_head(*this, head);
  }
  bool on_body(ByteView bytes) override {
    last_sign_ = fill_.host_.loop().now();
    return fill_.on_body(*this, bytes);
  }
  void on_end(FetchEnd end, std::string_view detail) override {
    fetch_ = FetchId::none;
    fill_.on_end(*this, end, detail);
  }

  Fill& fill_;
  const std::uint64_t number_;
  const std::optional<std::size_t> source_;  // nullopt: the origin
  FetchId fetch_ = FetchId::none;
  const TimePoint started_;
  TimePoint last_sign_;
  bool held_ = false;             // the peer has said that it runs the fill itself
  bool hedged_ = false;           // another was asked because this one was silent
  bool resuming_ = false;         // asked for the rest of a body
  bool is_part_ = false;          // asked for a part of one
  bool has_head_ = false;         // its answer is being taken ...
  TimePoint head_at_{};           // ... since then
  std::uint64_t skip_ = 0;        // bytes of its answer that we have already
  std::uint64_t answer_end_ = 0;  // where in the body its answer ends
  std::uint64_t brought_ = 0;     // bytes taken from it
  std::unique_ptr<Probe> probe_;
};

// Asks whether a silent peer still lives: any answer of its own to a HEAD of the same URL will do.
class Fill::Probe final : public FetchSink {
 public:
  Probe(Fill& fill, std::uint64_t attempt) : fill_(fill), attempt_(attempt) {}
  ~Probe() override { fill_.host_.fetcher().cancel(fetch_); }

  void on_interim(const http::ResponseHead&) override { tell(true); }
  bool on_head(const http::ResponseHead& head) override {
    tell(is_from_peer(head, fill_.host_.options().peers));
    return true;
  }
  bool on_body(ByteView) override { return true; }
  void on_end(FetchEnd, std::string_view) override {
    fetch_ = FetchId::none;
    tell(false);
    fill_.check_time();
  }

  Fill& fill_;
  const std::uint64_t attempt_;
  FetchId fetch_ = FetchId::none;
  bool told_ = false;
  bool over_ = false;  // replaced at the next turn of the timer: its fetch may be calling

 private:
  void tell(bool lives) {
    if (std::exchange(told_, true)) return;
    over_ = true;
    fill_.on_probe(attempt_, lives);
  }
};

}  // namespace reef::proxy
