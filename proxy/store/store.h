// The object store's disk tier, shared by all workers: LMDB for index, heads and small bodies, files for
// larger ones. It survives kill -9 at any moment; what a crash can lose, the formats and the limits are in
// docs/store.md.
//
// No call waits for the disk: reads and the single batched writer run in the DiskPool. A disk that is full or
// broken makes persisting fail (counted, one warning a minute); objects then live in the RAM tiers only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/io/disk_pool.h"
#include "base/io/event_loop.h"
#include "base/result.h"
#include "proxy/store/body_writer.h"
#include "proxy/store/object.h"

namespace reef::proxy {

// What is written while the disk has no room left, so that each object takes the place of another.
enum class Admission : std::uint8_t {
  all,      // everything
  popular,  // what was asked for again: while it waited to be written, or after it had been forgotten
};

struct StoreOptions {
  // Made when missing (its parent must exist). Empty: no disk tier at all; large bodies then spool to memory
  // within memory_spool_bytes_max.
  std::string directory;
  std::uint64_t disk_bytes_max = 3ull
                                 << 30;  // everything kept on disk, spool files of running fills included
  std::uint64_t object_bytes_max = 50ull << 20;  // longer bodies are refused
  std::size_t ram_object_bytes_max = 1u << 20;   // longer bodies live in files only
  std::size_t small_body_bytes_max = 16u << 10;  // bodies up to this are in the ring, longer ones in files
  // Memory that takes the place of spool files while the disk refuses writes, for all fills together.
  std::uint64_t memory_spool_bytes_max = 64ull << 20;
  Admission admission = Admission::popular;
  std::size_t seen_max = 65536;  // remembered of those not admitted (4 bytes each)
  // How long an object may wait for company: what is written together shares pages, a sync and a wake-up.
  // What waits is lost by a crash; it is written earlier where a batch is full.
  std::chrono::milliseconds write_delay{1000};
  std::size_t queue_objects_max = 16384;        // waiting to be written; further ones stay in RAM only
  std::uint64_t queue_bytes_max = 64ull << 20;  // body memory held by that queue
  std::size_t batch_objects_max = 1024;         // per transaction (one disk sync)
  std::uint64_t batch_bytes_max = 8ull << 20;
  // Bound of the index and the ring of small objects, a part of disk_bytes_max; 0: half of it. A quarter of
  // it is the index's. Both files grow to what is needed and do not shrink; files of large bodies get the
  // rest.
  std::uint64_t index_bytes_max = 0;
  std::size_t objects_expected = 1'000'000;   // sizes the in-memory filter behind may_have() (16 bytes each)
  std::chrono::seconds use_granularity{600};  // a use is recorded on disk at most this often per object
  std::chrono::seconds retry_after_failure{10};  // pause of persisting after the disk refused a write
};

// A snapshot of the counters since start (gauges where said).
struct StoreStats {
  std::uint64_t objects = 0;      // gauge: on disk
  std::uint64_t disk_bytes = 0;   // gauge: charged against disk_bytes_max, spool excluded
  std::uint64_t spool_bytes = 0;  // gauge: files of running fills
  std::uint64_t queued = 0;       // gauge: operations waiting for the writer
  std::uint64_t loads = 0;        // load() that went to the disk, and how they ended:
  std::uint64_t load_hits = 0;
  std::uint64_t load_absent = 0;
  std::uint64_t load_refused = 0;     // the disk pool was full
  std::uint64_t persisted = 0;        // objects committed
  std::uint64_t persist_dropped = 0;  // queue full, closing, or pause after a failure
  std::uint64_t persist_failed = 0;   // the disk refused
  std::uint64_t persist_forgone = 0;  // not admitted: asked for once, and the disk has no room left
  std::uint64_t evicted = 0;          // for the budget
  std::uint64_t damaged = 0;          // records or files that failed their checks and were dropped
  std::uint64_t orphans_removed = 0;  // files without a record, and left-over spool files
  std::uint64_t io_errors = 0;
};

class Store {
 public:
  // Opens or makes the directory; takes its lock. Reads the index in the background: until that is done
  // may_have() says "maybe". An index that is not readable (or of another format) is replaced by an empty
  // one, with a warning. Errors (one clear line each): directory not writable, in use by another process, no
  // memory map. `pool` and `home` must outlive the Store. `home` is any loop (the control loop): the pool
  // wants one for each job, and nothing is posted to it.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(StoreOptions options, DiskPool& pool,
                                                           EventLoop& home);
  // Writes what is queued and waits for its own jobs in the pool: blocks for the disk, so call it at shutdown
  // only, after the workers have ended. Objects and bodies that are still held stay readable.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // The hash for all URLs of this process. Any thread.
  [[nodiscard]] const UrlHasher& hasher() const;

  // Starts a body. `expected_bytes`: Content-Length where known (already over object_bytes_max: error
  // too_large). The writer belongs to the calling thread.
  [[nodiscard]] Result<std::unique_ptr<BodyWriter>> begin(std::optional<std::uint64_t> expected_bytes);

  // The same for one reader on the calling thread, of any length, of which nothing is kept.
  [[nodiscard]] std::unique_ptr<BodyWriter> begin_passing(std::optional<std::uint64_t> expected_bytes);

  // False: certainly not on disk. True: probably (about 1 % wrong with objects_expected objects). Lock-free,
  // no disk, any thread.
  [[nodiscard]] bool may_have(const UrlHash& hash) const;

  // Reads an object; `done` runs on `loop` with it, or with null when it is absent or damaged. Never runs
  // inside the call. False: overloaded, `done` will not run; treat it as a miss. What was queued for writing
  // or removed before the call is seen. Any thread.
  [[nodiscard]] bool load(std::string url, const UrlHash& hash, EventLoop& loop,
                          std::function<void(std::shared_ptr<const Object>)> done);

  // After a 304: stores the object's new head under its unchanged body, if that body is (still) the stored
  // one.
  void update_head(const UrlHash& hash, std::shared_ptr<const Object> object);
  // Forgets an object: load() does not return it from now on. False: overloaded, it was not forgotten.
  bool remove(const UrlHash& hash);
  // Tells that an object was used in RAM, so that its copy on disk is not taken for unused. Cheap, lossy;
  // wire it to RamTier's `used` callback.
  void touch(const UrlHash& hash);

  // Writes what has waited for `write_delay`. To be called about once a second by some thread: the store has
  // no clock of its own. Cheap when there is nothing to do.
  void write_due();

  // Runs `done` on `loop` after everything queued before has been written or dropped. False: overloaded.
  [[nodiscard]] bool flush(EventLoop& loop, std::function<void()> done);

  [[nodiscard]] StoreStats stats() const;

 private:
  class Core;
  explicit Store(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace reef::proxy
