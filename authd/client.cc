#include "authd/client.h"

#include <algorithm>
#include <ctime>

#include "common/log/log.h"

namespace mox::authd {

using namespace std::chrono_literals;

namespace {

constexpr size_t kMaxExchanges = 1000;  // SCRAM exchanges under way, per client process
constexpr auto kExchangeLimit = 60s;

proto::LoginMechanism mechanism_of(const proto::ScramStart& start) {
    using enum proto::LoginMechanism;
    if (start.hash == proto::ScramHash::sha1) return start.plus ? scram_sha_1_plus : scram_sha_1;
    return start.plus ? scram_sha_256_plus : scram_sha_256;
}

}  // namespace

Client::Client(const Directory& directory, Logins& logins, ipc::Role peer)
    : directory_(directory),
      logins_(logins),
      protocol_(peer == ipc::Role::imapd ? proto::LoginProtocol::imap : proto::LoginProtocol::submission),
      next_exchange_(log::new_cid()) {}  // not that of an authd before this

void Client::abandon_all() {
    while (!exchanges_.empty()) abandon(exchanges_.begin());
}

Result<proto::ResolvedAddress> Client::on(proto::ResolveAddress m) {
    return directory_.resolve(m.address);
}

Result<ipc::Done> Client::on(proto::CheckSender m) {
    if (directory_.may_send(m.account, m.address)) return ipc::Done{};
    return permanent(ErrorCode::denied, "this address is not yours to send with");
}

async::Task<Result<proto::LoggedIn>> Client::on(proto::LoginPlain m) {
    m.context.protocol = protocol_;
    return logins_.plain(std::move(m));
}

Client::Exchanges::iterator Client::abandon(Exchanges::iterator exchange) {
    logins_.scram_abandoned(exchange->second.context, *exchange->second.server, exchange->second.began);
    return exchanges_.erase(exchange);
}

async::Task<Result<proto::ScramChallenge>> Client::on(proto::ScramStart m) {
    auto now = async::Clock::now();
    for (auto e = exchanges_.begin(); e != exchanges_.end();) e = e->second.until < now ? abandon(e) : std::next(e);
    // The oldest make room: abandoned ones must not keep others out.
    while (exchanges_.size() >= kMaxExchanges)
        abandon(std::ranges::min_element(exchanges_, {}, [](const auto& e) { return e.second.until; }));
    m.context.protocol = protocol_;
    m.context.mechanism = mechanism_of(m);
    Exchange exchange{m.context, nullptr, now + kExchangeLimit, std::time(nullptr)};
    auto challenge = co_await logins_.scram_start(std::move(m), exchange.server);
    if (!challenge) co_return challenge;
    challenge->session = next_exchange_++;
    exchanges_.emplace(challenge->session, std::move(exchange));
    co_return challenge;
}

async::Task<Result<proto::ScramDone>> Client::on(proto::ScramFinish m) {
    auto found = exchanges_.find(m.session);
    // This process may have been started again since: not the user's fault.
    if (found == exchanges_.end()) co_return temporary(ErrorCode::not_found, "the login took too long, try again");
    Exchange exchange = std::move(found->second);
    exchanges_.erase(found);
    co_return co_await logins_.scram_finish(exchange.context, *exchange.server, std::move(m.client_final));
}

async::Task<Result<proto::LoggedIn>> Client::on(proto::LoginExternal m) {
    m.context.protocol = protocol_;
    return logins_.external(std::move(m));
}

}  // namespace mox::authd
