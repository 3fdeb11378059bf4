// From a password to what is stored of it, and back to yes or no. Slow on purpose: for a thread, never for the loop.
#pragma once

#include <string>
#include <string_view>

#include "proto/storage.h"

namespace mox::authd {

constexpr size_t kMinPassword = 8;  // bytes
constexpr size_t kMaxPassword = 1024;
constexpr uint32_t kScramIterations = 10000;  // RFC 7677 section 4: at least 4096

/// Argon2id (libsodium, 19 MiB, 2 passes) and the keys of SCRAM-SHA-256 and SCRAM-SHA-1, each with a salt of their own.
proto::Credentials make_credentials(std::string_view password);

/// Whether the password is the one.
bool verify_password(const proto::Credentials& credentials, std::string_view password);

/// Credentials that no password fits, taking as long to verify as real ones.
const proto::Credentials& dummy_credentials();

}  // namespace mox::authd
