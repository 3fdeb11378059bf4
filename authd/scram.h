// The server's side of SCRAM-SHA-256 and SCRAM-SHA-1, each with -PLUS (RFC 5802, RFC 7677), without I/O.
//
// A ScramServer lives for one exchange: take the client's first message, give it the credentials of the user it names
// (or made-up ones, which look the same from outside), take the client's final message.
#pragma once

#include <string>
#include <string_view>

#include "common/error.h"
#include "proto/auth.h"
#include "proto/storage.h"

namespace mox::authd {

struct ScramKeys {
    std::string stored_key;
    std::string server_key;
};
/// RFC 5802 section 3. Slow: for a thread.
ScramKeys derive_scram_keys(proto::ScramHash hash, std::string_view password, std::string_view salt,
                            uint32_t iterations);

/// The error of ScramServer::finish for another TLS connection than the client's (RFC 5802 7).
constexpr const char* kWrongBinding = "channel-bindings-dont-match";

/// What an unknown user gets to see: the same salt every time, made from a secret of this server.
proto::Credentials made_up_credentials(std::string_view user, std::string_view secret);

class ScramServer {
  public:
    /// Takes the client's first message. Errors: bad_request for what RFC 5802 does not allow, with the words of its
    /// section 7 in front where there are any.
    static Result<ScramServer> start(const proto::ScramStart& request);

    const std::string& user() const { return user_; }
    /// Whether somebody with these can log in by this exchange's hash at all.
    bool fits(const proto::Credentials& credentials) const;
    /// The server's first message.
    std::string challenge(const proto::Credentials& credentials);
    /// The server's final message when the proof is right, else `denied`.
    Result<std::string> finish(std::string_view client_final);

    /// For tests: the server's half of the nonce, instead of a random one.
    void set_nonce(std::string nonce) { server_nonce_ = std::move(nonce); }

  private:
    const proto::ScramSecrets& secrets_of(const proto::Credentials& credentials) const;
    proto::ScramHash hash_ = proto::ScramHash::sha256;
    std::string user_;
    std::string gs2_header_;
    std::string binding_data_;  // of the connection, when the client binds
    std::string client_first_bare_;
    std::string client_nonce_;
    std::string server_nonce_;
    std::string server_first_;
    std::string stored_key_;
    std::string server_key_;
};

}  // namespace mox::authd
