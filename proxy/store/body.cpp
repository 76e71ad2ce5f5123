#include "proxy/store/body.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "proxy/store/spool.h"

namespace reef::proxy {

Body::~Body() = default;

std::shared_ptr<const Body> Body::of(ByteView bytes) {
  const std::shared_ptr<Body> body(new Body);
  body->expected_bytes_ = bytes.size();
  body->single_block_ = true;
  body->block_bytes_ = bytes.size();
  if (!bytes.empty()) {
    body->blocks_[0] = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
    std::memcpy(body->blocks_[0].get(), bytes.data(), bytes.size());
  }
  body->ram_bytes_.store(bytes.size(), std::memory_order_relaxed);
  body->publish(bytes.size(), BodyState::complete);
  return body;
}

std::shared_ptr<const Body> Body::of_file(std::shared_ptr<SpoolFile> file, std::uint64_t bytes,
                                          const Sha256Digest& digest, bool may_be_cold) {
  const std::shared_ptr<Body> body(new Body);
  body->expected_bytes_ = bytes;
  body->file_ = std::move(file);
  body->file_from_.store(0, std::memory_order_relaxed);
  body->may_be_cold_ = may_be_cold;
  body->set_digest(digest);
  body->publish(bytes, BodyState::complete);
  return body;
}

Progress Body::progress() const {
  const std::uint64_t word = progress_.load(std::memory_order_acquire);
  return {word >> 2, static_cast<BodyState>(word & 3)};
}

void Body::publish(std::uint64_t bytes, BodyState state) {
  progress_.store(bytes << 2 | static_cast<std::uint64_t>(state), std::memory_order_release);
}

Body::Place Body::place(std::uint64_t offset) const {
  if (single_block_)
    return {0, static_cast<std::size_t>(offset), block_bytes_ - static_cast<std::size_t>(offset)};
  const std::size_t block = static_cast<std::size_t>(std::bit_width(offset / kFirstBlockBytes + 1)) - 1;
  const std::uint64_t starts = kFirstBlockBytes * ((std::uint64_t{1} << block) - 1);
  const std::size_t within = static_cast<std::size_t>(offset - starts);
  return {block, within, (kFirstBlockBytes << block) - within};
}

Piece Body::piece(std::uint64_t offset, std::size_t max) const {
  // The acquire makes everything visible that was written before this size was published, the places
  // included.
  const Progress seen = progress();
  if (offset >= seen.bytes) return {};
  if (is_window()) {
    if (offset < released_) return {};
    const std::size_t at = static_cast<std::size_t>(offset % window_bytes_);
    const std::size_t run =
        std::min({max, static_cast<std::size_t>(seen.bytes - offset), window_bytes_ - at});
    return {.memory = {blocks_[0].get() + at, run}, .fd = -1, .offset = offset, .size = run};
  }
  const std::uint64_t file_from = file_from_.load(std::memory_order_relaxed);
  const std::uint64_t overflow_from = overflow_from_.load(std::memory_order_relaxed);
  std::uint64_t size = std::min<std::uint64_t>(max, seen.bytes - offset);
  if (offset >= overflow_from) {
    return {.memory = {}, .fd = overflow_->fd(), .offset = offset, .size = size, .may_be_cold = false};
  }
  size = std::min(size, overflow_from - offset);
  if (offset >= file_from) {
    return {.memory = {}, .fd = file_->fd(), .offset = offset, .size = size, .may_be_cold = may_be_cold_};
  }
  size = std::min(size, file_from - offset);
  const Place at = place(offset);
  size = std::min<std::uint64_t>(size, at.room);
  return {.memory = {blocks_[at.block].get() + at.offset, size}, .fd = -1, .offset = offset, .size = size};
}

ByteView Body::block() const {
  const Progress seen = progress();
  if (!single_block_ || seen.state != BodyState::complete) return {};
  return {blocks_[0].get(), static_cast<std::size_t>(seen.bytes)};
}

const Sha256Digest& Body::digest() const {
  std::call_once(digested_, [this] {
    BASE_CHECK(single_block_ && progress().state == BodyState::complete);
    digest_ = sha256(block());
  });
  return digest_;
}

void Body::set_digest(const Sha256Digest& digest) const {
  std::call_once(digested_, [&] { digest_ = digest; });
}

std::size_t Body::ram_bytes() const {
  const std::uint64_t bytes = progress().bytes;
  std::size_t total = ram_bytes_.load(std::memory_order_relaxed);
  const std::uint64_t file_from = file_from_.load(std::memory_order_relaxed);
  const std::uint64_t overflow_from = overflow_from_.load(std::memory_order_relaxed);
  if (file_from < bytes && file_->in_memory()) total += std::min(bytes, overflow_from);
  if (overflow_from < bytes) total += bytes - overflow_from;
  return total;
}

}  // namespace reef::proxy
