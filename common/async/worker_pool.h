// Threads for work that would block the loop: disk and password hashing. The loop's thread awaits, the pool's threads
// run.
//
// A job runs to its end even when the coroutine that awaits it is dropped; it must own all it uses. Jobs must not
// throw; what they return travels back by value.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "common/async/fd.h"
#include "common/async/loop.h"
#include "common/async/task.h"

namespace mox::async {

/// Calls functions in the loop's thread on behalf of other threads.
class LoopMailbox {
  public:
    LoopMailbox();
    ~LoopMailbox();
    LoopMailbox(const LoopMailbox&) = delete;
    /// From any thread: `call` will run in the loop.
    void post(std::function<void()> call);

  private:
    static void woken(evutil_socket_t, short, void* self);
    Fd wake_;
    event event_;
    std::mutex mutex_;
    std::vector<std::function<void()>> calls_;
};

class WorkerPool {
  public:
    WorkerPool(size_t threads, LoopMailbox& mailbox);
    /// Lets the jobs under way finish and drops those that wait.
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;

    /// Runs `job` in a thread of the pool; from any thread, without waiting.
    void submit(std::function<void()> job);
    size_t queued() const;

    /// Runs `job` in a thread of the pool and returns what it returned.
    template <class F>
    auto run(F job) -> Task<std::invoke_result_t<F>> {
        using T = std::invoke_result_t<F>;
        struct Shared {
            std::optional<T> value;
            Notify* done = nullptr;
        };
        Notify done;
        auto shared = std::make_shared<Shared>();
        struct Detach {
            std::shared_ptr<Shared> shared;
            ~Detach() { shared->done = nullptr; }
        } detach{shared};
        shared->done = &done;
        submit([shared, job = std::move(job), mailbox = &mailbox_]() mutable {
            auto value = std::make_shared<T>(job());
            mailbox->post([shared, value] {
                shared->value.emplace(std::move(*value));
                if (shared->done != nullptr) shared->done->notify_all();
            });
        });
        while (!shared->value) co_await done.wait();
        co_return std::move(*shared->value);
    }

  private:
    void work();
    LoopMailbox& mailbox_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> jobs_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace mox::async
