// LMDB's handles with one owner each, and its errors as Error.
#pragma once

#include <lmdb.h>

#include <memory>
#include <string_view>
#include <system_error>

#include "base/bytes.h"
#include "base/io/handles.h"
#include "base/result.h"

namespace reef::proxy {

using EnvPtr = std::unique_ptr<MDB_env, FreeWith<mdb_env_close>>;
using TxnPtr = std::unique_ptr<MDB_txn, FreeWith<mdb_txn_abort>>;  // commit: mdb_txn_commit(txn.release())
using CursorPtr = std::unique_ptr<MDB_cursor, FreeWith<mdb_cursor_close>>;

// Negative codes are LMDB's own (MDB_NOTFOUND ...), positive ones are errno.
[[nodiscard]] Error lmdb_error(int code, std::string_view context);
// True if `error` holds LMDB's `code`.
[[nodiscard]] bool is_lmdb(const Error& error, int code);

[[nodiscard]] inline MDB_val to_val(ByteView bytes) {
  return {bytes.size(), const_cast<std::byte*>(bytes.data())};  // LMDB's C interface; it does not write there
}
[[nodiscard]] inline ByteView to_view(const MDB_val& val) {
  return {static_cast<const std::byte*>(val.mv_data), val.mv_size};
}

}  // namespace reef::proxy
