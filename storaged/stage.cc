#include "storaged/stage.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

#include "common/log/log.h"
#include "storaged/check.h"
#include "storaged/mail_store.h"
#include "storaged/queue_store.h"
#include "storaged/snapshot.h"

namespace mox::storaged {
namespace {

constexpr const char* kStages = "restore";
constexpr size_t kPiece = 256u << 10;

/// Throws StoreFailure; also when the source is shorter.
void copy_bytes(const Fd& from, const Fd& to, uint64_t size) {
    off_t offset = 0;
    std::string buffer;
    while (static_cast<uint64_t>(offset) < size) {
        size_t left = size - static_cast<uint64_t>(offset);
        ssize_t n = copy_file_range(from.get(), &offset, to.get(), nullptr, left, 0);
        if (n > 0) continue;
        // Other kinds of file systems, or between two.
        buffer.resize(std::min(left, kPiece));
        n = pread(from.get(), buffer.data(), buffer.size(), offset);
        if (n == 0) errno = EIO;
        if (n <= 0 || write(to.get(), buffer.data(), static_cast<size_t>(n)) != n) fail_errno("copying a file");
        offset += n;
    }
}

void copy_to(const std::string& path, const Fd& from, uint64_t size) {
    Fd to(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!to) fail_errno("making a file");
    copy_bytes(from, to, size);
}

std::unique_ptr<Store> make_store(const std::string& account, const std::string& directory, Journal& journal,
                                  Counters& counters) {
    if (account.empty()) return std::make_unique<QueueStore>(directory + '/', journal, counters);
    return std::make_unique<MailStore>(directory, journal, counters);
}

/// One change of a store that is not in use, durable.
template <class F>
void change(Store& store, F work) {
    store.begin();
    work();
    store.commit();
    if (!store.db().sync_log()) throw StoreFailure(error_of_errno(EIO), "syncing a restored store");
}

template <class F>
auto guarded(F work) -> decltype(work()) {
    try {
        return work();
    } catch (const StoreFailure& failure) {
        log::error("restoring failed", {{"error", failure.what()}});
        return std::unexpected(failure.error());
    }
}

}  // namespace

void prepare_stages() {
    std::error_code ignored;
    std::filesystem::remove_all(kStages, ignored);
}

Stage::Stage(uint64_t number, std::string account, Journal& journal, Counters& counters)
    : number_(number),
      account_(std::move(account)),
      directory_(fmt::format("{}/{}", kStages, number)),
      store_(make_store(account_, directory_, journal, counters)) {}

Stage::~Stage() {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

Result<proto::Staged> Stage::open(const Fd& database, uint64_t size) {
    std::lock_guard lock(mutex_);
    return guarded([&]() -> Result<proto::Staged> {
        make_directories(directory_);
        copy_to(directory_ + (account_.empty() ? "/queue.db" : "/index.db"), database, size);
        store_->open();
        proto::Staged staged{number_, {}, 0, 0, {}};
        std::tie(staged.files, staged.count) = list_files(store_->db().query(store_->files_sql(), 0, INT64_MAX));
        {
            auto messages = store_->db().query(store_->count_sql(), 0, INT64_MAX);
            if (messages.next()) staged.messages = messages.number(0);
        }
        Problems problems;
        check_rows(*store_, problems);
        staged.problems = problems.take();
        return staged;
    });
}

Result<proto::StagedMessages> Stage::list(const std::string& mailbox, uint32_t after) {
    std::lock_guard lock(mutex_);
    if (account_.empty() || !store_->is_open()) return permanent(ErrorCode::bad_request, "not the store of an account");
    return guarded([&] { return static_cast<MailStore&>(*store_).list_messages(mailbox, after); });
}

Result<proto::Done> Stage::add(const std::vector<proto::StagedFile>& files) {
    std::lock_guard lock(mutex_);
    if (files.size() > proto::kMaxFilesAtOnce) return permanent(ErrorCode::bad_request, "too many files at once");
    return guarded([&]() -> Result<proto::Done> {
        for (const proto::StagedFile& file : files) {
            make_directories(store_->tree().directory_of(file.number));
            copy_to(store_->tree().path_of(file.number), file.file, file.size);
        }
        return proto::Done{};
    });
}

Result<std::string> Stage::finish(uint64_t above) {
    std::lock_guard lock(mutex_);
    if (account_.empty() || !store_->is_open()) return permanent(ErrorCode::bad_request, "not the store of an account");
    return guarded([&]() -> Result<std::string> {
        std::vector<std::string> problems = check_store(*store_);
        if (!problems.empty()) return permanent(ErrorCode::bad_request, "the backup is damaged: " + problems.front());
        auto& store = static_cast<MailStore&>(*store_);
        change(store, [&] {
            store.renew_uidvalidity(above);
            store.renew_history();
            store.end_web_sessions(0);
            store.end_pack();
        });
        store.restore_marks();
        store.close();
        return directory_;
    });
}

void renew_account(const std::string& directory, uint64_t above, Journal& journal, Counters& counters) {
    MailStore store(directory, journal, counters);
    store.open();
    change(store, [&] {
        store.renew_uidvalidity(above);
        store.end_web_sessions(0);
    });
    store.close();
}

}  // namespace mox::storaged
