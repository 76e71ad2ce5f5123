// Fills one Body, from the first byte of a response to a finished Object. Bytes may come out of order, from
// several sources: readers see them in order all the same, and no digest is computed twice.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/result.h"
#include "proxy/store/body.h"
#include "proxy/store/object.h"

namespace reef::proxy {

class Spool;

struct BodyLimits {
  std::size_t ram_object_bytes_max;  // longer bodies go to a file
  std::uint64_t object_bytes_max;    // longer bodies are refused
};

// Belongs to one thread (the fill's owner). Made by Store::begin(); may outlive neither its Store nor the
// Store's disk pool. Destroying it before finish() aborts.
class BodyWriter {
 public:
  using Keep =
      std::function<void(std::shared_ptr<const Object>)>;  // hands a finished object to the disk's queue

  BodyWriter(const BodyLimits& limits, std::shared_ptr<Spool> spool,
             std::optional<std::uint64_t> expected_bytes, Keep keep);
  ~BodyWriter();
  BodyWriter(const BodyWriter&) = delete;
  BodyWriter& operator=(const BodyWriter&) = delete;

  // The growing body, to be handed to readers at once.
  [[nodiscard]] const std::shared_ptr<const Body>& body() const { return shared_; }

  // Adds bytes and publishes them. Writes to the page cache when the body is in a file. Errors:
  // StoreError::too_large (over object_bytes_max), ::longer_than_announced, ::no_space (disk full and the
  // memory that stands in for it used up). After an error the body is broken and every further call fails.
  // With a promise(), the last bytes are published only if the digest of the whole agrees: ::digest_mismatch.
  [[nodiscard]] Result<> append(ByteView bytes);

  // Takes bytes that belong at `offset`, at or behind the end of what was appended, each of them once; nobody
  // sees them before absorb(). They are in the body's file, or in its block of memory. Only where a length
  // was announced. Errors: ::longer_than_announced, ::no_space, the system's; the body goes on as if these
  // bytes had not been given.
  [[nodiscard]] Result<> put(std::uint64_t offset, ByteView bytes);
  // Appends what put() has left right behind the end, up to `end` and at most `max` bytes; how many. Errors:
  // those of append().
  [[nodiscard]] Result<std::size_t> absorb(std::uint64_t end, std::size_t max);

  // What the whole must be: checked before its last byte is published, where a length was announced.
  void promise(const Sha256Digest& digest);
  [[nodiscard]] const std::optional<Sha256Digest>& promised() const { return promised_; }

  // Before the first byte: nothing will be kept, and of any length the latest `bytes` are there for the one
  // reader (Body::is_window()).
  void make_window(std::size_t bytes);
  // Bytes that a window takes before its reader has released some; more than that is StoreError::no_space.
  [[nodiscard]] std::size_t room() const;
  // So many more bytes are not too large.
  [[nodiscard]] bool fits(std::size_t bytes) const { return bytes_ + bytes <= limits_.object_bytes_max; }
  // Takes more than fits, as far as the spool goes; what is finished so is not to be persisted.
  void let_pass() { limits_.object_bytes_max = std::numeric_limits<std::uint64_t>::max(); }

  // The response arrived in full: fills in head.body_bytes, declares the body complete and queues the object
  // for the disk where `persist` (it is usable at once; losing the race with a crash loses only the copy on
  // disk). Errors: ::shorter_than_announced, ::digest_mismatch (with promise()); the body is then broken.
  // Call once.
  [[nodiscard]] Result<std::shared_ptr<const Object>> finish(ObjectHead head, bool persist = true);

  // No more will come: readers see `broken`, the temporary file goes. Nothing happens after finish().
  void abort();

 private:
  [[nodiscard]] Result<> write(ByteView bytes);
  [[nodiscard]] Result<> publish(ByteView bytes);
  void start_digest();
  [[nodiscard]] const Sha256Digest& whole_digest();
  [[nodiscard]] Result<> append_to_window(ByteView bytes);
  [[nodiscard]] Result<> append_to_memory(ByteView bytes);
  [[nodiscard]] Result<> append_to_file(ByteView bytes);
  [[nodiscard]] Result<> move_to_file();
  [[nodiscard]] std::shared_ptr<const Body> settled_body() const;
  Error break_off(Error error);

  BodyLimits limits_;
  const std::shared_ptr<Spool> spool_;
  const Keep keep_;
  std::shared_ptr<Body> body_;
  std::shared_ptr<const Body> shared_;
  std::uint64_t bytes_ = 0;
  // Bodies in files, and those that were promised, are digested as they come; of the others Body::digest()
  // knows what is asked for.
  std::optional<Sha256> digest_;
  std::optional<Sha256Digest> whole_digest_;
  std::optional<Sha256Digest> promised_;
  bool in_file_ = false;
  bool ended_ = false;
};

}  // namespace reef::proxy
