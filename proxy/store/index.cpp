#include "proxy/store/index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "base/crypto.h"
#include "base/io/fd.h"
#include "proxy/store/error.h"

namespace reef::proxy {
namespace {

constexpr std::string_view kFormat = "reef store 4";
constexpr unsigned kTables = 4;
constexpr unsigned kReadersMax = 126;  // transactions at once; the disk pool has a handful of threads
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kHashBytes = 16;
constexpr std::size_t kEntryBytes = 60;
constexpr std::size_t kAgeKeyBytes = 9;

using HashKey = std::array<std::byte, kHashBytes>;
using AgeKey = std::array<std::byte, kAgeKeyBytes>;
using EntryRecord = std::array<std::byte, kEntryBytes>;

HashKey key_of(const UrlHash& hash) {
  HashKey key;
  ByteWriter out(key);
  out.u64(hash.high);
  out.u64(hash.low);
  return key;
}

UrlHash hash_of(ByteView key) {
  ByteReader in(key);
  UrlHash hash;
  hash.high = in.u64();
  hash.low = in.u64();
  return hash;
}

AgeKey age_key(const IndexEntry& entry) {
  AgeKey key;
  ByteWriter out(key);
  out.u8(static_cast<std::uint8_t>(entry.has_file() ? Index::Class::in_file : Index::Class::in_ring));
  out.u64(entry.use);
  return key;
}

EntryRecord encode(const IndexEntry& entry) {
  EntryRecord record;
  ByteWriter out(record);
  out.u64(entry.id.boot);
  out.u64(entry.id.serial);
  out.u64(entry.file_bytes);
  out.u32(entry.index_bytes);
  out.u32(entry.last_use);
  out.u64(entry.use);
  out.u64(entry.at);
  out.u32(entry.head_bytes);
  out.u32(entry.body_bytes);
  out.u32(entry.written);
  return record;
}

std::optional<IndexEntry> decode(ByteView record) {
  if (record.size() != kEntryBytes) return std::nullopt;
  ByteReader in(record);
  IndexEntry entry;
  entry.id.boot = in.u64();
  entry.id.serial = in.u64();
  entry.file_bytes = in.u64();
  entry.index_bytes = in.u32();
  entry.last_use = in.u32();
  entry.use = in.u64();
  entry.at = in.u64();
  entry.head_bytes = in.u32();
  entry.body_bytes = in.u32();
  entry.written = in.u32();
  return entry;
}

Bytes copy(const MDB_val& val) {
  const ByteView view = to_view(val);
  return {view.begin(), view.end()};
}

// What one key and value take in a B-tree whose pages are about two thirds full; large values have pages of
// their own.
std::size_t node_bytes(std::size_t key, std::size_t value) {
  constexpr std::size_t kNodeOverhead = 10, kPageHeader = 16, kInPageMax = kPageBytes / 2 - 100;
  if (value <= kInPageMax) return (key + value + kNodeOverhead) * 3 / 2;
  return (key + kNodeOverhead + 8) * 3 / 2 + (value + kPageHeader + kPageBytes - 1) / kPageBytes * kPageBytes;
}

bool is_unreadable(const Error& error) {
  return is_lmdb(error, MDB_INVALID) || is_lmdb(error, MDB_VERSION_MISMATCH) ||
         is_lmdb(error, MDB_CORRUPTED) || is_lmdb(error, MDB_PAGE_NOTFOUND) ||
         is_lmdb(error, MDB_INCOMPATIBLE) || error.code == StoreError::damaged;
}

}  // namespace

std::uint32_t Index::charge(std::size_t head_bytes) {
  std::size_t total = node_bytes(kHashBytes, kEntryBytes) + node_bytes(kAgeKeyBytes, kHashBytes);
  if (head_bytes > 0) total += node_bytes(kHashBytes, head_bytes);
  return static_cast<std::uint32_t>(total);
}

Result<std::unique_ptr<Index>> Index::open(const std::string& directory, std::size_t map_bytes,
                                           std::string& replaced) {
  map_bytes = std::max<std::size_t>((map_bytes + kPageBytes - 1) / kPageBytes * kPageBytes, 1u << 20);
  std::unique_ptr<Index> index(new Index);
  auto opened = index->open_environment(directory, map_bytes);
  if (!opened && is_unreadable(opened.error())) {
    // It is a cache: what cannot be read is fetched again.
    replaced = opened.error().message();
    index.reset(new Index);
    for (const char* file : {"/data.mdb", "/lock.mdb"}) {
      const std::string path = directory + file;
      if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail(errno_error(path));
    }
    opened = index->open_environment(directory, map_bytes);
  }
  if (!opened) return fail(opened.error());
  return index;
}

Result<> Index::open_environment(const std::string& directory, std::size_t map_bytes) {
  map_bytes_ = map_bytes;
  MDB_env* env = nullptr;
  if (const int rc = mdb_env_create(&env); rc != 0) return fail(lmdb_error(rc, "index"));
  env_.reset(env);
  mdb_env_set_maxdbs(env, kTables);
  mdb_env_set_maxreaders(env, kReadersMax);
  mdb_env_set_mapsize(env, map_bytes);
  // NOTLS: transactions belong to jobs, not to the pool's threads. NOMETASYNC: one sync per batch instead of
  // two; a power failure may undo the last batch, it cannot damage the file.
  if (const int rc = mdb_env_open(env, directory.c_str(), MDB_NOTLS | MDB_NOMETASYNC, 0600); rc != 0) {
    return fail(lmdb_error(rc, directory));
  }
  int dead_readers = 0;
  mdb_reader_check(env, &dead_readers);  // slots of a process that was killed
  if (auto covered = cover_map(directory); !covered) return covered;
  return open_tables();
}

// The map must not reach beyond the file's end where pages are in use: touching those would be SIGBUS. A
// shorter file is extended; the zeros there are no valid pages, and LMDB says so.
Result<> Index::cover_map(const std::string& directory) {
  MDB_envinfo info{};
  MDB_stat stat_info{};
  mdb_env_info(env_.get(), &info);
  mdb_env_stat(env_.get(), &stat_info);
  const std::string path = directory + "/data.mdb";
  const Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct stat status {};
  if (!file.is_open() || ::fstat(file.get(), &status) != 0) return fail(errno_error(path));
  const auto needed = static_cast<off_t>((info.me_last_pgno + 1) * stat_info.ms_psize);
  if (status.st_size < needed && ::ftruncate(file.get(), needed) != 0) return fail(errno_error(path));
  return {};
}

Result<> Index::open_tables() {
  MDB_txn* raw = nullptr;
  if (const int rc = mdb_txn_begin(env_.get(), nullptr, 0, &raw); rc != 0)
    return fail(lmdb_error(rc, "index"));
  TxnPtr txn(raw);
  const std::pair<const char*, MDB_dbi*> tables[] = {
      {"meta", &meta_}, {"index", &index_}, {"ages", &ages_}, {"heads", &heads_}};
  for (const auto& [name, table] : tables) {
    if (const int rc = mdb_dbi_open(raw, name, MDB_CREATE, table); rc != 0) return fail(lmdb_error(rc, name));
  }
  MDB_val version_key = to_val(as_bytes("version")), secret_key = to_val(as_bytes("secret")), value{};
  const int rc = mdb_get(raw, meta_, &version_key, &value);
  if (rc == MDB_NOTFOUND) {
    random_bytes(secret_);
    value = to_val(as_bytes(kFormat));
    MDB_val secret = to_val(secret_);
    int put = mdb_put(raw, meta_, &version_key, &value, 0);
    if (put == 0) put = mdb_put(raw, meta_, &secret_key, &secret, 0);
    if (put != 0) return fail(lmdb_error(put, "index"));
  } else {
    if (rc != 0) return fail(lmdb_error(rc, "index"));
    if (as_text(to_view(value)) != kFormat) return fail(store_error(StoreError::damaged, "another format"));
    if (mdb_get(raw, meta_, &secret_key, &value) != 0 || value.mv_size != secret_.size()) {
      return fail(store_error(StoreError::damaged, "no secret"));
    }
    std::memcpy(secret_.data(), value.mv_data, secret_.size());
  }
  if (auto found = find_next_use(raw); !found) return found;
  if (const int committed = mdb_txn_commit(txn.release()); committed != 0) {
    return fail(lmdb_error(committed, "index"));
  }
  return {};
}

// One beyond the last row of either class.
Result<> Index::find_next_use(MDB_txn* txn) {
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(txn, ages_, &raw); rc != 0) return fail(lmdb_error(rc, "index"));
  const CursorPtr cursor(raw);  // closed before its transaction
  for (const Class of : {Class::in_ring, Class::in_file}) {
    // The row before the first one of the next class.
    const std::byte next_class[] = {static_cast<std::byte>(static_cast<unsigned>(of) + 1)};
    MDB_val key = to_val(next_class), value{};
    int rc = mdb_cursor_get(raw, &key, &value, MDB_SET_RANGE);
    rc = mdb_cursor_get(raw, &key, &value, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    if (rc == MDB_NOTFOUND) continue;
    if (rc != 0) return fail(lmdb_error(rc, "index"));
    if (key.mv_size != kAgeKeyBytes) return fail(store_error(StoreError::damaged, "order of eviction"));
    ByteReader in(to_view(key));
    in.u8();
    next_use_ = std::max(next_use_, in.u64() + 1);
  }
  return {};
}

Result<std::optional<Index::Found>> Index::get(const UrlHash& hash) const {
  const std::shared_lock lock(resizing_);
  MDB_txn* raw = nullptr;
  if (const int rc = mdb_txn_begin(env_.get(), nullptr, MDB_RDONLY, &raw); rc != 0) {
    return fail(lmdb_error(rc, "index"));
  }
  const TxnPtr txn(raw);
  const HashKey key = key_of(hash);
  MDB_val key_val = to_val(key), value{};
  int rc = mdb_get(raw, index_, &key_val, &value);
  if (rc == MDB_NOTFOUND) return std::nullopt;
  if (rc != 0) return fail(lmdb_error(rc, "index"));
  const auto entry = decode(to_view(value));
  if (!entry) return fail(store_error(StoreError::damaged, "index entry"));
  Found found{.entry = *entry, .head = {}};
  if (!entry->has_file()) return found;
  rc = mdb_get(raw, heads_, &key_val, &value);
  if (rc == 0) found.head = copy(value);
  if (rc == MDB_NOTFOUND) return fail(store_error(StoreError::damaged, "no head"));
  if (rc != 0) return fail(lmdb_error(rc, "index"));
  return found;
}

Result<> Index::scan(const std::function<void(const UrlHash&, const IndexEntry&)>& visit) const {
  const std::shared_lock lock(resizing_);
  MDB_txn* raw = nullptr;
  if (const int rc = mdb_txn_begin(env_.get(), nullptr, MDB_RDONLY, &raw); rc != 0) {
    return fail(lmdb_error(rc, "index"));
  }
  const TxnPtr txn(raw);
  MDB_cursor* raw_cursor = nullptr;
  if (const int rc = mdb_cursor_open(raw, index_, &raw_cursor); rc != 0) return fail(lmdb_error(rc, "index"));
  const CursorPtr cursor(raw_cursor);  // closed before its transaction
  MDB_val key{}, value{};
  int rc = mdb_cursor_get(raw_cursor, &key, &value, MDB_FIRST);
  for (; rc == 0; rc = mdb_cursor_get(raw_cursor, &key, &value, MDB_NEXT)) {
    // An entry of another size counts as well: its key is there until erase() finds it.
    if (key.mv_size == kHashBytes)
      visit(hash_of(to_view(key)), decode(to_view(value)).value_or(IndexEntry{}));
  }
  if (rc != MDB_NOTFOUND) return fail(lmdb_error(rc, "index"));
  return {};
}

std::uint64_t Index::file_bytes() const {
  MDB_envinfo info{};
  mdb_env_info(env_.get(), &info);
  return (info.me_last_pgno + 1) * kPageBytes;
}

Result<> Index::grow_map(std::size_t more_bytes) {
  const std::unique_lock lock(resizing_);
  if (const int rc = mdb_env_set_mapsize(env_.get(), map_bytes_ + more_bytes); rc != 0) {
    return fail(lmdb_error(rc, "grow the index"));
  }
  map_bytes_ += more_bytes;
  return {};
}

Result<Index::Batch> Index::begin() {
  MDB_txn* raw = nullptr;
  if (const int rc = mdb_txn_begin(env_.get(), nullptr, 0, &raw); rc != 0)
    return fail(lmdb_error(rc, "index"));
  return Batch(*this, TxnPtr(raw));
}

Result<> Index::Batch::write(MDB_dbi table, ByteView key, ByteView value) {
  MDB_val key_val = to_val(key), val = to_val(value);
  if (const int rc = mdb_put(txn_.get(), table, &key_val, &val, 0); rc != 0)
    return fail(lmdb_error(rc, "index"));
  return {};
}

Result<> Index::Batch::remove(MDB_dbi table, ByteView key) {
  MDB_val key_val = to_val(key);
  const int rc = mdb_del(txn_.get(), table, &key_val, nullptr);
  if (rc != 0 && rc != MDB_NOTFOUND) return fail(lmdb_error(rc, "index"));
  return {};
}

// As the most recently used.
Result<> Index::Batch::write_entry(const UrlHash& hash, IndexEntry entry) {
  entry.use = index_->next_use_++;
  const HashKey key = key_of(hash);
  auto written = write(index_->ages_, age_key(entry), key);
  if (written) written = write(index_->index_, key, encode(entry));
  return written;
}

Result<std::optional<IndexEntry>> Index::Batch::entry(const UrlHash& hash) {
  const HashKey key = key_of(hash);
  MDB_val key_val = to_val(key), value{};
  const int rc = mdb_get(txn_.get(), index_->index_, &key_val, &value);
  if (rc == MDB_NOTFOUND) return std::nullopt;
  if (rc != 0) return fail(lmdb_error(rc, "index"));
  // An entry of another size cannot be accounted for; an empty one makes erase() remove its rows.
  return decode(to_view(value)).value_or(IndexEntry{});
}

Result<Bytes> Index::Batch::head(const UrlHash& hash) {
  const HashKey key = key_of(hash);
  MDB_val key_val = to_val(key), value{};
  const int rc = mdb_get(txn_.get(), index_->heads_, &key_val, &value);
  if (rc == MDB_NOTFOUND) return Bytes{};
  if (rc != 0) return fail(lmdb_error(rc, "index"));
  return copy(value);
}

Result<std::optional<IndexEntry>> Index::Batch::put(const UrlHash& hash, const IndexEntry& entry,
                                                    ByteView head) {
  IndexEntry now = entry;
  now.use = index_->next_use_++;
  const HashKey key = key_of(hash);
  const EntryRecord record = encode(now);
  std::optional<IndexEntry> before;
  // Most are new: one way down the tree finds that out and adds it.
  MDB_val key_val = to_val(key), value = to_val(record);
  const int rc = mdb_put(txn_.get(), index_->index_, &key_val, &value, MDB_NOOVERWRITE);
  if (rc != 0 && rc != MDB_KEYEXIST) return fail(lmdb_error(rc, "index"));
  Result<> written;
  if (rc == MDB_KEYEXIST) {
    before = decode(to_view(value)).value_or(IndexEntry{});
    written = remove_rows(key, *before);
    if (written) written = write(index_->index_, key, record);
  }
  if (written) written = write(index_->ages_, age_key(now), key);
  if (written && !head.empty()) written = write(index_->heads_, key, head);
  if (!written) return fail(written.error());
  return before;
}

Result<std::optional<IndexEntry>> Index::Batch::erase(const UrlHash& hash) {
  auto before = entry(hash);
  if (!before || !*before) return before;
  const HashKey key = key_of(hash);
  auto removed = remove(index_->index_, key);
  if (removed) removed = remove_rows(key, **before);
  if (!removed) return fail(removed.error());
  return before;
}

// All that leads to it or from it, besides the entry.
Result<> Index::Batch::remove_rows(ByteView key, const IndexEntry& entry) {
  auto removed = remove(index_->ages_, age_key(entry));
  if (removed && entry.has_file()) removed = remove(index_->heads_, key);
  return removed;
}

Result<> Index::Batch::replace_head(const UrlHash& hash, const IndexEntry& now, ByteView head) {
  const HashKey key = key_of(hash);
  auto written = write(index_->index_, key, encode(now));
  if (written) written = write(index_->heads_, key, head);
  return written;
}

Result<> Index::Batch::touch(const UrlHash& hash, std::uint32_t now, std::uint32_t granularity) {
  auto found = entry(hash);
  if (!found) return fail(found.error());
  if (!*found || !(*found)->is_use_due(now, granularity)) return {};
  IndexEntry moved = **found;
  if (!moved.has_file()) {
    moved.last_use = now;
    return write(index_->index_, key_of(hash), encode(moved));
  }
  if (auto done = remove(index_->ages_, age_key(moved)); !done) return done;
  moved.last_use = now;
  return write_entry(hash, moved);
}

Result<> Index::Batch::move(const UrlHash& hash, const IndexEntry& from, const IndexEntry& to) {
  if (auto done = remove(index_->ages_, age_key(from)); !done) return done;
  return write_entry(hash, to);
}

Result<std::optional<Index::Batch::Row>> Index::Batch::row_of(ByteView age, const MDB_val& hash, Class of) {
  if (age.size() != kAgeKeyBytes || age[0] != static_cast<std::byte>(of)) return std::nullopt;
  Row row{.hash = hash_of(to_view(hash)), .entry = {}};
  auto found = entry(row.hash);
  if (!found) return fail(found.error());
  row.entry = *found;
  return row;
}

Result<std::optional<Index::Batch::Row>> Index::Batch::first(Class of) {
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(txn_.get(), index_->ages_, &raw); rc != 0)
    return fail(lmdb_error(rc, "index"));
  const CursorPtr cursor(raw);
  const std::byte from[] = {static_cast<std::byte>(of)};
  MDB_val key = to_val(from), value{};
  const int rc = mdb_cursor_get(raw, &key, &value, MDB_SET_RANGE);
  if (rc == MDB_NOTFOUND) return std::nullopt;
  if (rc != 0) return fail(lmdb_error(rc, "index"));
  return row_of(to_view(key), value, of);
}

Result<std::optional<Index::Batch::Row>> Index::Batch::last(Class of) {
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(txn_.get(), index_->ages_, &raw); rc != 0)
    return fail(lmdb_error(rc, "index"));
  const CursorPtr cursor(raw);
  const std::byte next_class[] = {static_cast<std::byte>(static_cast<unsigned>(of) + 1)};
  MDB_val key = to_val(next_class), value{};
  int rc = mdb_cursor_get(raw, &key, &value, MDB_SET_RANGE);
  rc = mdb_cursor_get(raw, &key, &value, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
  if (rc == MDB_NOTFOUND) return std::nullopt;
  if (rc != 0) return fail(lmdb_error(rc, "index"));
  return row_of(to_view(key), value, of);
}

Result<std::optional<Index::Batch::Evicted>> Index::Batch::evict_oldest(Class of) {
  AgeKey row;
  UrlHash hash;
  {
    MDB_cursor* raw = nullptr;
    if (const int rc = mdb_cursor_open(txn_.get(), index_->ages_, &raw); rc != 0) {
      return fail(lmdb_error(rc, "index"));
    }
    const CursorPtr cursor(raw);
    const std::byte first[] = {static_cast<std::byte>(of)};
    MDB_val key = to_val(first), value{};
    const int rc = mdb_cursor_get(raw, &key, &value, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND) return std::nullopt;
    if (rc != 0) return fail(lmdb_error(rc, "index"));
    const ByteView found = to_view(key);
    if (found.size() != row.size() || found[0] != first[0]) return std::nullopt;
    std::copy(found.begin(), found.end(), row.begin());
    hash = hash_of(to_view(value));
  }
  // The row goes even if the index does not know the object, so that a loop over the oldest always ends.
  if (auto removed = remove(index_->ages_, row); !removed) return fail(removed.error());
  auto before = erase(hash);
  if (!before) return fail(before.error());
  return Evicted{hash, *before};
}

Result<> Index::Batch::commit() {
  if (const int rc = mdb_txn_commit(txn_.release()); rc != 0) return fail(lmdb_error(rc, "commit"));
  return {};
}

}  // namespace reef::proxy
