// Between moxd and each of its children, over descriptor 3 of the child: configuration, listening sockets, channels to
// the other processes, log level, health, shutdown; and from the IMAP front, sessions to be handed to an account's
// worker.
//
// moxd sends everything; a child sends only what is listed in ToMoxd. moxd re-validates what it is told.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/ipc/message.h"
#include "proto/admin.h"
#include "proto/auth.h"
#include "proto/queue.h"
#include "proto/storage.h"

namespace mox::proto {

using ipc::Done;
using ipc::from;
using ipc::NoReply;
using ipc::Role;

/// The descriptor on which every child finds its channel to moxd.
constexpr int kSuperviseFd = 3;

/// What a listening socket serves.
enum class Service : uint8_t { smtp, submission, submissions, imap, imaps, http, https, metrics, kEnd };

enum class TlsMode : uint8_t { none, starttls, immediate, kEnd };
/// Whether passwords may travel without TLS (local mode only).
enum class InsecureAuth : uint8_t { refuse, allow, kEnd };
/// Whether an IMAP client may log out and in again on the same connection (RFC 8437).
enum class Unauthenticate : uint8_t { refuse, allow, kEnd };

struct Listener {
    Service service;
    std::string name;      // of the listen block
    std::string hostname;  // for greetings
    TlsMode tls;
    bool tls13_only;  // else 1.2 as well
    InsecureAuth insecure_auth;
    bool require_starttls;
    uint64_t max_message_size;  // bytes
    uint32_t max_connections;
    uint32_t max_connections_per_address;
    std::vector<uint32_t> certificates;  // indexes into the front's certificates, first is the default
    Fd socket;
    Unauthenticate unauthenticate = Unauthenticate::refuse;
    uint32_t message_limit = 0;  // messages that one IMAP command works on (RFC 9738); 0: any number
};

/// A certificate chain in PEM; its key stays in authd.
struct Certificate {
    std::string chain_pem;
};

enum class LocalMode : uint8_t { off, on, kEnd };

// ---- configuration, one message for each role

struct LogConfig {
    uint8_t level;   // log::Level
    uint8_t format;  // log::Format
};

/// Whether new messages are compressed, where that saves room.
enum class Compression : uint8_t { off, on, kEnd };

/// Whether a submission server logs in with the account, to fetch what users have authorized it to submit for them
/// (RFC 4467 3 "submit+").
enum class SubmissionServer : uint8_t { no, yes, kEnd };

/// Whether anybody can log in with the account.
enum class Logins : uint8_t { allowed, disabled, kEnd };

struct ConfigureStoraged {
    MOX_MESSAGE(ConfigureStoraged, 0x0101, Done, from(Role::moxd))
    LogConfig log;
    struct Expiry {
        std::string mailbox;
        int64_t after;  // seconds since a message came into it
    };
    struct Account {
        std::string name;
        uint64_t quota;  // bytes, 0 = unlimited
        std::vector<Expiry> expiries;
        std::vector<std::string> addresses = {};  // canonical
        SubmissionServer submission_server = SubmissionServer::no;
        Logins logins = Logins::allowed;
    };
    std::vector<Account> accounts;
    uint64_t quota;        // bytes of all accounts together, 0 = unlimited
    uint64_t reserve;      // bytes that stay free on the file system
    int64_t keep_removed;  // seconds until a removed account is deleted, 0 = for ever
    Compression compression = Compression::off;
    int64_t keep_logins = 30 * 24 * 3600;  // seconds that logins stay in the history
    uint64_t max_failed_logins = 10'000;   // of an account, and of those that lead to none
};

struct DirectoryDomain {
    std::string name;        // A-labels, lower case
    std::string separators;  // characters that end the significant part of a localpart
    bool case_sensitive;
    bool disabled;
};
struct DirectoryAddress {
    std::string address;  // canonical; "*@domain" is the catch-all
    std::string account;
    std::string mailbox;  // empty: Inbox
};
struct DirectoryAccount {
    std::string name;
    std::string login_disabled;  // when not empty: the text that logins are refused with
};

struct ConfigureAuthd {
    MOX_MESSAGE(ConfigureAuthd, 0x0102, Done, from(Role::moxd))
    LogConfig log;
    std::string hostname;
    LocalMode local_mode;
    std::string postmaster_account;
    std::string postmaster_mailbox;
    std::vector<DirectoryDomain> domains;
    std::vector<DirectoryAccount> accounts;
    std::vector<DirectoryAddress> addresses;
    std::vector<ipc::Secret> private_keys_pem;
};

struct ConfigureDnsd {
    MOX_MESSAGE(ConfigureDnsd, 0x0103, Done, from(Role::moxd))
    LogConfig log;
    std::vector<std::string> forward;     // "address" or "address@port"; empty: iterate from the root
    std::string trust_anchor;             // DS or DNSKEY records; empty: none, nothing validates
    std::string root_hints;               // zone text; empty: built in
    std::vector<std::string> local_data;  // resource records in presentation form
    bool no_dnssec;
};

struct ConfigureSmtpd {
    MOX_MESSAGE(ConfigureSmtpd, 0x0104, Done, from(Role::moxd))
    LogConfig log;
    std::string hostname;
    LocalMode local_mode;
    std::vector<Certificate> certificates;
    std::vector<Listener> listeners;  // the whole set: those missing are closed
};

struct ConfigureImapd {
    MOX_MESSAGE(ConfigureImapd, 0x0105, Done, from(Role::moxd))
    LogConfig log;
    std::string hostname;
    std::vector<Certificate> certificates;
    std::vector<Listener> listeners;
};

struct ConfigureImapdWorker {
    MOX_MESSAGE(ConfigureImapdWorker, 0x0106, Done, from(Role::moxd))
    LogConfig log;
    std::string account;               // the only one this worker serves
    std::chrono::seconds sleep_after;  // once all its sessions have been at rest for so long
};

struct ConfigureHttpd {
    MOX_MESSAGE(ConfigureHttpd, 0x0107, Done, from(Role::moxd))
    LogConfig log;
    std::string hostname;
    std::vector<Certificate> certificates;
    std::vector<Listener> listeners;
};

enum class TransportTls : uint8_t { opportunistic, starttls, implicit, none, kEnd };
struct Transport {
    std::string name;
    std::string host;
    uint16_t port;
    TransportTls tls;
    bool verify;
    std::string username;
    ipc::Secret password;
};
struct Route {
    std::string account;                    // empty: for every sender account
    std::string sender_domain;              // empty: for every sender domain
    std::vector<std::string> from_domains;  // empty: all; a leading dot matches subdomains
    std::vector<std::string> to_domains;
    uint32_t min_attempts;
    std::string transport;
};

struct ConfigureQueued {
    MOX_MESSAGE(ConfigureQueued, 0x0108, Done, from(Role::moxd))
    LogConfig log;
    std::string hostname;
    LocalMode local_mode;
    std::vector<std::chrono::seconds> retry_after;  // the last is repeated
    std::chrono::seconds give_up_after;
    std::chrono::seconds delay_notice_after;
    uint32_t max_concurrent;
    uint32_t max_per_destination;
    uint16_t outgoing_port;
    std::vector<std::string> source_addresses;
    std::vector<Transport> transports;
    std::vector<Route> routes;  // in order of evaluation: account, sender domain, global; the first match wins
    std::string ca_pem;         // trust anchors for verified TLS
};

// ---- for all children

/// A new channel to another process, replacing the one to a process of that role before it.
struct GivePeer {
    MOX_MESSAGE(GivePeer, 0x0110, NoReply, from(Role::moxd))
    Role role;
    std::string name;
    Fd channel;
};

/// The blocking channel on which a front has TLS handshakes signed by authd.
struct GiveSigner {
    MOX_MESSAGE(GiveSigner, 0x0111, NoReply, from(Role::moxd))
    Fd channel;
};

/// The other end of such a channel, for authd: on it, `role` may ask for signatures and nothing else.
struct GiveSignClient {
    MOX_MESSAGE(GiveSignClient, 0x0115, NoReply, from(Role::moxd))
    Role role;
    std::string name;
    Fd channel;
};

struct SetLogLevel {
    MOX_MESSAGE(SetLogLevel, 0x0112, NoReply, from(Role::moxd))
    uint8_t level;
};

/// Finish what is under way, accept nothing new, then exit; moxd kills what is left after a few seconds.
struct Shutdown {
    MOX_MESSAGE(Shutdown, 0x0113, NoReply, from(Role::moxd))
};

struct Metrics {
    std::string text;  // Prometheus exposition format, lines without HELP/TYPE duplicates
};
struct GetMetrics {
    MOX_MESSAGE(GetMetrics, 0x0114, Metrics, from(Role::moxd))
};

// ---- from children

/// What each process said, unread by moxd: httpd groups the lines by metric and adds a label process="name" to each
/// sample.
struct ProcessMetrics {
    std::string process;
    std::string text;
};
struct AllMetrics {
    std::vector<ProcessMetrics> processes;
};
/// httpd asks for the metrics of the whole suite.
struct GetAllMetrics {
    MOX_MESSAGE(GetAllMetrics, 0x0120, AllMetrics, from(Role::httpd))
};

enum class ImapSessionTls : uint8_t { none, tls, kEnd };

/// A logged-in IMAP session for the worker of its account. The capability is `account_channel`, which storaged made for
/// exactly that account; `account` only says which worker, and the worker compares the two.
struct StartSession {
    MOX_MESSAGE(StartSession, 0x0121, Done, from(Role::imapd))
    std::string account;
    std::string login;  // address used to log in, for logs
    std::string remote_address;
    uint64_t cid;
    ImapSessionTls tls;
    std::string tag;            // of the login command: the worker answers it; empty: it greets with PREAUTH
    std::string pending_input;  // bytes the client sent behind the login command
    std::string hostname;
    uint64_t max_message_size;
    Fd stream;  // plain text to and from the client
    Fd account_channel;
    /// Absent where UNAUTHENTICATE is not offered. The worker that ends a session so writes `U`, closes its end of
    /// `stream` for writing, reads that to its end, and writes what it did not use of it and a full stop.
    Fd hand_back = {};
    uint32_t message_limit = 0;  // of the listener
};
struct NewSession {
    MOX_MESSAGE(NewSession, 0x0122, Done, from(Role::moxd))
    StartSession session;
};
/// A worker without sessions asks to end. Error `busy` when a session is on its way to it.
struct Retire {
    MOX_MESSAGE(Retire, 0x0123, Done, from(Role::imapd_worker))
};

// ---- a worker whose sessions all rest goes to sleep: its process ends, moxd keeps what it leaves, and wakes another
// when a client sends something or the account changes. moxd looks at none of it.

constexpr size_t kMaxRestedSessions = 1000;     // of one account; one that has more does not sleep
constexpr size_t kMaxRestedState = 32u * 1024;  // bytes of one session

/// How the bytes on a session's stream are to be read (RFC 4978); at rest, from a byte on.
enum class StreamForm : uint8_t { plain, deflate, kEnd };

/// A session at rest. The worker's copy of `stream` stays in use until the worker ends. Both descriptors are ends of a
/// front's making, or nothing is taken.
struct RestSession {
    MOX_MESSAGE(RestSession, 0x0125, NoReply, from(Role::imapd_worker))
    std::string state;  // encoded imapd::RestedSession; nobody but another worker of the account reads it
    Fd stream;          // to and from the client
    Fd hand_back = {};  // see StartSession
    StreamForm form = StreamForm::plain;
};
/// The account's sessions were told, each by a RestSession. When this is answered the worker ends at once, with status
/// 0, or says StayAwake; one that does neither is killed, and its clients are told BYE. Error `busy` when a session is
/// on its way to it, or when moxd keeps too much already.
struct Sleep {
    MOX_MESSAGE(Sleep, 0x0126, Done, from(Role::imapd_worker))
    uint32_t sessions;
    std::chrono::seconds wake_after;  // at the latest: the first session's autologout
    Fd account_channel;
};
/// Something has happened meanwhile: what was told is forgotten.
struct StayAwake {
    MOX_MESSAGE(StayAwake, 0x0127, NoReply, from(Role::imapd_worker))
};
/// The first message to the worker of an account that slept, behind its configuration. It answers when storaged has
/// said that the channel is this account's.
struct WakeUp {
    MOX_MESSAGE(WakeUp, 0x0128, Done, from(Role::moxd))
    Fd account_channel;
};
/// Each session that slept, once WakeUp is answered.
struct ResumeSession {
    MOX_MESSAGE(ResumeSession, 0x0129, NoReply, from(Role::moxd))
    std::string state;
    Fd stream;
    Fd hand_back = {};
};

/// What one process has a channel to another for.
enum class ChannelUse : uint8_t { calls, signatures, kEnd };
/// The child has no working channel to the process of this role. When that runs, moxd makes another for the two.
struct PeerLost {
    MOX_MESSAGE(PeerLost, 0x0124, NoReply, from(Role::smtpd, Role::imapd, Role::httpd, Role::queued, Role::authd))
    Role role;
    ChannelUse use;
};

/// What every child serves for moxd, besides the Configure message of its role.
#define MOX_COMMON_CHILD_MESSAGES \
    ::mox::proto::GivePeer, ::mox::proto::SetLogLevel, ::mox::proto::Shutdown, ::mox::proto::GetMetrics

using ToStoraged =
    ipc::Messages<ConfigureStoraged, RemoveAccount, OpenAccountForAdmin, OpenStoreForAdmin, MOX_COMMON_CHILD_MESSAGES>;
using ToAuthd = ipc::Messages<ConfigureAuthd, GiveSignClient, SetPassword, AddCertificate, ListCertificates,
                              RemoveCertificate, MOX_COMMON_CHILD_MESSAGES>;
using ToDnsd = ipc::Messages<ConfigureDnsd, MOX_COMMON_CHILD_MESSAGES>;
using ToSmtpd = ipc::Messages<ConfigureSmtpd, GiveSigner, MOX_COMMON_CHILD_MESSAGES>;
using ToImapd = ipc::Messages<ConfigureImapd, GiveSigner, MOX_COMMON_CHILD_MESSAGES>;
using ToImapdWorker = ipc::Messages<ConfigureImapdWorker, NewSession, WakeUp, ResumeSession, MOX_COMMON_CHILD_MESSAGES>;
using ToHttpd = ipc::Messages<ConfigureHttpd, GiveSigner, MOX_COMMON_CHILD_MESSAGES>;
using ToQueued = ipc::Messages<ConfigureQueued, QueueList, QueueKick, QueueDrop, MOX_COMMON_CHILD_MESSAGES>;
/// What moxd serves for its children.
using ToMoxd = ipc::Messages<GetAllMetrics, StartSession, Retire, RestSession, Sleep, StayAwake, PeerLost>;

}  // namespace mox::proto
