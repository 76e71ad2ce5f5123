// What one name server counts. Written by its loop, read by anyone.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/metrics.h"
#include "dnsd/responder.h"

namespace reef::dnsd {

struct Counters {
  std::array<Counter, 2> queries;  // by Transport: datagrams, and messages on connections
  std::array<Counter, 9> qtypes;   // in the order of kQtypeNames
  std::array<Counter, 9> rcodes;   // in the order of kRcodeNames
  std::array<Counter, kSilences> silences;
  std::array<Counter, dsht::kLevels> levels;       // responses for which it mattered, by the client's level
  std::array<Counter, kSources> sources;           // the same, by how the level was found
  Counter subnets;                                 // the same, where the client was a client subnet
  Counter verdicts_wanted;                         // networks that were given out to be looked into
  Counter held;                                    // answers that waited for a verdict
  Counter truncated;                               // responses with TC, by size
  Counter slipped;                                 // responses with TC, by the rate limit
  Counter oversized;                               // datagrams larger than any query, dropped
  Counter send_failed;                             // responses that the kernel did not take
  Counter tcp_accepted, tcp_refused;               // connections; refused: too many from one client
  Counter tcp_evicted, tcp_timed_out, tcp_broken;  // closed for a newcomer, when idle, for nonsense

  static constexpr std::array<std::string_view, 2> kTransportNames = {"udp", "tcp"};
  static constexpr std::array<std::string_view, 9> kQtypeNames = {"A",  "AAAA",  "NS",  "SOA",  "TXT",
                                                                  "MX", "HTTPS", "ANY", "other"};
  static constexpr std::array<std::string_view, 9> kRcodeNames = {
      "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "BADVERS", "other"};
  static constexpr std::array<std::string_view, dsht::kLevels> kLevelNames = {"0", "1", "2"};
  static constexpr std::array<std::uint16_t, 8> kQtypes = {1, 28, 2, 6, 16, 15, 65, 255};

  void count(Transport transport, const Outcome& outcome) {
    queries[static_cast<std::size_t>(transport)].add();
    if (outcome.bytes == 0) return silences[static_cast<std::size_t>(outcome.silence)].add();
    if (outcome.qtype != 0) {
      std::size_t i = 0;
      while (i < kQtypes.size() && kQtypes[i] != outcome.qtype) ++i;
      qtypes[i].add();
    }
    const auto rcode = static_cast<std::size_t>(outcome.rcode);
    rcodes[rcode <= 6 ? rcode : outcome.rcode == Rcode::badvers ? 7 : 8].add();
    if (outcome.level) {
      levels[*outcome.level].add();
      sources[static_cast<std::size_t>(outcome.source)].add();
      if (outcome.subnet) subnets.add();
    }
    if (outcome.limited) {
      slipped.add();
    } else if (outcome.truncated) {
      truncated.add();
    }
  }

  // Calls visit(metric, label name, label value, number) for each, in the words of the metrics page; label
  // names may be empty.
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::size_t i = 0; i < queries.size(); ++i) {
      visit("dns_queries", "transport", kTransportNames[i], queries[i].value());
    }
    for (std::size_t i = 0; i < qtypes.size(); ++i)
      visit("dns_qtypes", "type", kQtypeNames[i], qtypes[i].value());
    for (std::size_t i = 0; i < rcodes.size(); ++i)
      visit("dns_responses", "rcode", kRcodeNames[i], rcodes[i].value());
    for (std::size_t i = 0; i < levels.size(); ++i)
      visit("dns_levels", "level", kLevelNames[i], levels[i].value());
    for (std::size_t i = 0; i < sources.size(); ++i)
      visit("dns_verdicts", "source", to_string(static_cast<Source>(i)), sources[i].value());
    for (std::size_t i = 1; i < silences.size(); ++i) {
      visit("dns_silences", "reason", std::string_view(to_string(static_cast<Silence>(i))),
            silences[i].value());
    }
    const std::string_view none;
    visit("dns_client_subnets", none, none, subnets.value());
    visit("dns_verdicts_wanted", none, none, verdicts_wanted.value());
    visit("dns_answers_held", none, none, held.value());
    visit("dns_silences", "reason", std::string_view("oversized"), oversized.value());
    visit("dns_truncated", "reason", std::string_view("size"), truncated.value());
    visit("dns_truncated", "reason", std::string_view("rate_limit"), slipped.value());
    visit("dns_send_failed", none, none, send_failed.value());
    visit("dns_tcp_accepted", none, none, tcp_accepted.value());
    visit("dns_tcp_closed", "reason", std::string_view("refused"), tcp_refused.value());
    visit("dns_tcp_closed", "reason", std::string_view("evicted"), tcp_evicted.value());
    visit("dns_tcp_closed", "reason", std::string_view("timed_out"), tcp_timed_out.value());
    visit("dns_tcp_closed", "reason", std::string_view("broken"), tcp_broken.value());
  }
};

}  // namespace reef::dnsd
