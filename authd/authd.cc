#include "authd/authd.h"

#include <algorithm>
#include <ctime>
#include <sodium.h>

#include "authd/passwords.h"

namespace mox::authd {

using namespace std::chrono_literals;

namespace {

constexpr size_t kHashThreads = 2;
constexpr size_t kMaxExchanges = 1000;  // SCRAM exchanges under way, per client process
constexpr auto kExchangeLimit = 60s;

proto::LoginMechanism mechanism_of(const proto::ScramStart& start) {
    using enum proto::LoginMechanism;
    if (start.hash == proto::ScramHash::sha1) return start.plus ? scram_sha_1_plus : scram_sha_1;
    return start.plus ? scram_sha_256_plus : scram_sha_256;
}

}  // namespace

Authd::Authd(process::Process& process)
    : Common(process), pool_(kHashThreads, mailbox_), logins_(directory_, storage_, pool_) {
    // Made once, beside the start: the first unknown user must not wait for it either.
    pool_.submit([] { dummy_credentials(); });
    call(storage_);
    accept({ipc::Role::smtpd, ipc::Role::imapd, ipc::Role::queued}, [this](Fd socket, ipc::PeerId peer) {
        clients_.add(std::move(socket), std::move(peer), proto::AuthMessages{}, std::make_unique<Client>(*this));
    });
}

Result<ipc::Done> Authd::on(proto::ConfigureAuthd config) {
    process().apply(config.log);
    tls::KeyStore keys;
    crypto_generichash_state state;
    crypto_generichash_init(&state, nullptr, 0, 32);
    for (const auto& pem : config.private_keys_pem) {
        if (auto added = keys.add(pem.value); !added) return added;
        crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(pem.value.data()), pem.value.size());
    }
    if (!config.private_keys_pem.empty()) {
        std::string secret(32, '\0');
        crypto_generichash_final(&state, reinterpret_cast<unsigned char*>(secret.data()), secret.size());
        logins_.set_secret(std::move(secret));
    }
    keys_ = std::move(keys);
    directory_ = Directory(std::move(config));
    return ipc::Done{};
}

void Authd::on(proto::GiveSignClient message) {
    sign_clients_.add(std::move(message.channel), {message.role, message.name + " (signing)"}, proto::SignMessages{},
                      std::make_unique<SignClient>(*this));
}

async::Task<void> Authd::end() {
    clients_.for_each([](Client& client, ipc::Channel&) { client.abandon_all(); });
    co_await logins_.history().flush();
    process().stop();
}

std::string Authd::metrics() {
    return logins_.metrics() +
           fmt::format(
               "# HELP mox_tls_signatures_total TLS handshakes signed.\n# TYPE mox_tls_signatures_total counter\n"
               "mox_tls_signatures_total {}\n",
               signatures_);
}

Result<proto::Signature> Authd::SignClient::on(proto::SignTls m) {
    authd.signatures_++;
    return authd.keys_.sign(m);
}

Result<proto::ResolvedAddress> Authd::Client::on(proto::ResolveAddress m) {
    return authd.directory_.resolve(m.address);
}

Result<ipc::Done> Authd::Client::on(proto::CheckSender m) {
    if (authd.directory_.may_send(m.account, m.address)) return ipc::Done{};
    return permanent(ErrorCode::denied, "this address is not yours to send with");
}

async::Task<Result<proto::LoggedIn>> Authd::Client::on(proto::LoginPlain m) {
    return authd.logins_.plain(std::move(m));
}

Authd::Client::Exchanges::iterator Authd::Client::abandon(Exchanges::iterator exchange) {
    authd.logins_.scram_abandoned(exchange->second.context, *exchange->second.server, exchange->second.began);
    return exchanges.erase(exchange);
}

void Authd::Client::abandon_all() {
    while (!exchanges.empty()) abandon(exchanges.begin());
}

async::Task<Result<proto::ScramChallenge>> Authd::Client::on(proto::ScramStart m) {
    auto now = async::Clock::now();
    for (auto e = exchanges.begin(); e != exchanges.end();) e = e->second.until < now ? abandon(e) : std::next(e);
    // The oldest make room: abandoned ones must not keep others out.
    while (exchanges.size() >= kMaxExchanges)
        abandon(std::ranges::min_element(exchanges, {}, [](const auto& e) { return e.second.until; }));
    m.context.mechanism = mechanism_of(m);
    Exchange exchange{m.context, nullptr, now + kExchangeLimit, std::time(nullptr)};
    auto challenge = co_await authd.logins_.scram_start(std::move(m), exchange.server);
    if (!challenge) co_return challenge;
    challenge->session = next_exchange++;
    exchanges.emplace(challenge->session, std::move(exchange));
    co_return challenge;
}

async::Task<Result<proto::ScramDone>> Authd::Client::on(proto::ScramFinish m) {
    auto found = exchanges.find(m.session);
    // This process may have been started again since: not the user's fault.
    if (found == exchanges.end()) co_return temporary(ErrorCode::not_found, "the login took too long, try again");
    Exchange exchange = std::move(found->second);
    exchanges.erase(found);
    co_return co_await authd.logins_.scram_finish(exchange.context, *exchange.server, std::move(m.client_final));
}

async::Task<Result<proto::LoggedIn>> Authd::Client::on(proto::LoginExternal m) {
    return authd.logins_.external(std::move(m));
}

}  // namespace mox::authd
