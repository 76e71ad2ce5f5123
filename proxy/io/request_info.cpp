#include "proxy/io/request_info.h"

namespace reef::proxy {

HeadCopy::HeadCopy(const http::RequestHead& head) {
  std::size_t size = head.method.size() + head.target.size();
  for (const http::Field& field : head.fields) size += field.name.size() + field.value.size();
  bytes_.reserve(size);
  // The views are made once nothing moves any more: the reserve above sees to that.
  const auto keep = [this](std::string_view text) {
    const std::size_t at = bytes_.size();
    bytes_.append(text);
    return std::string_view(bytes_).substr(at);
  };
  head_.method = keep(head.method);
  head_.target = keep(head.target);
  head_.minor_version = head.minor_version;
  fields_.reserve(head.fields.size());
  for (const http::Field& field : head.fields) {
    const std::string_view name = keep(field.name);
    fields_.push_back({name, keep(field.value)});
  }
  head_.fields = fields_;
}

}  // namespace reef::proxy
