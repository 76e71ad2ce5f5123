// The inside of Store: queue, writer, reader. Private to this folder.
//
// Locks: mutex_ guards the queue and what belongs to it and is held for a few instructions, never over a disk
// call; jobs_mutex_ guards the count of pool jobs and may be taken while mutex_ is held, not the other way
// round. No Object is destroyed under mutex_ (the last owner of a file hands it to discard(), which counts a
// job).
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "proxy/store/index.h"
#include "proxy/store/object_files.h"
#include "proxy/store/presence.h"
#include "proxy/store/record.h"
#include "proxy/store/ring.h"
#include "proxy/store/seen.h"
#include "proxy/store/spool.h"
#include "proxy/store/store.h"

namespace reef::proxy {

// Now, as it is kept on disk.
[[nodiscard]] inline std::uint32_t unix_seconds() {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count());
}

class Store::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(StoreOptions options, DiskPool& pool, EventLoop& home);

  [[nodiscard]] Result<> open();
  void close();

  [[nodiscard]] const UrlHasher& hasher() const { return hasher_; }
  [[nodiscard]] Result<std::unique_ptr<BodyWriter>> begin(std::optional<std::uint64_t> expected_bytes);
  [[nodiscard]] bool may_have(const UrlHash& hash) const;
  [[nodiscard]] bool load(std::string url, const UrlHash& hash, EventLoop& loop,
                          std::function<void(std::shared_ptr<const Object>)> done);
  void keep(std::shared_ptr<const Object> object);
  void update_head(const UrlHash& hash, std::shared_ptr<const Object> object);
  [[nodiscard]] bool remove(const UrlHash& hash);
  void touch(const UrlHash& hash);
  void write_due();
  [[nodiscard]] bool flush(EventLoop& loop, std::function<void()> done);
  [[nodiscard]] StoreStats stats() const;

 private:
  using ObjectPtr = std::shared_ptr<const Object>;
  using Total = std::atomic<std::uint64_t>;

  // again: a new head for what is in the ring, written with its body as if it were new
  enum class Kind : std::uint8_t { put, head, again, erase, erase_damaged, forgone, fence };
  struct Op {
    Kind kind = Kind::fence;
    UrlHash hash = {};
    std::uint64_t sequence = 0;
    std::int64_t since_ns = 0;
    ObjectPtr object = {};            // put, head
    std::size_t body_bytes = 0;       // memory that it holds
    StoredId id = {};                 // erase_damaged: only this one
    EventLoop* loop = nullptr;        // fence
    std::function<void()> done = {};  // fence
    // Filled by the writer for a put:
    IndexEntry entry = {};
    Bytes head = {};
  };
  // What load() must return for a key until its last operation is on disk: null for "removed".
  struct Pending {
    ObjectPtr object = {};
    std::uint64_t sequence = 0;
  };
  // What a transaction did, to be made true outside of it once it is committed.
  struct Changes {
    std::vector<UrlHash> gone;
    std::vector<StoredId> files;
    std::int64_t index_bytes = 0, file_bytes = 0, objects = 0;
    std::uint64_t persisted = 0, evicted = 0, damaged = 0;
    void took_out(const UrlHash& hash, const IndexEntry& entry);
  };

  // Pool jobs (core.cpp)
  [[nodiscard]] bool submit_job(std::function<void()> work);
  void end_job();
  [[nodiscard]] bool discard(Fd& fd, const std::string& path);

  // Queue (core.cpp)
  void push(Op op);
  void push_erase(const UrlHash& hash, ObjectPtr& displaced);
  void kick();
  void kick_if_due();
  [[nodiscard]] bool is_due() const;
  [[nodiscard]] bool is_pausing() const;
  [[nodiscard]] bool is_over_budget() const;

  // Reader (reader.cpp), in the pool
  [[nodiscard]] ObjectPtr read(const std::string& url, const UrlHash& hash);
  [[nodiscard]] Result<ObjectPtr> rebuild(const std::string& url, Index::Found found);
  [[nodiscard]] static Result<std::shared_ptr<const Body>> rebuild_body(const StoredHead& stored,
                                                                        ByteView bytes);
  [[nodiscard]] Result<std::shared_ptr<const Body>> rebuild_from_file(const StoredHead& stored,
                                                                      const StoredId& id);
  [[nodiscard]] Result<> verify_file(int fd, const StoredHead& stored, const StoredId& id);

  // Writer (writer.cpp), in the pool, one at a time
  void serve();
  void scan();
  void write_batch();
  [[nodiscard]] std::vector<Op> take_batch(std::vector<UrlHash>& touched);
  void place(Op& op);
  void place_in_ring(Op& op, Bytes record);
  void place_head(Op& op, const std::vector<Op>& batch);
  [[nodiscard]] Result<> open_ring();
  [[nodiscard]] Result<> write_ring(std::vector<Op>& batch);
  [[nodiscard]] Result<> make_room_in_ring(std::uint64_t bytes);
  [[nodiscard]] Result<bool> keep_in_ring(Index::Batch& txn, const Index::Batch::Row& row,
                                          std::vector<Bytes>& kept);
  [[nodiscard]] std::uint64_t index_budget() const { return options_.index_bytes_max / 4; }
  [[nodiscard]] std::uint64_t disk_charge() const;
  [[nodiscard]] bool is_crowded() const;
  [[nodiscard]] bool is_admitted(const Op& op);
  void forgo(Op& op);
  [[nodiscard]] Result<Changes> apply(const std::vector<Op>& batch, const std::vector<UrlHash>& touched);
  [[nodiscard]] Result<> apply_put(Index::Batch& txn, const Op& op, Changes& changes);
  [[nodiscard]] Result<> apply_head(Index::Batch& txn, const Op& op, Changes& changes);
  [[nodiscard]] Result<> apply_erase(Index::Batch& txn, const Op& op, Changes& changes);
  [[nodiscard]] Result<> evict_to_budget(Index::Batch& txn, Changes& changes);
  [[nodiscard]] Result<bool> evict_one(Index::Batch& txn, Index::Class of, Changes& changes);
  [[nodiscard]] bool make_room_in_map();
  void committed(const Changes& changes);
  void failed(std::vector<Op>& batch, const Error& error);
  void settle(std::vector<Op>& batch);
  void note_failure(const Error& error, const char* doing);

  const StoreOptions options_;
  DiskPool& pool_;
  EventLoop& home_;
  Fd lock_;
  std::uint64_t boot_ = 0;
  UrlHasher hasher_;
  std::shared_ptr<Spool> spool_;
  std::unique_ptr<Index> index_;  // null: no disk tier
  std::unique_ptr<ObjectFiles> files_;
  Ring ring_;
  Presence presence_;
  std::atomic<bool> is_presence_known_{false};

  std::mutex mutex_;
  std::deque<Op> queue_;
  std::uint64_t queued_body_bytes_ = 0;
  std::unordered_map<UrlHash, Pending> pending_;
  std::vector<UrlHash> touched_;
  std::vector<Op> retry_erases_;  // wait for the end of the pause
  std::set<StoredId> verified_;   // files of earlier starts whose digest was checked by this one
  std::uint64_t next_sequence_ = 1;
  std::uint64_t urgent_ = 0;  // operations up to this one do not wait
  bool is_running_ = false;
  bool is_closing_ = false;

  std::mutex jobs_mutex_;
  std::condition_variable jobs_ended_;
  std::size_t jobs_ = 0;
  bool takes_jobs_ = true;

  // Writer only.
  bool is_scanned_ = false;
  Seen seen_;
  std::uint64_t next_serial_ = 1;
  std::int64_t index_charge_ = 0, file_charge_ = 0;
  std::uint64_t map_full_at_ = ~std::uint64_t{0};  // the least charge at which the map was found full

  std::atomic<std::int64_t> pause_until_ns_{0};
  std::atomic<std::int64_t> last_warning_ns_{0};
  Total objects_{0}, disk_bytes_{0}, queued_{0};
  Total loads_{0}, load_hits_{0}, load_absent_{0}, load_refused_{0};
  Total persisted_{0}, persist_dropped_{0}, persist_failed_{0}, persist_forgone_{0};
  Total evicted_{0}, damaged_{0}, orphans_removed_{0}, io_errors_{0};
};

}  // namespace reef::proxy
