#include "common/tls/context.h"

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/tls/public_key.h"

// Exported by libtls, not declared in its header.
extern "C" void tls_config_use_fake_private_key(tls_config* config);

namespace mox::tls {
namespace {

constexpr uint32_t kProtocols = TLS_PROTOCOL_TLSv1_2 | TLS_PROTOCOL_TLSv1_3;
constexpr long kMaxClientChain = 16 * 1024;  // bytes of the certificates a client shows

// The connection that libtls made last, whose `tls` hides it.
thread_local SSL* latest_connection = nullptr;

const uint8_t* bytes(const std::string& s) {
    return reinterpret_cast<const uint8_t*>(s.data());
}

std::string reason(const char* text) {
    return text != nullptr ? text : "unknown error";
}

/// RFC 5929 4.1: the hash of the certificate's own signature algorithm, SHA-256 where that is MD5 or SHA-1.
std::string end_point_hash(const std::string& pem) {
    std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    std::unique_ptr<X509, decltype(&X509_free)> cert(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr),
                                                     X509_free);
    if (!cert) return {};
    int digest_nid = NID_undef;
    const EVP_MD* digest = EVP_sha256();
    if (OBJ_find_sigid_algs(X509_get_signature_nid(cert.get()), &digest_nid, nullptr) && digest_nid != NID_md5 &&
        digest_nid != NID_sha1 && EVP_get_digestbynid(digest_nid) != nullptr)
        digest = EVP_get_digestbynid(digest_nid);
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (!X509_digest(cert.get(), digest, out, &size)) return {};
    return {reinterpret_cast<const char*>(out), size};
}

}  // namespace

Result<std::shared_ptr<ServerContext>> ServerContext::make(const std::vector<std::string>& chains, Oldest oldest,
                                                           ClientCertificates clients) {
    std::shared_ptr<ServerContext> context(new ServerContext);
    if (chains.empty()) return permanent(ErrorCode::bad_request, "no certificate");
    context->config_.reset(tls_config_new());
    tls_config* config = context->config_.get();
    tls_config_use_fake_private_key(config);
    if (clients == ClientCertificates::asked) {
        tls_config_verify_client_optional(config);
        tls_config_insecure_noverifycert(config);  // no chain: the key is known or it is not
    }
    bool ok = tls_config_set_protocols(config, oldest == Oldest::tls13 ? TLS_PROTOCOL_TLSv1_3 : kProtocols) == 0 &&
              tls_config_set_cert_mem(config, bytes(chains[0]), chains[0].size()) == 0;
    for (size_t i = 1; ok && i < chains.size(); i++)
        ok = tls_config_add_keypair_mem(config, bytes(chains[i]), chains[i].size(), nullptr, 0) == 0;
    if (!ok) return permanent(ErrorCode::bad_request, "certificate: " + reason(tls_config_error(config)));
    context->server_.reset(tls_server());
    if (tls_configure(context->server_.get(), config) != 0)
        return permanent(ErrorCode::bad_request, "certificate: " + reason(tls_error(context->server_.get())));
    if (chains.size() == 1) context->binding_ = {"tls-server-end-point", end_point_hash(chains[0])};
    return context;
}

async::Task<std::unique_ptr<TlsTransport>> ServerContext::accept(Fd socket, async::Deadline deadline) {
    ::tls* raw = nullptr;
    latest_connection = nullptr;
    if (tls_accept_socket(server_.get(), &raw, socket.get()) != 0)
        throw async::ConnectionLost("TLS: " + reason(tls_error(server_.get())));
    SSL* connection = latest_connection;  // lives as long as the transport
    auto transport = std::make_unique<TlsTransport>(TlsHandle(raw), std::move(socket));
    if (connection != nullptr) SSL_set_max_cert_list(connection, kMaxClientChain);
    co_await transport->handshake(deadline);
    if (X509* certificate = connection != nullptr ? SSL_get0_peer_certificate(connection) : nullptr)
        transport->set_peer_key(key_fingerprint(certificate));
    co_return std::move(transport);
}

async::Task<std::unique_ptr<TlsTransport>> connect(Fd socket, std::string server_name, Verify verify,
                                                   std::string ca_pem, async::Deadline deadline,
                                                   std::optional<ClientIdentity> identity) {
    ConfigHandle config(tls_config_new());
    tls_config_set_protocols(config.get(), kProtocols);
    if (identity)
        tls_config_set_keypair_mem(config.get(), bytes(identity->certificate_pem), identity->certificate_pem.size(),
                                   bytes(identity->key_pem), identity->key_pem.size());
    if (verify == Verify::none) {
        tls_config_insecure_noverifycert(config.get());
        tls_config_insecure_noverifyname(config.get());
        tls_config_insecure_noverifytime(config.get());
    } else {
        tls_config_set_ca_mem(config.get(), bytes(ca_pem), ca_pem.size());
    }
    TlsHandle client(tls_client());
    if (tls_configure(client.get(), config.get()) != 0 ||
        tls_connect_socket(client.get(), socket.get(), server_name.c_str()) != 0)
        throw async::ConnectionLost("TLS: " + reason(tls_error(client.get())));
    auto transport = std::make_unique<TlsTransport>(std::move(client), std::move(socket));
    co_await transport->handshake(deadline);
    co_return std::move(transport);
}

namespace {

// Called for each new context. libtls has no way to say this: a connection that waits holds no buffers, of 34 KB else.
void release_buffers(void* context, void*, CRYPTO_EX_DATA*, int, long, void*) {
    SSL_CTX_set_mode(static_cast<SSL_CTX*>(context), SSL_MODE_RELEASE_BUFFERS);
}

// Called for each new connection: libtls tells of a client's certificate what it is asked, but not its public key.
void note_connection(void* connection, void*, CRYPTO_EX_DATA*, int, long, void*) {
    latest_connection = static_cast<SSL*>(connection);
}

}  // namespace

void prepare() {
    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, nullptr);
    [[maybe_unused]] static int contexts = SSL_CTX_get_ex_new_index(0, nullptr, release_buffers, nullptr, nullptr);
    [[maybe_unused]] static int connections = SSL_get_ex_new_index(0, nullptr, note_connection, nullptr, nullptr);
    tls_init();
    // The random generator and the algorithms are fetched at first use otherwise, and would look for configuration
    // files.
    for (const EVP_MD* md : {EVP_sha256(), EVP_sha384(), EVP_sha512(), EVP_sha1()}) {
        unsigned char out[EVP_MAX_MD_SIZE];
        EVP_Digest("", 0, out, nullptr, md, nullptr);
    }
    TlsHandle server(tls_server());
    TlsHandle client(tls_client());
}

}  // namespace mox::tls
