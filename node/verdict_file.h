// The verdicts on disk: one LMDB environment, DIR/verdicts, written in batches on the disk pool.
//
// They are soft state: what cannot be read is measured again, and a crash loses what was not written yet.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "base/result.h"
#include "node/verdict_store.h"
#include "proxy/store/lmdb.h"

namespace reef::node {

class VerdictFile {
 public:
  // Makes the directory when missing. A file that is none of LMDB's, or of another machine's word size, is
  // replaced by an empty one. `map_bytes` bounds it; beyond it write() fails and nothing else does.
  static Result<std::unique_ptr<VerdictFile>> open(const std::filesystem::path& directory,
                                                   std::size_t map_bytes);

  // All records into `store`. At start only: it waits for the disk.
  Result<> load(WallTime now, VerdictStore& store) const;
  // In one transaction. Any thread, one at a time.
  Result<> write(const std::vector<VerdictStore::Change>& changes);

 private:
  VerdictFile() = default;
  Result<> open_environment(const std::filesystem::path& directory, std::size_t map_bytes);

  proxy::EnvPtr env_;
  MDB_dbi table_ = 0;
};

}  // namespace reef::node
