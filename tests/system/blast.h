// Messages that no well-behaved peer sends: samples, and what comes of them when bytes are changed. For
// programs that throw them at a running server. Seeded: the same seed means the same messages everywhere.
#pragma once

#include <dirent.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/random.h"

namespace reef::blast {

using Message = std::vector<char>;

constexpr std::size_t kMessageBytesMax = 1472;  // a full Ethernet frame

// What every such program is told, and how it is used: PROGRAM HOST:PORT COUNT SEED SAMPLES_DIR [--skip
// BYTES]. Says why and ends with 2 where it is used wrongly.
[[noreturn]] inline void usage(const std::string& why) {
  std::fprintf(stderr, "%s\nusage: HOST:PORT COUNT SEED SAMPLES_DIR [--skip BYTES]\n", why.c_str());
  std::exit(2);
}

inline std::uint64_t number(const char* text) {
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0') usage(std::string("not a number: ") + text);
  return value;
}

// In order of their names, so that a seed means the same everywhere.
inline std::vector<Message> read_samples(const std::string& directory, std::size_t skip) {
  std::vector<std::string> names;
  if (DIR* dir = ::opendir(directory.c_str())) {
    while (const dirent* entry = ::readdir(dir)) {
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    ::closedir(dir);
  }
  std::sort(names.begin(), names.end());
  std::vector<Message> samples;
  for (const std::string& name : names) {
    std::ifstream file(directory + "/" + name, std::ios::binary);
    Message sample{std::istreambuf_iterator<char>(file), {}};
    if (sample.size() <= skip) continue;
    sample.erase(sample.begin(), sample.begin() + static_cast<std::ptrdiff_t>(skip));
    sample.resize(std::min(sample.size(), kMessageBytesMax));
    samples.push_back(std::move(sample));
  }
  if (samples.empty()) usage("no samples in " + directory);
  return samples;
}

class Mutator {
 public:
  Mutator(std::vector<Message> samples, std::uint64_t seed) : samples_(std::move(samples)), random_(seed) {}

  Message next() {
    if (random_.below(10) == 0) return noise(random_.below(600));
    Message out = sample();
    switch (random_.below(6)) {
      case 0:
        break;
      case 1:
        flip_bits(out);
        break;
      case 2:
        replace_bytes(out);
        break;
      case 3:
        out.resize(random_.below(out.size() + 1));
        break;
      case 4:
        grow(out);
        break;
      case 5:
        splice(out);
        break;
    }
    return out;
  }

 private:
  const Message& sample() { return samples_[random_.below(samples_.size())]; }
  char byte() { return static_cast<char>(random_()); }
  Message noise(std::size_t size) {
    Message out(size);
    for (char& c : out) c = byte();
    return out;
  }
  void flip_bits(Message& out) {
    for (std::uint64_t i = 1 + random_.below(8); i > 0; --i) {
      out[random_.below(out.size())] ^= static_cast<char>(1 << random_.below(8));
    }
  }
  void replace_bytes(Message& out) {
    static constexpr unsigned char kSpecial[] = {0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff};
    for (std::uint64_t i = 1 + random_.below(8); i > 0; --i) {
      out[random_.below(out.size())] =
          random_.below(2) == 0 ? byte() : static_cast<char>(kSpecial[random_.below(std::size(kSpecial))]);
    }
  }
  void grow(Message& out) {
    const Message more = noise(1 + random_.below(200));
    out.insert(out.begin() + static_cast<std::ptrdiff_t>(random_.below(out.size() + 1)), more.begin(),
               more.end());
    out.resize(std::min(out.size(), kMessageBytesMax));
  }
  void splice(Message& out) {
    const Message& other = sample();
    out.resize(random_.below(out.size() + 1));
    out.insert(out.end(), other.begin() + static_cast<std::ptrdiff_t>(random_.below(other.size() + 1)),
               other.end());
    out.resize(std::min(out.size(), kMessageBytesMax));
  }

  std::vector<Message> samples_;
  Random random_;
};

// The arguments, read.
struct Arguments {
  Endpoint target;  // on loopback
  std::uint64_t count = 0, seed = 0;
  std::vector<Message> samples;
};

inline Arguments read_arguments(int argc, char** argv) {
  std::size_t skip = 0;
  if (argc == 7 && std::string_view(argv[5]) == "--skip") {
    skip = number(argv[6]);
  } else if (argc != 5) {
    usage("wrong arguments");
  }
  const auto target = Endpoint::parse(argv[1]);
  if (!target) usage(target.error().message());
  if (!target->address.is_loopback()) usage("the target must be a loopback address");
  return {*target, number(argv[2]), number(argv[3]), read_samples(argv[4], skip)};
}

}  // namespace reef::blast
