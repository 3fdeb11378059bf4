// The event loop of a thread, and the ways to wait in it.
//
// One Loop a thread (libevent's event_base); everything that waits registers with Loop::current(). A wait is an object
// in the waiting coroutine's frame: destroying the frame takes the registration away. Resumptions that one coroutine
// causes in another go through the loop's ready list, never directly, so no code runs in the middle of another's
// statement.
#pragma once

#include <chrono>
#include <coroutine>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <exception>
#include <functional>
#include <string>

#include "common/async/list.h"
#include "common/async/task.h"

namespace mox::async {

using Clock = std::chrono::steady_clock;
/// The moment after which waiting is given up. Every wait on a peer has one.
using Deadline = Clock::time_point;
constexpr Deadline kNever = Deadline::max();

/// The deadline that lies `span` ahead of now.
inline Deadline in(Clock::duration span) {
    return Clock::now() + span;
}

/// The deadline of a wait has passed.
struct DeadlinePassed : std::exception {
    const char* what() const noexcept override { return "deadline passed"; }
};

/// A suspended coroutine in a list of those to be resumed.
struct Waiter : ListNode {
    std::coroutine_handle<> handle;
};

class Loop {
  public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// The loop of this thread; there must be one.
    static Loop& current();

    event_base* base() { return base_; }
    /// Runs until stop(), or until nothing is left to wait for.
    void run();
    void stop();
    /// Resumes the waiter from the loop, after what is ready already. The waiter may be destroyed before that.
    void make_ready(Waiter& waiter);
    void make_all_ready(List<Waiter>& waiters);
    /// Calls `handler` (in the loop) at each signal of that number, for as long as the loop lives.
    void on_signal(int signal_number, std::function<void()> handler);

  private:
    static void run_ready(evutil_socket_t, short, void* self);
    event_base* base_;
    event ready_event_;
    List<Waiter> ready_;
    struct SignalHandler;
    SignalHandler* signals_ = nullptr;
};

enum class Direction : short { read = EV_READ, write = EV_WRITE };

/// Waits until the descriptor is readable or writable; throws DeadlinePassed.
class [[nodiscard]] WaitFd {
  public:
    WaitFd(int fd, Direction direction, Deadline deadline);
    ~WaitFd();
    WaitFd(const WaitFd&) = delete;
    WaitFd& operator=(const WaitFd&) = delete;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle);
    void await_resume() const {
        if (timed_out_) throw DeadlinePassed();
    }

  private:
    static void fired(evutil_socket_t, short what, void* self);
    event event_;
    Deadline deadline_;
    std::coroutine_handle<> handle_;
    bool timed_out_ = false;
    bool armed_ = false;
};

inline WaitFd readable(int fd, Deadline deadline) {
    return {fd, Direction::read, deadline};
}
inline WaitFd writable(int fd, Deadline deadline) {
    return {fd, Direction::write, deadline};
}

/// Waits for a span of time.
class [[nodiscard]] Sleep {
  public:
    explicit Sleep(Clock::duration span) : span_(span) {}
    ~Sleep();
    Sleep(const Sleep&) = delete;
    Sleep& operator=(const Sleep&) = delete;

    bool await_ready() const noexcept { return span_ <= Clock::duration::zero(); }
    void await_suspend(std::coroutine_handle<> handle);
    void await_resume() const noexcept {}

  private:
    static void fired(evutil_socket_t, short, void* self);
    event event_;
    Clock::duration span_;
    std::coroutine_handle<> handle_;
    bool armed_ = false;
};

inline Sleep sleep_for(Clock::duration span) {
    return Sleep(span);
}

/// Lets others run: continues after what is ready now.
class [[nodiscard]] Yield {
  public:
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        waiter_.handle = handle;
        Loop::current().make_ready(waiter_);
    }
    void await_resume() const noexcept {}

  private:
    Waiter waiter_;
};

/// A condition that several may wait for: wait() continues after the next notify_all(). No memory of past calls: test
/// the state first, in a loop.
class Notify {
  public:
    class [[nodiscard]] Wait {
      public:
        Wait(Notify& notify, Deadline deadline) : notify_(notify), deadline_(deadline) {}
        ~Wait();
        Wait(const Wait&) = delete;
        Wait& operator=(const Wait&) = delete;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> handle);
        void await_resume() const {
            if (timed_out_) throw DeadlinePassed();
        }

      private:
        static void fired(evutil_socket_t, short, void* self);
        Notify& notify_;
        Deadline deadline_;
        Waiter waiter_;
        event timer_;
        bool armed_ = false;
        bool timed_out_ = false;
    };

    /// Throws DeadlinePassed when nobody calls notify_all() in time.
    Wait wait(Deadline deadline = kNever) { return {*this, deadline}; }
    void notify_all() {
        if (!waiters_.empty()) Loop::current().make_all_ready(waiters_);
    }

  private:
    List<Waiter> waiters_;
};

/// Owns tasks that run beside each other. Ending the scope cancels those that are left. An exception that leaves a
/// spawned task is logged and otherwise ignored: a session catches its own.
class Scope {
  public:
    Scope() = default;
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    void spawn(Task<void> task);
    size_t size() const { return size_; }
    /// Waits until no task is left; throws DeadlinePassed.
    Task<void> join(Deadline deadline = kNever);
    /// Cancels all tasks now.
    void cancel();

  private:
    struct Runner;
    static Runner run(Scope& scope, Task<void> task);
    List<ListNode> runners_;
    size_t size_ = 0;
    Notify ended_;
};

}  // namespace mox::async
