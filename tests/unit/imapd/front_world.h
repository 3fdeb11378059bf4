// A front over made-up services: authd and moxd as a session needs them.
#pragma once

#include "imapd/front/session.h"
#include "tests/unit/imapd/harness.h"

namespace mox::imapd::fake {

using namespace std::chrono_literals;

// authd and moxd of a world where alice has the password "secret".
class FakeServices : public Services {
  public:
    async::Task<Result<proto::LoggedIn>> login(proto::LoginPlain request) override {
        logins++;
        if (busy) co_return temporary(ErrorCode::busy, "busy");
        if (request.login != "alice" || request.password.value != "secret")
            co_return permanent(ErrorCode::denied, "wrong");
        co_return proto::LoggedIn{"alice", "alice@example.org", {}};
    }
    async::Task<Result<proto::ScramChallenge>> scram_start(proto::ScramStart request) override {
        if (request.client_first != "first") co_return permanent(ErrorCode::bad_request, "syntax");
        co_return proto::ScramChallenge{7, "challenge"};
    }
    async::Task<Result<proto::ScramDone>> scram_finish(proto::ScramFinish request) override {
        if (request.session != 7 || request.client_final != "final") co_return permanent(ErrorCode::denied, "wrong");
        proto::ScramDone done{};
        done.server_final = "v=sig";
        done.logged_in.account = "alice";
        co_return done;
    }
    async::Task<Result<proto::LoggedIn>> login_external(proto::LoginExternal) override {
        co_return permanent(ErrorCode::denied, "no certificate");
    }
    async::Task<Result<proto::Done>> start_session(proto::StartSession request) override {
        if (no_worker) co_return temporary(ErrorCode::unavailable, "none");
        started = std::move(request);
        co_return proto::Done{};
    }
    bool busy = false, no_worker = false;
    int logins = 0;
    std::optional<proto::StartSession> started;
};

class FrontWorld : public World {
  public:
    Client connect(proto::InsecureAuth insecure = proto::InsecureAuth::allow, FrontLimits limits = {.penalty = 1ms}) {
        auto [ours, theirs] = ipc::make_socket_pair();
        auto listener = std::make_shared<front::ListenerState>();
        listener->config.insecure_auth = insecure;
        listener->config.hostname = "mail.example.org";
        listener->config.max_message_size = 1000;
        if (reuse) listener->config.unauthenticate = proto::Unauthenticate::allow;
        front::Accepted accepted{std::move(theirs), "192.0.2.1", "192.0.2.2", 1, std::move(listener)};
        scope.spawn(run(*this, std::move(accepted), limits));
        Client client(*this, std::move(ours));
        greeting = client.line();
        return client;
    }
    FakeServices services;
    FrontCounters front_counters;
    std::string greeting;
    int running = 0;

  private:
    static async::Task<void> run(FrontWorld& world, front::Accepted accepted, FrontLimits limits) {
        world.running++;
        FrontSession session(std::move(accepted), world.services, world.front_counters, limits);
        co_await session.run();
        world.running--;
    }
};

}  // namespace mox::imapd::fake
