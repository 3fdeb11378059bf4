#include "imapd/front/relay.h"

namespace mox::imapd {
namespace {

constexpr size_t kPiece = 64 * 1024;
constexpr std::chrono::seconds kTakeBack{10};
constexpr size_t kMaxBack = (1 << 20) + 1;  // as much as a worker gives back
constexpr std::chrono::seconds kLinger{2};  // for the client to take the last bytes and close, before the socket is

struct State {
    async::Notify moved;
    bool client_gone = false;
    bool worker_gone = false;
    bool handed_back = false;  // by the worker
    bool to_worker = false;    // bytes are on their way to it
};

async::Task<void> copy(async::Stream& from, async::Stream& to, async::Clock::duration write, State& state,
                       bool& moving) {
    for (;;) {
        auto bytes = co_await from.read_some(kPiece, async::kNever);
        if (bytes.empty()) break;
        moving = true;
        state.moved.notify_all();
        to.write(bytes);
        co_await to.flush(async::in(write));
        moving = false;
        if (!state.handed_back) continue;
        // Nothing more for a worker that gives back what it has.
        state.moved.notify_all();
        break;
    }
}

async::Task<void> from_client(async::Stream& client, async::Stream& worker, async::Clock::duration write,
                              State& state) {
    try {
        co_await copy(client, worker, write, state, state.to_worker);
    } catch (const std::exception&) {
        // gone without a word; or the worker is
    }
    state.to_worker = false;
    worker.close_write();
    state.client_gone = true;
    state.moved.notify_all();
}

// The worker's word on why it ended: there before its last byte, or never.
async::Task<bool> is_handed_back(async::Stream* hand_back) {
    if (hand_back == nullptr) co_return false;
    try {
        auto mark = co_await hand_back->read_some(1, async::in(kLinger));
        co_return mark == "U";
    } catch (const std::exception&) {
        co_return false;
    }
}

async::Task<void> from_worker(async::Stream& client, async::Stream& worker, async::Stream* hand_back,
                              async::Clock::duration write, State& state) {
    bool to_client = false;
    try {
        co_await copy(worker, client, write, state, to_client);
        state.handed_back = co_await is_handed_back(hand_back);
        if (!state.handed_back) client.close_write();
    } catch (const std::exception&) {
        state.client_gone = true;
    }
    state.worker_gone = true;
    state.moved.notify_all();
}

// All that was sent to the worker and not used. Nothing is read from the client meanwhile; the worker reads to the end.
async::Task<std::optional<std::string>> take_back(async::Stream& worker, async::Stream& hand_back, State& state,
                                                  async::Scope& scope) {
    async::Deadline deadline = async::in(kTakeBack);
    try {
        while (state.to_worker) co_await state.moved.wait(deadline);
        scope.cancel();
        worker.close_write();
        std::string rest;
        for (;;) {
            auto bytes = co_await hand_back.read_some(kPiece, deadline);
            if (bytes.empty()) break;
            rest += bytes;
            if (rest.size() > kMaxBack) co_return std::nullopt;
        }
        if (!rest.ends_with('.')) co_return std::nullopt;  // the worker died over it
        rest.pop_back();
        co_return rest;
    } catch (const std::exception&) {
        co_return std::nullopt;
    }
}

}  // namespace

async::Task<std::optional<std::string>> relay_session(async::Stream& client, async::Stream& worker,
                                                      async::Stream* hand_back, async::Clock::duration idle,
                                                      async::Clock::duration write) {
    State state;
    async::Scope scope;
    scope.spawn(from_client(client, worker, write, state));
    scope.spawn(from_worker(client, worker, hand_back, write, state));
    try {
        while (!state.worker_gone) co_await state.moved.wait(async::in(idle));
        if (state.handed_back) co_return co_await take_back(worker, *hand_back, state, scope);
        async::Deadline end = async::in(kLinger);
        while (!state.client_gone) co_await state.moved.wait(end);
    } catch (const async::DeadlinePassed&) {
        // idle, or a client that does not close
    }
    co_return std::nullopt;
}

}  // namespace mox::imapd
