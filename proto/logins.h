// What is told of logins: by the fronts to authd, by authd to storaged, which keeps their history, and to moxctl.
//
// Nothing here holds a password, nor a text that may be one: a login name that is no address of this server is left
// out, because people type passwords where their address should be.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mox::proto {

enum class LoginProtocol : uint8_t { submission, imap, kEnd };
/// What protects the connection.
enum class LoginTls : uint8_t { none, tls12, tls13, kEnd };
/// By the version's name in libtls; empty without TLS.
constexpr LoginTls login_tls(std::string_view version) {
    if (version.empty()) return LoginTls::none;
    return version == "TLSv1.3" ? LoginTls::tls13 : LoginTls::tls12;
}
enum class LoginMechanism : uint8_t {
    plain,  // RFC 4616
    login,  // the LOGIN mechanism of SASL, or IMAP's command
    scram_sha_1,
    scram_sha_1_plus,
    scram_sha_256,
    scram_sha_256_plus,
    external,  // a TLS client certificate (RFC 4422 A)
    kEnd
};
enum class LoginResult : uint8_t {
    ok,
    wrong_password,
    unknown_user,
    disabled,       // right, but the account may not log in
    wrong_binding,  // SCRAM over another TLS connection than the client's: somebody is in between
    malformed,
    aborted,    // SCRAM that the client began and did not finish
    throttled,  // too many failures: it was not looked at
    unavailable,
    kEnd
};

constexpr size_t kMaxLoginName = 320;    // bytes: localpart 64, "@", domain 255
constexpr size_t kMaxLoginClient = 128;  // bytes of what the client says it is
constexpr size_t kMaxLoginsAtOnce = 512;

/// Attempts that are alike in all but their times.
struct LoginAttempt {
    std::string account;         // empty: of none
    std::string login;           // as given; empty when it is no address of this server
    std::string remote_address;  // IP
    LoginProtocol protocol = LoginProtocol::submission;
    LoginTls tls = LoginTls::none;
    LoginMechanism mechanism = LoginMechanism::plain;
    std::string client;  // by IMAP's ID (RFC 2971) or EHLO; empty: it did not say
    LoginResult result = LoginResult::ok;
    int64_t first = 0;  // Unix seconds
    int64_t last = 0;
    uint64_t count = 0;
};

}  // namespace mox::proto
