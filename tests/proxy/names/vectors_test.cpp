// The tables of docs/names.md are the specification; this reads them.
#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "proxy/names/host.h"
#include "proxy/names/target.h"
#include "proxy/names/url.h"

using namespace reef::proxy::names;

namespace {

using Row = std::vector<std::string>;

std::string cell_text(std::string text) {
  while (!text.empty() && text.front() == ' ') text.erase(0, 1);
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// The rows of the tables under one "## heading", without heads and rules.
std::vector<Row> rows_under(const std::string& heading) {
  std::ifstream file(REEF_DOCS_DIR "/names.md");
  REQUIRE(file.good());
  std::vector<Row> rows;
  std::string line;
  bool inside = false;
  while (std::getline(file, line)) {
    if (line.starts_with("## ")) inside = line == "## " + heading;
    if (!inside || !line.starts_with("| `")) continue;
    Row row;
    std::size_t start = 1;
    for (std::size_t bar = line.find('|', start); bar != std::string::npos; bar = line.find('|', start)) {
      row.push_back(cell_text(line.substr(start, bar - start)));
      start = bar + 1;
    }
    rows.push_back(row);
  }
  return rows;
}

std::string code(const std::string& cell) {
  REQUIRE(cell.size() >= 2);
  REQUIRE(cell.front() == '`');
  REQUIRE(cell.back() == '`');
  return cell.substr(1, cell.size() - 2);
}

Names names_with(bool local) {
  Options options;
  options.suffix = "reef.example";
  options.allow_localhost = options.allow_ipv4 = local;
  return Names(options);
}

}  // namespace

TEST_CASE("every name that docs/names.md lists as understood is understood, in both forms") {
  const std::vector<Row> rows = rows_under("Names that are understood");
  REQUIRE(rows.size() >= 24);
  const Names names = names_with(true);
  for (const Row& row : rows) {
    CAPTURE(row[0]);
    const auto name = names.parse(code(row[0]));
    REQUIRE(name.has_value());
    std::string url;
    append_normalized_url(url, name->origin, "/");
    CHECK(url == code(row[1]));

    const auto one_label = names.coralize(name->origin, Form::one_label);
    REQUIRE(one_label.has_value());
    CHECK(*one_label == code(row[2]));
    const auto again = names.parse(*one_label);
    REQUIRE(again.has_value());
    CHECK(again->origin == name->origin);
    CHECK(again->form == Form::one_label);
  }
}

TEST_CASE("every name that docs/names.md lists as refused is refused for that reason") {
  const std::vector<Row> rows = rows_under("Names that are refused");
  REQUIRE(rows.size() >= 35);
  const Names names = names_with(false);
  for (const Row& row : rows) {
    CAPTURE(row[0]);
    const auto name = names.parse(code(row[0]));
    REQUIRE_FALSE(name.has_value());
    CHECK(to_text(name.error()) == row[1]);
  }
}

TEST_CASE("the normalized URLs of docs/names.md come out") {
  const std::vector<Row> rows = rows_under("The normalized URL");
  REQUIRE(rows.size() >= 4);
  const Names names = names_with(false);
  for (const Row& row : rows) {
    CAPTURE(row[0]);
    const std::size_t split = row[0].find("` `");
    REQUIRE(split != std::string::npos);
    const std::string host = code(row[0].substr(0, split + 1));
    const std::string target = code(row[0].substr(split + 2));
    const reef::proxy::http::Field fields[] = {{"Host", host}};
    const auto parsed =
        parse_target({.method = "GET", .target = target, .minor_version = 1, .fields = fields});
    REQUIRE(parsed.has_value());
    const auto name = names.parse(parsed->authority);
    REQUIRE(name.has_value());
    std::string url;
    append_normalized_url(url, name->origin, parsed->path_query);
    CHECK(url == code(row[1]));
  }
}
