#include "moxctl/transfer/export.h"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace mox::moxctl {
namespace {

constexpr size_t kRowsAtOnce = 512;

std::vector<proto::MessageRow> read_rows(const proto::MailboxColumns& columns, uint64_t from) {
    std::vector<proto::MessageRow> rows(std::min<uint64_t>(kRowsAtOnce, columns.count - from));
    size_t bytes = rows.size() * sizeof rows[0];
    ssize_t n = pread(columns.rows.get(), rows.data(), bytes, static_cast<off_t>(from * sizeof rows[0]));
    if (n != static_cast<ssize_t>(bytes))
        throw Failed(Error{Persistence::temporary, ErrorCode::internal, "the rows of a mailbox cannot be read"});
    return rows;
}

std::vector<std::string> keywords_of(const proto::MessageRow& row, const std::vector<std::string>& names) {
    std::vector<std::string> keywords;
    for (size_t bit = 0; bit < names.size() && bit < proto::kMaxKeywords; bit++)
        if ((row.keywords >> bit & 1) != 0) keywords.push_back(names[bit]);
    return keywords;
}

std::string name_of(const proto::MailboxColumns& columns, const proto::MessageRow& row) {
    return fmt::format("{}, message {}", columns.mailbox.name, row.uid);
}

}  // namespace

void Export::skip(const std::string& origin, const std::string& reason) {
    counts_.not_taken++;
    progress_.clear();
    name_skipped_(origin, reason);
}

async::Task<void> Export::run() {
    auto list = co_await account_.ask(proto::ListMailboxes{});
    for (const auto& mailbox : list.mailboxes)
        if (mailbox_.empty() || mailbox.name == mailbox_ || mailbox.name.starts_with(mailbox_ + '/'))
            co_await write_mailbox(mailbox.name);
    if (counts_.mailboxes == 0 && !mailbox_.empty())
        throw Failed(Error{Persistence::permanent, ErrorCode::not_found, "no such mailbox"});
}

async::Task<void> Export::write_mailbox(const std::string& name) {
    auto columns = co_await account_.call(proto::OpenMailbox{name}, std::chrono::minutes(5));
    // Renamed or deleted since the list was made.
    if (!columns && columns.error().code == ErrorCode::not_found) {
        skip(name, "the mailbox is gone");
        co_return;
    }
    if (!columns) throw Failed(std::move(columns.error()));
    counts_.mailboxes++;
    target_.begin_mailbox(columns->mailbox);
    for (uint64_t at = 0; at < columns->count; at += kRowsAtOnce)
        co_await write_rows(*columns, read_rows(*columns, at));
    for (const std::string& line : target_.end_mailbox()) skip(name, line);
}

async::Task<void> Export::write_rows(const proto::MailboxColumns& columns, const Rows& rows) {
    Rows wanted;
    for (const auto& row : rows) {
        if (target_.wants(row, keywords_of(row, columns.keywords)))
            wanted.push_back(row);
        else
            counts_.there++;
    }
    while (!wanted.empty()) {
        proto::OpenMessages request{columns.mailbox.id, {}};
        for (size_t i = 0; i < std::min(wanted.size(), proto::kMaxMessagesPerOpen); i++)
            request.uids.push_back({wanted[i].uid});
        uint32_t last = request.uids.back().value;
        auto files = co_await account_.call(std::move(request), std::chrono::minutes(5));
        if (files && !files->messages.empty() && files->messages.back().uid.value < last) {
            // Bounded by size: what is behind the last one is asked for again.
            uint32_t got = files->messages.back().uid.value;
            if (std::ranges::count_if(wanted, [&](const auto& r) { return r.uid <= got; }) > 0) last = got;
        }
        Rows now;
        std::ranges::copy_if(wanted, std::back_inserter(now), [&](const auto& r) { return r.uid <= last; });
        std::erase_if(wanted, [&](const auto& r) { return r.uid <= last; });
        if (files)
            write_files(columns, now, *files);
        else if (files.error().code == ErrorCode::io || files.error().code == ErrorCode::not_found)
            for (const auto& row : now) skip(name_of(columns, row), files.error().text);
        else
            throw Failed(std::move(files.error()));
        progress_.show("messages", counts_.written + counts_.there, counts_.bytes);
    }
}

void Export::write_files(const proto::MailboxColumns& columns, const Rows& rows, proto::MessageFiles& files) {
    for (const auto& row : rows) {
        auto found = std::ranges::find(files.messages, row.uid, [](const auto& f) { return f.uid.value; });
        if (found == files.messages.end()) {
            skip(name_of(columns, row), "expunged meanwhile, or damaged");
            continue;
        }
        mail::StoredFile bytes(std::move(found->start), found->packed, std::move(found->file), found->size,
                               found->stored);
        if (!bytes.is_whole()) {
            skip(name_of(columns, row), "it is damaged");
            continue;
        }
        target_.write({row, keywords_of(row, columns.keywords), found->prefix, bytes});
        counts_.written++;
        counts_.bytes += row.size;
    }
}

}  // namespace mox::moxctl
