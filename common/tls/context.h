// The two ends of TLS: a server's context made of certificates (keys: signer.h), and a client's handshake.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/async/stream.h"
#include "common/error.h"
#include "common/tls/transport.h"
#include "proto/auth.h"

namespace mox::tls {

enum class Oldest : uint8_t { tls12, tls13 };

/// Whether clients are asked for a certificate. They need not have one, and it may be any: nobody's name is believed,
/// and no chain, only that the handshake proved the private half of its key (TlsTransport::peer_key()).
enum class ClientCertificates : uint8_t { not_asked, asked };

/// What a listener serves TLS with. TLS 1.2 and 1.3 only. No session is ever resumed: who a client is was proved in the
/// handshake of this connection.
class ServerContext {
  public:
    /// The first chain is the default, the others are chosen by server name. Error bad_request when one does not parse.
    static Result<std::shared_ptr<ServerContext>> make(const std::vector<std::string>& chains_pem,
                                                       Oldest oldest = Oldest::tls12,
                                                       ClientCertificates clients = ClientCertificates::not_asked);

    /// Does the handshake on a connected socket; throws ConnectionLost or DeadlinePassed.
    async::Task<std::unique_ptr<TlsTransport>> accept(Fd socket, async::Deadline deadline);

    /// tls-server-end-point (RFC 5929 section 4): a hash of the default certificate; empty where several certificates
    /// make it uncertain which one the client saw.
    const proto::ChannelBinding& binding() const { return binding_; }

  private:
    ServerContext() = default;
    ConfigHandle config_;
    TlsHandle server_;
    proto::ChannelBinding binding_;
};

/// How a client checks the server's certificate.
enum class Verify : uint8_t {
    none,         // opportunistic: against listeners only
    certificate,  // chain and name
};

/// A client's certificate and its private key, in PEM.
struct ClientIdentity {
    std::string certificate_pem;
    std::string key_pem;
};

/// Does a client's handshake; `server_name` for SNI and verification, `ca_pem` the trust anchors. Throws ConnectionLost
/// or DeadlinePassed.
async::Task<std::unique_ptr<TlsTransport>> connect(Fd socket, std::string server_name, Verify verify,
                                                   std::string ca_pem, async::Deadline deadline,
                                                   std::optional<ClientIdentity> identity = {});

/// Loads what libtls and libcrypto would otherwise load at first use: call before the sandbox is entered.
void prepare();

}  // namespace mox::tls
