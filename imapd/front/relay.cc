#include "imapd/front/relay.h"

namespace mox::imapd {
namespace {

constexpr size_t kPiece = 64 * 1024;
constexpr std::chrono::seconds kLinger{2};  // for the client to take the last bytes and close, before the socket is

struct State {
    async::Notify moved;
    uint64_t pieces = 0;
    bool client_gone = false;
    bool worker_gone = false;

    void note() {
        pieces++;
        moved.notify_all();
    }
};

async::Task<void> copy(async::Stream& from, async::Stream& to, async::Clock::duration write, State& state) {
    for (;;) {
        auto bytes = co_await from.read_some(kPiece, async::kNever);
        if (bytes.empty()) break;
        state.note();
        to.write(bytes);
        co_await to.flush(async::in(write));
    }
}

async::Task<void> from_client(async::Stream& client, async::Stream& worker, async::Clock::duration write,
                              State& state) {
    try {
        co_await copy(client, worker, write, state);
    } catch (const std::exception&) {
        // gone without a word; or the worker is
    }
    worker.close_write();
    state.client_gone = true;
    state.moved.notify_all();
}

async::Task<void> from_worker(async::Stream& client, async::Stream& worker, async::Clock::duration write,
                              State& state) {
    try {
        co_await copy(worker, client, write, state);
        client.close_write();
    } catch (const std::exception&) {
        state.client_gone = true;
    }
    state.worker_gone = true;
    state.moved.notify_all();
}

}  // namespace

async::Task<void> relay_session(async::Stream& client, async::Stream& worker, async::Clock::duration idle,
                                async::Clock::duration write) {
    State state;
    async::Scope scope;
    scope.spawn(from_client(client, worker, write, state));
    scope.spawn(from_worker(client, worker, write, state));
    try {
        while (!state.worker_gone) co_await state.moved.wait(async::in(idle));
        async::Deadline end = async::in(kLinger);
        while (!state.client_gone) co_await state.moved.wait(end);
    } catch (const async::DeadlinePassed&) {
        // idle, or a client that does not close
    }
}

}  // namespace mox::imapd
