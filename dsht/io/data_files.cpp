#include "dsht/io/data_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <charconv>
#include <cstdio>

#include "base/io/fd.h"

namespace reef::dsht {
namespace {

constexpr std::string_view kFormatLine = "reef contacts 1";
constexpr std::size_t kFileBytesMax = 64 * 1024;

Result<std::string> read_file(const std::filesystem::path& path, struct stat& info) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) return fail(errno_error("cannot read " + path.string()));
  if (::fstat(fd.get(), &info) != 0) return fail(errno_error("cannot read " + path.string()));
  std::string text(kFileBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0) return fail(errno_error("cannot read " + path.string()));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kFileBytesMax) return fail(invalid(path.string() + " is larger than it can be"));
  text.resize(size);
  return text;
}

// Written aside and renamed, so that the file is never half there.
Result<> write_file(const std::filesystem::path& path, std::string_view text, bool sync) {
  const std::filesystem::path aside = path.string() + ".new";
  {
    const Fd fd(::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd.is_open()) return fail(errno_error("cannot write " + aside.string()));
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t put = ::write(fd.get(), text.data() + done, text.size() - done);
      if (put < 0) return fail(errno_error("cannot write " + aside.string()));
      done += static_cast<std::size_t>(put);
    }
    if (sync && ::fsync(fd.get()) != 0) return fail(errno_error("cannot write " + aside.string()));
  }
  if (std::rename(aside.c_str(), path.c_str()) != 0)
    return fail(errno_error("cannot write " + path.string()));
  return {};
}

Result<Identity> create_identity(const std::filesystem::path& path) {
  Ed25519Seed seed;
  random_bytes(seed);
  if (auto written = write_file(path, to_hex(seed) + "\n", true); !written) return fail(written.error());
  return Identity(seed);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// The next word of a line; words stand one blank apart.
std::string_view take_word(std::string_view& line) {
  const std::size_t blank = line.find(' ');
  const std::string_view word = line.substr(0, blank);
  line = blank == std::string_view::npos ? std::string_view{} : line.substr(blank + 1);
  return word;
}

template <class Integer>
bool parse_number(std::string_view text, Integer& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

Result<Contact> parse_contact(std::string_view line) {
  const Error bad = invalid("'" + std::string(line.substr(0, 120)) + "' is not a contact");
  const auto id = parse_id<NodeId>(take_word(line));
  const auto rpc = Endpoint::parse(take_word(line));
  Contact out;
  if (!id || !rpc || rpc->port == 0) return fail(bad);
  out.id = *id;
  out.rpc = *rpc;
  if (!parse_number(take_word(line), out.http_port) || !parse_number(take_word(line), out.dns_port) ||
      !parse_number(line, out.services)) {
    return fail(bad);
  }
  return out;
}

}  // namespace

Result<Identity> load_identity(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return fail(Error{error, "cannot create " + directory.string()});
  const std::filesystem::path path = directory / "identity.key";
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return create_identity(path);
    return fail(errno_error("cannot read " + path.string()));
  }
  auto text = read_file(path, info);
  if (!text) return fail(text.error());
  if ((info.st_mode & 077) != 0) {
    return fail(invalid(path.string() + " is a private key that others can read: chmod 600 it"));
  }
  Ed25519Seed seed;
  bool good = text->size() == 2 * seed.size() + 1 && text->back() == '\n';
  for (std::size_t i = 0; good && i < seed.size(); ++i) {
    const int high = hex_digit((*text)[2 * i]);
    const int low = hex_digit((*text)[2 * i + 1]);
    good = high >= 0 && low >= 0;
    seed[i] = static_cast<std::byte>(good ? high << 4 | low : 0);
  }
  if (!good)
    return fail(invalid(path.string() + " is not a node's key (64 lower-case hex digits and a newline)"));
  return Identity(seed);
}

std::string format_contacts(const std::vector<Contact>& contacts) {
  std::string out(kFormatLine);
  out += '\n';
  for (std::size_t i = 0; i < std::min(contacts.size(), kSavedContactsMax); ++i) {
    const Contact& c = contacts[i];
    out += to_string(c.id) + ' ' + to_string(c.rpc) + ' ' + std::to_string(c.http_port) + ' ' +
           std::to_string(c.dns_port) + ' ' + std::to_string(c.services) + '\n';
  }
  return out;
}

Result<std::vector<Contact>> parse_contacts(std::string_view text) {
  std::vector<Contact> out;
  bool is_first = true;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return fail(invalid("the last line is cut off"));
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (is_first) {
      if (line != kFormatLine)
        return fail(invalid("the first line must be '" + std::string(kFormatLine) + "'"));
      is_first = false;
      continue;
    }
    auto contact = parse_contact(line);
    if (!contact) return fail(contact.error());
    if (out.size() >= kSavedContactsMax) return fail(invalid("more contacts than are ever saved"));
    out.push_back(*contact);
  }
  if (is_first) return fail(invalid("the file is empty"));
  return out;
}

Result<std::vector<Contact>> load_contacts(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "contacts";
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 && errno == ENOENT) return std::vector<Contact>{};
  const auto text = read_file(path, info);
  if (!text) return fail(text.error());
  auto contacts = parse_contacts(*text);
  if (!contacts) return fail(Error{contacts.error().code, path.string() + ": " + contacts.error().context});
  return contacts;
}

Result<> save_contacts(const std::filesystem::path& directory, const std::vector<Contact>& contacts) {
  return write_file(directory / "contacts", format_contacts(contacts), false);
}

}  // namespace reef::dsht
