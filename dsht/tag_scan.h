// Finds an entry by its id in an unsorted array: by a scan of one byte of each, many at once.
//
// In a table of some hundred or thousand entries that is faster than a hash table and costs a byte an entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/id.h"

namespace reef::dsht {

inline constexpr std::size_t kNotFound = ~std::size_t{0};

// What stands for an id: its last byte, since those in one table often share the first ones.
inline std::uint8_t tag_of(const NodeId& id) { return id.bytes.back(); }

// The first index with that id's tag that `is_it(index)` confirms, or kNotFound.
template <class IsIt>
[[nodiscard]] std::size_t find_tagged(std::span<const std::uint8_t> tags, const NodeId& id, IsIt is_it) {
  const std::uint8_t* const begin = tags.data();
  const std::uint8_t* const end = begin + tags.size();
  for (const std::uint8_t* at = begin; at != end; ++at) {
    at = static_cast<const std::uint8_t*>(std::memchr(at, tag_of(id), static_cast<std::size_t>(end - at)));
    if (at == nullptr) return kNotFound;
    const auto index = static_cast<std::size_t>(at - begin);
    if (is_it(index)) return index;
  }
  return kNotFound;
}

}  // namespace reef::dsht
