// What Store::Core's writer does about small objects: where in the ring they go, and what gives way to them.
#include <algorithm>

#include "proxy/store/core.h"
#include "proxy/store/error.h"

namespace reef::proxy {

Result<> Store::Core::open_ring() {
  if (auto opened = ring_.open(options_.directory + "/small", options_.index_bytes_max - index_budget());
      !opened)
    return opened;
  auto txn = index_->begin();
  if (!txn) return fail(txn.error());
  // The file was longer once: what lies behind its new end could not give way in the order of the ring.
  while (ring_.file_bytes() > ring_.bytes()) {
    auto evicted = txn->evict_oldest(Index::Class::in_ring);
    if (!evicted) return fail(evicted.error());
    if (!*evicted) break;
  }
  auto first = txn->first(Index::Class::in_ring);
  auto last = txn->last(Index::Class::in_ring);
  if (!first || !last) return fail(first ? last.error() : first.error());
  if (auto done = txn->commit(); !done) return done;
  if (!*first || !(*first)->entry || !*last || !(*last)->entry) {
    ring_.start_at(0, std::nullopt);
  } else {
    ring_.start_at((*last)->entry->at + (*last)->entry->ring_bytes(), (*first)->entry->at);
  }
  return {};
}

std::uint64_t Store::Core::disk_charge() const {
  return std::max(index_->file_bytes(),
                  static_cast<std::uint64_t>(std::max<std::int64_t>(index_charge_, 0))) +
         ring_.file_bytes() + static_cast<std::uint64_t>(file_charge_);
}

void Store::Core::place_in_ring(Op& op, Bytes record) {
  op.head = std::move(record);
  op.entry.head_bytes = static_cast<std::uint32_t>(op.head.size());
  op.entry.body_bytes = static_cast<std::uint32_t>(op.object->head.body_bytes);
  op.entry.written = op.entry.last_use;
  op.entry.index_bytes = Index::charge(0);
}

// A new head of what is in the ring, or is on its way there, becomes a record of its own, if it belongs to
// the same body. One of what is in a file stays what it is.
void Store::Core::place_head(Op& op, const std::vector<Op>& batch) {
  const Body& body = *op.object->body;
  if (body.file() || op.object->head.body_bytes > options_.small_body_bytes_max) return;
  const auto earlier = std::find_if(std::make_reverse_iterator(batch.begin() + (&op - batch.data())),
                                    batch.rend(), [&](const Op& other) { return other.hash == op.hash; });
  std::optional<StoredHead> stored;
  if (earlier != batch.rend()) {
    if (earlier->entry.has_file() || earlier->head.empty()) return;
    if (auto head = decode_head(earlier->head)) stored = std::move(*head);
  } else if (auto found = index_->get(op.hash); found && *found && !(*found)->entry.has_file()) {
    const IndexEntry& entry = (*found)->entry;
    Bytes record(std::min<std::uint64_t>(entry.head_bytes, kRecordBytesMax));
    if (!ring_.read(entry.at, record)) return;
    if (auto head = decode_head(record)) stored = std::move(*head);
  }
  if (!stored || stored->head.url != op.object->head.url || !stored->check.agrees(body)) return;
  auto record = encode_head(op.object->head, stored->check);
  if (!record || record->size() + op.object->head.body_bytes > ring_.record_bytes_max()) return;
  op.kind = Kind::again;
  op.entry.id = {boot_, next_serial_++};
  op.entry.last_use = unix_seconds();
  presence_.add(op.hash);  // what it replaces is subtracted
  place_in_ring(op, std::move(*record));
}

Result<> Store::Core::write_ring(std::vector<Op>& batch) {
  const auto goes_there = [](const Op& op) {
    return (op.kind == Kind::put || op.kind == Kind::again) && !op.entry.has_file();
  };
  std::uint64_t bytes = 0, longest = 0;
  for (const Op& op : batch) {
    if (!goes_there(op)) continue;
    bytes += op.entry.ring_bytes();
    longest = std::max(longest, op.entry.ring_bytes());
  }
  if (bytes == 0) return {};
  ring_.discard();
  if (auto done = make_room_in_ring(bytes + longest); !done) {
    ring_.discard();
    return done;
  }
  for (Op& op : batch) {
    if (goes_there(op)) op.entry.at = ring_.append(op.head, op.object->body->block());
  }
  return ring_.write();
}

// What gives way is out of the committed index before anything is written over it, so that after a crash no
// entry leads to what came later.
Result<> Store::Core::make_room_in_ring(std::uint64_t bytes) {
  if (ring_.free_bytes() >= bytes) return {};
  auto txn = index_->begin();
  if (!txn) return fail(txn.error());
  Changes changes;
  std::optional<std::uint64_t> oldest;
  std::vector<Bytes> kept;
  while (true) {
    auto row = txn->first(Index::Class::in_ring);
    if (!row) return fail(row.error());
    if (!*row) {
      oldest.reset();
      break;
    }
    if ((*row)->entry) {
      oldest = (*row)->entry->at;
      if (ring_.free_bytes(oldest) >= bytes + ring_.spare_bytes()) break;
      auto moved = keep_in_ring(*txn, **row, kept);
      if (!moved) return fail(moved.error());
      if (*moved) continue;
    }
    if (auto evicted = evict_one(*txn, Index::Class::in_ring, changes); !evicted)
      return fail(evicted.error());
  }
  if (auto done = ring_.write(); !done) return done;
  if (auto done = txn->commit(); !done) return done;
  ring_.set_oldest(oldest);
  committed(changes);
  return {};
}

// What was asked for since it was written goes to the front once more, as far as there is room that is free
// already.
Result<bool> Store::Core::keep_in_ring(Index::Batch& txn, const Index::Batch::Row& row,
                                       std::vector<Bytes>& kept) {
  IndexEntry entry = *row.entry;
  // Twice: a record may be skipped over at the end of the file.
  if (entry.last_use <= entry.written || ring_.free_bytes() < 2 * entry.ring_bytes()) return false;
  Bytes record(static_cast<std::size_t>(entry.ring_bytes()));
  if (!ring_.read(entry.at, record)) return false;
  kept.push_back(std::move(record));
  entry.at = ring_.append(kept.back(), {});
  // Whoever read the entry before may find other bytes in its old place, which is not this one's fault.
  entry.id = {boot_, next_serial_++};
  entry.written = entry.last_use = unix_seconds();
  if (auto done = txn.move(row.hash, *row.entry, entry); !done) return fail(done.error());
  return true;
}

}  // namespace reef::proxy
