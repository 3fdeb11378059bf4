// What storaged does for the processes that bring mail in and send it out, for authd and for moxd. The mail of one
// account, for a logged-in client, is in proto/account.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/ipc/message.h"
#include "proto/junk_words.h"
#include "proto/logins.h"
#include "proto/senders.h"
#include "proto/web_sessions.h"

namespace mox::proto {

using ipc::Done;
using ipc::from;
using ipc::NoReply;
using ipc::Role;

/// Seconds since 1970 and the zone it was written in.
struct Timestamp {
    int64_t unix_seconds = 0;
    int16_t zone_minutes = 0;
};

// ---- spool: where a message is written before it is delivered

/// A new, empty file for one message, to be written by the caller. It belongs to the caller's channel: no other may
/// name it, and it is gone when the channel is. Everything that writes must be closed before the file is used: storaged
/// refuses a file that anyone can still change.
struct SpoolFile {
    uint64_t spool;
    Fd file;
};
struct CreateSpool {
    MOX_MESSAGE(CreateSpool, 0x0301, SpoolFile, from(Role::smtpd, Role::queued, Role::imapd_worker, Role::moxctl))
};
struct DropSpool {
    MOX_MESSAGE(DropSpool, 0x0302, NoReply, from(Role::smtpd, Role::queued, Role::imapd_worker, Role::moxctl))
    uint64_t spool;
};

/// A message of up to so many bytes needs no spool file: it travels in the message that uses it, with spool number 0.
constexpr size_t kMaxInlineContent = 64u << 10;

// ---- delivery

/// What is known of a message beside its bytes; the same for every recipient.
struct MessageFacts {
    uint64_t size;  // bytes in the spool file, or of the content that is given directly
    Timestamp received;
    std::string info;       // encoded mail::MessageInfo of the file; storaged does not look inside
    std::string mail_from;  // envelope sender, empty for <>
    std::string remote_address;
    std::string ehlo;
    std::string message_id;  // for lists and DSNs
    bool smtputf8 = false;
    bool has_8bit = false;
    /// mail::word_list() of what is stored: of Enqueue with its prefix, of Deliver without those of the targets. Empty:
    /// it is not indexed now. storaged looks at its form only.
    std::string words = {};
    /// Kept with what becomes of the message, when it is delivered from elsewhere; not with what waits in the queue.
    SenderFacts sender = {};
};
struct DeliveryTarget {
    std::string account;
    std::string mailbox;     // created when missing; empty: Inbox
    std::string prefix;      // header lines in front of the file that the final delivery adds: Return-Path ... (CRLF)
    std::string trace = {};  // header lines behind those, which the message also has in the queue: Received
    std::string recipient = {};  // envelope address; see DeliveryOutcome::queued
    std::string words = {};      // mail::header_word_list() of prefix and trace
};
/// Reply to Deliver: for each target in order, nothing when it is on disk, else why not.
struct DeliveryOutcome {
    std::optional<Error> error;
    /// The target failed while others did not. The message is in the queue for its recipient instead, on disk: whoever
    /// sent it may be told that it is taken.
    bool queued = false;
};
struct DeliveryOutcomes {
    std::vector<DeliveryOutcome> targets;
};
/// Stores the message for each target; answered when durable. Uses the spool file up. Of several targets that have a
/// recipient, those that fail are queued when others do not: an SMTP client has one answer for all of them.
struct Deliver {
    MOX_MESSAGE(Deliver, 0x0303, DeliveryOutcomes, from(Role::smtpd, Role::queued))
    uint64_t spool;
    MessageFacts facts;
    std::vector<DeliveryTarget> targets;
    std::string content = {};  // when spool is 0
};

/// What became of earlier messages of the same senders in the account. Texts that are too long, or not UTF-8, are
/// passed over. Errors: not_found, bad_request.
struct GetSenderHistory {
    MOX_MESSAGE(GetSenderHistory, 0x0304, SenderHistories, from(Role::smtpd))
    std::string account;
    std::string mail_from;
    std::string remote_address;
    std::string ehlo;
    SenderFacts sender;
};
/// How often words were seen in the account's junk, and in its other mail. Errors: not_found, bad_request.
struct GetWordCounts {
    MOX_MESSAGE(GetWordCounts, 0x0305, WordCounts, from(Role::smtpd))
    std::string account;
    std::vector<uint64_t> words;  // at most kMaxJunkWords
};

// ---- outgoing queue

struct Enqueued {
    std::vector<uint64_t> ids;  // one a recipient
};
/// Puts a message (submitted, or a notice for a sender elsewhere) into the queue, once a recipient; durable when
/// answered. Uses the spool file up.
struct Enqueue {
    MOX_MESSAGE(Enqueue, 0x0310, Enqueued, from(Role::smtpd, Role::queued))
    uint64_t spool;
    MessageFacts facts;
    std::string account;  // of the sender; empty: it was not submitted here
    std::string prefix;   // header lines in front of the file
    std::vector<std::string> recipients;
    std::string content = {};  // when spool is 0
};

struct QueueEntry {
    uint64_t id;
    uint64_t message;  // entries of one submission share it
    std::string account;
    std::string mail_from;
    std::string recipient;
    int64_t queued;  // Unix seconds
    int64_t next_attempt;
    int64_t last_attempt;  // 0: none yet
    uint32_t attempts;
    std::string last_error;
    uint64_t size;  // prefix and file
    bool smtputf8;
    bool has_8bit;
    bool delay_notified;
    std::string message_id;
};
struct QueueEntries {
    std::vector<QueueEntry> entries;
};
/// Entries with next_attempt not after `until`, oldest first, except those named.
struct QueueDue {
    MOX_MESSAGE(QueueDue, 0x0311, QueueEntries, from(Role::queued))
    int64_t until;
    uint32_t limit;
    std::vector<uint64_t> except;
};
struct NextAttempt {
    std::optional<int64_t> when;  // of the earliest entry not in `except`
    uint64_t count;               // entries in the queue
};
struct QueueNext {
    MOX_MESSAGE(QueueNext, 0x0312, NextAttempt, from(Role::queued))
    std::vector<uint64_t> except;
};
/// Entries with an id above `after`, by id.
struct QueueScan {
    MOX_MESSAGE(QueueScan, 0x0313, QueueEntries, from(Role::queued))
    uint64_t after;
    uint32_t limit;
};
struct QueuedMessage {
    std::string prefix;
    std::string info;
    Fd file;  // read-only
};
struct QueueOpen {
    MOX_MESSAGE(QueueOpen, 0x0314, QueuedMessage, from(Role::queued))
    uint64_t id;
};
/// Records an attempt before it is made (attempts + 1, next_attempt moved), so that a crash cannot hammer a host, or
/// its outcome afterwards.
struct QueueUpdate {
    MOX_MESSAGE(QueueUpdate, 0x0315, Done, from(Role::queued))
    uint64_t id;
    int64_t next_attempt;
    int64_t last_attempt;
    uint32_t attempts;
    std::string last_error;
    bool delay_notified;
};
/// The entry has been delivered, has failed for good (after its DSN was stored) or was dropped by the admin.
struct QueueRemove {
    MOX_MESSAGE(QueueRemove, 0x0316, Done, from(Role::queued))
    std::vector<uint64_t> ids;
};
/// Delivers a queue entry to an account of this host and removes it, in that order; durable when answered.
struct QueueDeliverLocal {
    MOX_MESSAGE(QueueDeliverLocal, 0x0317, Done, from(Role::queued))
    uint64_t id;
    Timestamp received;
    DeliveryTarget target;  // its prefix goes in front of the entry's
};
/// storaged tells queued that the queue has new entries.
struct QueueGrew {
    MOX_MESSAGE(QueueGrew, 0x0318, NoReply, from(Role::storaged))
};

// ---- credentials and accounts

/// What SCRAM with one hash needs of a password (RFC 5802 3). Without keys there is no login by it.
struct ScramSecrets {
    std::string salt;
    uint32_t iterations = 0;
    ipc::Secret stored_key;
    ipc::Secret server_key;
};
/// What authd needs to verify a password; never the password.
struct Credentials {
    std::string argon2;  // libsodium crypto_pwhash_str
    ScramSecrets scram_sha256;
    ScramSecrets scram_sha1;
};
struct StoredCredentials {
    std::optional<Credentials> credentials;  // absent: no password has been set
};
struct GetCredentials {
    MOX_MESSAGE(GetCredentials, 0x0320, StoredCredentials, from(Role::authd))
    std::string account;
};
/// All sessions in a browser end with it.
struct SetCredentials {
    MOX_MESSAGE(SetCredentials, 0x0321, Done, from(Role::authd))
    std::string account;
    Credentials credentials;
};

// ---- keys of TLS clients that log in with them (SASL EXTERNAL): the public halves' fingerprints

constexpr size_t kKeyFingerprint = 32;          // bytes: SHA-256 of the DER SubjectPublicKeyInfo
constexpr size_t kMaxClientKeys = 100;          // of an account
constexpr size_t kMaxClientKeyName = 100;       // bytes of UTF-8
constexpr size_t kMaxClientKeyType = 40;        // bytes
constexpr size_t kMaxListedClientKeys = 10000;  // in one answer

/// Whether IMAP over TLS from the first byte is logged in before its greeting (PREAUTH, RFC 3501 7.1.4).
enum class Preauth : uint8_t { no, yes, kEnd };
struct ClientKey {
    std::string fingerprint;
    std::string type;  // "ecdsa-p256", "rsa-2048", "ed25519"
    std::string name;  // what people call it
    int64_t added;     // Unix seconds
    Preauth preauth;
};
struct OwnedClientKey {
    std::string account;
    ClientKey key;
};
struct OwnedClientKeys {
    std::vector<OwnedClientKey> keys;  // by account, then by when they were added
};
/// Whose key that is. Errors: not_found; exists when it is that of several accounts, of which one was restored.
struct FindClientKey {
    MOX_MESSAGE(FindClientKey, 0x0324, OwnedClientKey, from(Role::authd))
    std::string fingerprint;
};
/// Errors: exists when it belongs to an account already; over_quota when the account has too many.
struct AddClientKey {
    MOX_MESSAGE(AddClientKey, 0x0325, Done, from(Role::authd))
    std::string account;
    ClientKey key;
};
/// Takes it from whichever account it belongs to. Error not_found.
struct RemoveClientKey {
    MOX_MESSAGE(RemoveClientKey, 0x0326, Done, from(Role::authd))
    std::string fingerprint;
};
/// Those of an account, or with an empty name of all; the first kMaxListedClientKeys.
struct ListClientKeys {
    MOX_MESSAGE(ListClientKeys, 0x0327, OwnedClientKeys, from(Role::authd))
    std::string account;
};

// ---- sessions in a browser (proto/web_sessions.h)

/// Begins a session of somebody whose password was verified. When there are kMaxWebSessions, the one that was used
/// longest ago ends. Errors: not_found, denied when the account may not log in, bad_request.
struct AddWebSession {
    MOX_MESSAGE(AddWebSession, 0x0329, WebSession, from(Role::authd))
    std::string account;
    NewWebSession session;
};
/// The session of this token and kind, which counts as a use of it. Error not_found, whatever is the reason.
struct FindWebSession {
    MOX_MESSAGE(FindWebSession, 0x032a, WebSession, from(Role::authd))
    std::string account;
    std::string token;  // its hash
    WebSessionKind kind;
};
/// Ends a session, or with id 0 all of the account. Error not_found.
struct EndWebSessions {
    MOX_MESSAGE(EndWebSessions, 0x032b, Done, from(Role::authd))
    std::string account;
    uint64_t id;
};

struct AccountChannel {
    Fd channel;
};
/// A new channel that speaks proto/account.h for exactly this account.
struct OpenAccount {
    MOX_MESSAGE(OpenAccount, 0x0322, AccountChannel, from(Role::authd))
    std::string account;
};
/// Takes an account's directory out of use: it is moved aside under removed/, from where it can be put back.
struct RemoveAccount {
    MOX_MESSAGE(RemoveAccount, 0x0323, Done, from(Role::moxd))
    std::string account;
};
/// Adds to the history of logins; answered when on disk. Attempts of accounts that do not exist are left out. Error
/// bad_request when one is out of bounds: then none is kept.
struct NoteLogins {
    MOX_MESSAGE(NoteLogins, 0x0328, Done, from(Role::authd))
    std::vector<LoginAttempt> attempts;  // at most kMaxLoginsAtOnce
};

using StorageMessages =
    ipc::Messages<CreateSpool, DropSpool, Deliver, GetSenderHistory, GetWordCounts, Enqueue, QueueDue, QueueNext,
                  QueueScan, QueueOpen, QueueUpdate, QueueRemove, QueueDeliverLocal, GetCredentials, SetCredentials,
                  FindClientKey, AddClientKey, RemoveClientKey, ListClientKeys, AddWebSession, FindWebSession,
                  EndWebSessions, OpenAccount, NoteLogins>;
/// What queued serves on its channel to storaged.
using QueueEventMessages = ipc::Messages<QueueGrew>;

}  // namespace mox::proto
