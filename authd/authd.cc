#include "authd/authd.h"

#include <sodium.h>

#include "authd/passwords.h"

namespace mox::authd {

namespace {

constexpr size_t kHashThreads = 2;

}  // namespace

Authd::Authd(process::Process& process)
    : Common(process), pool_(kHashThreads, mailbox_), logins_(directory_, storage_, pool_) {
    // Made once, beside the start: the first unknown user must not wait for it either.
    pool_.submit([] { dummy_credentials(); });
    call(storage_);
    accept({ipc::Role::smtpd, ipc::Role::imapd, ipc::Role::queued}, [this](Fd socket, ipc::PeerId peer) {
        auto client = std::make_unique<Client>(directory_, logins_, peer.role);
        clients_.add(std::move(socket), std::move(peer), proto::AuthMessages{}, std::move(client));
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

}  // namespace mox::authd
