#include "storaged/snapshot.h"

#include <fcntl.h>
#include <fmt/format.h>

#include "common/log/log.h"

namespace mox::storaged {

/// What the threads have, longer than the Snapshot if need be.
struct Snapshot::Work {
    std::string path;
    std::unique_ptr<DatabaseCopy> copy;
    bool finished = false;

    ~Work() { unlink(path.c_str()); }
    Result<bool> step(Store& store);
    proto::BackupBegun finish(Store& store);
};

Result<bool> Snapshot::Work::step(Store& store) {
    if (copy == nullptr) copy = std::make_unique<DatabaseCopy>(store.db(), path);
    if (!copy->is_of(store.db())) return temporary(ErrorCode::busy, "the database was closed meanwhile");
    return copy->step();
}

proto::BackupBegun Snapshot::Work::finish(Store& store) {
    proto::BackupBegun begun{};
    copy->finish();
    std::tie(begun.files, begun.count) = list_files(copy->query(store.files_sql(), 0, INT64_MAX));
    {
        auto messages = copy->query(store.count_sql(), 0, INT64_MAX);
        if (messages.next()) begun.messages = messages.number(0);
    }
    {
        auto history = store.db().query(store.history_sql());
        if (history.next()) begun.history = history.number(0);
    }
    copy.reset();
    begun.database = Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!begun.database) fail_errno("opening the copy of a database");
    return begun;
}

proto::FileRow file_row(const Query& row) {
    return {row.number(0), row.number(1), static_cast<proto::FileKind>(row.small(2))};
}

std::pair<Fd, uint64_t> list_files(Query rows) {
    MemoryFile list;
    uint64_t count = 0;
    for (; rows.next(); count++) {
        proto::FileRow row = file_row(rows);
        list.append(&row, sizeof row);
    }
    return {count > 0 ? list.seal() : Fd(), count};
}

Snapshot::Snapshot(Engine& engine, std::shared_ptr<Strand> strand, std::optional<Account::Use> use)
    : engine_(engine), strand_(std::move(strand)), use_(std::move(use)) {
    strand_->hold_erasures();
}

Snapshot::~Snapshot() {
    strand_->release_erasures();
}

async::Task<Result<proto::BackupBegun>> Snapshot::begin(std::shared_ptr<Snapshot> self, uint64_t number) {
    if (!self->engine_.reserve.has_space()) co_return temporary(ErrorCode::no_space, "no space left for a copy");
    auto work = std::make_shared<Work>();
    work->path = fmt::format("spool/backup.{}", number);
    auto begun = co_await copy(*self->strand_, work);
    if (begun) begun->backup = number;
    auto take_apart = [work](Store&) -> Result<proto::Done> {
        work->copy.reset();
        return proto::Done{};
    };
    co_await self->strand_->run<Store>(Access::read, std::move(take_apart));
    co_return begun;
}

async::Task<Result<proto::BackupBegun>> Snapshot::copy(Strand& strand, std::shared_ptr<Work> work) {
    for (bool done = false; !done;) {
        // While a transaction is open no page can be copied.
        auto stepped = co_await strand.run<Store>(Access::alone, [work](Store& store) { return work->step(store); });
        if (!stepped) co_return std::unexpected(std::move(stepped.error()));
        done = *stepped;
    }
    co_return co_await strand.run<Store>(
        Access::read, [work](Store& store) -> Result<proto::BackupBegun> { return work->finish(store); });
}

async::Task<Result<proto::OpenedFiles>> Snapshot::open_files(std::vector<proto::FileRow> files) {
    if (files.size() > proto::kMaxFilesAtOnce) co_return permanent(ErrorCode::bad_request, "too many files at once");
    auto job = [tree = strand_->store().tree(), files = std::move(files)]() -> Result<proto::OpenedFiles> {
        proto::OpenedFiles opened;
        try {
            for (const proto::FileRow& row : files)
                if (Fd file = open_message(tree, row.number, row.size, row.kind))
                    opened.files.push_back({row.number, std::move(file)});
        } catch (const StoreFailure& failure) {
            return std::unexpected(failure.error());
        }
        return opened;
    };
    co_return co_await engine_.pool.run(std::move(job));
}

}  // namespace mox::storaged
