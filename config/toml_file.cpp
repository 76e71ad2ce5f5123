#include "config/toml_file.h"

#include <algorithm>
#include <optional>
#include <sstream>
#include <stdexcept>

// toml++ 3.3 meets some bad files ("[[[") with an assertion, which in a release build would be an assumption
// and so undefined behaviour. Here its checks stay on and end as an exception, in this file alone.
#undef NDEBUG
static constexpr void toml_must_hold(bool condition) {
  if (!condition) throw std::logic_error("unexpected text");
}
#define TOML_ASSERT(condition) toml_must_hold(static_cast<bool>(condition))
#include <toml++/toml.h>

namespace reef::config {
namespace {

class Reader {
 public:
  explicit Reader(const std::string& file_name) : file_name_(file_name) {}

  Result<std::vector<Given>> read(const toml::table& root) {
    table(root, "");
    if (!error_.empty()) return fail(invalid(error_));
    // toml++ sorts its keys; what is reported first should be what stands first.
    std::stable_sort(out_.begin(), out_.end(),
                     [](const Placed& a, const Placed& b) { return a.line < b.line; });
    std::vector<Given> given;
    for (Placed& placed : out_) given.push_back(std::move(placed.given));
    return given;
  }

 private:
  struct Placed {
    std::uint32_t line;
    Given given;
  };

  [[nodiscard]] std::string place(const toml::node& node) const {
    return file_name_ + ":" + std::to_string(node.source().begin.line);
  }

  void refuse(const toml::node& node, const std::string& key, const std::string& found,
              const std::string& allowed) {
    if (error_.empty()) error_ = place(node) + ": " + key + ": found " + found + "; allowed: " + allowed;
  }

  static std::string written(const toml::node& node) {
    if (const auto text = node.value<std::string>(); text && node.is_string()) return "\"" + *text + "\"";
    std::ostringstream out;
    node.visit([&out](const auto& value) {
      if constexpr (toml::is_value<decltype(value)>) out << value;
    });
    return out.str();
  }

  // nullopt for what no setting takes: dates, tables, arrays in arrays, fractions.
  static std::optional<std::string> text_of(const toml::node& node) {
    if (node.is_string()) return node.value<std::string>();
    if (node.is_integer()) return std::to_string(*node.value<std::int64_t>());
    if (node.is_boolean()) return *node.value<bool>() ? "true" : "false";
    return std::nullopt;
  }

  void table(const toml::table& from, const std::string& prefix) {
    for (const auto& [name, node] : from) {
      const std::string key = prefix + std::string(name.str());
      if (const toml::table* inner = node.as_table()) {
        table(*inner, key + ".");
      } else if (const toml::array* elements = node.as_array(); elements != nullptr && key == "site") {
        sites(*elements);
      } else if (auto given = given_of(node, key)) {
        out_.push_back({node.source().begin.line, std::move(*given)});
      }
    }
  }

  // A scalar or an array; nullopt: refused.
  std::optional<Given> given_of(const toml::node& node, const std::string& key) {
    if (const toml::array* elements = node.as_array()) return array(*elements, key);
    if (const auto text = text_of(node)) {
      return Given{.key = key,
                   .where = place(node),
                   .texts = {*text},
                   .wheres = {},
                   .shown = {written(node)},
                   .is_array = false};
    }
    refuse(node, key, written(node), "a string, a whole number, true or false, or an array of strings");
    return std::nullopt;
  }

  std::optional<Given> array(const toml::array& elements, const std::string& key) {
    Given given{
        .key = key, .where = place(elements), .texts = {}, .wheres = {}, .shown = {}, .is_array = true};
    for (const toml::node& element : elements) {
      const auto text = text_of(element);
      if (!text) {
        refuse(element, key, "something else in the array", "strings");
        return std::nullopt;
      }
      given.texts.push_back(*text);
      given.wheres.push_back(place(element));
      given.shown.push_back(written(element));
    }
    return given;
  }

  void sites(const toml::array& tables) {
    static const std::string kAllowed = "[[site]] tables with host = \"…\" and origin = \"…\"";
    std::vector<Given> rules;
    Given given{
        .key = "site", .where = place(tables), .texts = {}, .wheres = {}, .shown = {}, .is_array = true};
    std::uint32_t line = tables.source().begin.line;
    for (const toml::node& element : tables) {
      const toml::table* site = element.as_table();
      if (site == nullptr) return refuse(element, "site", written(element), kAllowed);
      for (const auto& [name, node] : *site) {
        const std::string key = "site." + std::string(name.str());
        if (name == "host" || name == "origin") {
          if (!node.is_string()) return refuse(node, key, written(node), "a string");
        } else if (auto rule = given_of(node, key)) {
          rule->site = given.texts.size();
          rules.push_back(std::move(*rule));
        } else {
          return;
        }
      }
      const auto host = (*site)["host"].value<std::string>();
      const auto origin = (*site)["origin"].value<std::string>();
      if (!host || !origin) return refuse(element, "site", host ? "no origin" : "no host", kAllowed);
      given.texts.push_back(*host + "=" + *origin);
      given.wheres.push_back(place(element));
      given.shown.push_back("host \"" + *host + "\" with origin \"" + *origin + "\"");
    }
    out_.push_back({line, std::move(given)});
    for (Given& rule : rules) out_.push_back({line, std::move(rule)});
  }

  const std::string& file_name_;
  std::string error_;
  std::vector<Placed> out_;
};

}  // namespace

Result<std::vector<Given>> read_toml(std::string_view text, const std::string& file_name) {
  try {
    const toml::table root = toml::parse(text, file_name);
    return Reader(file_name).read(root);
  } catch (const toml::parse_error& error) {
    std::string reason(error.description());
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    return fail(
        invalid(file_name + ":" + std::to_string(error.source().begin.line) + ": not TOML: " + reason));
  } catch (const std::logic_error& error) {
    return fail(invalid(file_name + ": not TOML: " + error.what()));
  }
}

}  // namespace reef::config
