// QueueStore: the outgoing queue: messages that were submitted, and an entry for each recipient still to be tried.
//
// Runs in worker threads, inside a strand's operations. A message and its file go with the last of its entries; small
// messages are in their row instead of a file. What is
// asked often (what is due, when next, how many) costs the same with ten entries and a million: an index and a counter.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proto/storage.h"
#include "storaged/store.h"

namespace mox::storaged {

constexpr uint32_t kMaxQueueEntries = 1000;  // in one reply
constexpr size_t kMaxRecipients = 10000;     // of one submission
constexpr size_t kMaxLastError = 1000;       // bytes kept of the text of a failure
constexpr size_t kMaxAddress = 1000;         // bytes of an address, a Message-ID; more than any RFC allows

/// A submitted message on its way in.
struct NewQueued {
    std::shared_ptr<Content> content;
    std::string prefix;
    std::string info;
    std::string words;  // of prefix and content
    std::string account;
    std::string mail_from;
    std::string message_id;
    bool smtputf8 = false;
    bool has_8bit = false;
    std::vector<std::string> recipients;
};

/// What it takes to deliver an entry to an account here.
struct QueuedContent {
    uint64_t queue = 0;  // which queue: a random number made with it
    uint64_t file = 0;
    uint64_t file_size = 0;
    std::optional<std::string> bytes;  // all of them; else there is a file
    std::string prefix;
    std::string info;
    std::string words;
    std::string mail_from;
};

/// Where the queue's files lie.
FileTree queue_tree();

class QueueStore : public Store {
  public:
    /// `directory` is empty, or ends in a slash: where it is when it comes from a backup.
    QueueStore(const std::string& directory, Journal& journal, Counters& counters);

    Result<proto::Enqueued> enqueue(const NewQueued& message);
    Result<proto::QueueEntries> due(const proto::QueueDue& request);
    Result<proto::NextAttempt> next(const std::vector<uint64_t>& except);
    Result<proto::QueueEntries> scan(uint64_t after, uint32_t limit);
    Result<proto::QueuedMessage> open_entry(uint64_t id);
    Result<QueuedContent> content(uint64_t id);
    Result<proto::Done> update(const proto::QueueUpdate& request);
    /// Ids that do not exist do not matter.
    Result<proto::Done> remove(const std::vector<uint64_t>& ids);

    std::span<const Check> checks() const override;
    const char* files_sql() const override;
    const char* count_sql() const override;
    const char* history_sql() const override { return "SELECT queue FROM state"; }

  protected:
    void fill_new() override;
    bool row_has_file(uint64_t file) override;

  private:
    uint64_t keep_content(const NewQueued& message);
};

}  // namespace mox::storaged
