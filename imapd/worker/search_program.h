// A search as the client means it, made of what it wrote: searches kept under a name put in their places (FILTERS, RFC
// 5466), and keys that need not match to the letter loosened (SEARCH=FUZZY, RFC 6203).
//
// Fuzzy text matches when each of its words is there, in any order; other keys stay exact (RFC 6203 5). A message in
// which the text stands as written has the relevancy 100, another one 50.
#pragma once

#include <map>

#include "imapd/worker/session.h"

namespace mox::imapd {

constexpr int kMaxFilterPasses = 5;  // filters within filters (RFC 5466 3.1: at least 3)

constexpr size_t kMaxFuzzyWords = 20;  // of one text; with more it is searched for as written

constexpr size_t kMaxThreads = 100;  // THREADID keys of one search: each is a request to storaged

/// `args` with its keys checked and ready for a Search, those about threads with what belongs to them. BAD or NO for
/// text that cannot be searched (RFC 3501 6.4.4), for message numbers that were given up (RFC 9586 3), for a filter
/// that is not there, for too many threads.
async::Task<SearchArguments> prepare_search(Session& session, SearchArguments args);

/// Whether any key is about a thread: what it says of messages that come later is not known.
bool has_thread(const SearchKey& key);
/// Whether any key is fuzzy.
bool is_fuzzy(const SearchKey& key);
/// With the fuzzy texts as words.
SearchKey loosen(SearchKey key);

/// The relevancy of each message that was found (RFC 6203 4), by row index. `key` is as prepared.
async::Task<std::map<uint32_t, uint32_t>> find_relevancies(Session& session, const MailboxView& view, SearchKey key,
                                                           std::vector<uint32_t> found);

}  // namespace mox::imapd
