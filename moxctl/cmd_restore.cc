// restore account|all|messages, account removed|undelete.
#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>

#include "common/text/ascii.h"
#include "moxctl/account_link.h"
#include "moxctl/command.h"
#include "moxctl/progress.h"
#include "moxctl/transfer/backup_source.h"
#include "moxctl/transfer/import.h"

namespace mox::moxctl {
namespace {

/// A backup's database in the hands of storaged.
async::Task<proto::Staged> stage(StoreLink& store, const StoredCopy& copy) {
    uint64_t size = 0;
    Fd database = copy.open_database(size);
    auto staged = co_await store.ask(proto::StageDatabase{copy.account(), std::move(database), size});
    if (!staged.problems.empty())
        throw Failed(Error{Persistence::permanent, ErrorCode::io, "the backup is damaged: " + staged.problems.front()});
    co_return staged;
}

async::Task<void> send_files(StoreLink& store, const StoredCopy& copy, const proto::Staged& staged) {
    Progress progress;
    auto rows = read_file_rows(staged.files, staged.count);
    if (auto missing = copy.missing(rows); !missing.empty())
        throw Failed(Error{Persistence::permanent, ErrorCode::io,
                           fmt::format("{} message files are missing in the backup, the first is {}", missing.size(),
                                       copy.path_of(missing.front().number))});
    for (size_t at = 0; at < rows.size(); at += proto::kMaxFilesAtOnce) {
        proto::StageFiles request{staged.stage, {}};
        for (size_t i = at; i < std::min(at + proto::kMaxFilesAtOnce, rows.size()); i++) {
            Fd file(open(copy.path_of(rows[i].number).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
            request.files.push_back({rows[i].number, rows[i].size, std::move(file)});
        }
        co_await store.ask(std::move(request));
        progress.show("files", at, 0);
    }
}

async::Task<void> restore_account(StoreLink& store, StoredCopy copy, uint64_t& messages) {
    auto staged = co_await stage(store, copy);
    co_await send_files(store, copy, staged);
    co_await store.ask(proto::InstallStage{staged.stage});
    messages += staged.messages;
}

async::Task<void> restore_all(StoreLink& store, std::string backup, Context& context, uint64_t& messages,
                              uint64_t& left_out) {
    auto names = co_await store.ask(proto::ListStores{});
    for (const std::string& account : accounts_in(backup)) {
        if (std::ranges::find(names.accounts, account) == names.accounts.end()) {
            context.output.complain(fmt::format("account {} is not restored: add it first", account));
            left_out++;
            continue;
        }
        co_await restore_account(store, StoredCopy(backup, account), messages);
        context.output.say(fmt::format("account {} restored", account));
    }
}

/// The messages that are wanted: by their UIDs, or all of the mailbox.
async::Task<void> find_messages(StoreLink& store, const StoredCopy& copy, std::string mailbox,
                                std::vector<uint32_t> uids, std::deque<proto::StagedMessage>& found) {
    auto staged = co_await stage(store, copy);
    const bool all = uids.empty();
    for (uint32_t after = 0;;) {
        auto some = co_await store.ask(proto::ListStaged{staged.stage, mailbox, after});
        if (some.messages.empty()) break;
        after = some.messages.back().uid;
        for (proto::StagedMessage& message : some.messages)
            if (all || std::erase(uids, message.uid) > 0) found.push_back(std::move(message));
    }
    store.send(proto::DropStage{staged.stage});
    if (!uids.empty())
        throw Failed(Error{Persistence::permanent, ErrorCode::not_found,
                           fmt::format("no message {} in that mailbox of the backup", uids.front())});
}

std::vector<uint32_t> parse_uids(const Arguments& arguments, size_t from) {
    std::vector<uint32_t> uids;
    for (size_t i = from; i < arguments.words.size(); i++) {
        auto uid = text::parse_number<uint32_t>(arguments.words[i]);
        if (!uid || *uid == 0) throw UsageError(fmt::format("not a UID: {}", arguments.words[i]));
        uids.push_back(*uid);
    }
    std::ranges::sort(uids);
    uids.erase(std::ranges::unique(uids).begin(), uids.end());
    return uids;
}

}  // namespace

void cmd_restore_account(Context& context, const Arguments& arguments) {
    async::Loop loop;
    StoreLink store(context.moxd.open_store());
    uint64_t messages = 0;
    const std::string& account = arguments.words[1];
    run_to_end(restore_account(store, StoredCopy(arguments.words[0], account), messages));
    context.output.say(
        fmt::format("account {} restored with {} messages; what it had is in removed/", account, messages),
        {{"messages", messages}});
}

void cmd_restore_all(Context& context, const Arguments& arguments) {
    async::Loop loop;
    StoreLink store(context.moxd.open_store());
    uint64_t messages = 0;
    uint64_t left_out = 0;
    run_to_end(restore_all(store, arguments.words[0], context, messages, left_out));
    context.output.say(fmt::format("{} messages restored", messages), {{"messages", messages}, {"left_out", left_out}});
    if (left_out > 0)
        throw Failed(Error{Persistence::permanent, ErrorCode::not_found, "not all accounts are restored"});
}

void cmd_restore_messages(Context& context, const Arguments& arguments) {
    std::string mailbox = arguments.words[2];
    std::vector<uint32_t> uids = parse_uids(arguments, 3);
    if (sodium_init() < 0) throw std::runtime_error("libsodium");
    async::Loop loop;
    StoredCopy copy(arguments.words[0], arguments.words[1]);
    std::deque<proto::StagedMessage> messages;
    {
        StoreLink store(context.moxd.open_store());
        run_to_end(find_messages(store, copy, mailbox, uids, messages));
    }
    AccountLink account(context.moxd.open_account(arguments.words[1]));
    auto into = arguments.options.find('m');
    BackupSource source(copy, std::move(messages), into == arguments.options.end() ? mailbox : into->second);
    ImportOptions options{"", Repeats::leave_out, context.now};
    if (arguments.flags.contains("--again")) options.repeats = Repeats::add_again;
    Progress progress;
    Import import(account, source, options, progress, [&context](const std::string& origin, const std::string& reason) {
        context.output.complain(fmt::format("{}: {}", origin, reason));
    });
    run_to_end(import.run());
    progress.clear();
    const ImportCounts& counts = import.counts();
    context.output.say(fmt::format("{} messages restored, {} were restored before, {} not taken", counts.added,
                                   counts.known, counts.not_taken),
                       {{"restored", counts.added}, {"known", counts.known}, {"not_taken", counts.not_taken}});
    if (counts.not_taken > 0)
        throw Failed(Error{Persistence::permanent, ErrorCode::io, "not all are restored, as named above"});
}

namespace {

async::Task<void> list_removed(StoreLink& store, std::vector<std::string>& removed) {
    removed = (co_await store.ask(proto::ListStores{})).removed;
}

async::Task<void> undelete(StoreLink& store, std::string account, std::string removed) {
    co_await store.ask(proto::UndeleteAccount{std::move(account), std::move(removed)});
}

}  // namespace

void cmd_account_removed(Context& context, const Arguments&) {
    async::Loop loop;
    StoreLink store(context.moxd.open_store());
    std::vector<std::string> removed;
    run_to_end(list_removed(store, removed));
    if (context.output.format == Format::json) return context.output.json({{"removed", removed}});
    for (const std::string& name : removed) context.output.say(printable(name));
}

void cmd_account_undelete(Context& context, const Arguments& arguments) {
    async::Loop loop;
    StoreLink store(context.moxd.open_store());
    run_to_end(undelete(store, arguments.words[0], arguments.words[1]));
    context.output.say(fmt::format("account {} is as {} was", arguments.words[0], arguments.words[1]), Json::object());
}

}  // namespace mox::moxctl
