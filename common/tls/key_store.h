// Private keys and what is done with them, for authd alone: signatures for TLS handshakes of the fronts.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/error.h"
#include "proto/auth.h"

struct evp_pkey_st;

namespace mox::tls {

struct KeyDeleter {
    void operator()(evp_pkey_st* key) const;
};

class KeyStore {
  public:
    /// Takes a private key in PEM (RSA of at least 2048 bits, or ECDSA). Error bad_request says what is wrong with it.
    Result<ipc::Done> add(const std::string& pem);
    void clear() { keys_.clear(); }
    size_t size() const { return keys_.size(); }
    bool has(const std::string& public_key_sha256) const { return keys_.contains(public_key_sha256); }

    /// Errors: not_found; bad_request for an input that is no digest or block of that key's size.
    Result<proto::Signature> sign(const proto::SignTls& request) const;

  private:
    std::map<std::string, std::unique_ptr<evp_pkey_st, KeyDeleter>> keys_;  // by public key id
};

}  // namespace mox::tls
