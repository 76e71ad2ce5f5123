// The object store alone: what writing costs, how long a restart takes, and whether the disk ever holds up a
// loop.
//
//   reef_bench_store DIRECTORY OBJECTS
//
// Fills a store in DIRECTORY (to be empty) with OBJECTS objects of 1 KiB, opens it again with its pages in
// memory and with none of them, and then reads 2,000 objects of 12 KiB and 200 of 4 MiB, none of them in
// memory, while a timer of the same loop ticks every millisecond. Prints one JSON object; progress goes to
// standard error. Times in ms.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/io/disk_pool.h"
#include "base/io/event_loop.h"
#include "proxy/store/store.h"

namespace {

using namespace reef;
using namespace reef::proxy;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kFillBytes = 1024;
constexpr std::size_t kFilledAtOnce = 2048;  // below the store's bound of waiting objects

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double cpu_us() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& tv) {
    return static_cast<double>(tv.tv_sec) * 1e6 + static_cast<double>(tv.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

struct Box {
  EventLoop loop;
  DiskPool pool{2, 1024};
  StoreOptions options;
  std::unique_ptr<Store> store;

  explicit Box(StoreOptions with) : options(std::move(with)) {}

  void open() {
    auto opened = Store::open(options, pool, loop);
    if (!opened) throw std::runtime_error(opened.error().message());
    store = std::move(*opened);
  }
  void put(const std::string& url, ByteView body) {
    auto writer = store->begin(body.size());
    if (!writer || !(*writer)->append(body)) throw std::runtime_error("no room for " + url);
    ObjectHead head;
    head.url = url;
    head.status = 200;
    head.fields = "Content-Type: text/plain\r\n";
    head.etag = "\"v1\"";
    head.policy.lifetime = std::chrono::hours(24);
    if (!(*writer)->finish(std::move(head))) throw std::runtime_error("cannot finish " + url);
  }
  void flush() {
    if (!store->flush(loop, [this] { loop.stop(); })) throw std::runtime_error("flush was refused");
    loop.run();
  }
};

std::string small_url(std::size_t i) { return "http://example.com/small/" + std::to_string(i); }
std::string cold_url(std::size_t i) { return "http://example.com/cold/" + std::to_string(i); }

// So that the next reads come from the disk. Files only leave memory when their bytes have reached the disk.
void drop_from_memory(const fs::path& directory) {
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    ::fsync(fd);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
}

struct Restart {
  double open_ms = 0, first_object_ms = 0, ready_ms = 0;
};

// From the start of open() to: its end, the first object, the whole index.
Restart restart(Box& box, std::size_t objects) {
  box.store.reset();
  Restart out;
  const auto start = Clock::now();
  box.open();
  out.open_ms = ms_since(start);
  const std::string url = small_url(objects / 2);
  bool found = false;
  const bool asked =
      box.store->load(url, box.store->hasher()(url), box.loop, [&](std::shared_ptr<const Object> object) {
        found = object != nullptr;
        out.first_object_ms = ms_since(start);
        box.loop.stop();
      });
  if (asked) box.loop.run();
  if (!found) throw std::runtime_error("an object is gone after the restart");
  Timer poll(box.loop, [&] {
    if (box.store->stats().objects >= objects) {
      out.ready_ms = ms_since(start);
      box.loop.stop();
    } else {
      poll.start(2ms);
    }
  });
  poll.start(Duration::zero());
  box.loop.run();
  return out;
}

struct Turns {
  double longest_ms = 0, took_ms = 0;
  std::size_t ticks = 0;
};

// Times a timer of 1 ms on the loop until `count` loads, 16 at a time, have been answered and their bodies
// read.
Turns loads_beside_timer(Box& box, std::size_t first, std::size_t count) {
  constexpr std::size_t kAtOnce = 16;
  Turns out;
  std::size_t asked = 0, answered = 0;
  std::function<void()> ask = [&] {
    if (asked == count) return;
    const std::string url = cold_url(first + asked++);
    const bool taken =
        box.store->load(url, box.store->hasher()(url), box.loop, [&](std::shared_ptr<const Object> object) {
          if (object == nullptr) throw std::runtime_error("an object is gone");
          ++answered;
          ask();
        });
    if (!taken) throw std::runtime_error("a load was refused");
  };
  const auto start = Clock::now();
  auto last = start;
  Timer tick(box.loop, [&] {
    const auto now = Clock::now();
    out.longest_ms = std::max(out.longest_ms, std::chrono::duration<double, std::milli>(now - last).count());
    last = now;
    ++out.ticks;
    if (answered == count && ms_since(start) > 500) return box.loop.stop();
    tick.start(1ms);
  });
  tick.start(1ms);
  for (std::size_t i = 0; i < std::min(count, kAtOnce); ++i) ask();
  box.loop.run();
  out.took_ms = ms_since(start);
  return out;
}

void print(const char* name, const Restart& r) {
  std::printf("\"%s\": {\"open_ms\": %.1f, \"first_object_ms\": %.1f, \"ready_ms\": %.1f}, ", name, r.open_ms,
              r.first_object_ms, r.ready_ms);
}
void print(const char* name, const Turns& t) {
  std::printf("\"%s\": {\"longest_turn_ms\": %.2f, \"took_ms\": %.0f, \"ticks\": %zu}, ", name, t.longest_ms,
              t.took_ms, t.ticks);
}

void run(const std::string& directory, std::size_t objects) {
  constexpr std::size_t kMedium = 2000, kLarge = 200;
  StoreOptions options;
  options.directory = directory + "/store";
  options.disk_bytes_max = 64ull << 30;
  options.objects_expected = objects;
  Box box(options);
  box.open();

  const Bytes body(kFillBytes, std::byte{'x'});
  const double cpu = cpu_us();
  const auto start = Clock::now();
  for (std::size_t i = 0; i < objects; ++i) {
    box.put(small_url(i), body);
    if (i % kFilledAtOnce == kFilledAtOnce - 1 || i + 1 == objects) {
      box.flush();
      std::fprintf(stderr, "\rstore: %zu of %zu objects written  [%.0f s]", i + 1, objects,
                   ms_since(start) / 1000);
    }
  }
  std::fprintf(stderr, "\n");
  const double fill_cpu_us = (cpu_us() - cpu) / static_cast<double>(objects);
  const Bytes medium(12 << 10, std::byte{'m'}), large(4 << 20, std::byte{'l'});
  for (std::size_t i = 0; i < kMedium; ++i) box.put(cold_url(i), medium);
  box.flush();
  for (std::size_t i = 0; i < kLarge; ++i) box.put(cold_url(kMedium + i), large);
  box.flush();
  const std::size_t all = objects + kMedium + kLarge;
  if (box.store->stats().objects != all) throw std::runtime_error("not everything was written");

  const Restart warm = restart(box, all);
  box.store.reset();
  drop_from_memory(directory);
  const Restart cold = restart(box, all);
  box.store.reset();
  drop_from_memory(directory);
  static_cast<void>(restart(box, all));
  std::fprintf(stderr, "store: reading cold objects beside a timer\n");
  const Turns idle = loads_beside_timer(box, 0, 0);
  const Turns of_medium = loads_beside_timer(box, 0, kMedium);
  const Turns of_large = loads_beside_timer(box, kMedium, kLarge);

  std::printf("{\"objects\": %zu, \"fill_cpu_us\": %.2f, \"disk_bytes\": %lu, ", all, fill_cpu_us,
              box.store->stats().disk_bytes);
  print("restart_warm", warm);
  print("restart_cold", cold);
  print("idle", idle);
  print("cold_12k", of_medium);
  print("cold_4m", of_large);
  std::printf("\"timer_ms\": 1}\n");
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t objects = argc == 3 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (objects == 0) {
    std::fprintf(stderr, "usage: %s DIRECTORY OBJECTS\n", argv[0]);
    return 2;
  }
  try {
    run(argv[1], objects);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "store: %s\n", error.what());
    return 1;
  }
  return 0;
}
