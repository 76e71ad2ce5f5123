// What a node keeps of itself between runs, in its data directory: who it is, and whom it knew.
#pragma once

#include <filesystem>
#include <vector>

#include "base/result.h"
#include "dsht/contact.h"
#include "dsht/identity.h"

namespace reef::dsht {

// DIR/identity.key: the 32 bytes of the Ed25519 seed in hex and a newline, mode 0600. Created, with its
// directory, when missing. A file that others can read, or that is not a key, is an error and is left as it
// is.
[[nodiscard]] Result<Identity> load_identity(const std::filesystem::path& directory);

inline constexpr std::size_t kSavedContactsMax = 256;

// DIR/contacts: a first line that names the format, then "ID ADDRESS:PORT HTTP_PORT DNS_PORT SERVICES" per
// line, so that a restarted node finds the network without its seeds. A missing file is an empty list; a
// damaged line is an error.
[[nodiscard]] Result<std::vector<Contact>> load_contacts(const std::filesystem::path& directory);
// Replaces the file as a whole (written aside, then renamed): a crash leaves the old or the new one.
[[nodiscard]] Result<> save_contacts(const std::filesystem::path& directory,
                                     const std::vector<Contact>& contacts);

// The text of the file, and its strict parser.
[[nodiscard]] std::string format_contacts(const std::vector<Contact>& contacts);
[[nodiscard]] Result<std::vector<Contact>> parse_contacts(std::string_view text);

}  // namespace reef::dsht
