// backup, verify.
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moxctl/account_link.h"
#include "moxctl/command.h"
#include "moxctl/progress.h"
#include "moxctl/transfer/backup_directory.h"
#include "moxctl/transfer/target.h"

namespace mox::moxctl {
namespace {

std::string name_of(const std::string& account) {
    return account.empty() ? "queue" : "account " + account;
}

std::string option(const Arguments& arguments, char letter) {
    auto found = arguments.options.find(letter);
    return found == arguments.options.end() ? std::string() : found->second;
}

struct BackupCounts {
    uint64_t messages = 0;
    uint64_t added = 0;  // files, as the next two
    uint64_t removed = 0;
    uint64_t lost = 0;
};

class Backup {
  public:
    Backup(StoreLink& store, std::string directory, Context& context)
        : store_(store), directory_(std::move(directory)), context_(context) {}
    async::Task<void> run();
    BackupCounts counts;

  private:
    async::Task<void> take(std::string account);
    async::Task<void> fetch(const StoredCopy& copy, uint64_t backup, std::vector<proto::FileRow> missing);
    StoreLink& store_;
    std::string directory_;
    Context& context_;
    Progress progress_;
};

async::Task<void> Backup::run() {
    auto names = co_await store_.ask(proto::ListStores{});
    names.accounts.insert(names.accounts.begin(), std::string());
    for (const std::string& account : names.accounts) co_await take(account);
    NewFile note(directory_ + "/backup.json.new");
    note.write(to_text({{"time", context_.now}, {"version", MOX_VERSION}, {"accounts", names.accounts.size() - 1}}));
    note.keep_as(directory_ + "/backup.json", 0);
    sync_all(directory_);
    progress_.clear();
    for (const std::string& account : accounts_in(directory_))
        if (std::ranges::find(names.accounts, account) == names.accounts.end())
            context_.output.complain(name_of(account) + " is not there any more: left in the backup as it was");
}

// First the files, on disk, then the database that speaks of them, then away with what it does not speak of: whenever
// this is interrupted, the database that is there has all its files.
async::Task<void> Backup::take(std::string account) {
    auto begun = co_await store_.ask(proto::BeginBackup{account});
    StoredCopy copy(directory_, account);
    if (std::string aside = copy.take_up(begun.history); !aside.empty()) {
        progress_.clear();
        context_.output.complain(
            fmt::format("{} was removed and made anew, or restored, since the last backup: that one was moved to {}",
                        name_of(account), aside));
    }
    auto rows = read_file_rows(begun.files, begun.count);
    counts.messages += begun.messages;
    co_await fetch(copy, begun.backup, copy.missing(rows));
    sync_all(directory_);
    copy.keep_database(begun.database);
    store_.send(proto::EndBackup{begun.backup});
    counts.removed += copy.remove_others(rows);
}

async::Task<void> Backup::fetch(const StoredCopy& copy, uint64_t backup, std::vector<proto::FileRow> missing) {
    for (size_t at = 0; at < missing.size(); at += proto::kMaxFilesAtOnce) {
        auto begin = missing.begin() + static_cast<ptrdiff_t>(at);
        auto end = missing.begin() + static_cast<ptrdiff_t>(std::min(at + proto::kMaxFilesAtOnce, missing.size()));
        auto opened = co_await store_.ask(proto::OpenBackupFiles{backup, {begin, end}});
        for (auto row = begin; row != end; ++row) {
            auto found = std::ranges::find(opened.files, row->number, &proto::OpenedFile::number);
            if (found == opened.files.end()) {
                counts.lost++;
                progress_.clear();
                context_.output.complain(
                    fmt::format("{}: message file {} is missing or damaged", name_of(copy.account()), row->number));
                continue;
            }
            copy.keep(*row, found->file);
            counts.added++;
        }
        progress_.show("files", counts.added, 0);
    }
}

struct Verified {
    uint64_t messages = 0;
    uint64_t problems = 0;
    uint64_t moved_aside = 0;
    uint64_t repaired = 0;
};

void name_problems(Context& context, const std::string& account, const std::vector<std::string>& problems,
                   Verified& verified) {
    verified.problems += problems.size();
    for (const std::string& problem : problems)
        context.output.complain(fmt::format("{}: {}", name_of(account), problem));
}

async::Task<void> verify_live(Context& context, StoreLink& store, std::vector<std::string> accounts,
                              proto::Strays strays, Verified& verified) {
    if (accounts.empty()) {
        accounts = (co_await store.ask(proto::ListStores{})).accounts;
        accounts.insert(accounts.begin(), std::string());
    }
    for (const std::string& account : accounts) {
        auto checked = co_await store.ask(proto::CheckStore{account, strays});
        verified.messages += checked.messages;
        verified.moved_aside += checked.moved_aside;
        verified.repaired += checked.repaired;
        name_problems(context, account, checked.problems, verified);
    }
}

/// The rows by storaged, the files here: nobody else sees both.
async::Task<void> verify_copy(Context& context, StoreLink& store, StoredCopy copy, Verified& verified) {
    uint64_t size = 0;
    Fd database = copy.open_database(size);
    auto staged = co_await store.ask(proto::StageDatabase{copy.account(), std::move(database), size});
    auto rows = read_file_rows(staged.files, staged.count);
    store.send(proto::DropStage{staged.stage});
    std::vector<std::string> problems = std::move(staged.problems);
    for (const proto::FileRow& row : copy.missing(rows))
        problems.push_back(fmt::format("message file {} is missing, or has not {} bytes", row.number, row.size));
    for (const proto::FileRow& row : rows)
        if (row.kind != proto::FileKind::message)
            for (std::string& damage : copy.damaged(row)) problems.push_back(std::move(damage));
    for (uint64_t file : copy.others(rows)) problems.push_back(fmt::format("file {} belongs to no message", file));
    verified.messages += staged.messages;
    name_problems(context, copy.account(), problems, verified);
}

async::Task<void> verify_backup(Context& context, StoreLink& store, std::string backup,
                                std::vector<std::string> accounts, Verified& verified) {
    if (access((backup + "/backup.json").c_str(), F_OK) != 0)
        throw Failed(Error{Persistence::permanent, ErrorCode::not_found,
                           fmt::format("{} is not a backup, or one that was never completed", backup)});
    if (accounts.empty()) {
        accounts = accounts_in(backup);
        // A copy of an account that was replaced has none.
        if (StoredCopy(backup, "").is_there()) accounts.insert(accounts.begin(), std::string());
    }
    for (const std::string& account : accounts)
        co_await verify_copy(context, store, StoredCopy(backup, account), verified);
}

}  // namespace

void cmd_backup(Context& context, const Arguments& arguments) {
    const std::string& directory = arguments.words[0];
    umask(077);
    make_directories(directory);
    async::Loop loop;
    StoreLink store(context.moxd.open_store());
    Backup backup(store, directory, context);
    run_to_end(backup.run());
    const BackupCounts& counts = backup.counts;
    context.output.say(
        fmt::format("{} messages backed up; {} files new, {} old ones removed", counts.messages, counts.added,
                    counts.removed),
        {{"messages", counts.messages}, {"added", counts.added}, {"removed", counts.removed}, {"lost", counts.lost}});
    if (counts.lost > 0)
        throw Failed(Error{Persistence::permanent, ErrorCode::io, "the backup lacks the files named above"});
}

void cmd_verify(Context& context, const Arguments& arguments) {
    std::string backup = option(arguments, 'b');
    bool fix = arguments.flags.contains("--fix");
    if (fix && !backup.empty()) throw UsageError("a backup is not changed: --fix and -b do not go together");
    std::vector<std::string> accounts;
    if (arguments.options.contains('a')) accounts.push_back(option(arguments, 'a'));
    async::Loop loop;
    StoreLink store(context.moxd.open_store());
    Verified verified;
    if (backup.empty())
        run_to_end(
            verify_live(context, store, accounts, fix ? proto::Strays::move_aside : proto::Strays::leave, verified));
    else
        run_to_end(verify_backup(context, store, backup, accounts, verified));
    context.output.say(fmt::format("{} messages checked, {} problems, {} files moved aside", verified.messages,
                                   verified.problems, verified.moved_aside),
                       {{"messages", verified.messages},
                        {"problems", verified.problems},
                        {"moved_aside", verified.moved_aside},
                        {"repaired", verified.repaired}});
    if (verified.problems > verified.moved_aside + verified.repaired)
        throw Failed(Error{Persistence::permanent, ErrorCode::io, "there are problems, as named above"});
}

}  // namespace mox::moxctl
