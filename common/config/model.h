// What mox.conf and domains.conf say, as plain values. Parts of these are sent to other processes, so every type
// is an aggregate of integers, bools, strings, vectors, optionals, enumerations (ending in kEnd), seconds and other
// such aggregates, with at most 16 fields.
//
// Names of domains are A-labels in lower case, IP addresses are in the form inet_ntop prints, sizes are in bytes.
// Values that a file leaves out hold the default, as documented in mox.conf(5) and domains.conf(5).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mox::config {

using Seconds = std::chrono::seconds;

/// Where something was written, for messages. Not part of the meaning: all are equal.
struct Origin {
    uint32_t line = 0;
    uint32_t column = 0;
    bool operator==(const Origin&) const { return true; }
};

// ---- mox.conf ----

enum class LogLevel : uint8_t { error, warn, info, debug, trace, kEnd };
enum class LogFormat : uint8_t { text, json, kEnd };

struct Log {
    LogLevel level = LogLevel::info;
    LogFormat format = LogFormat::text;
    bool operator==(const Log&) const = default;
};

/// The system users that the programs run as when moxd is root. No two may be the same.
struct Users {
    std::string storaged = "_moxstore";
    std::string authd = "_moxauth";
    std::string dnsd = "_moxdns";
    std::string smtpd = "_moxsmtp";
    std::string imapd = "_moximap";
    std::string httpd = "_moxhttp";
    std::string queued = "_moxqueue";
    bool operator==(const Users&) const = default;
};

/// Processes of each network-facing program that accept connections.
struct Workers {
    uint16_t smtpd = 1;
    uint16_t imapd = 1;
    uint16_t httpd = 1;
    bool operator==(const Workers&) const = default;
};

enum class ServiceKind : uint8_t { smtp, submission, submissions, imap, imaps, http, https, metrics, kEnd };
enum class Starttls : uint8_t { offered, required, off, kEnd };

struct Service {
    ServiceKind kind = ServiceKind::smtp;
    uint16_t port = 0;
    Starttls starttls = Starttls::offered;  // of smtp, submission and imap only
    Origin origin;
    bool operator==(const Service&) const = default;
};

enum class TlsSource : uint8_t { none, files, self_signed, kEnd };
enum class TlsVersion : uint8_t { tls1_2, tls1_3, kEnd };

struct KeyPair {
    std::string certificate_file;  // absolute path, PEM, leaf first
    std::string key_file;          // absolute path, PEM
    bool operator==(const KeyPair&) const = default;
};

struct ListenerTls {
    TlsSource source = TlsSource::none;
    std::vector<KeyPair> pairs;  // of TlsSource::files
    TlsVersion min_version = TlsVersion::tls1_2;
    bool operator==(const ListenerTls&) const = default;
};

struct Listener {
    std::string name;
    std::vector<std::string> addresses;
    std::string hostname;  // that of the whole server, when the listener names none
    std::vector<Service> services;
    ListenerTls tls;
    bool allow_insecure_auth = false;  // passwords without TLS
    bool allow_unauthenticate = true;  // IMAP UNAUTHENTICATE (RFC 8437 8: can be turned off)
    uint64_t max_message_size = uint64_t{100} << 20;
    uint32_t message_limit = 0;  // messages that one IMAP command works on (RFC 9738); 0: any number
    uint32_t max_connections = 1000;
    uint32_t max_connections_per_address = 100;
    Origin origin;
    bool operator==(const Listener&) const = default;
};

struct Forwarder {
    std::string address;
    uint16_t port = 53;
    bool operator==(const Forwarder&) const = default;
};

struct Resolver {
    std::vector<Forwarder> forward;       // empty: resolve from the root servers
    std::string trust_anchor;             // file; empty: the built-in root anchor
    std::vector<std::string> local_data;  // resource records as text
    bool no_dnssec = false;
    bool operator==(const Resolver&) const = default;
};

/// 7m30s, doubled up to 12h.
std::vector<Seconds> default_retry_after();

struct Queue {
    std::vector<Seconds> retry_after = default_retry_after();  // the last one repeats
    Seconds give_up_after{std::chrono::hours{5 * 24}};
    Seconds delay_notice_after{std::chrono::hours{4}};
    uint32_t max_concurrent = 50;
    uint32_t max_per_destination = 10;
    uint16_t outgoing_port = 25;
    std::vector<std::string> source_addresses;  // at most one IPv4 and one IPv6 address
    bool operator==(const Queue&) const = default;
};

/// What storaged keeps.
struct Storage {
    std::optional<uint64_t> quota;                     // bytes of all accounts together; none: unlimited
    uint64_t reserve = uint64_t{32} << 20;             // bytes that stay free on the file system
    bool compress = true;                              // new messages, where that saves room
    std::optional<Seconds> keep_removed;               // removed accounts are deleted after that; none: never
    Seconds keep_logins{std::chrono::hours{30 * 24}};  // in the history
    uint32_t max_failed_logins = 10'000;               // of an account, in the history
    bool operator==(const Storage&) const = default;
};

struct Imap {
    Seconds sleep_after{20};  // all sessions at rest, before an account's worker sleeps
    bool operator==(const Imap&) const = default;
};

struct Postmaster {
    std::string account;
    std::string mailbox = "Inbox";
    Origin origin;
    bool operator==(const Postmaster&) const = default;
};

/// mox.conf
struct Config {
    std::string file;  // its name, for messages
    std::string hostname;
    std::string data_directory = "/var/lib/mox";
    std::string control_socket = "/run/mox/control";
    std::string chroot_directory = "/var/empty";
    Log log;
    Users users;
    Workers workers;
    std::vector<Listener> listeners;
    Resolver resolver;
    Queue queue;
    Storage storage;
    Imap imap;
    Postmaster postmaster;
    bool local_mode = false;  // unknown recipients go to the postmaster account, magic recipients work
    bool operator==(const Config&) const = default;
};

// ---- domains.conf ----

enum class TransportTls : uint8_t { implicit, starttls, opportunistic, none, kEnd };

/// Another server that takes mail of this one.
struct Transport {
    std::string name;
    std::string host;  // domain or IP address
    uint16_t port = 0;
    TransportTls tls = TransportTls::starttls;
    bool verify = true;    // the certificate; false with opportunistic and none
    std::string username;  // empty: no authentication
    std::string password;
    Origin origin;
    bool operator==(const Transport&) const = default;
};

/// Which mail goes over a transport. An empty list matches all; ".example" matches the names below example.
struct Route {
    std::vector<std::string> from_domains;
    std::vector<std::string> to_domains;
    uint32_t min_attempts = 0;  // only after so many failed attempts
    std::string transport;
    Origin origin;
    bool operator==(const Route&) const = default;
};

/// Messages leave a mailbox so long after they came into it.
struct Expiry {
    std::string mailbox;
    std::optional<Seconds> after;  // none: never, whatever is said for all
    Origin origin;
    bool operator==(const Expiry&) const = default;
};

struct Domain {
    std::string name;
    std::string description;
    bool disabled = false;
    std::vector<std::string> localpart_separators = {"+"};  // one character each
    bool case_sensitive = false;
    std::vector<Route> routes;
    Origin origin;
    std::vector<Expiry> expiries;  // of accounts whose first address is of this domain
    bool operator==(const Domain&) const = default;
};

struct Address {
    std::string localpart;  // as written; "*" takes what no other address of the domain takes
    std::string domain;
    std::string mailbox = "Inbox";
    Origin origin;
    bool operator==(const Address&) const = default;
};

struct Account {
    std::string name;
    std::string full_name;
    std::vector<Address> addresses;
    std::optional<uint64_t> quota;  // bytes; none: unlimited
    std::string login_disabled;     // the text for the user; empty: login works
    std::vector<Route> routes;
    Origin origin;
    std::vector<Expiry> expiries;    // before those of the domain, before those of all
    bool submission_server = false;  // may fetch what users have authorized it to submit (RFC 4467)
    bool operator==(const Account&) const = default;
};

/// domains.conf
struct Domains {
    std::string file;  // its name, for messages
    std::vector<Domain> domains;
    std::vector<Account> accounts;
    std::vector<Transport> transports;
    std::vector<Route> routes;
    std::vector<Expiry> expiries;
    bool operator==(const Domains&) const = default;
};

}  // namespace mox::config
