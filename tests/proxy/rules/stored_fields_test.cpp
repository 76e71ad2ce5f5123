// Which fields of a response are kept and sent (RFC 9111 §3.1).
#include <doctest/doctest.h>

#include "proxy/rules/storing.h"
#include "tests/proxy/rules/exchange.h"

using namespace reef::proxy::rules;

namespace {

using Fields = std::initializer_list<std::pair<std::string, std::string>>;

std::string stored_fields(Fields fields, Options options = Options::site(), int status = 200) {
  std::string out;
  append_stored_fields(out, Exchange::with(fields, status).response(), kReceived, options);
  return out;
}

}  // namespace

TEST_CASE("every end-to-end field is stored unchanged and in order, unknown ones too (RFC 9111 §3.1)") {
  CHECK(stored_fields({{"Date", "d"},
                       {"X-Unknown", "\xc3\xbc"},
                       {"Content-Range", "bytes 0-1/2"},
                       {"Content-MD5", "no digest"},
                       {"Clear-Site-Data", "*"},
                       {"Content-Encoding", "zz"},
                       {"Expires", "0"},
                       {"Cache-Control", "x=\"a, b\" ,, max-age=5"},
                       {"X-Empty", ""}}) ==
        "Date: d\r\nX-Unknown: \xc3\xbc\r\nContent-Range: bytes 0-1/2\r\nContent-MD5: no digest\r\n"
        "Clear-Site-Data: *\r\nContent-Encoding: zz\r\nExpires: 0\r\n"
        "Cache-Control: x=\"a, b\" ,, max-age=5\r\nX-Empty: \r\n");
}

TEST_CASE("lines of one name stay lines, in order; Set-Cookie is never joined (RFC 9110 §5.3)") {
  CHECK(
      stored_fields({{"Date", "d"}, {"Set-Cookie", "a=1"}, {"X", "1"}, {"set-cookie", "b=2"}, {"x", "2"}}) ==
      "Date: d\r\nSet-Cookie: a=1\r\nX: 1\r\nset-cookie: b=2\r\nx: 2\r\n");
}

TEST_CASE("hop-by-hop fields and what Connection names are not stored (RFC 9111 §3.1, RFC 9110 §7.6.1)") {
  for (const char* name :
       {"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authentication-Info",
        "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "upgrade", "tE"}) {
    CAPTURE(name);
    CHECK(stored_fields({{"Date", "d"}, {name, "x"}}) == "Date: d\r\n");
  }
  CHECK(stored_fields({{"X-A", "1"},
                       {"Connection", "close, x-a"},
                       {"Date", "d"},
                       {"connection", "X-B"},
                       {"X-B", "1"},
                       {"X-C", "1"}}) == "Date: d\r\nX-C: 1\r\n");
}

TEST_CASE("Age and Content-Length are made anew for each answer (RFC 9111 §5.1)") {
  CHECK(stored_fields({{"Date", "d"}, {"Age", "5"}, {"Content-Length", "5"}}) == "Date: d\r\n");
}

TEST_CASE(
    "Via and Cache-Status of the caches before us stay in front of ours (RFC 9110 §7.6.3, RFC 9211 §2)") {
  CHECK(stored_fields({{"Date", "d"}, {"Via", "1.1 x"}, {"Cache-Status", "x; hit"}}) ==
        "Date: d\r\nVia: 1.1 x\r\nCache-Status: x; hit\r\n");
}

TEST_CASE("the fields of no-cache=\"...\" are not reused (RFC 9111 §5.2.2.4)") {
  CHECK(stored_fields(
            {{"Date", "d"}, {"Cache-Control", "no-cache=\"x-a, X-B\""}, {"X-A", "1"}, {"x-b", "1"}}) ==
        "Date: d\r\nCache-Control: no-cache=\"x-a, X-B\"\r\n");
}

TEST_CASE("the fields of private=\"...\" are not stored (RFC 9111 §5.2.2.7)") {
  CHECK(stored_fields({{"Date", "d"},
                       {"Cache-Control", "no-cache=\"x-a\", private=\"x-b, X-C\""},
                       {"X-A", "1"},
                       {"X-B", "1"},
                       {"X-C", "1"},
                       {"X-D", "1"}}) ==
        "Date: d\r\nCache-Control: no-cache=\"x-a\", private=\"x-b, X-C\"\r\nX-D: 1\r\n");
}

TEST_CASE("a Date is added where the origin sent none, and never rewritten (RFC 9110 §6.6.1)") {
  CHECK(stored_fields({{"X", "y"}}) == "X: y\r\nDate: " + date_text(0) + "\r\n");
  CHECK(stored_fields({{"Date", date_text(-500)}}) == "Date: " + date_text(-500) + "\r\n");
  CHECK(stored_fields({{"Date", "yesterday"}}) == "Date: yesterday\r\n");
}

TEST_CASE("a targeted field goes on downstream, usable or not (RFC 9213 §2.1)") {
  CHECK(stored_fields({{"Date", "d"}, {"CDN-Cache-Control", "max-age=60"}}) ==
        "Date: d\r\nCDN-Cache-Control: max-age=60\r\n");
  CHECK(stored_fields({{"Date", "d"}, {"CDN-Cache-Control", "&&&"}}, Options::coralized()) ==
        "Date: d\r\nCDN-Cache-Control: &&&\r\nX-Content-Type-Options: nosniff\r\n");
}

TEST_CASE("cookies that are to be stripped are not stored (RFC 9111 §7.3)") {
  Options strip = Options::site();
  strip.set_cookie = SetCookie::strip;
  CHECK(stored_fields({{"Set-Cookie", "a=b"}, {"Date", "x"}}, strip) == "Date: x\r\n");
}

TEST_CASE("an answer for one client alone keeps the fields that may not be shared (RFC 9111 §5.2.2.7)") {
  const auto forwarded = [](Fields fields, const Options& options) {
    std::string out;
    append_forwarded_fields(out, Exchange::with(fields).response(), kReceived, options);
    return out;
  };
  const Fields login = {{"Date", "d"},
                        {"Cache-Control", "no-cache=\"Set-Cookie\", private=\"x-user\""},
                        {"Set-Cookie", "session=1"},
                        {"X-User", "me"},
                        {"Connection", "X-Hop"},
                        {"X-Hop", "1"},
                        {"Age", "5"}};
  Options refuse = Options::site();
  refuse.set_cookie = SetCookie::refuse;
  for (const Options& options : {Options::site(), refuse}) {
    CHECK(forwarded(login, options) ==
          "Date: d\r\nCache-Control: no-cache=\"Set-Cookie\", private=\"x-user\"\r\n"
          "Set-Cookie: session=1\r\nX-User: me\r\n");
  }
  CHECK(forwarded({{"Date", "d"}, {"Set-Cookie", "a"}}, Options::coralized()) ==
        "Date: d\r\nX-Content-Type-Options: nosniff\r\n");
}

TEST_CASE("Coralized mode lets no site speak for its siblings, and adds nosniff") {
  CHECK(stored_fields({{"Date", "d"},
                       {"Set-Cookie", "a"},
                       {"Strict-Transport-Security", "x"},
                       {"Alt-Svc", "x"},
                       {"Clear-Site-Data", "x"},
                       {"Service-Worker-Allowed", "/"},
                       {"X-Content-Type-Options", "x"}},
                      Options::coralized()) == "Date: d\r\nX-Content-Type-Options: nosniff\r\n");
}

TEST_CASE("whether stored fields are fewer than forwarded ones (RFC 9111 §5.2.2.4, §5.2.2.7)") {
  const auto withholds = [](Fields fields, SetCookie set_cookie = SetCookie::replay) {
    Options options = Options::site();
    options.set_cookie = set_cookie;
    return withholds_fields(Exchange::with(fields).response(), options);
  };
  CHECK(withholds({{"Cache-Control", "private=\"x\""}, {"X", "1"}}));
  CHECK(withholds({{"Cache-Control", "no-cache=\"x\""}, {"X", "1"}}));
  CHECK_FALSE(withholds({{"Cache-Control", "no-cache=\"x\""}, {"Y", "1"}}));
  CHECK_FALSE(withholds({{"Cache-Control", "max-age=1"}, {"Set-Cookie", "a=1"}}));
  CHECK(withholds({{"Cache-Control", "max-age=1"}, {"Set-Cookie", "a=1"}}, SetCookie::strip));
}
