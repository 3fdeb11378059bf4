// Runs a task to its end even when the one who waits for it is dropped.
#pragma once

#include <memory>
#include <optional>

#include "common/async/loop.h"
#include "common/async/task.h"
#include "common/error.h"

namespace mox::storaged {

namespace detail {
template <class T>
struct Completion {
    std::optional<Result<T>> value;
    async::Notify done;
};
template <class T>
async::Task<void> carry_out(async::Task<Result<T>> task, std::shared_ptr<Completion<T>> completion) {
    auto value = co_await task;
    completion->value.emplace(std::move(value));
    completion->done.notify_all();
}
}  // namespace detail

/// `scope` owns the task; what this returns may be dropped at any time.
template <class T>
async::Task<Result<T>> complete(async::Scope& scope, async::Task<Result<T>> task) {
    auto completion = std::make_shared<detail::Completion<T>>();
    scope.spawn(detail::carry_out<T>(std::move(task), completion));
    while (!completion->value) co_await completion->done.wait();
    co_return std::move(*completion->value);
}

}  // namespace mox::storaged
