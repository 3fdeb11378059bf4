// Flags and keywords as maildir and mbox write them.
//
// Pure functions. Maildir: letters behind ":2," in a file's name (cr.yp.to/proto/maildir.html), a to z for keywords
// that a file dovecot-keywords names. mbox: the header fields Status, X-Status and X-Keywords.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "moxctl/transfer/source.h"

namespace mox::moxctl {

constexpr size_t kMaildirKeywords = 26;

/// Sets the flag of a keyword that has one ($Junk, NonJunk and so on), else adds it to the keywords; what is no keyword
/// of IMAP (RFC 3501 9, flag-keyword) is left out, and so is a repetition.
void add_keyword(SourceMessage& message, std::string_view name);
/// What the name of a maildir's file says; `keywords` are those of the folder, by letter.
void take_maildir_flags(SourceMessage& message, std::string_view file_name, const std::vector<std::string>& keywords);
/// A file dovecot-keywords: lines of a number and a name. Bad lines are left out.
std::vector<std::string> parse_dovecot_keywords(std::string_view text);
/// Letters of the Status and X-Status fields.
void take_status(SourceMessage& message, std::string_view letters);
/// The words of X-Keywords; commas may stand behind them.
void take_keywords_field(SourceMessage& message, std::string_view value);

/// Letters for a maildir's file name, in order; those of keywords are indexes into `letters`.
std::string maildir_letters(uint32_t flags, const std::vector<size_t>& keywords);
/// The names of flags that maildir and mbox know as keywords only: $Junk and so on.
std::vector<std::string> flag_keywords(uint32_t flags);

}  // namespace mox::moxctl
