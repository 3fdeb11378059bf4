// Within the grammar: the commands whose arguments have files of their own.
#pragma once

#include "imapd/grammar/command.h"

namespace mox::imapd {

/// Arguments of FETCH, from the space in front of the set on. Throws SyntaxError.
Arguments parse_fetch(Scanner& in);
/// One `fetch-att`, added to the attributes. Throws SyntaxError.
void parse_fetch_item(Scanner& in, FetchAttributes& attributes);
/// What stands between the brackets of BODY[...]. Throws SyntaxError.
void parse_section_spec(Scanner& in, Section& section);
/// Arguments of NOTIFY. Throws SyntaxError.
Arguments parse_notify(Scanner& in);
/// `filter-mailboxes`; `names_left` is how many more names the command may have.
MailboxFilter parse_mailbox_filter(Scanner& in, size_t& names_left);
/// Arguments of LIST, LSUB and STATUS. Throw SyntaxError.
Arguments parse_list(Scanner& in);
Arguments parse_lsub(Scanner& in);
Arguments parse_status(Scanner& in);
/// Arguments of GETQUOTA, GETMETADATA, SETMETADATA. Throw SyntaxError.
Arguments parse_getquota(Scanner& in);
Arguments parse_getmetadata(Scanner& in);
Arguments parse_setmetadata(Scanner& in);
/// Arguments of SETACL, and of DELETEACL and LISTRIGHTS. Throw SyntaxError.
Arguments parse_setacl(Scanner& in);
Arguments parse_identifier(Scanner& in);
/// Arguments of GENURLAUTH, RESETKEY and URLFETCH. Throw SyntaxError.
Arguments parse_genurlauth(Scanner& in);
Arguments parse_resetkey(Scanner& in);
Arguments parse_urlfetch(Scanner& in);
/// Names of annotations: one, or several in parentheses; in lower case.
std::vector<std::string> parse_metadata_names(Scanner& in);
/// Arguments of SEARCH, ESEARCH and CANCELUPDATE. Throw SyntaxError.
Arguments parse_search(Scanner& in);
Arguments parse_esearch(Scanner& in);
Arguments parse_cancelupdate(Scanner& in);
/// Arguments of SORT and THREAD. Throw SyntaxError.
Arguments parse_sort(Scanner& in);
Arguments parse_thread(Scanner& in);
/// The RETURN options in parentheses; the keys up to the end of the command.
SearchReturns parse_returns(Scanner& in);
SearchKey parse_search_keys(Scanner& in);

}  // namespace mox::imapd
