// Reading objects back: Store::Core's pool jobs that never write.
#include <thread>

#include "proxy/store/core.h"
#include "proxy/store/error.h"
#include "proxy/store/record.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kVerifiedMax = 65536;  // beyond it all are forgotten and checked again

}  // namespace

bool Store::Core::load(std::string url, const UrlHash& hash, EventLoop& loop,
                       std::function<void(ObjectPtr)> done) {
  bool is_pending = false;
  ObjectPtr known;
  if (index_ != nullptr) {
    const std::lock_guard lock(mutex_);
    kick_if_due();  // the pool may have refused the writer when the queue was filled
    if (const auto found = pending_.find(hash); found != pending_.end()) {
      is_pending = true;
      if (found->second.object && found->second.object->head.url == url) known = found->second.object;
    }
  }
  if (is_pending || !may_have(hash)) {
    return loop.post([known = std::move(known), done = std::move(done)] { done(known); });
  }
  loads_.fetch_add(1, std::memory_order_relaxed);
  const bool is_submitted = submit_job([this, url = std::move(url), hash, &loop, done = std::move(done)] {
    ObjectPtr object = read(url, hash);
    (object ? load_hits_ : load_absent_).fetch_add(1, std::memory_order_relaxed);
    // The loop waits for this answer; a mailbox that is full for a moment must not swallow it.
    const std::function<void()> answer = [object = std::move(object), done] { done(object); };
    while (!loop.post(answer)) std::this_thread::yield();
  });
  if (!is_submitted) load_refused_.fetch_add(1, std::memory_order_relaxed);
  return is_submitted;
}

Store::Core::ObjectPtr Store::Core::read(const std::string& url, const UrlHash& hash) {
  auto found = index_->get(hash);
  if (!found || !*found) {
    if (!found && found.error().code != StoreError::damaged) note_failure(found.error(), "read the index");
    return nullptr;
  }
  const IndexEntry entry = (*found)->entry;
  auto object = rebuild(url, std::move(**found));
  if (!object) {
    // A file that is not there was evicted a moment ago, or is lost: the writer looks whether the entry still
    // is.
    const auto& code = object.error().code;
    const bool is_damaged = code == StoreError::damaged || code == std::errc::no_such_file_or_directory;
    if (!is_damaged) {
      note_failure(object.error(), "read an object");
      return nullptr;
    }
    const std::lock_guard lock(mutex_);
    if (!is_closing_ && queue_.size() < options_.queue_objects_max) {
      push({.kind = Kind::erase_damaged, .hash = hash, .id = entry.id});
    }
    return nullptr;
  }
  const auto granularity = static_cast<std::uint32_t>(options_.use_granularity.count());
  if (*object && entry.is_use_due(unix_seconds(), granularity)) touch(hash);
  return *object;
}

// Null: the hash is another URL's.
Result<Store::Core::ObjectPtr> Store::Core::rebuild(const std::string& url, Index::Found found) {
  const IndexEntry& entry = found.entry;
  Bytes body_bytes;
  if (!entry.has_file()) {
    if (entry.ring_bytes() > ring_.bytes()) return fail(store_error(StoreError::damaged, "index entry"));
    found.head.resize(entry.head_bytes);
    body_bytes.resize(entry.body_bytes);
    auto got = ring_.read(entry.at, found.head);
    if (got) got = ring_.read(entry.at + entry.head_bytes, body_bytes);
    if (!got) return fail(got.error());
  }
  auto stored = decode_head(found.head);
  if (!stored) return fail(stored.error());
  if (stored->head.url != url) return ObjectPtr{};
  auto body = entry.has_file() ? rebuild_from_file(*stored, entry.id) : rebuild_body(*stored, body_bytes);
  if (!body) return fail(body.error());
  return std::make_shared<const Object>(Object{std::move(stored->head), std::move(*body)});
}

Result<std::shared_ptr<const Body>> Store::Core::rebuild_body(const StoredHead& stored, ByteView bytes) {
  if (bytes.size() != stored.head.body_bytes || !stored.check.agrees(bytes)) {
    return fail(store_error(StoreError::damaged, "body"));
  }
  return Body::of(bytes);
}

Result<std::shared_ptr<const Body>> Store::Core::rebuild_from_file(const StoredHead& stored,
                                                                   const StoredId& id) {
  const std::uint64_t size = stored.head.body_bytes;
  auto file = files_->open(id, size);
  if (!file) return fail(file.error());
  if (size <= options_.ram_object_bytes_max) {
    Bytes bytes(static_cast<std::size_t>(size));
    if (auto got = read_at(file->get(), bytes, 0); !got) return fail(got.error());
    return rebuild_body(stored, bytes);
  }
  // Kept in memory by a start that had a larger ram_object_bytes_max: nobody knows its digest.
  if (stored.check.kind != BodyCheck::Kind::sha256)
    return fail(store_error(StoreError::damaged, "no digest"));
  if (auto verified = verify_file(file->get(), stored, id); !verified) return fail(verified.error());
  return Body::of_file(SpoolFile::adopted(std::move(*file), spool_), size, stored.check.value, true);
}

// What this process wrote is in the page cache as it was written; what an earlier one wrote may not have
// reached the disk before a power failure, so it is read through once.
Result<> Store::Core::verify_file(int fd, const StoredHead& stored, const StoredId& id) {
  if (id.boot == boot_) return {};
  {
    const std::lock_guard lock(mutex_);
    if (verified_.contains(id)) return {};
  }
  auto digest = digest_of_file(fd, stored.head.body_bytes);
  if (!digest) return fail(digest.error());
  if (*digest != stored.check.value) return fail(store_error(StoreError::damaged, "file"));
  const std::lock_guard lock(mutex_);
  if (verified_.size() >= kVerifiedMax) verified_.clear();
  verified_.insert(id);
  return {};
}

}  // namespace reef::proxy
