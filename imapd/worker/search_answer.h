// The answer to SEARCH, SORT and their like: which of the messages found the client wants, and in what form.
//
// Pure. RFC 3501 7.2.5 (SEARCH), 4731 3.1 (ESEARCH), 5182 2.1 (SAVE), 7162 3.1.5 (MODSEQ), 9394 3 (PARTIAL),
// 9051 7.3.4.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "imapd/grammar/command.h"
#include "imapd/worker/view.h"

namespace mox::imapd {

/// What was found, in the order of the answer.
struct Found {
    const MailboxView& view;
    std::vector<uint32_t> indexes;
    bool with_modseq = false;
    std::map<uint32_t, uint32_t> relevancies = {};  // by row index, when they are to be told
};

/// The answer of old, `* SEARCH 2 5`: `name` is SEARCH or SORT.
std::string plain_answer(std::string_view name, const Found& found, Numbers numbers);
/// `(TAG "a")`, and for the command ESEARCH `(TAG "a" MAILBOX "x" UIDVALIDITY 1)` (RFC 7377 2.1).
std::string search_correlator(const Command& command, const MailboxView& view, const Features& features);
/// `* ESEARCH (TAG "a") UID MIN 2 COUNT 3`; empty when nothing but SAVE was asked for.
std::string extended_answer(const Command& command, const SearchReturns& returns, const Found& found,
                            const Features& features);
/// What SAVE keeps, ascending (RFC 5182 2.4, RFC 9394 3.2).
std::vector<uint32_t> saved_indexes(const SearchReturns& returns, const Found& found);

/// The part of `count` results that a range means: [begin, end).
std::pair<size_t, size_t> resolve_partial(const PartialRange& range, size_t count);

}  // namespace mox::imapd
