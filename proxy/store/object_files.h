// The files of bodies that are too long for the index: DIRECTORY/objects/xx/BOOT-SERIAL, sixteen hex digits
// each, xx the last two of SERIAL. Pool threads only (all of it may wait for the disk).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/io/fd.h"
#include "base/result.h"
#include "proxy/store/index.h"

namespace reef::proxy {

class ObjectFiles {
 public:
  // `directory` is the store's. `boot`: this start's number.
  ObjectFiles(std::string directory, std::uint64_t boot) : directory_(std::move(directory)), boot_(boot) {}

  // Makes the folders: objects/00 to objects/ff, and this start's spool folder.
  [[nodiscard]] Result<> prepare() const;
  [[nodiscard]] std::string spool_directory() const;
  [[nodiscard]] std::string path(const StoredId& id) const;

  // Gives a spool file its place. Atomic: after a crash there is one name or the other.
  [[nodiscard]] Result<> adopt(const std::string& spool_path, const StoredId& id) const;
  // Writes a file under a spool name, then adopts it. Nothing is left behind on failure.
  [[nodiscard]] Result<> write(const StoredId& id, ByteView body) const;
  // Error: std::errc::no_such_file_or_directory, StoreError::damaged when its size is not `bytes`.
  [[nodiscard]] Result<Fd> open(const StoredId& id, std::uint64_t bytes) const;
  void remove(const StoredId& id) const;

  // Removes files of earlier starts that are not in `known` (sorted), and what earlier starts left in the
  // spool. Files of this start are never touched. Returns how many went.
  std::uint64_t collect_orphans(const std::vector<StoredId>& known) const;

  // What a file of that length takes of the disk: blocks, and its inode.
  [[nodiscard]] static std::uint64_t charge(std::uint64_t bytes);

 private:
  [[nodiscard]] std::uint64_t collect_spool() const;
  std::string directory_;
  std::uint64_t boot_;
};

// BOOT-SERIAL, or nullopt.
[[nodiscard]] std::optional<StoredId> parse_file_name(std::string_view name);
[[nodiscard]] std::string file_name(const StoredId& id);

// SHA-256 of the first `bytes` of a file.
[[nodiscard]] Result<Sha256Digest> digest_of_file(int fd, std::uint64_t bytes);

}  // namespace reef::proxy
