// Searches whose results a client wants to be kept up to date (RETURN UPDATE): what it was told, and how that changes
// with the selected mailbox (RFC 5267 4.3, RFC 5465 7).
//
// The session owns them, and they go with the mailbox. Changes are found by the rows that the view says were touched,
// so a mailbox in which nothing happens costs nothing. Memory: at most kMaxContexts of at most kMaxContextResults
// results, sorted ones of at most kMaxSortedResults and kMaxSortedBytes. Time alone changes no result: OLDER and
// YOUNGER are looked at again when a message is touched.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/async/task.h"
#include "imapd/grammar/command.h"
#include "imapd/worker/sorting.h"
#include "imapd/worker/view.h"

namespace mox::imapd {

class Session;

constexpr size_t kMaxContexts = 10;
constexpr size_t kMaxContextResults = 1'000'000;  // of all contexts of a session
constexpr size_t kMaxSortedResults = 20'000;      // of one context
constexpr size_t kMaxSortedBytes = 4u << 20;      // of the texts it is sorted by
constexpr size_t kMaxContextText = 64u << 10;     // of what one looks for

/// The keys as they are to be looked at later: message numbers mean the messages they mean now (RFC 5267 4.3).
SearchKey freeze_numbers(SearchKey key, const MailboxView& view);

class SearchContext {
  public:
    /// `found` are rows of the view, ascending; `sorter` has them by their UIDs.
    SearchContext(const Command& command, const SearchArguments& args, const MailboxView& view,
                  const Features& features, const std::vector<uint32_t>& found, std::optional<Sorter> sorter);

    const std::string& tag() const { return tag_; }
    const SearchKey& key() const { return key_; }
    const FetchAttributes& attributes() const { return attributes_; }
    bool needs_infos() const;
    size_t size() const { return matched_.size(); }
    /// It takes more than one may.
    bool too_large() const;
    bool has(uint32_t uid) const;

    /// Takes out those of the UIDs (ascending) that are in it, and appends the ESEARCH that says so.
    void remove(std::string& out, const MailboxView& view, const std::vector<uint32_t>& uids);
    /// Puts in messages that are not in it; `infos` are theirs, or empty when none are needed.
    void add(std::string& out, const MailboxView& view, const std::vector<uint32_t>& indexes,
             const std::vector<const mail::MessageInfo*>& infos);

  private:
    void append_start(std::string& out) const;
    uint32_t number(const MailboxView& view, uint32_t uid) const;

    std::string tag_;
    std::string correlator_;
    Numbers numbers_;
    SearchKey key_;
    FetchAttributes attributes_;
    std::vector<uint32_t> matched_;  // UIDs, ascending
    std::optional<Sorter> sorter_;   // SORT: the same UIDs in order
};

class SearchContexts {
  public:
    bool empty() const { return contexts_.empty(); }
    bool has(const std::string& tag) const;
    /// False when there is no room for it.
    bool add(SearchContext context);
    bool cancel(const std::string& tag);
    void clear() { contexts_.clear(); }

    /// Tells of results that are expunged, before EXPUNGE does (RFC 5267 4.3.4).
    void tell_gone(std::string& out, const MailboxView& view);
    /// Tells what new and changed messages, the rows in `touched`, mean for the results. `arrived` are those new to the
    /// client, of which it is told `attributes` and what the contexts add. Storage errors throw CommandFailed.
    async::Task<void> tell_touched(Session& session, std::vector<uint32_t> touched, Selection arrived,
                                   FetchAttributes attributes);

  private:
    async::Task<void> fetch_arrived(Session& session, const Selection& arrived, const FetchAttributes& attributes,
                                    const std::vector<std::vector<uint32_t>>& matches);
    void drop_too_large(Session& session);
    std::vector<SearchContext> contexts_;
};

}  // namespace mox::imapd
