#include "storaged/admin_channel.h"

#include "common/log/log.h"
#include "common/text/ascii.h"
#include "storaged/check.h"
#include "storaged/complete.h"
#include "storaged/names.h"

namespace mox::storaged {
namespace {

constexpr size_t kMaxAtOnce = 16;  // backups, and stages, of one channel

std::unexpected<Error> no_account() {
    return permanent(ErrorCode::not_found, "no such account");
}

uint64_t new_number() {
    static uint64_t next = log::new_cid();
    return next++;
}

/// "alice.1700000000", also with ".2" behind, for alice.
bool is_removed_of(std::string_view entry, const std::string& account) {
    if (!entry.starts_with(account + '.') || entry.find('/') != std::string_view::npos) return false;
    entry.remove_prefix(account.size() + 1);
    return !entry.empty() && entry.find_first_not_of("0123456789.") == std::string_view::npos;
}

struct PartChecked {
    uint64_t next = 0;
    uint64_t repaired = 0;
};
async::Task<Result<PartChecked>> check_part(Strand& strand, uint64_t part, proto::Strays strays,
                                            std::shared_ptr<Problems> problems) {
    bool fix = strays == proto::Strays::move_aside;
    auto work = [part, fix, problems](Store& store) -> Result<PartChecked> {
        PartChecked checked;
        auto repair = fix ? Repair::drop_damaged : Repair::leave;
        checked.next = storaged::check_part(store, part, repair, *problems, checked.repaired);
        return checked;
    };
    return strand.run<Store>(fix ? Access::write : Access::read, std::move(work));
}

}  // namespace

std::optional<AdminChannel::Used> AdminChannel::find(const std::string& name) {
    if (name.empty()) return Used{server_.queue(), std::nullopt};
    auto account = server_.accounts().find(name);
    if (account == nullptr) return std::nullopt;
    server_.accounts().make_room();
    return Used{account->strand(), Account::Use(account)};
}

std::shared_ptr<Stage> AdminChannel::stage(uint64_t number) const {
    auto found = stages_.find(number);
    return found == stages_.end() ? nullptr : found->second;
}

async::Task<Result<proto::StoreNames>> AdminChannel::on(proto::ListStores) {
    return server_.accounts().names();
}

// Piece by piece, so that others come in between: the rows, then a directory of files at a time, and what is in each of
// them.
async::Task<Result<proto::StoreChecked>> AdminChannel::on(proto::CheckStore message) {
    auto used = find(message.account);
    if (!used) co_return no_account();
    auto problems = std::make_shared<Problems>();
    auto rows = [problems](Store& store) -> Result<std::vector<uint64_t>> {
        check_rows(store, *problems);
        return directories_to_check(store);
    };
    auto directories = co_await used->strand->run<Store>(Access::read, std::move(rows));
    if (!directories) co_return std::unexpected(std::move(directories.error()));
    proto::StoreChecked checked{};
    uint64_t part = 0;
    do {
        auto result = co_await check_part(*used->strand, part, message.strays, problems);
        if (!result) co_return std::unexpected(std::move(result.error()));
        part = result->next;
        checked.repaired += result->repaired;
    } while (part != 0);
    for (uint64_t directory : *directories) {
        auto files = [problems, directory, strays = message.strays](Store& store) -> Result<FilesChecked> {
            return check_directory(store, directory, strays, *problems);
        };
        auto result = co_await used->strand->run<Store>(Access::read, std::move(files));
        if (!result) co_return std::unexpected(std::move(result.error()));
        checked.messages += result->known;
        checked.moved_aside += result->moved_aside;
        for (const proto::FileRow& file : result->unread) {
            auto contents = [problems, file](Store& store) -> Result<uint64_t> {
                return check_contents(store, file, *problems);
            };
            auto whole = co_await used->strand->run<Store>(Access::read, std::move(contents));
            if (!whole) co_return std::unexpected(std::move(whole.error()));
            checked.messages += *whole;
        }
    }
    // The history of logins belongs to no account either.
    if (message.account.empty()) {
        auto logins = [problems](Store& store) -> Result<proto::Done> {
            check_rows(store, *problems);
            return proto::Done{};
        };
        auto looked = co_await server_.logins()->run<Store>(Access::read, std::move(logins));
        if (!looked) problems->add("the history of logins cannot be read: " + looked.error().text);
    }
    checked.problems = problems->take();
    co_return checked;
}

async::Task<Result<proto::BackupBegun>> AdminChannel::on(proto::BeginBackup message) {
    auto used = find(message.account);
    if (!used) co_return no_account();
    if (snapshots_.size() >= kMaxAtOnce) co_return permanent(ErrorCode::busy, "too many backups at once");
    uint64_t number = new_number();
    auto snapshot = std::make_shared<Snapshot>(server_.engine(), std::move(used->strand), std::move(used->use));
    snapshots_[number] = snapshot;
    auto begun = co_await complete(server_.engine().deliveries, Snapshot::begin(snapshot, number));
    if (!begun) snapshots_.erase(number);
    co_return begun;
}

async::Task<Result<proto::OpenedFiles>> AdminChannel::on(proto::OpenBackupFiles message) {
    auto found = snapshots_.find(message.backup);
    if (found == snapshots_.end()) co_return permanent(ErrorCode::not_found, "no such backup");
    auto snapshot = found->second;
    co_return co_await snapshot->open_files(std::move(message.files));
}

async::Task<Result<proto::Staged>> AdminChannel::on(proto::StageDatabase message) {
    if (!message.account.empty() && !is_account_name(message.account)) co_return no_account();
    if (stages_.size() >= kMaxAtOnce) co_return permanent(ErrorCode::busy, "too many stages at once");
    Engine& engine = server_.engine();
    uint64_t number = new_number();
    auto stage = std::make_shared<Stage>(number, message.account, engine.journal, engine.counters);
    auto file = std::make_shared<Fd>(std::move(message.database));
    auto staged = co_await engine.pool.run([stage, file, size = message.size] { return stage->open(*file, size); });
    if (staged) stages_[number] = stage;
    co_return staged;
}

async::Task<Result<proto::StagedMessages>> AdminChannel::on(proto::ListStaged message) {
    auto found = stage(message.stage);
    if (found == nullptr) co_return permanent(ErrorCode::not_found, "no such stage");
    co_return co_await server_.engine().pool.run(
        [found, m = std::move(message)] { return found->list(m.mailbox, m.after); });
}

async::Task<Result<proto::Done>> AdminChannel::on(proto::StageFiles message) {
    auto found = stage(message.stage);
    if (found == nullptr) co_return permanent(ErrorCode::not_found, "no such stage");
    if (!server_.engine().reserve.has_space()) co_return temporary(ErrorCode::no_space, "no space left for mail");
    auto files = std::make_shared<std::vector<proto::StagedFile>>(std::move(message.files));
    co_return co_await server_.engine().pool.run([found, files] { return found->add(*files); });
}

async::Task<Result<proto::Done>> AdminChannel::on(proto::InstallStage message) {
    auto found = stage(message.stage);
    if (found == nullptr) co_return permanent(ErrorCode::not_found, "no such stage");
    auto prepare = [found](uint64_t above) { return found->finish(above); };
    auto task = server_.accounts().replace(found->account(), std::move(prepare));
    auto done = co_await complete(server_.engine().deliveries, std::move(task));
    if (done) stages_.erase(message.stage);
    co_return done;
}

void AdminChannel::on(proto::DropStage message) {
    auto found = stages_.extract(message.stage);
    // Removing its files may take a while.
    if (!found.empty()) server_.engine().pool.submit([stage = std::move(found.mapped())]() mutable { stage.reset(); });
}

async::Task<Result<proto::Done>> AdminChannel::on(proto::UndeleteAccount message) {
    if (!is_removed_of(message.removed, message.account)) co_return permanent(ErrorCode::not_found, "no such account");
    Engine& engine = server_.engine();
    auto prepare = [&engine, directory = "removed/" + message.removed](uint64_t above) -> Result<std::string> {
        if (access((directory + "/index.db").c_str(), F_OK) != 0)
            return permanent(ErrorCode::not_found, "no such removed account");
        try {
            renew_account(directory, above, engine.journal, engine.counters);
        } catch (const StoreFailure& failure) {
            log::error("cannot put an account back", {{"error", failure.what()}});
            return std::unexpected(failure.error());
        }
        return directory;
    };
    auto task = server_.accounts().replace(message.account, std::move(prepare));
    co_return co_await complete(engine.deliveries, std::move(task));
}

}  // namespace mox::storaged
