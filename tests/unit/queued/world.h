// The scheduler among fakes of its peers, and a scripted SMTP server on loopback in the place of the world.
#pragma once

#include <algorithm>
#include <arpa/inet.h>
#include <functional>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "queued/scheduler.h"
#include "tests/unit/catch.h"
#include "tests/unit/common/smtp/fake_server.h"

namespace mox::queued::testing {

using namespace std::chrono_literals;

inline Fd memory_file(std::string_view text) {
    Fd file(memfd_create("test", MFD_CLOEXEC));
    REQUIRE(write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    return file;
}

using StorageList = ipc::Messages<proto::CreateSpool, proto::DropSpool, proto::Deliver, proto::Enqueue, proto::QueueDue,
                                  proto::QueueNext, proto::QueueScan, proto::QueueOpen, proto::QueueUpdate,
                                  proto::QueueRemove, proto::QueueDeliverLocal>;

struct FakeStorage {
    std::map<uint64_t, proto::QueueEntry> queue;
    std::string content = "Subject: hello\r\nX-Test-Id: 17\r\n\r\nbody\r\n.\r\n";
    bool missing_accounts = false;  // Deliver fails: no such account
    int failing_removes = 0;        // so many QueueRemove fail for a while
    std::map<uint64_t, Fd> spools;
    struct Delivered {
        std::string account, prefix, text;
    };
    std::vector<Delivered> delivered;  // notices
    struct Sent {
        std::string mail_from, recipient, text;
    };
    std::vector<Sent> enqueued;  // notices for senders elsewhere
    std::vector<proto::QueueDeliverLocal> local;
    std::vector<proto::QueueUpdate> updates;
    std::vector<std::string> order;  // of what matters

    Result<proto::SpoolFile> on(proto::CreateSpool) {
        Fd file(memfd_create("spool", MFD_CLOEXEC));
        uint64_t id = spools.size() + 1;
        spools[id] = Fd(dup(file.get()));
        return proto::SpoolFile{id, std::move(file)};
    }
    void on(proto::DropSpool m) { spools.erase(m.spool); }
    template <class M>
    std::string text_of(const M& m) {
        if (m.spool == 0) return m.content;
        std::string text(m.facts.size, '\0');
        CHECK(pread(spools.at(m.spool).get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
        return text;
    }
    Result<proto::Enqueued> on(proto::Enqueue m) {
        enqueued.push_back({m.facts.mail_from, m.recipients.at(0), text_of(m)});
        order.push_back("notice");
        return proto::Enqueued{{queue.size() + 1000}};
    }
    Result<proto::DeliveryOutcomes> on(proto::Deliver m) {
        proto::DeliveryOutcomes out;
        std::string text = text_of(m);
        CHECK(m.facts.mail_from.empty());
        for (auto& target : m.targets) {
            proto::DeliveryOutcome o;
            if (missing_accounts && target.account != "postmaster")
                o.error = Error{Persistence::permanent, ErrorCode::not_found, "no such account"};
            else
                delivered.push_back({target.account, target.prefix, text});
            out.targets.push_back(std::move(o));
        }
        order.push_back("notice");
        return out;
    }
    Result<proto::QueueEntries> on(proto::QueueDue m) {
        proto::QueueEntries out;
        for (auto& [id, e] : queue) {
            bool excepted = std::ranges::find(m.except, id) != m.except.end();
            if (e.next_attempt <= m.until && !excepted && out.entries.size() < m.limit) out.entries.push_back(e);
        }
        return out;
    }
    Result<proto::NextAttempt> on(proto::QueueNext m) {
        proto::NextAttempt out{std::nullopt, queue.size()};
        for (auto& [id, e] : queue) {
            if (std::ranges::find(m.except, id) != m.except.end()) continue;
            if (!out.when || e.next_attempt < *out.when) out.when = e.next_attempt;
        }
        return out;
    }
    Result<proto::QueueEntries> on(proto::QueueScan m) {
        proto::QueueEntries out;
        for (auto it = queue.upper_bound(m.after); it != queue.end() && out.entries.size() < m.limit; ++it)
            out.entries.push_back(it->second);
        return out;
    }
    Result<proto::QueuedMessage> on(proto::QueueOpen m) {
        if (!queue.contains(m.id)) return permanent(ErrorCode::not_found, "no such entry");
        return proto::QueuedMessage{"Received: by here\r\n", "", memory_file(content)};
    }
    Result<ipc::Done> on(proto::QueueUpdate m) {
        auto found = queue.find(m.id);
        if (found == queue.end()) return permanent(ErrorCode::not_found, "no such entry");
        auto& e = found->second;
        e.next_attempt = m.next_attempt;
        e.last_attempt = m.last_attempt;
        e.attempts = m.attempts;
        e.last_error = m.last_error;
        e.delay_notified = m.delay_notified;
        updates.push_back(std::move(m));
        order.push_back("update");
        return ipc::Done{};
    }
    Result<ipc::Done> on(proto::QueueRemove m) {
        if (failing_removes > 0) {
            failing_removes--;
            return temporary(ErrorCode::unavailable, "not now");
        }
        for (uint64_t id : m.ids) queue.erase(id);
        order.push_back("remove");
        return ipc::Done{};
    }
    Result<ipc::Done> on(proto::QueueDeliverLocal m) {
        queue.erase(m.id);
        local.push_back(std::move(m));
        return ipc::Done{};
    }
};

struct FakeAuth {
    std::map<std::string, proto::ResolvedAddress> addresses;
    std::function<void()> asked;
    Result<proto::ResolvedAddress> on(proto::ResolveAddress m) {
        if (asked) asked();
        auto found = addresses.find(m.address);
        if (found != addresses.end()) return found->second;
        return proto::ResolvedAddress{proto::AddressStatus::not_ours, "", ""};
    }
};

struct FakeDns {
    std::map<std::string, proto::MxHosts> mx;
    std::map<std::string, std::vector<std::string>> addresses;
    Result<proto::MxHosts> on(proto::LookupMx m) {
        auto found = mx.find(m.name);
        if (found != mx.end()) return found->second;
        proto::MxHosts none{};
        none.answer.status = proto::DnsStatus::no_data;
        return none;
    }
    Result<proto::Addresses> on(proto::LookupAddresses m) {
        proto::Addresses out{};
        if (m.name == "broken.example") return temporary(ErrorCode::unavailable, "SERVFAIL");
        out.addresses = addresses[m.name];
        return out;
    }
};

class World {
  public:
    async::Loop loop;
    FakeStorage storage;
    FakeAuth auth;
    FakeDns dns;
    smtp::testing::Script script;
    smtp::testing::Seen seen;
    proto::ConfigureQueued config{};
    Peers peers;
    std::optional<Scheduler> scheduler;

    World() {
        log::set_level(log::Level::error);
        signal(SIGPIPE, SIG_IGN);
        listen();
        storage_end_ = connect(peers.storage, StorageList{}, storage);
        auth_end_ = connect(peers.auth, ipc::Messages<proto::ResolveAddress>{}, auth);
        dns_end_ = connect(peers.dns, ipc::Messages<proto::LookupMx, proto::LookupAddresses>{}, dns);
        config.hostname = "mail.here.example";
        config.retry_after = {1s};
        config.give_up_after = 1h;
        config.delay_notice_after = 30min;
        config.max_concurrent = 10;
        config.max_per_destination = 5;
        config.outgoing_port = port_;
        dns.addresses["remote.example"] = {"127.0.0.1"};
        scheduler.emplace(peers);
    }

    uint16_t port() const { return port_; }

    proto::QueueEntry& add(std::string recipient, int64_t age = 0) {
        uint64_t id = storage.queue.size() + 1;
        auto& e = storage.queue[id];
        e = proto::QueueEntry{};
        e.id = id;
        e.message = 1;
        e.account = "alice";
        e.mail_from = "alice@here.example";
        e.recipient = std::move(recipient);
        e.queued = e.next_attempt = unix_now() - age;
        e.message_id = "<1@here.example>";
        return e;
    }
    void start() { scheduler->configure(copy()); }
    /// authd ends right after it was asked.
    void lose_auth() {
        auth.asked = [this] { auth_end_->close("ended"); };
    }
    static async::Task<int> finish(Scheduler& scheduler) {
        co_await scheduler.finish(async::in(50ms));
        co_return 0;
    }

    /// Runs the loop until it holds; false after the time.
    bool until(std::function<bool()> condition, std::chrono::milliseconds limit = 10s) {
        async::Scope scope;
        ended_ = false;
        scope.spawn(watch(condition, async::in(limit)));
        if (!ended_) loop.run();
        return condition();
    }
    /// Runs the loop for a while.
    void pass(std::chrono::milliseconds span) {
        until([] { return false; }, span);
    }
    template <class T>
    T wait(async::Task<T> task) {
        REQUIRE(until([&] { return task.done(); }));
        return task.await_resume();
    }

  private:
    Settings copy() {
        auto out = std::make_shared<proto::ConfigureQueued>();
        *out = config;
        return out;
    }
    template <class List, class Fake>
    std::unique_ptr<ipc::Channel> connect(ipc::Link& link, List list, Fake& fake) {
        auto [a, b] = ipc::make_socket_pair();
        auto far = std::make_unique<ipc::Channel>(std::move(b), ipc::PeerId{ipc::Role::queued, "queued"});
        far->serve(list, fake);
        far->start();
        auto near = std::make_shared<ipc::Channel>(std::move(a), ipc::PeerId{link.role(), "fake"});
        near->start();
        link.attach(std::move(near));
        return far;
    }
    void listen() {
        listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        REQUIRE(listener_);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listener_.get(), 50) == 0);
        socklen_t size = sizeof address;
        getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        servers_.spawn(accept());
    }
    async::Task<void> accept() {
        for (;;) {
            co_await async::readable(listener_.get(), async::kNever);
            Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (socket) servers_.spawn(smtp::testing::serve(std::move(socket), script, seen));
        }
    }
    async::Task<void> watch(std::function<bool()>& condition, async::Deadline deadline) {
        while (!condition() && async::Clock::now() < deadline) co_await async::sleep_for(5ms);
        ended_ = true;
        loop.stop();
    }
    Fd listener_;
    uint16_t port_ = 0;
    bool ended_ = false;
    std::unique_ptr<ipc::Channel> storage_end_, auth_end_, dns_end_;
    async::Scope servers_;
};

}  // namespace mox::queued::testing
