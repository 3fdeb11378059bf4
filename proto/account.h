// The mail of one account, for the worker that serves its logged-in clients. The channel itself names the account.
//
// Mailboxes of others are there as well, under kOthers and by ids that only mean something on this channel, in so far
// as their owners have granted rights on them (RFC 4314): storaged knows who asks, and checks (storaged/guest_rules.h).
//
// A mailbox is read as columns (OpenMailbox: one sealed memory file of MessageRow) and kept up to date by asking what
// changed since a modseq (GetChanges) whenever MailboxChanged says so. Every change is durable when it is answered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/message.h"
#include "proto/storage.h"

namespace mox::proto {

struct MailboxId {
    uint64_t value = 0;
    auto operator<=>(const MailboxId&) const = default;
};
struct Uid {
    uint32_t value = 0;
    auto operator<=>(const Uid&) const = default;
};
struct ModSeq {
    uint64_t value = 0;
    auto operator<=>(const ModSeq&) const = default;
};
struct UidRange {
    uint32_t first;  // inclusive
    uint32_t last;   // inclusive
};

/// System flags as bits (RFC 3501 2.3.2) and the keywords every mail program knows (RFC 5788 registry).
enum Flag : uint32_t {
    kSeen = 1,
    kAnswered = 2,
    kFlagged = 4,
    kDeleted = 8,
    kDraft = 16,
    kForwarded = 32,  // $Forwarded
    kJunk = 64,       // $Junk
    kNotJunk = 128,   // $NotJunk
    kPhishing = 256,  // $Phishing
    kMdnSent = 512,   // $MDNSent
    kAllFlags = 1023
};

/// One message in the columns of a mailbox, as laid out in the memory file: 56 bytes, little-endian, ascending by uid.
struct MessageRow {
    uint32_t uid;
    uint32_t flags;     // Flag bits
    uint64_t keywords;  // bit n: the mailbox's keyword number n
    uint64_t modseq;
    uint64_t size;          // RFC822.SIZE: prefix and file
    int64_t received;       // INTERNALDATE, Unix seconds
    int16_t received_zone;  // minutes
    uint16_t reserved;
    uint32_t saved;    // when it came into the mailbox, Unix seconds; good until 2106 (RFC 8514)
    uint64_t content;  // ContentId::number
};
static_assert(sizeof(MessageRow) == 56);

constexpr size_t kMaxKeywords = 64;      // different keywords in one mailbox
constexpr size_t kMaxMailboxName = 255;  // bytes of UTF-8
constexpr size_t kMaxMailboxes = 10000;
constexpr size_t kMaxMessagesPerOpen = 100;
constexpr size_t kMaxFilesPerOpen = 16;         // descriptors in one answer
constexpr size_t kMaxMessageStart = 32 * 1024;  // bytes of one message in an answer
constexpr size_t kMaxInfosPerFetch = 500;
constexpr size_t kMaxMessagesPerStore =
    50000;  // existing messages that one StoreFlags may name (its reply has a row for each)
constexpr size_t kMaxMessagesPerCopy =
    400000;  // the same for CopyMessages and MoveMessages; and what one Expunge removes

/// Special-use attributes (RFC 6154) as bits.
enum SpecialUse : uint32_t { kArchiveUse = 1, kDraftsUse = 2, kJunkUse = 4, kSentUse = 8, kTrashUse = 16 };

/// What may be done with a mailbox (RFC 4314 2.1), as bits.
enum Right : uint32_t {
    kLookupRight = 1,           // l
    kReadRight = 2,             // r
    kSeenRight = 4,             // s
    kWriteRight = 8,            // w
    kInsertRight = 16,          // i
    kPostRight = 32,            // p
    kCreateRight = 64,          // k
    kDeleteMailboxRight = 128,  // x
    kDeleteMessageRight = 256,  // t
    kExpungeRight = 512,        // e
    kAdminRight = 1024,         // a
    kAllRights = 2047
};

/// With one of them, and kLookupRight, annotations can be read (RFC 5464 3.3).
constexpr uint32_t kAnnotationRights = kReadRight | kSeenRight | kWriteRight | kInsertRight | kPostRight;

/// Mailboxes of others are named kOthers, the account's name, '/', and as they are named there.
constexpr std::string_view kOthers = "#users/";
/// Whose mailbox that is: empty for the account's own.
constexpr std::string_view owner_of(std::string_view name) {
    if (!name.starts_with(kOthers)) return {};
    name.remove_prefix(kOthers.size());
    return name.substr(0, name.find('/'));
}
constexpr unsigned kOwnerShift = 40;  // bits of a MailboxId from there on say whose it is
constexpr bool is_anothers(MailboxId id) {
    return id.value >> kOwnerShift != 0;
}

struct Mailbox {
    MailboxId id;
    std::string name;  // UTF-8, '/' between levels
    uint32_t special_use;
    uint32_t uidvalidity;
    uint32_t uidnext;
    uint64_t highest_modseq;
    uint64_t messages;
    uint64_t unseen;
    uint64_t deleted;
    uint64_t size;  // bytes of all messages
    /// Right bits of who asks. Without kReadRight all but name and id is left out.
    uint32_t rights = kAllRights;
};

/// First on every account channel, from storaged: which account it is. A worker compares it with its own.
struct AccountOpened {
    MOX_MESSAGE(AccountOpened, 0x0401, NoReply, from(Role::storaged))
    std::string account;
};
struct AccountIdentity {
    std::string account;
};
/// Asks the same again: by a worker that was given a channel which another one had.
struct AskAccount {
    MOX_MESSAGE(AskAccount, 0x0404, AccountIdentity, from(Role::imapd_worker))
};
/// Messages, flags or keywords of a mailbox changed: there is something after the modseq the worker has seen.
struct MailboxChanged {
    MOX_MESSAGE(MailboxChanged, 0x0402, NoReply, from(Role::storaged))
    MailboxId mailbox;
    uint64_t highest_modseq;
};
/// Mailboxes were created, renamed, deleted or (un)subscribed.
struct MailboxListChanged {
    MOX_MESSAGE(MailboxListChanged, 0x0403, NoReply, from(Role::storaged))
};

/// There are messages whose words are to be learned (GetUnlearned).
struct LearningDue {
    MOX_MESSAGE(LearningDue, 0x0405, NoReply, from(Role::storaged))
};

struct MailboxList {
    std::vector<Mailbox> mailboxes;       // by name
    std::vector<std::string> subscribed;  // also names that do not exist (RFC 3501 6.3.6)
};
struct ListMailboxes {
    MOX_MESSAGE(ListMailboxes, 0x0410, MailboxList, from(Role::imapd_worker, Role::moxctl))
};
struct CreatedMailboxes {
    std::vector<Mailbox> created;  // the named one last, missing parents before it
};
/// Errors: exists; bad_request for a name that is not allowed.
struct CreateMailbox {
    MOX_MESSAGE(CreateMailbox, 0x0411, CreatedMailboxes, from(Role::imapd_worker, Role::moxctl))
    std::string name;
    uint32_t special_use;
};
/// Errors: not_found; bad_request for INBOX or a mailbox with children (RFC 9051 6.3.5).
struct DeleteMailbox {
    MOX_MESSAGE(DeleteMailbox, 0x0412, Done, from(Role::imapd_worker))
    std::string name;
};
/// Children move along; INBOX is emptied into a new mailbox (RFC 3501 6.3.5). Errors: not_found, exists, bad_request.
struct RenameMailbox {
    MOX_MESSAGE(RenameMailbox, 0x0413, Done, from(Role::imapd_worker))
    std::string from_name;
    std::string to_name;
};
enum class Subscription : uint8_t { subscribe, unsubscribe, kEnd };
struct Subscribe {
    MOX_MESSAGE(Subscribe, 0x0414, Done, from(Role::imapd_worker))
    std::string name;
    Subscription subscription;
};

/// How much the account holds (RFC 9208 5).
struct QuotaUse {
    uint64_t bytes;
    uint64_t max_bytes;  // 0: no limit
    uint64_t messages;
};
struct GetQuota {
    MOX_MESSAGE(GetQuota, 0x0415, QuotaUse, from(Role::imapd_worker))
    std::string mailbox = {};  // of whoever that belongs to; empty: of the account
};

/// An annotation (RFC 5464): its name in lower case, its value in any bytes; in a change, without a value it goes.
struct MetadataEntry {
    std::string name;
    std::optional<std::string> value;
};
constexpr size_t kMaxMetadataName = 255;
constexpr size_t kMaxMetadataValue = 64u << 10;
constexpr size_t kMaxMetadataEntries = 1000;    // of an account
constexpr size_t kMaxMetadataBytes = 1u << 20;  // of an account, names and values
struct MetadataEntries {
    std::vector<MetadataEntry> entries;  // by name
};
/// All of a mailbox, or of the account when the name is empty. Error not_found.
struct GetMetadata {
    MOX_MESSAGE(GetMetadata, 0x0416, MetadataEntries, from(Role::imapd_worker))
    std::string mailbox;
};
/// All or none. Errors: not_found; over_quota when the account has too many of them.
struct SetMetadata {
    MOX_MESSAGE(SetMetadata, 0x0417, Done, from(Role::imapd_worker))
    std::string mailbox;
    std::vector<MetadataEntry> entries;
};

// ---- access rights (RFC 4314)

constexpr size_t kMaxAclEntries = 10000;  // of an account
constexpr std::string_view kAnyone = "anyone";
struct AclEntry {
    std::string identifier;  // the name of an account, or kAnyone; with '-' in front: these rights are taken away
    uint32_t rights;         // Right bits
};
struct AclEntries {
    std::vector<AclEntry> entries;
};
/// Errors of these: not_found, denied; see storaged/guest_rules.h.
struct GetAcl {
    MOX_MESSAGE(GetAcl, 0x0440, AclEntries, from(Role::imapd_worker, Role::moxctl))
    std::string mailbox;
};
enum class AclChange : uint8_t { replace, add, remove, kEnd };
/// An entry without rights goes. The identifier may be an address. Errors: bad_request for one that is no account of a
/// domain of the owner's, exists for the owner, who has all rights; over_quota when there are too many.
struct SetAcl {
    MOX_MESSAGE(SetAcl, 0x0441, Done, from(Role::imapd_worker, Role::moxctl))
    std::string mailbox;
    std::string identifier;
    AclChange change;
    uint32_t rights;  // Right bits
};
struct Rights {
    uint32_t rights;  // Right bits
};
/// The rights that the identifier has in any case: those of the owner. Errors as of SetAcl.
struct GetFixedRights {
    MOX_MESSAGE(GetFixedRights, 0x0442, Rights, from(Role::imapd_worker))
    std::string mailbox;
    std::string identifier;
};
/// What the account may do with the mailbox.
struct GetMyRights {
    MOX_MESSAGE(GetMyRights, 0x0443, Rights, from(Role::imapd_worker))
    std::string mailbox;
};

constexpr size_t kMaxMailboxesPerGet = 1000;
struct Mailboxes {
    std::vector<Mailbox> mailboxes;  // those that exist, as asked for
};
/// How some mailboxes are now, of which MailboxChanged told.
struct GetMailboxes {
    MOX_MESSAGE(GetMailboxes, 0x0418, Mailboxes, from(Role::imapd_worker))
    std::vector<MailboxId> mailboxes;  // at most kMaxMailboxesPerGet
};

struct MailboxColumns {
    Mailbox mailbox;
    std::vector<std::string> keywords;  // index = bit number; empty string: unused
    uint64_t count;                     // rows
    Fd rows;                            // sealed memory file of MessageRow; absent when count is 0
};
struct OpenMailbox {
    MOX_MESSAGE(OpenMailbox, 0x0420, MailboxColumns, from(Role::imapd_worker, Role::moxctl))
    std::string name;
    MailboxId id = {};  // of the mailbox, whatever its name is by now; `name` stays empty then
};
struct MailboxChanges {
    Mailbox mailbox;
    std::vector<std::string> keywords;
    std::vector<MessageRow> changed;  // new and changed, ascending by uid
    std::vector<UidRange> expunged;
    bool more;  // bounded: ask again from mailbox.highest_modseq of this reply
};
/// What happened to a mailbox after a modseq. Error not_found: the mailbox is gone.
struct GetChanges {
    MOX_MESSAGE(GetChanges, 0x0421, MailboxChanges, from(Role::imapd_worker))
    MailboxId mailbox;
    uint64_t since;
};

/// What a message's bytes are known by in the account, whatever mailboxes they are in (RFC 8474 4): never used again.
struct ContentId {
    uint64_t number;
    int64_t stored;  // Unix seconds
};
struct MessageInfoPlace {
    Uid uid;
    ContentId content = {};
    uint32_t begin = 0;   // in MessageInfos::bytes: of the encoded mail::MessageInfo of the file (without the prefix)
    uint32_t info = 0;    // its bytes
    uint32_t prefix = 0;  // bytes of the prefix behind it, when that was wanted
};
struct MessageInfos {
    /// Those that exist, ascending; may be fewer than asked for, never none while any is left.
    std::vector<MessageInfoPlace> messages;
    std::string bytes = {};  // of all: many small strings would cost more than what is in them
};
struct FetchInfos {
    MOX_MESSAGE(FetchInfos, 0x0422, MessageInfos, from(Role::imapd_worker))
    MailboxId mailbox;
    std::vector<Uid> uids;  // ascending, at most kMaxInfosPerFetch
    bool prefix = false;    // is wanted too
};
struct MessageFile {
    Uid uid;
    std::string prefix;
    std::string info;
    uint64_t size;  // of the file's part
    Fd file;        // read-only; absent when `start` is all of it, or nothing but the beginning was wanted; it has
                    // nothing but this message: one that shares its file with others always comes as bytes
    ContentId content = {};
    std::string start = {};  // its first bytes, as many as were wanted, or all
    uint64_t stored = 0;     // how many bytes `file` has when it is compressed (common/pack/frames.h), else 0
    bool packed = false;     // `start` is all, as a pack has it: compressed (common/pack/compression.h)
};
struct MessageFiles {
    /// Those that exist, ascending; may be fewer than asked for, never none while any is left that can be read.
    std::vector<MessageFile> messages;
    /// Ascending: those among them, and behind the last while nothing else is left, that exist and cannot be read.
    std::vector<Uid> damaged = {};
};
/// What is wanted of messages: all, or nothing behind their first bytes.
enum class MessageParts : uint8_t { whole, beginning, kEnd };
struct OpenMessages {
    MOX_MESSAGE(OpenMessages, 0x0423, MessageFiles, from(Role::imapd_worker, Role::moxctl))
    MailboxId mailbox;
    std::vector<Uid> uids;  // ascending, at most kMaxMessagesPerOpen
    /// How many bytes of each file shall be in the answer itself: for small messages that is all, and costs less than a
    /// descriptor.
    uint32_t start = 0;  // at most kMaxMessageStart
    MessageParts parts = MessageParts::whole;
};

// ---- searching by words (common/mail/words.h)

constexpr size_t kMaxTextKeys = 16;        // in one FindText
constexpr size_t kMaxIndexedAtOnce = 256;  // contents in one IndexWords

/// A text to be looked for.
struct TextKey {
    uint32_t classes;        // mail::WordClass bits: where
    std::string text;        // its case folded; at most mail::kMaxQueryText
    std::string field = {};  // the name of the header field it is in; empty: anywhere
};
/// What a key's bitmap says of the contents that are complete. Of the others a set bit says the same, a clear one
/// nothing.
enum class KeyAnswer : uint8_t {
    unknown,   // nothing: words do not tell
    narrowed,  // clear: it does not hold the text
    exact,     // and set: it does
    kEnd
};
/// Of all contents of the account, whatever mailboxes they are in. What it says of a content stays true.
struct TextFound {
    uint64_t first;               // content of the first bit
    uint64_t count;               // bits of a bitmap
    std::vector<KeyAnswer> keys;  // in the order of the request
    Fd bits;  // sealed memory file of bitmaps, each whole 64-bit words: indexed, complete, then one a key
};
/// Error busy when there is too much to look through: then the messages have to be read.
struct FindText {
    MOX_MESSAGE(FindText, 0x0424, TextFound, from(Role::imapd_worker))
    std::vector<TextKey> keys;  // at most kMaxTextKeys
};
struct ContentWords {
    uint64_t content;
    std::string words;  // mail::word_list() of prefix and file
};
/// Adds contents to the index that are not in it. Those that do not exist, or are in it, do not matter.
struct IndexWords {
    MOX_MESSAGE(IndexWords, 0x0425, Done, from(Role::imapd_worker, Role::moxctl))
    std::vector<ContentWords> contents;  // at most kMaxIndexedAtOnce
};

// ---- threads (RFC 8474 5.2)
//
// A message gets its thread when somebody asks for one, in the order in which messages came into the account: the
// worker says what of their parses matters, storaged says where they belong (storaged/threading.cc). It stays with
// the content, whatever mailboxes that is in.

constexpr size_t kMaxUnthreadedAtOnce = 500;
constexpr size_t kMaxThreadKeys = 16;          // Message-IDs that are looked at for one message
constexpr size_t kMaxThreadsPerGet = 1000;     // contents
constexpr size_t kMaxThreadMessages = 10'000;  // then another thread is begun

struct UnthreadedMessage {
    uint64_t content;
    int64_t stored;    // Unix seconds
    std::string info;  // encoded mail::MessageInfo
};
struct UnthreadedMessages {
    std::vector<UnthreadedMessage> messages;  // ascending; none: all have a thread
};
/// The first messages of the account that have no thread yet.
struct GetUnthreaded {
    MOX_MESSAGE(GetUnthreaded, 0x0426, UnthreadedMessages, from(Role::imapd_worker))
};
enum class ThreadRole : uint8_t {
    plain,
    reply,   // by its subject
    report,  // a delivery status notification: its subject is not that of the message it speaks of
    kEnd
};
/// What decides on the thread of a message. Hashes are of the worker's making.
struct ThreadFacts {
    uint64_t content;
    std::vector<uint64_t> ids;  // of Message-IDs: its own, then those it refers to, the closest first; at most
                                // kMaxThreadKeys
    uint64_t subject;           // of the base subject; 0: it is empty
    int64_t date;               // Unix seconds
    bool has_references;
    ThreadRole role;
};
/// Gives messages their threads. Those that are not the next in order are left out: another session was first.
struct AssignThreads {
    MOX_MESSAGE(AssignThreads, 0x0427, Done, from(Role::imapd_worker))
    std::vector<ThreadFacts> messages;  // ascending, at most kMaxUnthreadedAtOnce
};
/// What a thread is known by: the content that began it, and when that was stored.
struct ThreadId {
    uint64_t number = 0;
    int64_t born = 0;  // Unix seconds
    friend bool operator==(const ThreadId&, const ThreadId&) = default;
};
struct Threads {
    std::vector<ThreadId> threads;  // as asked for; number 0: it has none yet, or does not exist
};
struct GetThreads {
    MOX_MESSAGE(GetThreads, 0x0428, Threads, from(Role::imapd_worker))
    std::vector<uint64_t> contents;  // at most kMaxThreadsPerGet
};
struct ThreadContents {
    std::vector<uint64_t> contents;  // ascending; none: there is no such thread
};
struct FindThread {
    MOX_MESSAGE(FindThread, 0x0429, ThreadContents, from(Role::imapd_worker))
    ThreadId thread;
};

// ---- learning the words of junk and of other mail (proto/junk_words.h)

struct UnlearnedMessage {
    MessageFile message;  // its uid is 0
    JunkClass was;
    JunkClass wanted;
};
struct UnlearnedMessages {
    std::vector<UnlearnedMessage> messages;  // at most kMaxLearnedAtOnce; none: there are no more
};
/// Messages whose words are to be learned, or unlearned, by their flags. Those that cannot be read are passed
/// over.
struct GetUnlearned {
    MOX_MESSAGE(GetUnlearned, 0x042a, UnlearnedMessages, from(Role::imapd_worker))
};
/// Their words. Messages that are gone, or of which another thing is wanted by now, are passed over.
struct LearnMessages {
    MOX_MESSAGE(LearnMessages, 0x042b, Done, from(Role::imapd_worker))
    std::vector<LearnedMessage> messages;  // at most kMaxLearnedAtOnce
};

enum class StoreMode : uint8_t { replace, add, remove, kEnd };
struct FlagsStored {
    std::vector<MessageRow> rows;             // the named messages that exist, as they are now
    std::vector<std::string> keywords;        // of the mailbox, as they are now
    std::vector<Uid> unchanged_since_failed;  // RFC 7162 3.1.3
};
/// Errors: bad_request when the mailbox has no room for another keyword, or for more than kMaxMessagesPerStore
/// messages.
struct StoreFlags {
    MOX_MESSAGE(StoreFlags, 0x0430, FlagsStored, from(Role::imapd_worker))
    MailboxId mailbox;
    std::vector<UidRange> uids;
    StoreMode mode;
    uint32_t flags;
    std::vector<std::string> keywords;
    std::optional<uint64_t> unchanged_since;
};
struct UidPair {
    uint32_t source;
    uint32_t destination;
};
struct MessagesCopied {
    uint32_t uidvalidity;       // of the destination
    std::vector<UidPair> uids;  // in ascending order of source; those that exist
    MailboxId mailbox = {};     // the destination
};
/// Errors: not_found when the destination does not exist (TRYCREATE), over_quota, bad_request when it belongs to
/// someone else than the source.
struct CopyMessages {
    MOX_MESSAGE(CopyMessages, 0x0431, MessagesCopied, from(Role::imapd_worker))
    MailboxId mailbox;
    std::vector<UidRange> uids;
    std::string destination;
};
struct MoveMessages {
    MOX_MESSAGE(MoveMessages, 0x0432, MessagesCopied, from(Role::imapd_worker))
    MailboxId mailbox;
    std::vector<UidRange> uids;
    std::string destination;
};
struct MessagesExpunged {
    std::vector<UidRange> uids;
    uint64_t highest_modseq;
};
/// Removes those of the named messages that have \Deleted, at most kMaxMessagesPerCopy at once: ask again until none is
/// left.
struct Expunge {
    MOX_MESSAGE(Expunge, 0x0433, MessagesExpunged, from(Role::imapd_worker))
    MailboxId mailbox;
    std::vector<UidRange> uids;
};
struct AppendItem {
    uint64_t spool;
    uint64_t size;
    uint32_t flags;
    std::vector<std::string> keywords;
    Timestamp received;
    std::string info;
    std::string content = {};  // when spool is 0: see kMaxInlineContent
    std::string words = {};    // mail::word_list(); empty: it is not indexed now
    /// Addresses in To, Cc and Bcc: noted as written to when the mailbox is one for sent messages. Bad ones, and those
    /// above kMaxItemRecipients, are passed over.
    std::vector<std::string> recipients = {};
};
constexpr size_t kMaxItemRecipients = 100;
struct MessagesAppended {
    uint32_t uidvalidity;
    std::vector<Uid> uids;
    MailboxId mailbox = {};
};
/// A message that goes when others come.
struct ReplacedMessage {
    MailboxId mailbox;
    Uid uid;
};
/// All or none; with `replaced` that message is expunged in the same commit (RFC 8508 3.4). Errors: not_found when the
/// mailbox does not exist (TRYCREATE), over_quota, bad_request when the message to be replaced is gone.
struct AppendMessages {
    MOX_MESSAGE(AppendMessages, 0x0434, MessagesAppended, from(Role::imapd_worker))
    std::string mailbox;
    std::vector<AppendItem> items;
    std::optional<ReplacedMessage> replaced = {};
};

// ---- URLs that carry their own authorization (RFC 4467)

constexpr size_t kMaxUrlText = 2000;  // bytes of each text in AuthorizedUrl
constexpr size_t kMaxUrlToken = 64;   // bytes

/// Who may fetch what the URL names: a submission server for this user, this user, everyone who is logged in; there are
/// no anonymous sessions here, so the last two are one.
enum class UrlAccess : uint8_t { submit, user, authuser, anonymous, kEnd };

/// All that such a URL says but its token.
struct AuthorizedUrl {
    std::string user;     // whose mailbox: the name of an account, or an address of it
    std::string host;     // lower case, with the port when there is one
    std::string mailbox;  // UTF-8, as that account names it: one of its own
    std::optional<uint32_t> uidvalidity;
    Uid uid;
    std::string section;            // as it is written, decoded; empty: the whole message
    std::string partial;            // "offset.length"; empty: all of it
    std::optional<int64_t> expire;  // Unix seconds
    UrlAccess access;
    std::string access_user;  // of submit and user
};
struct UrlToken {
    std::string token;
};
/// Makes the token of a URL of the account's own, and the mailbox's access key when there is none. Errors: not_found
/// when there is no such mailbox or it is another's, bad_request.
struct MakeUrlToken {
    MOX_MESSAGE(MakeUrlToken, 0x0460, UrlToken, from(Role::imapd_worker))
    AuthorizedUrl url;
};
/// Voids the tokens of all URLs of a mailbox, or with an empty name of all mailboxes of the account. Error not_found.
struct ResetUrlKeys {
    MOX_MESSAGE(ResetUrlKeys, 0x0461, Done, from(Role::imapd_worker))
    std::string mailbox;
};
/// The message that a URL names, of whatever account, when its token is right and it allows this account to. Error
/// not_found, always the same and after the same time, when any of that is not so.
struct OpenUrl {
    MOX_MESSAGE(OpenUrl, 0x0462, MessageFiles, from(Role::imapd_worker))
    AuthorizedUrl url;
    std::string token;
};

/// Served by storaged on an account channel (with the spool messages of proto/storage.h).
using AccountMessages =
    ipc::Messages<AskAccount, CreateSpool, DropSpool, ListMailboxes, CreateMailbox, DeleteMailbox, RenameMailbox,
                  Subscribe, GetQuota, GetMetadata, SetMetadata, GetAcl, SetAcl, GetFixedRights, GetMyRights,
                  GetMailboxes, OpenMailbox, GetChanges, FetchInfos, OpenMessages, FindText, IndexWords, GetUnthreaded,
                  AssignThreads, GetThreads, FindThread, GetUnlearned, LearnMessages, StoreFlags, CopyMessages,
                  MoveMessages, Expunge, AppendMessages, MakeUrlToken, ResetUrlKeys, OpenUrl>;
/// Served by the worker on its account channel.
using AccountEventMessages = ipc::Messages<AccountOpened, MailboxChanged, MailboxListChanged, LearningDue>;

}  // namespace mox::proto
