// Finds the messages of the selected mailbox that match: the rows decide most, the index of words those that are left,
// parses and files the rest. What has to be read because the index lacks it is given to the index. Messages expunged
// elsewhere are searched by what the view has of them and otherwise do not match.
#pragma once

#include <vector>

#include "imapd/worker/search.h"
#include "imapd/worker/session.h"

namespace mox::imapd {

/// A BAD or NO for text that cannot be searched (RFC 3501 6.4.4 CHARSET, RFC 6855 3).
void check_charset(const SearchArguments& args, const Features& features);
/// BAD for message numbers where the client has given them up (RFC 9586 3).
void check_numbers(const SearchKey& key, const Features& features);

/// The row indexes that match, ascending. `search` and what is selected outlive this; storage errors throw
/// CommandFailed.
async::Task<std::vector<uint32_t>> find_messages(Session& session, const Search& search);

}  // namespace mox::imapd
