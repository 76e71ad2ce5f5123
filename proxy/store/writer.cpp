// Writing: Store::Core's single writer, which takes batches from the queue, one transaction and one sync
// each.
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/io/log.h"
#include "proxy/store/core.h"
#include "proxy/store/error.h"
#include "proxy/store/record.h"

namespace reef::proxy {
namespace {

constexpr std::int64_t kWarningPeriodNs = 60'000'000'000;
constexpr int kAttemptsMax = 4;                   // of a batch that finds the map full
constexpr std::size_t kMapSlackBytes = 4u << 20;  // growth that lets an eviction through
constexpr std::uint64_t kHeadroomShare =
    128;  // 1/128 of the budget is left for pages that the commit itself adds
constexpr std::uint64_t kCrowdedShare =
    16;  // with less than this part (1/16) of a budget left, the disk is full
constexpr std::int64_t kMapFullShare = 8;  // a full map gives up this part (1/8) of its objects

std::int64_t steady_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

// What of a head is written, roughly.
std::size_t head_size(const ObjectHead& head) { return head.url.size() + head.fields.size() + 256; }

bool is_map_full(const Error& error) { return is_lmdb(error, MDB_MAP_FULL) || is_lmdb(error, MDB_TXN_FULL); }

}  // namespace

void Store::Core::Changes::took_out(const UrlHash& hash, const IndexEntry& entry) {
  gone.push_back(hash);
  index_bytes -= entry.index_bytes;
  file_bytes -= static_cast<std::int64_t>(entry.file_bytes);
  --objects;
  if (entry.has_file()) files.push_back(entry.id);
}

void Store::Core::serve() {
  if (!is_scanned_) scan();
  while (true) {
    write_batch();
    const std::lock_guard lock(mutex_);
    if (is_closing_ || !is_due()) {
      is_running_ = false;
      return;
    }
    // Back to the end of the pool's queue, so that reads get their turn between batches.
    if (submit_job([this] { serve(); })) return;
  }
}

void Store::Core::scan() {
  is_scanned_ = true;
  std::vector<StoredId> known;
  std::uint64_t count = 0;
  auto scanned = index_->scan([&](const UrlHash& hash, const IndexEntry& entry) {
    presence_.add(hash);
    ++count;
    index_charge_ += entry.index_bytes;
    file_charge_ += static_cast<std::int64_t>(entry.file_bytes);
    if (entry.has_file()) known.push_back(entry.id);
  });
  objects_.store(count, std::memory_order_relaxed);
  disk_bytes_.store(disk_charge(), std::memory_order_relaxed);
  if (!scanned) {
    // may_have() keeps saying "maybe", and no file is taken for an orphan.
    note_failure(scanned.error(), "read the index");
    return;
  }
  is_presence_known_.store(true, std::memory_order_release);
  std::sort(known.begin(), known.end());
  const auto collect = [this, known = std::move(known)] {
    orphans_removed_.fetch_add(files_->collect_orphans(known), std::memory_order_relaxed);
  };
  if (!submit_job(collect)) collect();
}

std::vector<Store::Core::Op> Store::Core::take_batch(std::vector<UrlHash>& touched) {
  std::vector<Op> batch;
  std::uint64_t bytes = 0;
  const std::uint64_t bytes_max = std::min(options_.batch_bytes_max, ring_.batch_bytes_max());
  const std::lock_guard lock(mutex_);
  touched.swap(touched_);
  // First, so that they never undo what was written after them.
  batch.swap(retry_erases_);
  while (!queue_.empty() && batch.size() < options_.batch_objects_max && bytes < bytes_max) {
    if (const ObjectPtr& object = queue_.front().object)
      bytes += object->body->ram_bytes() + head_size(object->head);
    queued_body_bytes_ -= queue_.front().body_bytes;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_.store(queue_.size(), std::memory_order_relaxed);
  return batch;
}

void Store::Core::write_batch() {
  std::vector<UrlHash> touched;
  std::vector<Op> batch = take_batch(touched);
  const bool chooses = options_.admission == Admission::popular && is_crowded();
  for (Op& op : batch) {
    if (op.kind == Kind::put && chooses && !is_admitted(op)) forgo(op);
    if (op.kind == Kind::put) place(op);
    if (op.kind == Kind::head) place_head(op, batch);
  }
  const bool is_needed =
      !touched.empty() || is_over_budget() || std::any_of(batch.begin(), batch.end(), [](const Op& op) {
        return op.kind != Kind::fence && op.kind != Kind::forgone;
      });
  if (is_needed) {
    Result<> in_ring = write_ring(batch);
    auto changes = in_ring ? apply(batch, touched) : Result<Changes>(fail(in_ring.error()));
    for (int attempt = 1; !changes && is_map_full(changes.error()) && attempt < kAttemptsMax; ++attempt) {
      if (!make_room_in_map()) break;
      if (!in_ring) in_ring = write_ring(batch);
      changes = in_ring ? apply(batch, touched) : Result<Changes>(fail(in_ring.error()));
    }
    if (changes) {
      committed(*changes);
      settle(batch);
    } else {
      failed(batch, changes.error());
    }
  }
  if (!is_needed) settle(batch);
  for (Op& op : batch) {
    if (op.kind != Kind::fence) continue;
    while (!op.loop->post(op.done)) std::this_thread::yield();
  }
}

// Nearly every object that is added takes the place of another. Eviction keeps the charge below the budget,
// so "nearly full" is the state of a full disk.
bool Store::Core::is_crowded() const {
  const auto most = [](std::uint64_t bytes) {
    return static_cast<std::int64_t>(bytes - bytes / kCrowdedShare);
  };
  return index_charge_ >= most(std::min(index_budget(), map_full_at_)) || ring_.is_crowded() ||
         static_cast<std::int64_t>(disk_charge()) >= most(options_.disk_bytes_max);
}

// One-time objects would push out what others will ask for again. What is in a file has been written already,
// and the index of a URL's variants is what leads to them.
bool Store::Core::is_admitted(const Op& op) {
  const Object& object = *op.object;
  if (object.body->file() || object.head.policy.has(rules::CachePolicy::kVariantIndex)) return true;
  if (object.body->was_reused() || seen_.take(op.hash)) return true;
  seen_.add(op.hash);
  return false;
}

void Store::Core::forgo(Op& op) {
  persist_forgone_.fetch_add(1, std::memory_order_relaxed);
  presence_.subtract(op.hash);
  // An older response of this URL must not come back from the disk later.
  op.kind = may_have(op.hash) ? Kind::erase : Kind::forgone;
}

// Gives a put its id, its record and, for a long body, its file. What cannot be placed becomes an erase of
// what the disk has for that URL.
void Store::Core::place(Op& op) {
  const ObjectHead& head = op.object->head;
  op.entry.id = {boot_, next_serial_++};
  op.entry.last_use = unix_seconds();
  auto record = encode_head(head, BodyCheck::of(*op.object->body));
  const bool is_small = record && !op.object->body->file() &&
                        head.body_bytes <= options_.small_body_bytes_max &&
                        record->size() + head.body_bytes <= ring_.record_bytes_max();
  Result<> placed;
  if (!record) {
    placed = fail(record.error());
  } else if (op.object->body->file()) {
    placed = files_->adopt(op.object->body->file()->path(), op.entry.id);
    if (placed) op.object->body->file()->adopt();
  } else if (!is_small) {
    placed = files_->write(op.entry.id, op.object->body->block());
  }
  if (!placed) {
    if (placed.error().code != StoreError::too_large) note_failure(placed.error(), "write an object");
    persist_failed_.fetch_add(1, std::memory_order_relaxed);
    presence_.subtract(op.hash);
    op.kind = Kind::erase;
    return;
  }
  if (is_small) return place_in_ring(op, std::move(*record));
  op.head = std::move(*record);
  op.entry.file_bytes = ObjectFiles::charge(head.body_bytes);
  op.entry.index_bytes = Index::charge(op.head.size());
}

Result<Store::Core::Changes> Store::Core::apply(const std::vector<Op>& batch,
                                                const std::vector<UrlHash>& touched) {
  auto txn = index_->begin();
  if (!txn) return fail(txn.error());
  Changes changes;
  for (const Op& op : batch) {
    Result<> done;
    if (op.kind == Kind::put || op.kind == Kind::again) done = apply_put(*txn, op, changes);
    if (op.kind == Kind::head) done = apply_head(*txn, op, changes);
    if (op.kind == Kind::erase || op.kind == Kind::erase_damaged) done = apply_erase(*txn, op, changes);
    if (!done) return fail(done.error());
  }
  const std::uint32_t now = unix_seconds();
  const auto granularity = static_cast<std::uint32_t>(options_.use_granularity.count());
  for (const UrlHash& hash : touched) {
    if (auto done = txn->touch(hash, now, granularity); !done) return fail(done.error());
  }
  if (auto done = evict_to_budget(*txn, changes); !done) return fail(done.error());
  if (auto done = txn->commit(); !done) return fail(done.error());
  return changes;
}

Result<> Store::Core::apply_put(Index::Batch& txn, const Op& op, Changes& changes) {
  auto before = txn.put(op.hash, op.entry, op.entry.has_file() ? ByteView(op.head) : ByteView{});
  if (!before) return fail(before.error());
  if (*before) changes.took_out(op.hash, **before);
  changes.index_bytes += op.entry.index_bytes;
  changes.file_bytes += static_cast<std::int64_t>(op.entry.file_bytes);
  ++changes.objects;
  if (op.kind == Kind::put) ++changes.persisted;
  return {};
}

Result<> Store::Core::apply_head(Index::Batch& txn, const Op& op, Changes& changes) {
  auto entry = txn.entry(op.hash);
  if (!entry) return fail(entry.error());
  if (!*entry || !(*entry)->has_file()) return {};
  auto record = txn.head(op.hash);
  if (!record) return fail(record.error());
  const auto stored = decode_head(*record);
  const ObjectHead& head = op.object->head;
  // Another response came in between, or the record is damaged: the new head does not belong to what is
  // there.
  if (!stored || stored->head.url != head.url || !stored->check.agrees(*op.object->body)) return {};
  const auto renewed = encode_head(head, stored->check);
  if (!renewed) return {};
  IndexEntry now = **entry;
  now.index_bytes = Index::charge(renewed->size());
  changes.index_bytes += std::int64_t{now.index_bytes} - (*entry)->index_bytes;
  return txn.replace_head(op.hash, now, *renewed);
}

Result<> Store::Core::apply_erase(Index::Batch& txn, const Op& op, Changes& changes) {
  if (op.kind == Kind::erase_damaged) {
    auto entry = txn.entry(op.hash);
    if (!entry) return fail(entry.error());
    if (!*entry || (*entry)->id != op.id) return {};
    ++changes.damaged;
  }
  auto before = txn.erase(op.hash);
  if (!before) return fail(before.error());
  if (*before) changes.took_out(op.hash, **before);
  return {};
}

Result<bool> Store::Core::evict_one(Index::Batch& txn, Index::Class of, Changes& changes) {
  auto evicted = txn.evict_oldest(of);
  if (!evicted) return fail(evicted.error());
  if (!*evicted) return false;
  if (const auto& entry = (*evicted)->entry) {
    changes.took_out((*evicted)->hash, *entry);
    ++changes.evicted;
  }
  return true;
}

// Two budgets: the index must fit into its map, and index, ring, body files and spool into the whole.
Result<> Store::Core::evict_to_budget(Index::Batch& txn, Changes& changes) {
  const auto charged = [&] { return index_charge_ + changes.index_bytes; };
  while (charged() > static_cast<std::int64_t>(index_budget())) {
    auto evicted = evict_one(txn, Index::Class::in_ring, changes);
    if (evicted && !*evicted) evicted = evict_one(txn, Index::Class::in_file, changes);
    if (!evicted) return fail(evicted.error());
    if (!*evicted) break;
  }
  const auto in_index = static_cast<std::int64_t>(index_->file_bytes());
  const auto others = static_cast<std::int64_t>(spool_->disk_bytes() + ring_.file_bytes());
  while (std::max(in_index, charged()) + file_charge_ + changes.file_bytes + others >
         static_cast<std::int64_t>(options_.disk_bytes_max - options_.disk_bytes_max / kHeadroomShare)) {
    const auto evicted = evict_one(txn, Index::Class::in_file, changes);
    if (!evicted) return fail(evicted.error());
    if (!*evicted) break;
  }
  return {};
}

// Fragmentation, or heads larger than estimated: the map is full before the charge says so.
bool Store::Core::make_room_in_map() {
  map_full_at_ = std::min(map_full_at_, static_cast<std::uint64_t>(std::max<std::int64_t>(index_charge_, 0)));
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto evict_share = [this]() -> Result<Changes> {
      auto txn = index_->begin();
      if (!txn) return fail(txn.error());
      Changes changes;
      while (-changes.index_bytes * kMapFullShare < index_charge_) {
        auto evicted = evict_one(*txn, Index::Class::in_ring, changes);
        if (evicted && !*evicted) evicted = evict_one(*txn, Index::Class::in_file, changes);
        if (!evicted) return fail(evicted.error());
        if (!*evicted) break;
      }
      if (auto done = txn->commit(); !done) return fail(done.error());
      return changes;
    };
    auto changes = evict_share();
    if (changes) {
      committed(*changes);
      return changes->objects < 0;
    }
    // Even an eviction needs a few free pages.
    if (!is_map_full(changes.error()) || !index_->grow_map(kMapSlackBytes)) return false;
  }
  return false;
}

void Store::Core::committed(const Changes& changes) {
  for (const StoredId& id : changes.files) files_->remove(id);
  for (const UrlHash& hash : changes.gone) presence_.subtract(hash);
  index_charge_ += changes.index_bytes;
  file_charge_ += changes.file_bytes;
  objects_.fetch_add(static_cast<std::uint64_t>(changes.objects), std::memory_order_relaxed);
  disk_bytes_.store(disk_charge(), std::memory_order_relaxed);
  persisted_.fetch_add(changes.persisted, std::memory_order_relaxed);
  evicted_.fetch_add(changes.evicted, std::memory_order_relaxed);
  damaged_.fetch_add(changes.damaged, std::memory_order_relaxed);
}

// After a commit: what was pending and has not been overtaken is on disk now.
void Store::Core::settle(std::vector<Op>& batch) {
  std::vector<ObjectPtr> released;  // destroyed after the lock
  const std::lock_guard lock(mutex_);
  for (const Op& op : batch) {
    const auto found = pending_.find(op.hash);
    if (op.kind == Kind::fence || found == pending_.end() || found->second.sequence != op.sequence) continue;
    released.push_back(std::move(found->second.object));
    pending_.erase(found);
  }
}

// The transaction was undone. New objects stay in RAM only; what the disk holds under their URLs is out of
// date and must be erased once the disk takes writes again, like what was to be removed anyhow.
void Store::Core::failed(std::vector<Op>& batch, const Error& error) {
  note_failure(error, "write the index");
  std::vector<ObjectPtr> released;
  for (Op& op : batch) {
    if (op.kind == Kind::again) presence_.subtract(op.hash);
    if (op.kind != Kind::put) continue;
    if (op.entry.has_file()) files_->remove(op.entry.id);
    presence_.subtract(op.hash);
    persist_failed_.fetch_add(1, std::memory_order_relaxed);
    op.kind = Kind::erase;
    op.head = {};
  }
  const std::lock_guard lock(mutex_);
  for (Op& op : batch) {
    const auto found = pending_.find(op.hash);
    const bool is_last = found != pending_.end() && found->second.sequence == op.sequence;
    if (op.kind == Kind::erase && may_have(op.hash) && !is_closing_ &&
        retry_erases_.size() < options_.queue_objects_max) {
      if (is_last) released.push_back(std::move(found->second.object));
      released.push_back(std::move(op.object));
      retry_erases_.push_back({.kind = Kind::erase, .hash = op.hash, .sequence = op.sequence});
    } else if (is_last) {
      released.push_back(std::move(found->second.object));
      pending_.erase(found);
    }
  }
}

void Store::Core::note_failure(const Error& error, const char* doing) {
  io_errors_.fetch_add(1, std::memory_order_relaxed);
  const std::int64_t now = steady_ns();
  pause_until_ns_.store(now + std::chrono::nanoseconds(options_.retry_after_failure).count(),
                        std::memory_order_relaxed);
  std::int64_t last = last_warning_ns_.load(std::memory_order_relaxed);
  if (last != 0 && now - last < kWarningPeriodNs) return;
  if (!last_warning_ns_.compare_exchange_strong(last, now)) return;
  log::warn("proxy", "store=degraded directory={} doing=\"{}\" error=\"{}\"", options_.directory, doing,
            error.message());
}

}  // namespace reef::proxy
