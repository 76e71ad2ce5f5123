#include "proxy/names/url.h"

#include <doctest/doctest.h>

using namespace reef::proxy::names;

namespace {

Names names() {
  Options options;
  options.suffix = "reef.example";
  return Names(options);
}
const Origin kOrigin{Scheme::http, 80, HostName("www.x.com")};

}  // namespace

TEST_CASE("reef url: a URL is Coralized and comes back, with path, query and fragment") {
  const Front front{Scheme::http, 8090, Form::dotted};
  CHECK(coralize_url(names(), "http://www.x.com/a?b#c", front) == "http://www.x.com.reef.example:8090/a?b#c");
  CHECK(coralize_url(names(), "https://WWW.x.com:8443", front) ==
        "http://www.x.com.8443.https.reef.example:8090/");
  CHECK(coralize_url(names(), "http://www.x.com?q", {Scheme::https, 443, Form::one_label}) ==
        "https://www-x-com.reef.example/?q");
  CHECK(origin_url(names(), "http://www.x.com.8443.https.reef.example:8090/a?b#c") ==
        "https://www.x.com:8443/a?b#c");
}

TEST_CASE("reef url: what is not a plain http or https URL is refused") {
  for (const char* text :
       {"ftp://x.com/", "x.com", "//x.com/", "http://", "http:///a", "http://u:p@x.com/", "http://[::1]/",
        "http://x.com:0/", "http://x.com:99999/", "http://x.com:8x/", "http://x.com\\@y.com/",
        "http://x.com/\x01", "http://x.com/ a", "http://x.com/\xc3\xbc"}) {
    CAPTURE(text);
    const auto url = coralize_url(names(), text, {});
    REQUIRE_FALSE(url.has_value());
    CHECK(url.error() == NameError::bad_url);
  }
  CHECK(coralize_url(names(), "http://localhost:8000/", {}).error() == NameError::not_allowed);
  CHECK(origin_url(names(), "http://www.x.com/").error() == NameError::not_under_suffix);
}

TEST_CASE(
    "the normalized URL keeps path and query byte for byte and drops only a default port (RFC 9111 §2)") {
  std::string url;
  append_normalized_url(url, kOrigin, "/%7Ea/../b//c?x=1&x=%2f");
  CHECK(url == "http://www.x.com/%7Ea/../b//c?x=1&x=%2f");
  url.clear();
  append_normalized_url(url, {Scheme::https, 80, HostName("x.com")}, "");
  CHECK(url == "https://x.com:80/");
}

TEST_CASE("a Location at the same host is Coralized, whatever its scheme and port") {
  const Front front{Scheme::http, 8090, Form::dotted};
  const auto location = [&](std::string_view value) {
    return coralize_location(names(), value, kOrigin, front);
  };
  CHECK(location("http://www.x.com/new?a#b") == "http://www.x.com.reef.example:8090/new?a#b");
  CHECK(location("HTTP://WWW.X.COM") == "http://www.x.com.reef.example:8090/");
  CHECK(location("https://www.x.com/new") == "http://www.x.com.https.reef.example:8090/new");
  CHECK(location("http://www.x.com:8080/") == "http://www.x.com.8080.reef.example:8090/");
  CHECK(location("//www.x.com/a") == "http://www.x.com.reef.example:8090/a");
  CHECK(location("http://x.com/a") == "http://x.com.reef.example:8090/a");
}

TEST_CASE("a Location that is relative, of another host, or not a URL stays as it is") {
  for (const char* value :
       {"/new", "new", "?q", "", "http://y.com/", "http://x.com.evil.com/", "mailto:a@x.com",
        "http://u@www.x.com/", "http://www.x.com:22/", "//", "///a", "http://www.x.com\\.y.com/"}) {
    CAPTURE(value);
    CHECK_FALSE(coralize_location(names(), value, kOrigin, {}).has_value());
  }
}

TEST_CASE("a Location is Coralized in the form that the client used") {
  CHECK(coralize_location(names(), "http://www.x.com/a", kOrigin, {Scheme::https, 0, Form::one_label}) ==
        "https://www-x-com.reef.example/a");
}
