// Requests as caches see them, for comparing eviction policies. Deterministic for a seed.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace reef::bench {

struct Trace {
  std::string_view name;
  std::vector<std::uint32_t> requests;  // object numbers, in order of time
  std::vector<std::uint32_t> bytes;     // of each object's body
};

// Popularity after Zipf with exponent 0.8 (Breslau, Cao, Fan, Phillips, Shenker: Web caching and Zipf-like
// distributions, INFOCOM 1999: 0.64 to 0.83), broken by crawlers: every so often one walks through many
// objects in order, half of them such that nobody else asks for.
[[nodiscard]] Trace zipf_with_scans(std::uint64_t seed);

// A generated day with the statistics of CoralCDN's on 20 January 2009 (Freedman: Experiences with CoralCDN,
// NSDI 2010, section 3): 9.74 million requests for 596,000 URLs, 448,000 for the first, more than 38 % for
// the first 60 (52 MB together), 80 % for the first 1 % (1.8 GB), 70 % of the URLs asked for once. What was
// not told is assumed: half of the URLs live by a crowd that decays within hours, and those outside the first
// 1 % are 60 KB on average.
[[nodiscard]] Trace coral_day(std::uint64_t seed);

}  // namespace reef::bench
