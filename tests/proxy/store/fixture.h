// What the store's tests share: a directory that goes away, a store with its pool and loop, objects by
// number.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/io/disk_pool.h"
#include "base/io/event_loop.h"
#include "proxy/store/store.h"

namespace reef::proxy::test {

namespace fs = std::filesystem;

class TempDir {
 public:
  TempDir() {
    std::string name = (fs::temp_directory_path() / "reef-store-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] std::string sub(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

// Bytes that depend on `seed` and position, so that a mixed-up or shifted body is seen.
inline Bytes pattern(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
  for (std::size_t i = 0; i < size; ++i) {
    if (i % 8 == 0) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
    }
    bytes[i] = static_cast<std::byte>(state >> (i % 8 * 8));
  }
  return bytes;
}

inline ObjectHead head_for(const std::string& url) {
  ObjectHead head;
  head.url = url;
  head.status = 200;
  head.fields = "Content-Type: text/plain\r\nX-Url: " + url + "\r\n";
  head.etag = "\"v1\"";
  head.last_modified = "Sun, 06 Nov 1994 08:49:37 GMT";
  head.policy.lifetime = std::chrono::seconds(600);
  head.policy.set(rules::CachePolicy::kHasEtag);
  return head;
}

// All bytes of a body, wherever they are.
inline Bytes read_body(const Body& body) {
  Bytes all;
  while (all.size() < body.progress().bytes) {
    const Piece piece = body.piece(all.size(), 1u << 20);
    REQUIRE(piece.size > 0);
    if (piece.in_memory()) {
      all.insert(all.end(), piece.memory.begin(), piece.memory.end());
      continue;
    }
    const std::size_t at = all.size();
    all.resize(at + piece.size);
    REQUIRE(::pread(piece.fd, all.data() + at, piece.size, static_cast<off_t>(piece.offset)) ==
            static_cast<ssize_t>(piece.size));
  }
  return all;
}

class StoreBox {
 public:
  explicit StoreBox(StoreOptions options) : options_(std::move(options)) { open(); }

  void open() {
    auto opened = Store::open(options_, pool_, loop_);
    REQUIRE_MESSAGE(opened.has_value(), (opened ? std::string{} : opened.error().message()));
    store_ = std::move(*opened);
  }
  void close() { store_.reset(); }
  void reopen() {
    close();
    open();
  }
  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  EventLoop& loop() { return loop_; }
  DiskPool& pool() { return pool_; }
  StoreOptions& options() { return options_; }

  std::shared_ptr<const Object> put(const std::string& url, ByteView body, bool announced = true) {
    auto writer = store_->begin(announced ? std::optional<std::uint64_t>(body.size()) : std::nullopt);
    REQUIRE(writer.has_value());
    for (std::size_t at = 0; at < body.size(); at += 10'000) {
      REQUIRE(
          (*writer)->append(body.subspan(at, std::min<std::size_t>(10'000, body.size() - at))).has_value());
    }
    auto object = (*writer)->finish(head_for(url));
    REQUIRE(object.has_value());
    return *object;
  }
  std::shared_ptr<const Object> load(const std::string& url) {
    std::shared_ptr<const Object> result;
    bool answered = false;
    REQUIRE(store_->load(url, store_->hasher()(url), loop_, [&](std::shared_ptr<const Object> object) {
      result = std::move(object);
      answered = true;
      loop_.stop();
    }));
    loop_.run();
    REQUIRE(answered);
    return result;
  }
  void flush() {
    REQUIRE(store_->flush(loop_, [this] { loop_.stop(); }));
    loop_.run();
  }
  [[nodiscard]] bool may_have(const std::string& url) const {
    return store_->may_have(store_->hasher()(url));
  }
  bool remove(const std::string& url) { return store_->remove(store_->hasher()(url)); }
  // Waits for what the pool does by itself after a start.
  template <class Condition>
  bool wait_for(Condition&& condition) {
    for (int i = 0; i < 1000; ++i) {
      if (condition()) return true;
      ::usleep(10'000);
    }
    return false;
  }

 private:
  StoreOptions options_;
  EventLoop loop_;
  DiskPool pool_{2, 4096};
  std::unique_ptr<Store> store_;
};

inline StoreOptions options_in(const TempDir& dir) {
  StoreOptions options;
  options.directory = dir.sub("store");
  options.objects_expected = 10'000;
  options.admission = Admission::all;  // most tests ask once
  return options;
}

// Sum of file sizes; files may come and go meanwhile.
inline std::uint64_t disk_usage(const std::string& directory) {
  std::uint64_t total = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    const std::uintmax_t size = it->is_regular_file(gone) ? it->file_size(gone) : 0;
    if (!gone) total += size;
  }
  return error ? ~std::uint64_t{0} : total;
}

}  // namespace reef::proxy::test
