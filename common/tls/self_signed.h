// Self-signed certificates for local mode and tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/error.h"

namespace mox::tls {

enum class KeyType : uint8_t { ecdsa_p256, rsa_2048 };

struct SelfSigned {
    std::string certificate_pem;
    std::string key_pem;
};

/// A new key and a certificate for these DNS names and IP addresses, valid for four years.
Result<SelfSigned> make_self_signed(const std::vector<std::string>& dns_names,
                                    const std::vector<std::string>& addresses, KeyType type = KeyType::ecdsa_p256);

}  // namespace mox::tls
