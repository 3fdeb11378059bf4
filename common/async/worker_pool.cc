#include "common/async/worker_pool.h"

#include <csignal>
#include <sys/eventfd.h>

#include "common/log/log.h"

namespace mox::async {

LoopMailbox::LoopMailbox() : wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!wake_) log::fatal("cannot make an eventfd");
    event_assign(&event_, Loop::current().base(), wake_.get(), EV_READ | EV_PERSIST, woken, this);
    event_add(&event_, nullptr);
}

LoopMailbox::~LoopMailbox() {
    event_del(&event_);
}

void LoopMailbox::post(std::function<void()> call) {
    {
        std::lock_guard lock(mutex_);
        calls_.push_back(std::move(call));
        if (calls_.size() > 1) return;  // the loop has been woken already
    }
    uint64_t one = 1;
    [[maybe_unused]] ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

void LoopMailbox::woken(evutil_socket_t, short, void* self) {
    auto* mailbox = static_cast<LoopMailbox*>(self);
    uint64_t count = 0;
    [[maybe_unused]] ssize_t n = ::read(mailbox->wake_.get(), &count, sizeof count);
    std::vector<std::function<void()>> calls;
    {
        std::lock_guard lock(mailbox->mutex_);
        calls.swap(mailbox->calls_);
    }
    for (auto& call : calls) call();
}

WorkerPool::WorkerPool(size_t threads, LoopMailbox& mailbox) : mailbox_(mailbox) {
    // Signals are the loop's.
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    for (size_t i = 0; i < threads; i++) threads_.emplace_back([this] { work(); });
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

WorkerPool::~WorkerPool() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        jobs_.clear();
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
}

void WorkerPool::submit(std::function<void()> job) {
    {
        std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
    }
    changed_.notify_one();
}

size_t WorkerPool::queued() const {
    std::lock_guard lock(mutex_);
    return jobs_.size();
}

void WorkerPool::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (stopping_) return;
        auto job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job();
        job = nullptr;
        lock.lock();
    }
}

}  // namespace mox::async
