#include "proxy/io/error_page.h"

#include <fmt/format.h>

#include "proxy/http/message.h"

namespace reef::proxy {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

std::string error_page(int status, std::string_view why, std::string_view node_name) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0} {1}</title></head>\n"
      "<body><h1>{0} {1}</h1>\n<p>{2}</p>\n<hr><p>Reef, node {3}</p></body></html>\n",
      status, http::reason_phrase(status), escaped(why), escaped(node_name));
}

std::string landing_page(std::string_view suffix, std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  const std::string_view port =
      colon == std::string_view::npos ? std::string_view() : authority.substr(colon);
  const std::string example = escaped(fmt::format("http://www.example.com.{}{}/", suffix, port));
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Reef</title></head>\n"
      "<body><h1>Reef</h1>\n<p>A cooperative content distribution network. Append <code>.{0}</code> to the "
      "host name of "
      "a web page, and it is served from the caches of the network:</p>\n<p><a "
      "href=\"{1}\">{1}</a></p></body></html>\n",
      escaped(suffix), example);
}

}  // namespace reef::proxy
