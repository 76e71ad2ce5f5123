#include "proxy/store/core.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/crypto.h"
#include "base/io/log.h"
#include "proxy/store/error.h"

namespace reef::proxy {
namespace {

// Blocks double up to 2 GiB; a bound far above any sensible setting.
constexpr std::size_t kRamObjectBytesMax = 1u << 30;
constexpr std::uint64_t kDiskBytesMin = 2u << 20;
constexpr std::size_t kTouchedMax = 4096;
constexpr std::size_t kTouchedWorthACommit = 256;
// Removals may wait beyond the queue's bound, because forgetting one would serve what must not be served.
constexpr std::size_t kRemovalsPerQueue = 16;

StoreOptions sane(StoreOptions options) {
  options.disk_bytes_max = std::max(options.disk_bytes_max, kDiskBytesMin);
  options.ram_object_bytes_max = std::min(options.ram_object_bytes_max, kRamObjectBytesMax);
  options.small_body_bytes_max = std::min(options.small_body_bytes_max, options.ram_object_bytes_max);
  if (options.index_bytes_max == 0) options.index_bytes_max = options.disk_bytes_max / 2;
  options.index_bytes_max = std::min(options.index_bytes_max, options.disk_bytes_max);
  options.batch_objects_max = std::max<std::size_t>(options.batch_objects_max, 1);
  return options;
}

std::int64_t steady_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

std::uint64_t random_number() {
  std::array<std::byte, 8> bytes;
  random_bytes(bytes);
  return ByteReader(bytes).u64();
}

}  // namespace

Store::Core::Core(StoreOptions options, DiskPool& pool, EventLoop& home)
    : options_(sane(std::move(options))),
      pool_(pool),
      home_(home),
      boot_(random_number()),
      hasher_(UrlHasher::with_random_secret()),
      presence_(options_.directory.empty() ? 0 : options_.objects_expected),
      seen_(options_.directory.empty() ? 0 : options_.seen_max) {}

Result<> Store::Core::open() {
  const Spool::Limits limits{.disk_bytes_max = options_.disk_bytes_max / 2,
                             .memory_bytes_max = options_.memory_spool_bytes_max};
  if (options_.directory.empty()) {
    spool_ = std::make_shared<Spool>(std::string{}, limits);
    return {};
  }
  const std::string& directory = options_.directory;
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno_error(directory));
  const std::string lock_path = directory + "/lock";
  lock_ = Fd(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_.is_open()) return fail(errno_error(lock_path));
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return fail(store_error(StoreError::in_use, directory));
    return fail(errno_error(lock_path));
  }
  files_ = std::make_unique<ObjectFiles>(directory, boot_);
  if (auto prepared = files_->prepare(); !prepared) return prepared;
  const std::string index_path = directory + "/index";
  if (::mkdir(index_path.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno_error(index_path));
  std::string replaced;
  auto index = Index::open(index_path, options_.index_bytes_max, replaced);
  if (!index) return fail(index.error());
  if (!replaced.empty()) log::warn("proxy", "store=replaced directory={} reason=\"{}\"", directory, replaced);
  index_ = std::move(*index);
  hasher_ = UrlHasher(index_->secret());
  spool_ = std::make_shared<Spool>(files_->spool_directory(), limits);
  spool_->set_discard([weak = weak_from_this()](Fd& fd, const std::string& path) {
    const auto core = weak.lock();
    return core != nullptr && core->discard(fd, path);
  });
  if (auto opened = open_ring(); !opened) return opened;
  const std::lock_guard lock(mutex_);
  kick();
  return {};
}

void Store::Core::close() {
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
  }
  {
    std::unique_lock lock(jobs_mutex_);
    takes_jobs_ = false;
    jobs_ended_.wait(lock, [this] { return jobs_ == 0; });
  }
  if (index_ == nullptr) return;
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty() && touched_.empty()) break;
    }
    write_batch();
  }
  index_.reset();
  ::rmdir(files_->spool_directory().c_str());  // stays while bodies are still read from it
  lock_.reset();
}

bool Store::Core::submit_job(std::function<void()> work) {
  {
    const std::lock_guard lock(jobs_mutex_);
    if (!takes_jobs_) return false;
    ++jobs_;
  }
  auto job = [self = shared_from_this(), work = std::move(work)] {
    work();
    self->end_job();
  };
  if (pool_.submit(std::move(job), home_, {})) return true;
  end_job();
  return false;
}

void Store::Core::end_job() {
  const std::lock_guard lock(jobs_mutex_);
  --jobs_;
  jobs_ended_.notify_all();
}

bool Store::Core::discard(Fd& fd, const std::string& path) {
  const auto held = std::make_shared<Fd>(std::move(fd));
  const bool is_taken = submit_job([held, path] {
    held->reset();
    if (!path.empty()) ::unlink(path.c_str());
  });
  if (!is_taken) fd = std::move(*held);
  return is_taken;
}

Result<std::unique_ptr<BodyWriter>> Store::Core::begin(std::optional<std::uint64_t> expected_bytes) {
  if (expected_bytes && *expected_bytes > options_.object_bytes_max)
    return fail(store_error(StoreError::too_large));
  if (index_ != nullptr && is_over_budget()) {
    const std::lock_guard lock(mutex_);
    kick();
  }
  const BodyLimits limits{.ram_object_bytes_max = options_.ram_object_bytes_max,
                          .object_bytes_max = options_.object_bytes_max};
  return std::make_unique<BodyWriter>(
      limits, spool_, expected_bytes,
      [self = shared_from_this()](ObjectPtr object) { self->keep(std::move(object)); });
}

bool Store::Core::may_have(const UrlHash& hash) const {
  if (index_ == nullptr) return false;
  return !is_presence_known_.load(std::memory_order_acquire) || presence_.may_contain(hash);
}

bool Store::Core::is_pausing() const { return steady_ns() < pause_until_ns_.load(std::memory_order_relaxed); }

bool Store::Core::is_over_budget() const {
  return disk_bytes_.load(std::memory_order_relaxed) + spool_->disk_bytes() > options_.disk_bytes_max;
}

// With mutex_ held.
void Store::Core::push(Op op) {
  op.sequence = next_sequence_++;
  op.since_ns = steady_ns();
  // What is to be gone must not come back after a crash, files of the spool take the room of running fills,
  // and whoever waits for a fence waits for the disk.
  const bool can_wait = (op.kind == Kind::put && !op.object->body->file()) || op.kind == Kind::head;
  if (!can_wait) urgent_ = op.sequence;
  queued_body_bytes_ += op.body_bytes;
  queue_.push_back(std::move(op));
  queued_.store(queue_.size(), std::memory_order_relaxed);
  kick_if_due();
}

// With mutex_ held; what it displaces is for the caller to destroy after the lock.
void Store::Core::push_erase(const UrlHash& hash, ObjectPtr& displaced) {
  Pending& pending = pending_[hash];
  displaced = std::move(pending.object);
  pending = {.object = nullptr, .sequence = next_sequence_};
  push({.kind = Kind::erase, .hash = hash});
}

// With mutex_ held.
void Store::Core::kick() {
  if (is_running_ || is_closing_) return;
  is_running_ = submit_job([this] { serve(); });
}

// With mutex_ held. Whether the queue is worth a transaction.
bool Store::Core::is_due() const {
  if (queue_.empty()) return false;
  return queue_.front().sequence <= urgent_ ||
         queue_.size() >= std::min(options_.batch_objects_max, options_.queue_objects_max / 2 + 1) ||
         queued_body_bytes_ >= std::min(options_.batch_bytes_max, options_.queue_bytes_max / 2) ||
         steady_ns() - queue_.front().since_ns >= std::chrono::nanoseconds(options_.write_delay).count();
}

// With mutex_ held.
void Store::Core::kick_if_due() {
  if (!is_running_ && is_due()) kick();
}

void Store::Core::write_due() {
  if (queued_.load(std::memory_order_relaxed) == 0) return;
  const std::lock_guard lock(mutex_);
  kick_if_due();
}

void Store::Core::keep(ObjectPtr object) {
  if (index_ == nullptr) return;
  const UrlHash hash = hasher_(object->head.url);
  const std::size_t body_bytes = object->body->ram_bytes();
  ObjectPtr displaced;
  const std::lock_guard lock(mutex_);
  if (is_closing_ || is_pausing() || queue_.size() >= options_.queue_objects_max ||
      queued_body_bytes_ + body_bytes > options_.queue_bytes_max) {
    persist_dropped_.fetch_add(1, std::memory_order_relaxed);
    // An older response of this URL must not come back from the disk later.
    if (!is_closing_ && may_have(hash)) push_erase(hash, displaced);
    return;
  }
  presence_.add(hash);
  Pending& pending = pending_[hash];
  displaced = std::move(pending.object);
  pending = {.object = object, .sequence = next_sequence_};
  push({.kind = Kind::put, .hash = hash, .object = std::move(object), .body_bytes = body_bytes});
}

void Store::Core::update_head(const UrlHash& hash, ObjectPtr object) {
  if (index_ == nullptr || !may_have(hash)) return;
  ObjectPtr displaced;
  const std::lock_guard lock(mutex_);
  if (is_closing_ || is_pausing() || queue_.size() >= options_.queue_objects_max) return;
  if (const auto found = pending_.find(hash); found != pending_.end()) {
    // Only on top of the same body; otherwise the head has lost a race with a newer response.
    if (!found->second.object || !BodyCheck::of(*object->body).agrees(*found->second.object->body)) return;
    displaced = std::move(found->second.object);
    found->second = {.object = object, .sequence = next_sequence_};
  }
  push({.kind = Kind::head, .hash = hash, .object = std::move(object)});
}

bool Store::Core::remove(const UrlHash& hash) {
  if (index_ == nullptr || !may_have(hash)) return true;
  ObjectPtr displaced;
  const std::lock_guard lock(mutex_);
  if (queue_.size() >= options_.queue_objects_max * kRemovalsPerQueue) return false;
  push_erase(hash, displaced);
  return true;
}

void Store::Core::touch(const UrlHash& hash) {
  if (index_ == nullptr) return;
  const std::lock_guard lock(mutex_);
  if (is_closing_ || touched_.size() >= kTouchedMax) return;
  touched_.push_back(hash);
  if (touched_.size() >= kTouchedWorthACommit) kick();
}

bool Store::Core::flush(EventLoop& loop, std::function<void()> done) {
  if (index_ == nullptr) return loop.post(std::move(done));
  const std::lock_guard lock(mutex_);
  if (is_closing_ || queue_.size() >= options_.queue_objects_max * kRemovalsPerQueue) return false;
  push({.kind = Kind::fence, .hash = {}, .loop = &loop, .done = std::move(done)});
  return true;
}

StoreStats Store::Core::stats() const {
  const auto read = [](const Total& total) { return total.load(std::memory_order_relaxed); };
  return {.objects = read(objects_),
          .disk_bytes = read(disk_bytes_),
          .spool_bytes = spool_->disk_bytes(),
          .queued = read(queued_),
          .loads = read(loads_),
          .load_hits = read(load_hits_),
          .load_absent = read(load_absent_),
          .load_refused = read(load_refused_),
          .persisted = read(persisted_),
          .persist_dropped = read(persist_dropped_),
          .persist_failed = read(persist_failed_),
          .persist_forgone = read(persist_forgone_),
          .evicted = read(evicted_),
          .damaged = read(damaged_),
          .orphans_removed = read(orphans_removed_),
          .io_errors = read(io_errors_) + spool_->failures()};
}

}  // namespace reef::proxy
