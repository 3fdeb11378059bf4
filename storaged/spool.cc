#include "storaged/spool.h"

#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log/log.h"

namespace mox::storaged {
namespace {

using namespace std::chrono_literals;

constexpr auto kWaitForWriter = 200ms;

/// Numbers are unique in the life of a process, and the directory is emptied at its start. They begin anywhere, so that
/// one that a client still holds from a storaged before this is not another's now.
uint64_t new_spool_number() {
    static std::atomic<uint64_t> next = log::new_cid();
    return next++;
}

Result<Fd> create_file(uint64_t spool) {
    Fd fd(open(spool_path(spool).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) {
        log::error("cannot create a spool file", {{"error", std::strerror(errno)}});
        return std::unexpected(error_of_errno(errno));
    }
    return fd;
}

enum class Writers : uint8_t { none, some };

// A read lease is granted only when nobody has the file open for writing, or mapped for it.
Writers writers_of(const Fd& fd) {
    if (fcntl(fd.get(), F_SETLEASE, F_RDLCK) == 0) {
        fcntl(fd.get(), F_SETLEASE, F_UNLCK);
        return Writers::none;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Writers::some;
    static std::atomic<bool> told = false;
    if (!told.exchange(true))
        log::warn("this file system has no leases: cannot tell whether a delivered file is still open for writing",
                  {{"error", std::strerror(errno)}});
    return Writers::none;
}

/// The open file; empty when someone may still write to it.
Result<Fd> try_claim(const std::string& path, uint64_t size) {
    Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return std::unexpected(error_of_errno(errno));
    if (writers_of(fd) == Writers::some) return Fd();
    // The size counts only now that nobody can change it.
    struct stat st{};
    if (fstat(fd.get(), &st) != 0) return std::unexpected(error_of_errno(errno));
    if (static_cast<uint64_t>(st.st_size) != size)
        return permanent(ErrorCode::bad_request, "the spool file does not have the stated size");
    return fd;
}

}  // namespace

void prepare_spool() {
    make_directories("spool");
    std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("spool"), closedir);
    if (directory == nullptr) fail_errno("opening the spool");
    while (const dirent* entry = readdir(directory.get())) {
        std::string name = entry->d_name;
        if (name != "." && name != "..") unlink(("spool/" + name).c_str());
    }
}

std::string spool_path(uint64_t spool) {
    return fmt::format("spool/{}", spool);
}

void remove_spool(Engine& engine, uint64_t spool) {
    engine.pool.submit([spool] { unlink(spool_path(spool).c_str()); });
}

TakenSpool new_spool(Engine& engine) {
    return {engine, new_spool_number()};
}

SpoolSet::~SpoolSet() {
    for (uint64_t spool : files_) remove_spool(engine_, spool);
}

async::Task<Result<proto::SpoolFile>> SpoolSet::create() {
    if (files_.size() >= limit_) co_return temporary(ErrorCode::busy, "too many spool files at once");
    uint64_t spool = new_spool_number();
    files_.insert(spool);
    Engine& engine = engine_;
    auto file = co_await engine.pool.run([spool, &engine]() -> Result<Fd> {
        if (!engine.reserve.has_space()) return temporary(ErrorCode::no_space, "no space left for mail");
        return create_file(spool);
    });
    if (!file) {
        files_.erase(spool);
        co_return std::unexpected(std::move(file.error()));
    }
    engine.counters.spool_files++;
    co_return proto::SpoolFile{spool, std::move(*file)};
}

void SpoolSet::drop(uint64_t spool) {
    if (files_.erase(spool) > 0) remove_spool(engine_, spool);
}

Result<Source> SpoolSet::take(uint64_t spool, std::string content) {
    Source source{std::nullopt, std::move(content)};
    if (spool == 0) return source;
    if (files_.erase(spool) == 0)
        return temporary(ErrorCode::not_found, "no such spool file: it is gone with the storaged that made it");
    source.spool.emplace(engine_, spool);
    return source;
}

async::Task<Result<Fd>> claim(Engine& engine, std::string path, uint64_t size) {
    async::Deadline limit = async::in(kWaitForWriter);
    for (auto pause = 2ms;; pause *= 2) {
        auto fd = co_await engine.pool.run([path, size] { return try_claim(path, size); });
        if (!fd || *fd) co_return fd;
        if (async::Clock::now() >= limit)
            co_return permanent(ErrorCode::bad_request, "the spool file is still open for writing");
        co_await async::sleep_for(pause);
    }
}

}  // namespace mox::storaged
