#include "node/verdict_file.h"

namespace reef::node {
namespace {

constexpr mdb_mode_t kMode = 0600;

}  // namespace

Result<std::unique_ptr<VerdictFile>> VerdictFile::open(const std::filesystem::path& directory,
                                                       std::size_t map_bytes) {
  std::error_code code;
  std::filesystem::create_directories(directory, code);
  if (code) return fail({code, "cannot make " + directory.string()});
  std::unique_ptr<VerdictFile> out(new VerdictFile);
  auto opened = out->open_environment(directory, map_bytes);
  const bool is_unreadable = !opened && (proxy::is_lmdb(opened.error(), MDB_INVALID) ||
                                         proxy::is_lmdb(opened.error(), MDB_VERSION_MISMATCH) ||
                                         proxy::is_lmdb(opened.error(), MDB_CORRUPTED));
  if (is_unreadable) {
    out.reset(new VerdictFile);
    for (const char* name : {"data.mdb", "lock.mdb"}) std::filesystem::remove(directory / name, code);
    opened = out->open_environment(directory, map_bytes);
  }
  if (!opened) return fail(opened.error());
  return out;
}

Result<> VerdictFile::open_environment(const std::filesystem::path& directory, std::size_t map_bytes) {
  MDB_env* env = nullptr;
  if (const int code = mdb_env_create(&env); code != 0) return fail(proxy::lmdb_error(code, "verdicts"));
  env_.reset(env);
  mdb_env_set_mapsize(env, map_bytes);
  // A crash may lose the last batch, which is measured again, but never leaves a damaged tree.
  if (const int code = mdb_env_open(env, directory.c_str(), MDB_NOMETASYNC | MDB_NOTLS, kMode); code != 0)
    return fail(proxy::lmdb_error(code, directory.string()));
  MDB_txn* begun = nullptr;
  if (const int code = mdb_txn_begin(env, nullptr, 0, &begun); code != 0)
    return fail(proxy::lmdb_error(code, directory.string()));
  proxy::TxnPtr txn(begun);
  if (const int code = mdb_dbi_open(txn.get(), nullptr, 0, &table_); code != 0)
    return fail(proxy::lmdb_error(code, directory.string()));
  if (const int code = mdb_txn_commit(txn.release()); code != 0)
    return fail(proxy::lmdb_error(code, directory.string()));
  return {};
}

Result<> VerdictFile::load(WallTime now, VerdictStore& store) const {
  MDB_txn* begun = nullptr;
  if (const int code = mdb_txn_begin(env_.get(), nullptr, MDB_RDONLY, &begun); code != 0)
    return fail(proxy::lmdb_error(code, "verdicts"));
  const proxy::TxnPtr txn(begun);
  MDB_cursor* opened = nullptr;
  if (const int code = mdb_cursor_open(txn.get(), table_, &opened); code != 0)
    return fail(proxy::lmdb_error(code, "verdicts"));
  const proxy::CursorPtr cursor(opened);
  MDB_val key{}, value{};
  int code = mdb_cursor_get(cursor.get(), &key, &value, MDB_FIRST);
  for (; code == 0; code = mdb_cursor_get(cursor.get(), &key, &value, MDB_NEXT))
    store.restore(now, proxy::to_view(key), proxy::to_view(value));
  if (code != MDB_NOTFOUND) return fail(proxy::lmdb_error(code, "verdicts"));
  return {};
}

Result<> VerdictFile::write(const std::vector<VerdictStore::Change>& changes) {
  MDB_txn* begun = nullptr;
  if (const int code = mdb_txn_begin(env_.get(), nullptr, 0, &begun); code != 0)
    return fail(proxy::lmdb_error(code, "verdicts"));
  proxy::TxnPtr txn(begun);
  for (const VerdictStore::Change& change : changes) {
    MDB_val key = proxy::to_val(change.key), value = proxy::to_val(change.value);
    const int code = change.value.empty() ? mdb_del(txn.get(), table_, &key, nullptr)
                                          : mdb_put(txn.get(), table_, &key, &value, 0);
    if (code != 0 && code != MDB_NOTFOUND) return fail(proxy::lmdb_error(code, "verdicts"));
  }
  if (const int code = mdb_txn_commit(txn.release()); code != 0)
    return fail(proxy::lmdb_error(code, "verdicts"));
  return {};
}

}  // namespace reef::node
