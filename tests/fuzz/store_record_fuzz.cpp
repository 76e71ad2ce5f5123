// The store's record of a head and its check: any bytes must be refused or decode to what encodes to the same
// bytes. The checksum is set right for half of the inputs, so that the layout behind it is reached.
#include <xxhash.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "proxy/store/object_files.h"
#include "proxy/store/record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace reef;
  const ByteView input(reinterpret_cast<const std::byte*>(data), size);
  (void)proxy::parse_file_name(as_text(input));
  const auto check = [](ByteView record) {
    const auto head = proxy::decode_head(record);
    if (!head) return;
    const auto again = proxy::encode_head(head->head, head->check);
    if (!again || !std::equal(again->begin(), again->end(), record.begin(), record.end())) std::abort();
  };
  check(input);
  constexpr std::size_t kPrefixBytes = 16;
  if (size < kPrefixBytes) return 0;
  Bytes fixed(input.begin(), input.end());
  const ByteView content = ByteView(fixed).subspan(kPrefixBytes);
  ByteWriter prefix(std::span<std::byte>(fixed).first(kPrefixBytes));
  prefix.u32(0x52664833);
  prefix.u32(static_cast<std::uint32_t>(content.size()));
  prefix.u64(XXH3_64bits(content.data(), content.size()));
  check(fixed);
  return 0;
}
