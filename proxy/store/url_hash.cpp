#include "proxy/store/url_hash.h"

#include <xxhash.h>

#include "base/crypto.h"

namespace reef::proxy {

static_assert(UrlHasher::kSecretBytes >= XXH3_SECRET_SIZE_MIN);

UrlHasher UrlHasher::with_random_secret() {
  Secret secret;
  random_bytes(secret);
  return UrlHasher(secret);
}

UrlHash UrlHasher::operator()(std::string_view url) const {
  const XXH128_hash_t hash = XXH3_128bits_withSecret(url.data(), url.size(), secret_.data(), secret_.size());
  return {hash.low64, hash.high64};
}

}  // namespace reef::proxy
