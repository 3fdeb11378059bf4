// What authd does: says where an address leads, verifies logins, keeps private keys and signs with them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/ipc/message.h"
#include "proto/storage.h"

namespace mox::proto {

enum class AddressStatus : uint8_t {
    local,            // delivered to `account`, `mailbox`
    unknown,          // a domain of ours without that address: 550 5.1.1
    not_ours,         // another host's domain: no relaying, or the queue
    domain_disabled,  // 450 4.2.1
    kEnd
};
struct ResolvedAddress {
    AddressStatus status;
    std::string account;
    std::string mailbox;  // empty: Inbox
};
/// Where mail for an address goes. The address is as in the envelope, without brackets, UTF-8 allowed.
struct ResolveAddress {
    MOX_MESSAGE(ResolveAddress, 0x0501, ResolvedAddress, from(Role::smtpd, Role::queued))
    std::string address;
};
/// Whether an account may send with this address. Error `denied` when not.
struct CheckSender {
    MOX_MESSAGE(CheckSender, 0x0502, Done, from(Role::smtpd))
    std::string account;
    std::string address;
};

// ---- logins

enum class LoginProtocol : uint8_t { submission, imap, kEnd };

struct LoginContext {
    LoginProtocol protocol;
    std::string remote_address;
    uint64_t cid;
};
/// A successful login. For IMAP with the account channel: whoever holds it may read the account's mail.
struct LoggedIn {
    std::string account;
    std::string login;   // the address as given, normalised
    Fd account_channel;  // IMAP only
};
/// Errors: `denied` (permanent) for wrong user and wrong password alike, in text and time; `busy` (temporary) when the
/// address or account failed too often.
struct LoginPlain {
    MOX_MESSAGE(LoginPlain, 0x0510, LoggedIn, from(Role::smtpd, Role::imapd))
    LoginContext context;
    std::string login;
    ipc::Secret password;
};
/// Channel binding (RFC 5929, RFC 9266): what the front's TLS connection gives. Empty without TLS.
struct ChannelBinding {
    std::string type;
    std::string data;
};
/// The mechanisms SCRAM-SHA-256 (RFC 7677) and SCRAM-SHA-1 (RFC 5802), each with -PLUS.
enum class ScramHash : uint8_t { sha256, sha1, kEnd };
struct ScramChallenge {
    uint64_t session;  // for ScramFinish, on this channel, once
    std::string server_first;
};
/// SCRAM (RFC 5802, RFC 7677): the client's first message.
struct ScramStart {
    MOX_MESSAGE(ScramStart, 0x0511, ScramChallenge, from(Role::smtpd, Role::imapd))
    LoginContext context;
    bool plus;          // the mechanism name ended in -PLUS
    bool plus_offered;  // the server announced -PLUS to this client (downgrade check)
    ChannelBinding binding;
    std::string client_first;
    ScramHash hash = ScramHash::sha256;
};
struct ScramDone {
    std::string server_final;
    LoggedIn logged_in;
};
struct ScramFinish {
    MOX_MESSAGE(ScramFinish, 0x0512, ScramDone, from(Role::smtpd, Role::imapd))
    uint64_t session;
    std::string client_final;
};

/// Whether the client asked to be logged in, or is asked about before the greeting: then a key that is not known, or
/// may not, is no failed login, and is answered `denied` at once.
enum class ExternalUse : uint8_t { command, preauth, kEnd };
/// SASL EXTERNAL (RFC 4422 appendix A): by the key of the client's certificate, which has proved in the handshake that
/// it has the private half. Errors as of LoginPlain.
struct LoginExternal {
    MOX_MESSAGE(LoginExternal, 0x0514, LoggedIn, from(Role::smtpd, Role::imapd))
    LoginContext context;
    std::string fingerprint;  // kKeyFingerprint bytes
    std::string authzid;      // an address of the account whose key it is; empty: that account
    ExternalUse use;
};

/// Sets an account's password: hashes it, never stores it. Error bad_request when too short.
struct SetPassword {
    MOX_MESSAGE(SetPassword, 0x0513, Done, from(Role::moxd))
    std::string account;
    ipc::Secret password;
};

constexpr size_t kMaxCertificatePem = 64u << 10;  // bytes

/// Lets the key of this certificate, or this public key, log in as the account. What else the PEM holds (a chain, a
/// private key) is not looked at. Errors: bad_request when there is none in it, or of a kind that is not taken; else as
/// of AddClientKey.
struct AddCertificate {
    MOX_MESSAGE(AddCertificate, 0x0515, OwnedClientKey, from(Role::moxd))
    std::string account;
    std::string pem;  // at most kMaxCertificatePem
    std::string name;
    Preauth preauth;
};
/// As ListClientKeys and RemoveClientKey.
struct ListCertificates {
    MOX_MESSAGE(ListCertificates, 0x0516, OwnedClientKeys, from(Role::moxd))
    std::string account;
};
struct RemoveCertificate {
    MOX_MESSAGE(RemoveCertificate, 0x0517, Done, from(Role::moxd))
    std::string fingerprint;
};

// ---- signatures with private keys, on the dedicated signing channel of a front

enum class SignatureScheme : uint8_t {
    ecdsa_digest,      // DER signature of a digest
    rsa_raw_padded,    // raw private operation on a block that is padded already
    rsa_pkcs1_digest,  // PKCS#1 v1.5 of a DigestInfo
    kEnd
};
struct Signature {
    std::string bytes;
};
/// Errors: not_found when authd holds no key with that public half; bad_request for a wrong size.
struct SignTls {
    MOX_MESSAGE(SignTls, 0x0520, Signature, from(Role::smtpd, Role::imapd, Role::httpd))
    std::string public_key_sha256;  // of the DER SubjectPublicKeyInfo
    SignatureScheme scheme;
    std::string input;
};

using AuthMessages = ipc::Messages<ResolveAddress, CheckSender, LoginPlain, ScramStart, ScramFinish, LoginExternal>;
/// On the signing channels.
using SignMessages = ipc::Messages<SignTls>;

}  // namespace mox::proto
