#include "moxctl/transfer/reindex.h"

#include <algorithm>
#include <span>
#include <unistd.h>
#include <utility>

#include "common/mail/info_codec.h"
#include "common/mail/stored_file.h"
#include "common/mail/words.h"

namespace mox::moxctl {
namespace {

constexpr size_t kBatchBytes = 512u << 10;        // of words
constexpr uint64_t kMaxContents = 1'000'000'000;  // above, a message may be read once for each mailbox it is in

/// Nothing when not all of it can be read.
std::optional<std::string> words_of(proto::MessageFile& file) {
    mail::StoredFile bytes(std::move(file.start), file.packed, std::move(file.file), file.size, file.stored);
    mail::ReadAt read = [&file, &bytes](uint64_t offset, std::span<char> into) -> size_t {
        if (offset < file.prefix.size()) return file.prefix.copy(into.data(), into.size(), offset);
        return bytes.read(offset - file.prefix.size(), into);
    };
    std::string words = mail::word_list({mail::decode_info(file.info, file.size), read, file.prefix.size()});
    return bytes.has_failed() ? std::nullopt : std::optional(std::move(words));
}

}  // namespace

async::Task<void> Reindex::run() {
    co_await account_.ask(proto::DropIndex{});
    auto list = co_await account_.ask(proto::ListMailboxes{});
    for (const auto& mailbox : list.mailboxes) co_await read_mailbox(mailbox.name);
    co_await flush();
}

bool Reindex::is_new(uint64_t content) {
    if (content >= kMaxContents) return true;
    if (content >= seen_.size()) seen_.resize(content + content / 4 + 1);
    if (seen_[content]) return false;
    seen_[content] = true;
    return true;
}

async::Task<void> Reindex::read_mailbox(const std::string& name) {
    auto columns = co_await account_.call(proto::OpenMailbox{name}, std::chrono::minutes(5));
    if (!columns && columns.error().code == ErrorCode::not_found) co_return;  // deleted or renamed meanwhile
    if (!columns) throw Failed(std::move(columns.error()));
    std::vector<proto::Uid> uids;
    for (uint64_t at = 0; at < columns->count; at++) {
        proto::MessageRow row{};
        ssize_t n = ::pread(columns->rows.get(), &row, sizeof row, static_cast<off_t>(at * sizeof row));
        if (n != static_cast<ssize_t>(sizeof row))
            throw Failed(Error{Persistence::temporary, ErrorCode::internal, "the rows of a mailbox cannot be read"});
        if (is_new(row.content)) uids.push_back({row.uid});
        if (uids.size() < proto::kMaxMessagesPerOpen) continue;
        co_await read_messages(columns->mailbox.id, std::exchange(uids, {}));
    }
    co_await read_messages(columns->mailbox.id, std::move(uids));
}

// The answer is bounded: what lies behind its last message is asked for again.
async::Task<void> Reindex::read_messages(proto::MailboxId mailbox, std::vector<proto::Uid> uids) {
    while (!uids.empty()) {
        auto files = co_await account_.call(proto::OpenMessages{mailbox, uids}, std::chrono::minutes(5));
        bool lost = !files && (files.error().code == ErrorCode::io || files.error().code == ErrorCode::not_found);
        if (!files && !lost) throw Failed(std::move(files.error()));
        if (lost) counts_.lost += uids.size();
        if (files && files->messages.empty()) counts_.lost += files->damaged.size();
        if (!files || files->messages.empty()) co_return;
        uint32_t last = files->messages.back().uid.value;
        counts_.lost += static_cast<uint64_t>(
            std::ranges::count_if(files->damaged, [&](proto::Uid uid) { return uid.value < last; }));
        for (auto& file : files->messages) {
            auto words = words_of(file);
            if (!words) {
                counts_.lost++;
                continue;
            }
            words_.push_back({file.content.number, std::move(*words)});
            bytes_ += words_.back().words.size();
            counts_.bytes += file.size;
            counts_.indexed++;
            if (bytes_ >= kBatchBytes || words_.size() >= proto::kMaxIndexedAtOnce) co_await flush();
        }
        std::erase_if(uids, [&](proto::Uid uid) { return uid.value <= last; });
        progress_.show("messages", counts_.indexed, counts_.bytes);
    }
}

async::Task<void> Reindex::flush() {
    bytes_ = 0;
    if (!words_.empty()) co_await account_.ask(proto::IndexWords{std::exchange(words_, {})});
}

}  // namespace mox::moxctl
