#include "moxctl/account_link.h"

#include <exception>

namespace mox::moxctl {
namespace {

async::Task<void> note_end(async::Task<void> task, std::exception_ptr& failure, bool& done) {
    try {
        co_await task;
    } catch (...) {
        failure = std::current_exception();
    }
    done = true;
    async::Loop::current().stop();
}

}  // namespace

void run_to_end(async::Task<void> task) {
    std::exception_ptr failure;
    bool done = false;
    async::Scope scope;
    scope.spawn(note_end(std::move(task), failure, done));
    if (!done) async::Loop::current().run();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace mox::moxctl
