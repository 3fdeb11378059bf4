#include "common/async/loop.h"

#include <memory>
#include <vector>

#include "common/log/log.h"

namespace mox::async {
namespace {

thread_local Loop* current_loop = nullptr;

timeval to_timeval(Clock::duration span) {
    auto us = std::chrono::duration_cast<std::chrono::microseconds>(span).count();
    if (us < 0) us = 0;
    return {.tv_sec = us / 1000000, .tv_usec = us % 1000000};
}

/// Adds the event, with a time limit unless the deadline is kNever.
void add_event(event& ev, Deadline deadline) {
    if (deadline == kNever) {
        event_add(&ev, nullptr);
        return;
    }
    timeval limit = to_timeval(deadline - Clock::now());
    event_add(&ev, &limit);
}

}  // namespace

struct Loop::SignalHandler {
    std::function<void()> call;
    event* ev = nullptr;
    SignalHandler* next = nullptr;
};

Loop::Loop() {
    // No EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST: descriptors that are passed to other processes and closed here would
    // stay registered in the kernel.
    event_config* config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    base_ = event_base_new_with_config(config);
    event_config_free(config);
    if (base_ == nullptr) log::fatal("cannot make an event loop");
    event_assign(&ready_event_, base_, -1, 0, run_ready, this);
    current_loop = this;
}

Loop::~Loop() {
    event_del(&ready_event_);
    while (signals_ != nullptr) {
        std::unique_ptr<SignalHandler> handler(signals_);
        signals_ = handler->next;
        event_free(handler->ev);
    }
    event_base_free(base_);
    current_loop = nullptr;
}

Loop& Loop::current() {
    return *current_loop;
}

void Loop::run() {
    event_base_dispatch(base_);
}

void Loop::stop() {
    event_base_loopbreak(base_);
}

void Loop::make_ready(Waiter& waiter) {
    if (ready_.empty()) event_active(&ready_event_, EV_TIMEOUT, 1);
    ready_.push_back(waiter);
}

void Loop::make_all_ready(List<Waiter>& waiters) {
    if (waiters.empty()) return;
    if (ready_.empty()) event_active(&ready_event_, EV_TIMEOUT, 1);
    ready_.take_all(waiters);
}

void Loop::run_ready(evutil_socket_t, short, void* self) {
    auto* loop = static_cast<Loop*>(self);
    // Only those ready now: what they make ready comes after the descriptors had their turn.
    List<Waiter> batch;
    batch.take_all(loop->ready_);
    while (!batch.empty()) {
        Waiter& waiter = batch.front();
        waiter.unlink();
        waiter.handle.resume();
    }
    // libevent would call this again before it looks at descriptors and timers.
    if (!loop->ready_.empty()) event_base_loopcontinue(loop->base_);
}

void Loop::on_signal(int signal_number, std::function<void()> handler) {
    auto* entry = new SignalHandler{std::move(handler), nullptr, signals_};
    signals_ = entry;
    entry->ev = evsignal_new(
        base_, signal_number, [](evutil_socket_t, short, void* arg) { static_cast<SignalHandler*>(arg)->call(); },
        entry);
    evsignal_add(entry->ev, nullptr);
}

WaitFd::WaitFd(int fd, Direction direction, Deadline deadline) : deadline_(deadline) {
    event_assign(&event_, Loop::current().base(), fd, static_cast<short>(direction), fired, this);
}

WaitFd::~WaitFd() {
    if (armed_) event_del(&event_);
}

void WaitFd::await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    armed_ = true;
    add_event(event_, deadline_);
}

void WaitFd::fired(evutil_socket_t, short what, void* self) {
    auto* wait = static_cast<WaitFd*>(self);
    wait->armed_ = false;
    wait->timed_out_ = what == EV_TIMEOUT;
    wait->handle_.resume();
}

Sleep::~Sleep() {
    if (armed_) event_del(&event_);
}

void Sleep::await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    armed_ = true;
    event_assign(&event_, Loop::current().base(), -1, 0, fired, this);
    timeval limit = to_timeval(span_);
    event_add(&event_, &limit);
}

void Sleep::fired(evutil_socket_t, short, void* self) {
    auto* sleep = static_cast<Sleep*>(self);
    sleep->armed_ = false;
    sleep->handle_.resume();
}

Notify::Wait::~Wait() {
    if (armed_) event_del(&timer_);
}

void Notify::Wait::await_suspend(std::coroutine_handle<> handle) {
    waiter_.handle = handle;
    notify_.waiters_.push_back(waiter_);
    if (deadline_ == kNever) return;
    armed_ = true;
    event_assign(&timer_, Loop::current().base(), -1, 0, fired, this);
    add_event(timer_, deadline_);
}

void Notify::Wait::fired(evutil_socket_t, short, void* self) {
    auto* wait = static_cast<Wait*>(self);
    wait->armed_ = false;
    wait->timed_out_ = true;
    wait->waiter_.unlink();
    wait->waiter_.handle.resume();
}

// The outermost frame of a spawned task: linked into its scope while it runs, destroys itself at its end.
struct Scope::Runner {
    struct promise_type : ListNode {
        Scope& scope;
        promise_type(Scope& s, Task<void>&) : scope(s) {
            scope.runners_.push_back(*this);
            scope.size_++;
        }
        ~promise_type() {
            scope.size_--;
            if (scope.size_ == 0) scope.ended_.notify_all();
        }
        Runner get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {
            try {
                throw;
            } catch (const std::exception& e) {
                log::error("a task ended with an exception", {{"error", e.what()}});
            } catch (...) {
                log::error("a task ended with an unknown exception");
            }
        }
    };
};

Scope::Runner Scope::run(Scope&, Task<void> task) {
    co_await task;
}

Scope::~Scope() {
    cancel();
}

void Scope::spawn(Task<void> task) {
    run(*this, std::move(task));
}

void Scope::cancel() {
    while (!runners_.empty()) {
        auto& promise = static_cast<Runner::promise_type&>(runners_.front());
        std::coroutine_handle<Runner::promise_type>::from_promise(promise).destroy();
    }
}

Task<void> Scope::join(Deadline deadline) {
    while (size_ > 0) co_await ended_.wait(deadline);
}

}  // namespace mox::async
