#include "proxy/store/object_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "proxy/store/error.h"
#include "proxy/store/spool.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kHexDigits = 16;
constexpr std::uint64_t kBlockBytes = 4096;
constexpr std::uint64_t kInodeBytes = 512;  // inode and directory entry
constexpr std::size_t kReadBytes = 256u << 10;

std::string hex(std::uint64_t value) {
  char text[kHexDigits + 1];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

Result<> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno_error(path));
  return {};
}

}  // namespace

std::string file_name(const StoredId& id) { return hex(id.boot) + "-" + hex(id.serial); }

std::optional<StoredId> parse_file_name(std::string_view name) {
  if (name.size() != 2 * kHexDigits + 1 || name[kHexDigits] != '-') return std::nullopt;
  StoredId id;
  const auto parse = [](std::string_view text, std::uint64_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return error == std::errc{} && end == text.data() + text.size();
  };
  if (!parse(name.substr(0, kHexDigits), id.boot) || !parse(name.substr(kHexDigits + 1), id.serial)) {
    return std::nullopt;
  }
  return id;
}

std::uint64_t ObjectFiles::charge(std::uint64_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes + kInodeBytes;
}

std::string ObjectFiles::spool_directory() const { return directory_ + "/spool/" + hex(boot_); }

std::string ObjectFiles::path(const StoredId& id) const {
  const std::string name = file_name(id);
  return directory_ + "/objects/" + name.substr(name.size() - 2) + "/" + name;
}

Result<> ObjectFiles::prepare() const {
  auto made = make_directory(directory_ + "/objects");
  for (unsigned folder = 0; made && folder < 256; ++folder) {
    made = make_directory(directory_ + "/objects/" + hex(folder).substr(kHexDigits - 2));
  }
  if (made) made = make_directory(directory_ + "/spool");
  if (made) made = make_directory(spool_directory());
  return made;
}

Result<> ObjectFiles::adopt(const std::string& spool_path, const StoredId& id) const {
  const std::string to = path(id);
  if (::rename(spool_path.c_str(), to.c_str()) != 0) return fail(errno_error(to));
  return {};
}

Result<> ObjectFiles::write(const StoredId& id, ByteView body) const {
  const std::string spool_path = spool_directory() + "/w" + hex(id.serial);
  Fd file(::open(spool_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.is_open()) return fail(errno_error(spool_path));
  auto written = write_at(file.get(), body, 0);
  // Some file systems report a failed write at close only.
  if (written && ::close(file.release()) != 0) written = fail(errno_error(spool_path));
  if (written) written = adopt(spool_path, id);
  if (!written) ::unlink(spool_path.c_str());
  return written;
}

Result<Fd> ObjectFiles::open(const StoredId& id, std::uint64_t bytes) const {
  const std::string name = path(id);
  Fd file(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return fail(errno_error(name));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return fail(errno_error(name));
  if (static_cast<std::uint64_t>(status.st_size) != bytes) {
    return fail(store_error(StoreError::damaged, name + " has another size"));
  }
  return file;
}

void ObjectFiles::remove(const StoredId& id) const { ::unlink(path(id).c_str()); }

std::uint64_t ObjectFiles::collect_spool() const {
  namespace fs = std::filesystem;
  std::uint64_t removed = 0;
  std::error_code error;
  const std::string mine = hex(boot_);
  for (fs::directory_iterator it(directory_ + "/spool", error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename() == mine) continue;
    std::error_code ignored;
    const std::uintmax_t count = fs::remove_all(it->path(), ignored);
    if (count != static_cast<std::uintmax_t>(-1) && count > 0)
      removed += count - 1;  // less the folder itself
  }
  return removed;
}

std::uint64_t ObjectFiles::collect_orphans(const std::vector<StoredId>& known) const {
  namespace fs = std::filesystem;
  std::uint64_t removed = collect_spool();
  for (unsigned folder = 0; folder < 256; ++folder) {
    const std::string directory = directory_ + "/objects/" + hex(folder).substr(kHexDigits - 2);
    std::error_code error;
    for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
      const auto id = parse_file_name(it->path().filename().native());
      if (id && (id->boot == boot_ || std::binary_search(known.begin(), known.end(), *id))) continue;
      if (::unlink(it->path().c_str()) == 0) ++removed;
    }
  }
  return removed;
}

Result<Sha256Digest> digest_of_file(int fd, std::uint64_t bytes) {
  Sha256 digest;
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kReadBytes);
  for (std::uint64_t at = 0; at < bytes;) {
    const std::span part(buffer.get(),
                         static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, bytes - at)));
    if (auto got = read_at(fd, part, at); !got) return fail(got.error());
    digest.update(part);
    at += part.size();
  }
  return digest.finish();
}

}  // namespace reef::proxy
