// Names of mailboxes and the paths they have in maildir trees, directories of mbox files and archives.
//
// Pure functions. Any path gives a name that storaged takes, unless it is too long: what may not stand in a name is
// written as %XX. A name gives a path that comes back as the same name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mox::moxctl {

/// Components of a path, without empty ones and ".".
std::vector<std::string> split_path(std::string_view path);

/// The mailbox of a folder at this path below the root of the source: ".Sent.2024" (Maildir++) and "Sent/2024" are both
/// Sent/2024; names in modified UTF-7 (RFC 3501 5.1.3) are decoded; the endings of Thunderbird's directories are taken
/// off. Empty for the root itself.
std::string mailbox_of_path(std::string_view path);
/// The same for a file that holds a mailbox, which may end in .mbox or .mbx.
std::string mailbox_of_file(std::string_view path);

/// A relative path for a mailbox: nested directories.
std::string path_of_mailbox(std::string_view name);

}  // namespace mox::moxctl
