// A worker's account with sessions over a fake store, driven by raw IMAP text in one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include "imapd/worker/session.h"
#include "tests/unit/catch.h"
#include "tests/unit/imapd/fake_account.h"

namespace mox::imapd::fake {

using Lines = std::vector<std::string>;

class World;

class Client {
  public:
    Client(World& world, Fd socket) : world_(world), socket_(std::move(socket)) {}

    void write(std::string_view bytes);
    /// The next line, literals included as they come (`{n}` CRLF and n bytes), without its last CRLF. Empty at the end.
    std::string line();
    /// Lines up to the tagged one, which is last.
    Lines until(std::string_view tag);
    /// Sends a command and returns what comes up to its tagged answer.
    Lines command(std::string_view text);
    /// As command(), but only the untagged lines; the answer must be OK.
    Lines ok(std::string_view text);
    /// The tagged answer without its tag.
    std::string answer(std::string_view text);
    bool closed();
    int fd() const { return socket_.get(); }

  private:
    bool fill();
    World& world_;
    Fd socket_;
    std::string input_;
    bool ended_ = false;
    int tags_ = 0;
};

class World {
  public:
    World() : account("test") { log::set_level(log::Level::error); }
    ~World() {
        scope.cancel();
        served_.clear();
    }

    Client login(SessionLimits limits = {}, std::string pending = "") {
        auto [ours, theirs] = ipc::make_socket_pair();
        proto::StartSession start{};
        start.account = "test";
        start.login = "test@example.org";
        start.tag = "login";
        start.max_message_size = 1 << 20;
        start.message_limit = message_limit;
        start.pending_input = std::move(pending);
        start.stream = std::move(theirs);
        if (reuse) std::tie(handed_back, start.hand_back) = ipc::make_socket_pair();
        served_.push_back(std::make_unique<async::Scope>());
        served_.back()->spawn(serve(*this, std::move(start), limits));
        Client client(*this, std::move(ours));
        auto greeting = client.until("login");
        REQUIRE(greeting.back().starts_with("login OK [CAPABILITY IMAP4rev1 "));
        return client;
    }
    /// The session rests, and goes on as another one that knows only what rest() says; `meanwhile` happens in between.
    void move(size_t number, const std::function<void()>& meanwhile = [] {}) {
        settle();
        auto rested = sessions.at(number)->rest();
        REQUIRE(rested);
        auto state = parse_rested(ipc::encode(*rested));
        REQUIRE(state);
        Fd stream = sessions[number]->duplicate_stream();
        Fd hand_back = sessions[number]->duplicate_hand_back();
        served_[number]->cancel();
        sessions[number] = nullptr;
        meanwhile();
        served_[number]->spawn(go_on(*this, number, std::move(*state), std::move(stream), std::move(hand_back)));
    }
    size_t sessions_left() const {
        return sessions.size() - static_cast<size_t>(std::ranges::count(sessions, nullptr));
    }
    void step() { event_base_loop(loop.base(), EVLOOP_ONCE | EVLOOP_NONBLOCK); }
    void settle() {
        for (int i = 0; i < 50; i++) step();
    }

    async::Loop loop;
    Store store;
    Account account;
    Counters counters;
    std::vector<Session*> sessions;  // in the order of their logins; null when over
    bool reuse = false;              // sessions may give their clients back
    uint32_t message_limit = 0;      // of sessions to come
    Fd handed_back;                  // how the last one does
    async::Scope scope;              // for what else a test runs

  private:
    static async::Task<void> serve(World& world, proto::StartSession start, SessionLimits limits) {
        auto admitted = co_await world.account.admit(world.store.connect());
        if (!admitted) co_return;
        Session session(world.account, std::move(start), world.counters, limits);
        world.sessions.push_back(&session);
        co_await session.run();
        *std::ranges::find(world.sessions, &session) = nullptr;
    }
    static async::Task<void> go_on(World& world, size_t number, RestedSession rested, Fd stream, Fd hand_back) {
        Session session(world.account, std::move(rested), std::move(stream), std::move(hand_back), world.counters);
        world.sessions[number] = &session;
        co_await session.run();
        world.sessions[number] = nullptr;
    }

    std::vector<std::unique_ptr<async::Scope>> served_;
};

/// A message without anything.
constexpr std::string_view kPlain = "Subject: x\r\n\r\nbody\r\n";
/// INBOX with so many of them.
inline Box& inbox(World& world, int messages = 0) {
    Box& box = *world.store.find("INBOX");
    for (int i = 0; i < messages; i++) world.store.add(box, std::string(kPlain));
    return box;
}

inline void Client::write(std::string_view bytes) {
    while (!bytes.empty()) {
        auto n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n > 0)
            bytes.remove_prefix(static_cast<size_t>(n));
        else if (n == 0 || errno != EAGAIN)
            return;
        world_.step();
    }
}

inline bool Client::fill() {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < end) {
        char buffer[65536];
        auto n = ::recv(socket_.get(), buffer, sizeof buffer, 0);
        if (n > 0) {
            input_.append(buffer, static_cast<size_t>(n));
            return true;
        }
        if (n == 0 || errno != EAGAIN) {
            ended_ = true;
            return false;
        }
        for (int i = 0; i < 4; i++) world_.step();
        if (recv(socket_.get(), buffer, 1, MSG_PEEK) < 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    FAIL("nothing came");
    return false;
}

inline std::string Client::line() {
    size_t from = 0;
    for (;;) {
        auto at = input_.find("\r\n", from);
        if (at == std::string::npos) {
            if (!fill()) return std::exchange(input_, {});
            continue;
        }
        size_t end = at + 2;
        std::string_view text = std::string_view(input_).substr(from, at - from);
        auto open = text.rfind('{');
        if (text.ends_with('}') && open != std::string_view::npos) {
            size_t size = std::stoul(std::string(text.substr(open + 1)));
            while (input_.size() < end + size)
                if (!fill()) return {};
            from = end + size;
            continue;
        }
        std::string out = input_.substr(0, at);
        input_.erase(0, end);
        return out;
    }
}

inline Lines Client::until(std::string_view tag) {
    Lines lines;
    for (;;) {
        lines.push_back(line());
        if (lines.back().starts_with(std::string(tag) + ' ')) return lines;
        if (ended_) {
            lines.emplace_back();
            return lines;
        }
    }
}

inline Lines Client::command(std::string_view text) {
    std::string tag = "t" + std::to_string(++tags_);
    write(tag + ' ' + std::string(text) + "\r\n");
    auto lines = until(tag);
    if (!lines.back().empty()) lines.back().erase(0, tag.size() + 1);
    return lines;
}

inline Lines Client::ok(std::string_view text) {
    auto lines = command(text);
    INFO(text);
    INFO(lines.back());
    CHECK(lines.back().starts_with("OK"));
    lines.pop_back();
    return lines;
}

inline std::string Client::answer(std::string_view text) {
    return command(text).back();
}

inline bool Client::closed() {
    while (!ended_)
        if (!fill()) break;
    return ended_;
}

}  // namespace mox::imapd::fake
