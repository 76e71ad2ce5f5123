#include "proxy/store/store.h"

#include "proxy/store/core.h"

namespace reef::proxy {
namespace {

// What of a passing body waits for its reader: the fetch is read some tens of KiB at a time, and a socket
// takes about as much.
constexpr std::size_t kWindowBytes = 512 << 10;

}  // namespace

Result<std::unique_ptr<Store>> Store::open(StoreOptions options, DiskPool& pool, EventLoop& home) {
  auto core = std::make_shared<Core>(std::move(options), pool, home);
  if (auto opened = core->open(); !opened) return fail(opened.error());
  return std::unique_ptr<Store>(new Store(std::move(core)));
}

Store::Store(std::shared_ptr<Core> core) : core_(std::move(core)) {}

Store::~Store() { core_->close(); }

const UrlHasher& Store::hasher() const { return core_->hasher(); }

Result<std::unique_ptr<BodyWriter>> Store::begin(std::optional<std::uint64_t> expected_bytes) {
  return core_->begin(expected_bytes);
}

std::unique_ptr<BodyWriter> Store::begin_passing(std::optional<std::uint64_t> expected_bytes) {
  // No block of the announced length: a window takes its place.
  auto writer = std::make_unique<BodyWriter>(BodyLimits{.ram_object_bytes_max = 0, .object_bytes_max = 0},
                                             nullptr, expected_bytes, nullptr);
  writer->make_window(kWindowBytes);
  return writer;
}

bool Store::may_have(const UrlHash& hash) const { return core_->may_have(hash); }

bool Store::load(std::string url, const UrlHash& hash, EventLoop& loop,
                 std::function<void(std::shared_ptr<const Object>)> done) {
  return core_->load(std::move(url), hash, loop, std::move(done));
}

void Store::update_head(const UrlHash& hash, std::shared_ptr<const Object> object) {
  core_->update_head(hash, std::move(object));
}

bool Store::remove(const UrlHash& hash) { return core_->remove(hash); }

void Store::touch(const UrlHash& hash) { core_->touch(hash); }

void Store::write_due() { core_->write_due(); }

bool Store::flush(EventLoop& loop, std::function<void()> done) { return core_->flush(loop, std::move(done)); }

StoreStats Store::stats() const { return core_->stats(); }

}  // namespace reef::proxy
