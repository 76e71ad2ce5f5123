#include "proxy/rules/directives.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>

#include "proxy/http/fields.h"

namespace reef::proxy::rules {
namespace {

using http::Directive;
using http::equal_ignoring_case;

// A lifetime that is not a valid number counts as zero.
void set_seconds(std::optional<std::int64_t>& slot, const Directive& directive) noexcept {
  if (slot) return;
  slot = directive.argument ? http::parse_delta_seconds(*directive.argument).value_or(0) : 0;
}

bool is_field_list(std::string_view text) noexcept {
  http::Members names(text);
  bool any = false;
  while (const auto name = names.next()) {
    if (!http::is_token(*name)) return false;
    any = true;
  }
  return any;
}

// no-cache and private: with a field list they concern only those fields. What is no list, and a second list
// beside the first, are taken for the directive without one: that keeps the most to its author.
void set_qualified(bool& all, std::string_view& fields, const Directive& directive) noexcept {
  const bool listed = directive.argument && is_field_list(*directive.argument);
  if (listed && (fields.empty() || fields == *directive.argument)) {
    fields = *directive.argument;
  } else {
    all = true;
  }
}

void apply(ResponseDirectives& out, const Directive& directive) noexcept {
  const std::string_view name = directive.name;
  const auto is = [name](std::string_view known) { return equal_ignoring_case(name, known); };
  if (is("max-age")) {
    out.repeated |= out.max_age.has_value();
    set_seconds(out.max_age, directive);
  } else if (is("s-maxage")) {
    out.repeated |= out.s_maxage.has_value();
    set_seconds(out.s_maxage, directive);
  } else if (is("stale-while-revalidate")) {
    set_seconds(out.stale_while_revalidate, directive);
  } else if (is("stale-if-error")) {
    set_seconds(out.stale_if_error, directive);
  } else if (is("no-cache")) {
    set_qualified(out.no_cache, out.no_cache_fields, directive);
  } else if (is("private")) {
    set_qualified(out.private_, out.private_fields, directive);
  } else if (is("no-store")) {
    out.no_store = true;
  } else if (is("public")) {
    out.public_ = true;
  } else if (is("must-revalidate")) {
    out.must_revalidate = true;
  } else if (is("proxy-revalidate")) {
    out.proxy_revalidate = true;
  } else if (is("must-understand")) {
    out.must_understand = true;
  } else if (is("immutable")) {
    out.immutable = true;
  }
}

// A Structured Fields dictionary (RFC 8941 §4.2.2), read strictly and flatly: values are typed, parameters
// and inner lists are checked and skipped.
class DictionaryReader {
 public:
  enum class Type { boolean_true, boolean_false, integer, decimal, string, token, bytes, inner_list };
  struct Member {
    std::string_view key;
    Type type = Type::boolean_true;
    std::string_view text;  // of an integer its digits, of a string its inside
  };

  explicit DictionaryReader(std::string_view line) : rest_(line) { skip_sp(); }

  // False at the end or on an error.
  bool next(Member& member) noexcept {
    if (rest_.empty() || failed_) return false;
    member = {};
    member.key = key();
    if (take('=')) {
      item_or_inner_list(member);
    }
    parameters();
    if (failed_) return false;
    skip_ows();
    if (rest_.empty()) return true;
    if (!take(',')) return fail();
    skip_ows();
    if (rest_.empty()) return fail();  // a comma at the end
    return true;
  }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  bool fail() noexcept {
    failed_ = true;
    return false;
  }
  [[nodiscard]] char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool take(char c) noexcept {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void skip_sp() noexcept {
    while (take(' ')) {
    }
  }
  void skip_ows() noexcept {
    while (take(' ') || take('\t')) {
    }
  }
  static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  static bool is_alpha(char c) { return is_lower(http::to_lower(c)); }

  template <class Accept>
  std::string_view take_while(Accept accept) noexcept {
    std::size_t size = 0;
    while (size < rest_.size() && accept(rest_[size])) ++size;
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view key() noexcept {
    if (!is_lower(peek()) && peek() != '*') {
      fail();
      return {};
    }
    return take_while(
        [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*'; });
  }
  void number(Member& member) noexcept {
    const std::string_view before = rest_;
    take('-');
    const std::string_view digits = take_while(is_digit);
    member.type = Type::integer;
    std::size_t fraction = 0;
    if (take('.')) {
      member.type = Type::decimal;
      fraction = take_while(is_digit).size();
      if (fraction == 0 || fraction > 3) fail();
    }
    if (digits.empty() || digits.size() > (member.type == Type::integer ? 15u : 12u)) fail();
    member.text = before.substr(0, before.size() - rest_.size());
  }
  void string(Member& member) noexcept {
    take('"');
    const std::string_view before = rest_;
    while (!rest_.empty() && peek() != '"') {
      const char c = peek();
      rest_.remove_prefix(1);
      if (c < 0x20 || c >= 0x7f) fail();
      if (c == '\\') {
        if (peek() != '"' && peek() != '\\') fail();
        if (!rest_.empty()) rest_.remove_prefix(1);
      }
    }
    member.type = Type::string;
    member.text = before.substr(0, before.size() - rest_.size());
    if (!take('"')) fail();
  }
  void bytes(Member& member) noexcept {
    take(':');
    take_while([](char c) { return is_alpha(c) || is_digit(c) || c == '+' || c == '/' || c == '='; });
    member.type = Type::bytes;
    if (!take(':')) fail();
  }
  void item(Member& member) noexcept {
    const char c = peek();
    if (c == '-' || is_digit(c)) {
      number(member);
    } else if (c == '"') {
      string(member);
    } else if (c == ':') {
      bytes(member);
    } else if (c == '?') {
      take('?');
      member.type = peek() == '1' ? Type::boolean_true : Type::boolean_false;
      if (!take('1') && !take('0')) fail();
    } else if (is_alpha(c) || c == '*') {
      member.type = Type::token;
      member.text = take_while([](char t) { return http::is_token_char(t) || t == ':' || t == '/'; });
    } else {
      fail();
    }
  }
  void parameters() noexcept {
    while (!failed_ && take(';')) {
      skip_sp();
      key();
      Member value;
      if (take('=')) item(value);
    }
  }
  void item_or_inner_list(Member& member) noexcept {
    if (!take('(')) return item(member);
    member.type = Type::inner_list;
    while (!failed_) {
      skip_sp();
      if (take(')')) return;
      Member inner;
      item(inner);
      parameters();
      if (peek() != ' ' && peek() != ')') fail();
    }
  }

  std::string_view rest_;
  bool failed_ = false;
};

constexpr std::string_view kLifetimes[] = {"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"};
constexpr std::string_view kLists[] = {"no-cache", "private"};
constexpr std::string_view kSwitches[] = {"no-store",         "public",          "must-revalidate",
                                          "proxy-revalidate", "must-understand", "immutable"};

bool is_one_of(std::string_view key, std::span<const std::string_view> keys) noexcept {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// The members of a targeted field that mean something to us. Of a key that occurs twice the last member
// counts (RFC 8941 §3.2), the opposite of Cache-Control.
class LastMembers {
 public:
  void add(const DictionaryReader::Member& member) noexcept {
    if (!is_one_of(member.key, kLifetimes) && !is_one_of(member.key, kLists) &&
        !is_one_of(member.key, kSwitches)) {
      return;
    }
    const auto end = members_.begin() + count_;
    const auto same = std::find_if(members_.begin(), end, [&](const auto& m) { return m.key == member.key; });
    if (same == end) ++count_;
    *same = member;
  }
  // False: a known directive has a value of the wrong type.
  bool apply_to(ResponseDirectives& out) const noexcept {
    for (std::ptrdiff_t i = 0; i < count_; ++i) {
      if (!apply_member(out, members_[static_cast<std::size_t>(i)])) return false;
    }
    return true;
  }

 private:
  static bool apply_member(ResponseDirectives& out, const DictionaryReader::Member& member) noexcept {
    using Type = DictionaryReader::Type;
    Directive directive{member.key, std::nullopt, false};
    if (is_one_of(member.key, kLifetimes)) {
      if (member.type != Type::integer || member.text.starts_with('-')) return false;
      directive.argument = member.text;
    } else if (member.type == Type::boolean_false) {
      return true;  // said not to hold
    } else if (member.type == Type::string && is_one_of(member.key, kLists)) {
      directive.argument = member.text;
    } else if (member.type != Type::boolean_true) {
      return false;
    }
    apply(out, directive);
    return true;
  }

  std::array<DictionaryReader::Member, std::size(kLifetimes) + std::size(kLists) + std::size(kSwitches)>
      members_{};
  std::ptrdiff_t count_ = 0;
};

}  // namespace

ResponseDirectives parse_cache_control(http::FieldsView fields) noexcept {
  ResponseDirectives out;
  http::Members members = http::combined(fields, "Cache-Control");
  while (const auto member = members.next()) {
    if (const auto directive = http::parse_directive(*member)) apply(out, *directive);
  }
  return out;
}

std::optional<ResponseDirectives> parse_targeted(http::FieldsView fields, std::string_view name) noexcept {
  LastMembers members;
  bool any = false;
  for (const http::Field& field : fields) {
    if (!equal_ignoring_case(field.name, name) || field.value.empty()) continue;
    DictionaryReader reader(field.value);
    DictionaryReader::Member member;
    while (reader.next(member)) {
      any = true;
      members.add(member);
    }
    if (reader.failed()) return std::nullopt;
  }
  ResponseDirectives out;
  out.targeted = true;
  if (!any || !members.apply_to(out)) return std::nullopt;
  return out;
}

ResponseDirectives effective_directives(http::FieldsView fields,
                                        std::span<const std::string> targeted_fields) noexcept {
  for (const std::string& name : targeted_fields) {
    if (const auto targeted = parse_targeted(fields, name)) return *targeted;
  }
  return parse_cache_control(fields);
}

RequestDirectives parse_request_directives(http::FieldsView fields) noexcept {
  RequestDirectives out;
  bool any_line = false;
  for (const http::Field& field : fields) {
    if (field.name.size() == 13 && equal_ignoring_case(field.name, "Cache-Control")) any_line = true;
  }
  if (!any_line) {
    out.no_cache = http::has_member(fields, "Pragma", "no-cache");
    return out;
  }
  http::Members members = http::combined(fields, "Cache-Control");
  while (const auto member = members.next()) {
    const auto directive = http::parse_directive(*member);
    if (!directive) continue;
    const auto is = [&](std::string_view known) { return equal_ignoring_case(directive->name, known); };
    if (is("no-cache")) {
      out.no_cache = true;
    } else if (is("no-store")) {
      out.no_store = true;
    } else if (is("only-if-cached")) {
      out.only_if_cached = true;
    } else if (is("max-age")) {
      set_seconds(out.max_age, *directive);
    } else if (is("min-fresh")) {
      set_seconds(out.min_fresh, *directive);
    } else if (is("max-stale") && !directive->argument) {
      out.max_stale_any = true;
    } else if (is("max-stale")) {
      set_seconds(out.max_stale, *directive);
    }
  }
  return out;
}

}  // namespace reef::proxy::rules
