// Strand: one store, used by one thread at a time, its operations in order; the meeting point of loop and disk.
//
// The loop pushes operations. A thread of the pool takes all that wait, runs them in one transaction (each in a
// savepoint, so that one may fail alone), and commits; the journal makes the commit durable together with those of
// other stores; back in the loop the callers get their answers and the effects are told. Meanwhile the next operations
// gather: that is group commit. Reads in the same batch are answered with it, so nobody ever sees what a crash could
// take back.
//
// An operation runs to its end even when its caller is dropped; it must own all it uses.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/async/worker_pool.h"
#include "common/error.h"
#include "storaged/counters.h"
#include "storaged/journal.h"
#include "storaged/store.h"

namespace mox::storaged {

/// What all strands share. Order matters: deliveries end first, then the pool, the journal, the mailbox.
struct Engine {
    Engine(size_t threads, JournalOptions options) : journal(std::move(options)), pool(threads, mailbox) {}
    Counters counters;
    SpaceReserve reserve{32u << 20};
    async::LoopMailbox mailbox;
    Journal journal;
    async::WorkerPool pool;
    bool compressing = false;  // a message
    async::Notify compressed;
    std::atomic<bool> stopping = false;
    async::Scope deliveries;  // tasks that are carried out whatever becomes of the channel that asked
};

/// `alone`: a read that is no part of a transaction of others.
enum class Access : uint8_t { read, write, alone };

class Strand : public std::enable_shared_from_this<Strand> {
  public:
    Strand(Engine& engine, std::unique_ptr<Store> store, std::string name);

    /// Called in the loop with what a commit did, once it is durable and before its callers go on.
    void on_effects(std::function<void(const Effects&)> handler) { handler_ = std::move(handler); }

    /// Runs `work(store)` in a thread and returns its Result; a failure of disk or database is an Error too. Writes are
    /// durable when it returns.
    template <class S, class F>
    auto run(Access access, F work) -> async::Task<std::invoke_result_t<F&, S&>> {
        using R = std::invoke_result_t<F&, S&>;
        struct Shared {
            F work;
            std::optional<R> value;
            bool finished = false;
            async::Notify done;
        };
        auto self = shared_from_this();
        auto shared = std::shared_ptr<Shared>(new Shared{std::move(work), std::nullopt, false, {}});
        Operation operation;
        operation.access = access;
        operation.work = [shared](Store& store) -> std::optional<Error> {
            shared->value.emplace(shared->work(static_cast<S&>(store)));
            if (*shared->value) return std::nullopt;
            return shared->value->error();
        };
        operation.done = [shared](std::optional<Error> error) {
            if (error) shared->value.emplace(std::unexpected(std::move(*error)));
            shared->finished = true;
            shared->done.notify_all();
        };
        push(std::move(operation));
        while (!shared->finished) co_await shared->done.wait();
        co_return std::move(*shared->value);
    }

    /// True when nothing waits and nothing is under way.
    bool idle() const { return !running_ && waiting_.empty() && erasing_ == 0; }
    bool store_open() const { return store_open_; }
    /// Until as many releases, files whose last row is gone are kept.
    void hold_erasures() { holds_++; }
    void release_erasures();
    /// The store itself: only for what may be called from any thread.
    Store& store() { return *store_; }
    /// While blocked, operations that come are refused for a while; those under way go on, and it can be closed.
    void block(bool blocked) { blocked_ = blocked; }
    /// Closes the store; the next operation opens it again.
    async::Task<void> close();

  private:
    struct Operation {
        Access access = Access::read;
        std::function<std::optional<Error>(Store&)> work;  // in a thread
        std::function<void(std::optional<Error>)> done;    // in the loop
        std::optional<Error> error;
        bool closes = false;
        bool stands_alone() const { return closes || access == Access::alone; }
    };
    struct Batch {
        std::vector<Operation> operations;
        bool wrote = false;
        bool open = false;
        Effects effects;
        LogFile::Taken log;
        std::shared_ptr<LogFile> log_file;
    };

    void push(Operation operation);
    void start();
    void execute(Batch& batch);
    void run_operations(Batch& batch);
    void run_one(Operation& operation);
    void finish_in_loop(std::shared_ptr<Batch> batch);
    void make_durable(std::shared_ptr<Batch> batch);
    void not_durable(Batch& batch, int error);
    void fail_all(Batch& batch, const Error& error);
    void finish(Batch& batch);
    void erase_files(std::vector<uint64_t> files);
    void checkpoint_if_needed();

    Engine& engine_;
    std::unique_ptr<Store> store_;
    std::string name_;
    std::function<void(const Effects&)> handler_;
    std::deque<Operation> waiting_;
    bool running_ = false;
    bool blocked_ = false;
    bool store_open_ = false;
    std::atomic<size_t> erasing_ = 0;  // jobs that unlink files
    size_t holds_ = 0;
    std::vector<uint64_t> held_;  // files to be erased behind the last release; a crash leaves them to the next opening
};

}  // namespace mox::storaged
