#include "node/verdict_store.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "node/verdict_file.h"

using namespace reef;
using namespace reef::node;
using namespace std::chrono_literals;

namespace {

const WallTime kNow{std::chrono::hours(24 * 365 * 50)};

IpPrefix network(std::uint8_t number) { return IpPrefix::around(IpAddress::v4(20, 0, number, 0), 24); }

StoredVerdict verdict(Duration rtt, WallTime measured = kNow) {
  StoredVerdict out;
  out.finding.level = 2;
  out.finding.source = FindingSource::rtt;
  out.finding.rtt = rtt;
  out.finding.route = {{"20.0.0.1", 1, 2ms}, {"2001:db8::/48", 3, 0ms}};
  dsht::Contact contact;
  contact.id.bytes[3] = 7;
  contact.rpc = {IpAddress::v4(9, 9, 9, 9), 8091};
  contact.http_port = 80;
  contact.dns_port = 53;
  contact.services = 3;
  out.finding.near = {{contact, 0, std::nullopt}, {contact, 3, 4ms}};
  out.target = IpAddress::v4(20, 0, 0, 53);
  out.measured = measured;
  return out;
}

StoredVerdict failure(WallTime measured = kNow) {
  StoredVerdict out;
  out.target = IpAddress::v4(20, 0, 0, 53);
  out.measured = measured;
  return out;
}

struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "reef-verdicts-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

TEST_CASE("a verdict holds for an hour, one that found out nothing for five minutes") {
  VerdictStore store({});
  store.put(network(1), verdict(5ms));
  store.put(network(2), failure());
  REQUIRE(store.find(kNow + 59min, network(1)) != nullptr);
  CHECK(store.find(kNow + 59min, network(1))->finding.rtt == 5ms);
  CHECK(store.find(kNow + 4min, network(2)) != nullptr);
  CHECK(store.find(kNow + 5min, network(2)) == nullptr);
  CHECK(store.find(kNow + 1h, network(1)) == nullptr);
  CHECK(store.size() == 0);
}

TEST_CASE("a verdict of the future, after the clock was set back, does not hold") {
  VerdictStore store({});
  store.put(network(1), verdict(5ms, kNow + 1h));
  CHECK(store.find(kNow, network(1)) == nullptr);
}

TEST_CASE("where there are too many, the one unused for the longest time gives way") {
  VerdictStoreOptions options;
  options.verdicts_max = 3;
  VerdictStore store(options);
  for (std::uint8_t i = 1; i <= 3; ++i) store.put(network(i), verdict(i * 1ms));
  REQUIRE(store.find(kNow, network(1)) != nullptr);
  store.put(network(4), verdict(4ms));
  CHECK(store.size() == 3);
  CHECK(store.find(kNow, network(2)) == nullptr);
  CHECK(store.find(kNow, network(1)) != nullptr);
  CHECK(store.find(kNow, network(3)) != nullptr);
}

TEST_CASE("what was written down is there after a restart, what was taken back is not") {
  VerdictStore store({});
  for (std::uint8_t i = 1; i <= 3; ++i) store.put(network(i), verdict(i * 1ms));
  store.put(network(4), failure());
  auto changes = store.take_changes(100);
  CHECK(changes.size() == 4);
  CHECK(store.take_changes(100).empty());

  Folder folder;
  {
    auto file = VerdictFile::open(folder.path / "verdicts", 1 << 20);
    REQUIRE(file);
    REQUIRE((*file)->write(changes));
    // One grows old and is looked for; another changes.
    CHECK(store.find(kNow + 10min, network(4)) == nullptr);
    store.put(network(2), verdict(20ms));
    changes = store.take_changes(1);
    CHECK(changes.size() == 1);
    REQUIRE((*file)->write(changes));
    REQUIRE((*file)->write(store.take_changes(100)));
  }
  auto file = VerdictFile::open(folder.path / "verdicts", 1 << 20);
  REQUIRE(file);
  VerdictStore fresh({});
  REQUIRE((*file)->load(kNow + 1min, fresh));
  CHECK(fresh.size() == 3);
  REQUIRE(fresh.find(kNow + 1min, network(2)) != nullptr);
  CHECK(*fresh.find(kNow + 1min, network(2)) == verdict(20ms));
  CHECK(*fresh.find(kNow + 1min, network(3)) == verdict(3ms));
  CHECK(fresh.find(kNow + 1min, network(4)) == nullptr);
  CHECK(fresh.take_changes(100).empty());
}

TEST_CASE("what has grown old on disk is not taken back, and is removed there") {
  VerdictStore store({});
  store.put(network(1), verdict(1ms));
  const auto changes = store.take_changes(10);
  VerdictStore later({});
  CHECK(later.restore(kNow + 2h, changes[0].key, changes[0].value));
  CHECK(later.size() == 0);
  const auto removed = later.take_changes(10);
  REQUIRE(removed.size() == 1);
  CHECK(removed[0].key == changes[0].key);
  CHECK(removed[0].value.empty());
}

TEST_CASE("a file that is no database is replaced by an empty one") {
  Folder folder;
  {
    std::ofstream out(folder.path / "data.mdb");
    out << std::string(8192, 'x');
  }
  auto file = VerdictFile::open(folder.path, 1 << 20);
  REQUIRE(file);
  VerdictStore store({});
  CHECK((*file)->load(kNow, store));
  CHECK(store.size() == 0);
}

TEST_CASE("records are read strictly: cut, prolonged or of another format they are none") {
  const StoredVerdict whole = verdict(123456ns);
  const Bytes record = encode(whole);
  const auto read = decode_verdict(record);
  REQUIRE(read);
  CHECK(*read == whole);
  for (std::size_t size = 0; size < record.size(); ++size)
    CHECK(!decode_verdict(ByteView(record).first(size)));
  Bytes longer = record;
  longer.push_back(std::byte{0});
  CHECK(!decode_verdict(longer));
  Bytes other = record;
  other[0] ^= std::byte{0x80};
  CHECK(!decode_verdict(other));
  other = record;
  other[1] = std::byte{3};  // a level that there is not
  CHECK(!decode_verdict(other));
  CHECK(*decode_verdict(encode(failure())) == failure());

  VerdictStore store({});
  CHECK(!store.restore(kNow, as_bytes("x"), record));
  CHECK(store.size() == 0);
}
