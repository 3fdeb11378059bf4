// The certificates of clients that log in with them: what moxctl gives is taken apart here, in a process that has no
// file and no network, and only the fingerprint of the public key is kept, by storaged.
#include <ctime>

#include "authd/authd.h"
#include "common/tls/public_key.h"

namespace mox::authd {

using namespace std::chrono_literals;

namespace {

constexpr auto kStorageLimit = 10s;

}  // namespace

async::Task<Result<proto::OwnedClientKey>> Authd::on(proto::AddCertificate m) {
    if (m.pem.size() > proto::kMaxCertificatePem)
        co_return permanent(ErrorCode::bad_request,
                            fmt::format("a certificate has at most {} bytes here", proto::kMaxCertificatePem));
    auto key = tls::read_public_key(m.pem);
    if (!key) co_return std::unexpected(std::move(key.error()));
    proto::OwnedClientKey owned{
        m.account,
        {std::move(key->fingerprint), std::move(key->type), std::move(m.name), std::time(nullptr), m.preauth}};
    auto added = co_await storage_.call(proto::AddClientKey{owned.account, owned.key}, kStorageLimit);
    if (!added) co_return std::unexpected(std::move(added.error()));
    co_return owned;
}

async::Task<Result<proto::OwnedClientKeys>> Authd::on(proto::ListCertificates m) {
    return storage_.call(proto::ListClientKeys{std::move(m.account)}, kStorageLimit);
}

async::Task<Result<ipc::Done>> Authd::on(proto::RemoveCertificate m) {
    return storage_.call(proto::RemoveClientKey{std::move(m.fingerprint)}, kStorageLimit);
}

}  // namespace mox::authd
