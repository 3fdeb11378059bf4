#include "storaged/syncer.h"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "common/log/log.h"

namespace mox::storaged {
namespace {

/// Up to so many things are synced one by one: that touches nothing but what is asked. Beyond, one syncfs is cheaper.
constexpr size_t kFewThings = 4;

[[noreturn]] void end_process(std::string_view what) {
    log::fatal("the disk failed: ending, so that nothing is acknowledged wrongly",
               {{"doing", what}, {"error", std::strerror(errno)}});
}

}  // namespace

Syncer::Syncer(std::function<void(std::string_view)> failed)
    : data_directory_(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), failed_(std::move(failed)) {
    if (!data_directory_) log::fatal("cannot open the data directory", {{"error", std::strerror(errno)}});
    if (!failed_) failed_ = end_process;
    // Signals are the loop's.
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    thread_ = std::thread([this] { work(); });
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

Syncer::~Syncer() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void Syncer::submit(Request request) {
    counters_.requests++;
    {
        std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(request));
    }
    changed_.notify_one();
}

void Syncer::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        std::vector<Request> requests;
        requests.swap(waiting_);
        lock.unlock();
        sync_all(requests);
        for (Request& request : requests) request.done();
        requests.clear();
        lock.lock();
    }
}

void Syncer::sync_all(std::vector<Request>& requests) {
    counters_.rounds++;
    size_t things = 0;
    bool everything = false;
    for (const Request& request : requests) {
        things += request.fds.size() + (request.sync_log ? 1 : 0);
        everything |= request.everything;
    }
    if (everything || things > kFewThings) {
        flushed(syncfs(data_directory_.get()) == 0, "syncing the file system");
        return;
    }
    for (Request& request : requests) {
        for (const Fd& fd : request.fds) flushed(fsync(fd.get()) == 0, "syncing a file");
        if (request.sync_log) flushed(request.sync_log(), "syncing a database log");
    }
}

void Syncer::flushed(bool ok, std::string_view what) {
    counters_.flushes++;
    if (!ok) failed_(what);
}

}  // namespace mox::storaged
