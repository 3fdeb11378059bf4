// The one thread that makes things durable, for all who wait at the same moment together.
//
// A request names what must reach the disk: descriptors of files and directories, and logs of databases. The thread
// takes all requests that wait and serves them in one go: a few by syncing each descriptor, many by one syncfs of the
// file system, whose cost does not grow with their number. While it is at work the next ones gather: so under load a
// flush of the disk is shared by dozens of deliveries, and alone nobody waits for anybody.
//
// Invariant: `done` of a request is called only after everything it named is on disk. A failed sync means that the
// kernel has thrown pages away and will say so only once: nothing may be acknowledged any more, and `failed` ends the
// process.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "common/async/fd.h"

namespace mox::storaged {

class Syncer {
  public:
    struct Request {
        std::vector<Fd> fds;             // files and directories; closed when synced
        bool everything = false;         // more than is worth naming: all of the file system
        std::function<bool()> sync_log;  // may be empty; false: the disk failed
        std::function<void()> done;      // called in the syncer's thread, must not block
    };
    /// Counters for metrics; flushes is the number of sync calls made.
    struct Counters {
        std::atomic<uint64_t> requests = 0;
        std::atomic<uint64_t> rounds = 0;
        std::atomic<uint64_t> flushes = 0;
    };

    /// `failed` is called when the disk fails, and should not return; it is log::fatal unless a test says otherwise.
    explicit Syncer(std::function<void(std::string_view)> failed = {});
    /// Serves what waits, then ends the thread.
    ~Syncer();
    Syncer(const Syncer&) = delete;
    Syncer& operator=(const Syncer&) = delete;

    /// From any thread.
    void submit(Request request);
    const Counters& counters() const { return counters_; }

  private:
    void work();
    void sync_all(std::vector<Request>& requests);
    void flushed(bool ok, std::string_view what);
    Fd data_directory_;
    std::function<void(std::string_view)> failed_;
    Counters counters_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Request> waiting_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace mox::storaged
