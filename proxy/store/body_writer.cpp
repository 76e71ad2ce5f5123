#include "proxy/store/body_writer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "proxy/store/error.h"
#include "proxy/store/spool.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kAbsorbedAtOnce = 32 << 10;  // on the stack

}  // namespace

BodyWriter::BodyWriter(const BodyLimits& limits, std::shared_ptr<Spool> spool,
                       std::optional<std::uint64_t> expected_bytes, Keep keep)
    : limits_(limits), spool_(std::move(spool)), keep_(std::move(keep)), body_(new Body), shared_(body_) {
  body_->expected_bytes_ = expected_bytes;
  if (expected_bytes && *expected_bytes <= limits_.ram_object_bytes_max) {
    // Memory that is not written to is not resident: an announced length that never comes costs address
    // space.
    body_->single_block_ = true;
    body_->block_bytes_ = static_cast<std::size_t>(*expected_bytes);
    body_->blocks_[0] = std::make_unique_for_overwrite<std::byte[]>(body_->block_bytes_);
    body_->ram_bytes_.store(body_->block_bytes_, std::memory_order_relaxed);
  }
}

BodyWriter::~BodyWriter() { abort(); }

Error BodyWriter::break_off(Error error) {
  abort();
  return error;
}

void BodyWriter::abort() {
  if (ended_) return;
  ended_ = true;
  body_->publish(bytes_, BodyState::broken);
}

Result<> BodyWriter::append(ByteView bytes) {
  if (ended_) return fail(store_error(StoreError::ended));
  if (bytes.empty()) return {};
  const std::uint64_t total = bytes_ + bytes.size();
  if (total > limits_.object_bytes_max) return fail(break_off(store_error(StoreError::too_large)));
  if (body_->expected_bytes_ && total > *body_->expected_bytes_) {
    return fail(break_off(store_error(StoreError::longer_than_announced)));
  }
  if (body_->is_window()) {
    if (auto added = append_to_window(bytes); !added) return fail(break_off(added.error()));
    bytes_ = total;
    body_->publish(bytes_, BodyState::arriving);
    return {};
  }
  if (auto added = write(bytes); !added) return fail(break_off(added.error()));
  return publish(bytes);
}

Result<> BodyWriter::write(ByteView bytes) {
  const bool fits = bytes_ + bytes.size() <= limits_.ram_object_bytes_max && !in_file_;
  return fits ? append_to_memory(bytes) : append_to_file(bytes);
}

// Bytes that are in their place become part of what readers see.
Result<> BodyWriter::publish(ByteView bytes) {
  if (digest_) digest_->update(bytes);
  bytes_ += bytes.size();
  if (promised_ && body_->expected_bytes_ == bytes_ && whole_digest() != *promised_) {
    bytes_ -= bytes.size();
    return fail(break_off(store_error(StoreError::digest_mismatch)));
  }
  body_->publish(bytes_, BodyState::arriving);
  return {};
}

void BodyWriter::promise(const Sha256Digest& digest) {
  promised_ = digest;
  start_digest();
}

// From here on; what was published before is made up for, while it is still in memory.
void BodyWriter::start_digest() {
  if (digest_) return;
  digest_.emplace();
  for (std::uint64_t at = 0; at < bytes_ && !body_->is_window();) {
    const Piece part = body_->piece(at, static_cast<std::size_t>(bytes_ - at));
    digest_->update(part.memory);
    at += part.size;
  }
}

const Sha256Digest& BodyWriter::whole_digest() {
  if (!whole_digest_) whole_digest_ = digest_->finish();
  return *whole_digest_;
}

Result<> BodyWriter::put(std::uint64_t offset, ByteView bytes) {
  if (ended_) return fail(store_error(StoreError::ended));
  BASE_CHECK(body_->expected_bytes_ && offset >= bytes_);
  if (offset > *body_->expected_bytes_ || bytes.size() > *body_->expected_bytes_ - offset)
    return fail(store_error(StoreError::longer_than_announced));
  if (body_->single_block_) {
    std::memcpy(body_->blocks_[0].get() + offset, bytes.data(), bytes.size());
    return {};
  }
  if (!in_file_) {
    if (auto moved = move_to_file(); !moved) return moved;
  }
  // The disk has refused before: what stands in for it is for what readers wait for.
  if (body_->overflow_) return fail(store_error(StoreError::no_space, "spool"));
  return body_->file_->write(bytes, offset);
}

Result<std::size_t> BodyWriter::absorb(std::uint64_t end, std::size_t max) {
  if (ended_) return fail(store_error(StoreError::ended));
  BASE_CHECK(body_->expected_bytes_ && end <= *body_->expected_bytes_);
  std::size_t absorbed = 0;
  std::array<std::byte, kAbsorbedAtOnce> buffer;
  while (bytes_ < end && absorbed < max) {
    const std::size_t size =
        std::min({buffer.size(), max - absorbed, static_cast<std::size_t>(end - bytes_)});
    ByteView bytes(buffer.data(), size);
    if (body_->single_block_) {
      bytes = {body_->blocks_[0].get() + bytes_, size};
    } else {
      // Written a moment ago: it is in the page cache.
      auto done = read_at(body_->file_->fd(), std::span(buffer).first(size), bytes_);
      if (done && body_->overflow_) done = write(bytes);
      if (!done) return fail(break_off(done.error()));
    }
    if (auto published = publish(bytes); !published) return fail(published.error());
    absorbed += size;
  }
  return absorbed;
}

void BodyWriter::make_window(std::size_t bytes) {
  body_->single_block_ = false;
  body_->window_bytes_ = bytes;
  body_->blocks_[0] = std::make_unique_for_overwrite<std::byte[]>(bytes);
  body_->ram_bytes_.store(bytes, std::memory_order_relaxed);
  start_digest();  // what has left the window cannot be made up for
  let_pass();
}

std::size_t BodyWriter::room() const {
  return body_->window_bytes_ - static_cast<std::size_t>(bytes_ - body_->released_);
}

Result<> BodyWriter::append_to_window(ByteView bytes) {
  if (bytes.size() > room()) return fail(store_error(StoreError::no_space, "window"));
  const std::size_t at = static_cast<std::size_t>(bytes_ % body_->window_bytes_);
  const std::size_t run = std::min(bytes.size(), body_->window_bytes_ - at);
  std::memcpy(body_->blocks_[0].get() + at, bytes.data(), run);
  if (run < bytes.size()) std::memcpy(body_->blocks_[0].get(), bytes.data() + run, bytes.size() - run);
  return {};
}

Result<> BodyWriter::append_to_memory(ByteView bytes) {
  std::uint64_t at = bytes_;
  while (!bytes.empty()) {
    const Body::Place to = body_->place(at);
    if (body_->blocks_[to.block] == nullptr) {
      const std::size_t size = Body::kFirstBlockBytes << to.block;
      body_->blocks_[to.block] = std::make_unique_for_overwrite<std::byte[]>(size);
      body_->ram_bytes_.fetch_add(size, std::memory_order_relaxed);
    }
    const std::size_t count = std::min(bytes.size(), to.room);
    std::memcpy(body_->blocks_[to.block].get() + to.offset, bytes.data(), count);
    bytes = bytes.subspan(count);
    at += count;
  }
  return {};
}

Result<> BodyWriter::move_to_file() {
  // What is in memory stays there for the readers of this body; the file gets a copy of it, so that the
  // finished object needs nothing but the file.
  const auto copy_into = [this](SpoolFile& file) -> Result<> {
    for (std::uint64_t at = 0; at < bytes_;) {
      const Piece part = body_->piece(at, static_cast<std::size_t>(bytes_ - at));
      if (auto written = file.write(part.memory, at); !written) return written;
      at += part.size;
    }
    return {};
  };
  auto file = spool_->create_on_disk();
  if (!file || !copy_into(**file)) {
    file = spool_->create_in_memory();
    if (!file) return fail(file.error());
    if (auto copied = copy_into(**file); !copied) return copied;
  }
  start_digest();
  body_->file_ = *file;
  body_->file_from_.store(bytes_, std::memory_order_relaxed);
  in_file_ = true;
  return {};
}

Result<> BodyWriter::append_to_file(ByteView bytes) {
  if (!in_file_) {
    if (auto moved = move_to_file(); !moved) return moved;
  }
  if (body_->overflow_) return body_->overflow_->write(bytes, bytes_);
  if (auto written = body_->file_->write(bytes, bytes_); written || body_->file_->in_memory()) return written;
  // The disk is full or broken: the rest of this body stays in memory, at the same offsets.
  auto memory = spool_->create_in_memory();
  if (!memory) return fail(memory.error());
  if (auto written = (*memory)->write(bytes, bytes_); !written) return written;
  body_->overflow_ = std::move(*memory);
  body_->overflow_from_.store(bytes_, std::memory_order_relaxed);
  return {};
}

std::shared_ptr<const Body> BodyWriter::settled_body() const {
  if (in_file_) {
    const bool is_whole_file = body_->file_from_.load(std::memory_order_relaxed) == 0;
    if (body_->overflow_ || is_whole_file) return shared_;
    return Body::of_file(body_->file_, bytes_, body_->digest(), false);
  }
  if (body_->single_block_ || body_->is_window()) return shared_;
  const std::shared_ptr<Body> compact(new Body);
  compact->expected_bytes_ = bytes_;
  compact->single_block_ = true;
  compact->block_bytes_ = static_cast<std::size_t>(bytes_);
  compact->blocks_[0] = std::make_unique_for_overwrite<std::byte[]>(compact->block_bytes_);
  compact->ram_bytes_.store(compact->block_bytes_, std::memory_order_relaxed);
  for (std::uint64_t at = 0; at < bytes_;) {
    const Piece part = body_->piece(at, compact->block_bytes_);
    std::memcpy(compact->blocks_[0].get() + at, part.memory.data(), part.size);
    at += part.size;
  }
  if (digest_) compact->set_digest(body_->digest());
  compact->publish(bytes_, BodyState::complete);
  return compact;
}

Result<std::shared_ptr<const Object>> BodyWriter::finish(ObjectHead head, bool persist) {
  if (ended_) return fail(store_error(StoreError::ended));
  if (body_->expected_bytes_ && bytes_ != *body_->expected_bytes_) {
    return fail(break_off(store_error(StoreError::shorter_than_announced)));
  }
  head.body_bytes = bytes_;
  if (promised_ && *promised_ != whole_digest()) {
    return fail(break_off(store_error(StoreError::digest_mismatch, head.url)));
  }
  ended_ = true;
  if (digest_) body_->set_digest(whole_digest());
  body_->publish(bytes_, BodyState::complete);
  auto object = std::make_shared<const Object>(Object{std::move(head), settled_body()});
  // A body that is partly in memory because the disk refused it is not offered to the disk again.
  const bool is_refused = body_->is_window() || (in_file_ && (body_->overflow_ || body_->file_->in_memory()));
  if (persist && !is_refused && keep_) keep_(object);
  return object;
}

}  // namespace reef::proxy
