#include "storaged/strand.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "common/log/log.h"

namespace mox::storaged {
namespace {

constexpr size_t kMaxBatch = 256;       // operations in one transaction
constexpr int kCheckpointPages = 1000;  // of the log: 4 MiB

}  // namespace

Strand::Strand(Engine& engine, std::unique_ptr<Store> store, std::string name)
    : engine_(engine), store_(std::move(store)), name_(std::move(name)) {}

void Strand::push(Operation operation) {
    if (blocked_ && !operation.closes) {
        operation.done(Error{Persistence::temporary, ErrorCode::unavailable, "the account is out of use just now"});
        return;
    }
    waiting_.push_back(std::move(operation));
    start();
}

// A batch holds up to kMaxBatch operations, or one that stands alone.
void Strand::start() {
    if (running_ || waiting_.empty()) return;
    running_ = true;
    auto batch = std::make_shared<Batch>();
    while (!waiting_.empty() && batch->operations.size() < kMaxBatch) {
        if (waiting_.front().stands_alone() && !batch->operations.empty()) break;
        batch->operations.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
        if (batch->operations.back().stands_alone()) break;
    }
    engine_.pool.submit([self = shared_from_this(), batch] {
        self->execute(*batch);
        if (batch->wrote)
            self->make_durable(batch);
        else
            self->finish_in_loop(batch);
    });
}

void Strand::finish_in_loop(std::shared_ptr<Batch> batch) {
    engine_.mailbox.post([self = shared_from_this(), batch] { self->finish(*batch); });
}

void Strand::make_durable(std::shared_ptr<Batch> batch) {
    Journal::Request request;
    request.sync_first = std::move(batch->effects.sync_first);
    if (batch->log.sync_first) request.sync_first.push_back(std::move(batch->log.sync_first));
    request.entries = std::move(batch->effects.entries);
    std::ranges::move(batch->log.entries, std::back_inserter(request.entries));
    request.settle = [log = batch->log_file, bytes = batch->log.bytes] { log->settle(bytes); };
    request.done = [self = shared_from_this(), batch](int error) {
        if (error == 0) return self->finish_in_loop(batch);
        self->engine_.pool.submit([self, batch, error] {
            self->not_durable(*batch, error);
            self->finish_in_loop(batch);
        });
    };
    engine_.journal.submit(std::move(request));
}

// The journal could not be written (a full disk, one that was remounted for reading only): the commit is forgotten, and
// the database opened anew as it was before.
void Strand::not_durable(Batch& batch, int error) {
    log::error("a commit cannot be made durable", {{"store", name_}, {"error", std::strerror(error)}});
    batch.log_file->discard();
    std::vector<LinkedFile> files;
    for (uint64_t file : batch.effects.placed) files.push_back({store_->tree(), file});
    remove_files(files);
    batch.wrote = false;
    batch.effects = {};
    fail_all(batch, error_of_errno(error));
    batch.open = false;
}

void Strand::execute(Batch& batch) {
    try {
        // The journal's thread may not have come to it yet; the batch before is durable.
        if (store_->is_open()) store_->db().log()->settle();
        if (batch.operations.front().closes) {
            store_->close();
        } else {
            checkpoint_if_needed();
            if (!store_->is_open()) store_->open();
            run_operations(batch);
        }
    } catch (const StoreFailure& failure) {
        log::error("a store failed", {{"store", name_}, {"error", failure.what()}});
        store_->roll_back();
        fail_all(batch, failure.error());
    }
    batch.open = store_->is_open();
}

// Before a batch, not behind it: then nothing of this store waits to be synced, and the callers of the last one have
// gone on.
void Strand::checkpoint_if_needed() {
    if (store_->is_open() && store_->db().log_pages() >= kCheckpointPages) store_->db().checkpoint();
}

void Strand::run_operations(Batch& batch) {
    bool writes = std::ranges::any_of(batch.operations, [](const auto& o) { return o.access == Access::write; });
    if (writes) {
        store_->begin();
        store_->forget_erased();
    }
    for (Operation& operation : batch.operations) run_one(operation);
    if (!writes) return;
    store_->commit();
    batch.wrote = true;
    batch.effects = store_->take_effects();
    batch.log_file = store_->db().log();
    batch.log = batch.log_file->take();
}

/// Errors that end the transaction travel on; those of the one operation stay with it.
void Strand::run_one(Operation& operation) {
    if (operation.access != Access::write) {
        engine_.counters.reads++;
        try {
            operation.error = operation.work(*store_);
        } catch (const StoreFailure& failure) {
            log::error("reading a store failed", {{"store", name_}, {"error", failure.what()}});
            operation.error = failure.error();
        }
        return;
    }
    engine_.counters.writes++;
    store_->begin_operation();
    try {
        operation.error = operation.work(*store_);
        if (!operation.error) store_->finish_operation();
    } catch (const StoreFailure& failure) {
        // After a full disk or an I/O error SQLite may have ended the transaction: then all of the batch failed.
        if (!store_->db().in_transaction()) throw;
        log::error("changing a store failed", {{"store", name_}, {"error", failure.what()}});
        operation.error = failure.error();
    }
    if (operation.error) {
        engine_.counters.operation_failures++;
        store_->undo_operation();
    } else {
        store_->keep_operation();
    }
}

void Strand::fail_all(Batch& batch, const Error& error) {
    engine_.counters.operation_failures += batch.operations.size();
    for (Operation& operation : batch.operations)
        if (!operation.error) operation.error = error;
    // The database is opened anew: what SQLite holds in memory after a failure is not worth a thought.
    store_->abandon();
}

void Strand::finish(Batch& batch) {
    store_open_ = batch.open;
    if (handler_ && batch.wrote) handler_(batch.effects);
    if (!batch.effects.erased.empty()) erase_files(std::move(batch.effects.erased));
    for (Operation& operation : batch.operations)
        if (operation.done) operation.done(std::move(operation.error));
    running_ = false;
    start();
}

void Strand::release_erasures() {
    if (--holds_ == 0 && !held_.empty()) erase_files(std::exchange(held_, {}));
}

void Strand::erase_files(std::vector<uint64_t> files) {
    if (holds_ > 0) {
        held_.insert(held_.end(), files.begin(), files.end());
        return;
    }
    erasing_++;
    engine_.pool.submit([self = shared_from_this(), files = std::move(files)]() mutable {
        std::vector<LinkedFile> names;
        for (uint64_t file : files) names.push_back({self->store_->tree(), file});
        remove_files(names);
        self->store_->files_erased(std::move(files));
        self->erasing_--;
    });
}

async::Task<void> Strand::close() {
    auto self = shared_from_this();
    struct Closed {
        bool finished = false;
        async::Notify done;
    };
    auto closed = std::make_shared<Closed>();
    Operation operation;
    operation.closes = true;
    operation.done = [closed](std::optional<Error>) {
        closed->finished = true;
        closed->done.notify_all();
    };
    push(std::move(operation));
    while (!closed->finished) co_await closed->done.wait();
}

}  // namespace mox::storaged
