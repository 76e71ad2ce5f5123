#include "dsht/io/data_files.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

using namespace reef;
using namespace reef::dsht;

namespace {

struct Directory {
  std::filesystem::path path;
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "reef_dsht_XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Directory() { std::filesystem::remove_all(path); }
};

std::string content(const std::filesystem::path& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

const std::vector<Contact> kContacts = {
    {NodeId{{1, 2, 3}}, {IpAddress::v4(192, 0, 2, 1), 8091}, 8090, 5300, 3},
    {NodeId{{4}}, {IpAddress::parse("2001:db8::1").value(), 1}, 0, 0, 0},
};

}  // namespace

TEST_CASE("an identity is created once, readable by its owner only, and found again") {
  const Directory directory;
  const auto first = load_identity(directory.path / "data");
  REQUIRE(first.has_value());
  struct stat info {};
  REQUIRE(::stat((directory.path / "data" / "identity.key").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  const auto again = load_identity(directory.path / "data");
  REQUIRE(again.has_value());
  CHECK(again->id() == first->id());
  CHECK(load_identity(directory.path / "other")->id() != first->id());
}

TEST_CASE("a key that others can read, or that is none, is refused and left alone") {
  const Directory directory;
  const auto path = directory.path / "identity.key";
  REQUIRE(load_identity(directory.path).has_value());
  ::chmod(path.c_str(), 0644);
  CHECK_FALSE(load_identity(directory.path).has_value());
  ::chmod(path.c_str(), 0600);
  const std::string good = content(path);
  for (const std::string& bad :
       {std::string("short\n"), good + "x", std::string(64, 'g') + "\n", std::string()}) {
    std::ofstream(path, std::ios::trunc) << bad;
    CHECK_FALSE(load_identity(directory.path).has_value());
    CHECK(content(path) == bad);
  }
}

TEST_CASE("contacts are saved and read back; none were saved at first") {
  const Directory directory;
  CHECK(load_contacts(directory.path)->empty());
  REQUIRE(save_contacts(directory.path, kContacts).has_value());
  CHECK(load_contacts(directory.path).value() == kContacts);
  REQUIRE(save_contacts(directory.path, {}).has_value());
  CHECK(load_contacts(directory.path)->empty());
}

TEST_CASE("a damaged contacts file is an error, wherever it is cut or changed") {
  const std::string good = format_contacts(kContacts);
  REQUIRE(parse_contacts(good).has_value());
  const std::size_t lines[] = {0, 16, good.find('\n', 20) + 1, good.size()};
  for (std::size_t size = 0; size < good.size(); ++size) {
    const bool at_line = std::find(std::begin(lines), std::end(lines), size) != std::end(lines) && size > 0;
    CHECK(parse_contacts(std::string_view(good).substr(0, size)).has_value() == at_line);
  }
  for (const std::string_view bad : {"reef contacts 2\n", "reef contacts 1\nx\n", "reef contacts 1\n\n"}) {
    CHECK_FALSE(parse_contacts(bad).has_value());
  }
  std::string long_line = good;
  long_line.insert(long_line.size() - 1, " 1");
  CHECK_FALSE(parse_contacts(long_line).has_value());
}
