// Finds the messages of a mailbox that match: the rows decide most, the index of words those that are left,
// parses and files the rest. What has to be read because the index lacks it is given to the index. Messages expunged
// elsewhere are searched by what the view has of them and otherwise do not match.
#pragma once

#include <optional>
#include <vector>

#include "imapd/worker/search.h"
#include "imapd/worker/session.h"

namespace mox::imapd {

/// A BAD or NO for text that cannot be searched (RFC 3501 6.4.4 CHARSET, RFC 6855 3).
void check_charset(const SearchArguments& args, const Features& features);
/// BAD for message numbers where the client has given them up (RFC 9586 3).
void check_numbers(const SearchKey& key, const Features& features);

/// BAD for a search to be kept up to date whose tag names another such one (RFC 5267 4.3).
void check_update(Session& session, const Command& command, const SearchReturns& returns);
/// Keeps what was found up to date from now on, or tells that it is not (RFC 5267 4.3.1). `sorter` has the UIDs.
void start_updates(Session& session, const Command& command, const SearchArguments& args,
                   const std::vector<uint32_t>& found, std::optional<Sorter> sorter = {});
/// Tells that a search is not kept up to date (RFC 5267 4.3.1).
void refuse_updates(Session& session, const Command& command);

/// The rows that message numbers and UIDs, as keys of the search as a whole, leave to be searched: they count for the
/// message limit, not those that match (RFC 9738 3.1).
Selection searched_rows(const SearchKey& key, const MailboxView& view);
/// The search in the messages from a UID on.
SearchArguments from_uid(SearchArguments args, uint32_t first);

/// The row indexes that match, ascending, among those of a selection. All outlive this; storage errors throw
/// CommandFailed.
async::Task<std::vector<uint32_t>> find_messages(Session& session, const MailboxView& view, const Search& search,
                                                 const Selection& among);

}  // namespace mox::imapd
