// TLS servers whose private keys are elsewhere: authd.
//
// libtls is given the certificate only; libcrypto's default methods for private-key operations are replaced by ones
// that hand the digest to a Signer and wait. The key is named by the SHA-256 of its public half (DER
// SubjectPublicKeyInfo). Where libtls has tls_signer (LibreSSL), that takes the place of this file's other half.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "common/async/fd.h"
#include "proto/auth.h"

struct evp_pkey_st;

namespace mox::tls {

/// Makes signatures with keys that this process does not have. Called inside a handshake; blocks.
class Signer {
  public:
    virtual ~Signer() = default;
    /// The signature, or nothing: the handshake then fails.
    virtual std::optional<std::string> sign(proto::SignTls request) = 0;
};

/// Asks authd over a channel of its own. Without a channel, or when authd does not answer in time, handshakes fail.
class RemoteSigner : public Signer {
  public:
    /// `lost` is called for every handshake that finds no channel.
    explicit RemoteSigner(std::function<void()> lost) : lost_(std::move(lost)) {}
    std::optional<std::string> sign(proto::SignTls request) override;
    /// Swaps in a new channel to authd.
    void attach(Fd channel) { channel_ = std::move(channel); }

  private:
    std::function<void()> lost_;
    Fd channel_;
};

/// From now on the private-key operations of this process go to `signer`, which must outlive all TLS use. Call before
/// the first ServerContext is made: a key takes its method when it is made.
void use_signer(Signer& signer);

/// The name of a key on signing channels, from a certificate or key in PEM; empty when it cannot be read.
std::string public_key_id_of_certificate(std::string_view pem);

}  // namespace mox::tls
