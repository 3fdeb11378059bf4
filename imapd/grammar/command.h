// The commands of IMAP as values: what the parser makes and the commands' files take.
//
// One struct for each shape of arguments. A Command is complete and checked for form; what it means in the state of a
// session is the session's business. RFC 3501 6, 2177, 2342, 2971, 3691, 4315, 5161, 6851, 4959; LIST also RFC 5258,
// 5819, 6154; 4467, 5524.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/mail/date.h"
#include "imapd/grammar/append.h"
#include "imapd/grammar/mailbox_filter.h"
#include "imapd/grammar/scanner.h"
#include "imapd/grammar/sequence_set.h"
#include "proto/account.h"

namespace mox::imapd {

enum class Verb : uint8_t {
    capability,
    noop,
    logout,
    unauthenticate,
    id,
    language,
    starttls,
    authenticate,
    login,
    enable,
    select,
    examine,
    create,
    delete_,
    rename,
    subscribe,
    unsubscribe,
    list,
    lsub,
    name_space,
    status,
    append,
    getquota,
    getquotaroot,
    getmetadata,
    setmetadata,
    getacl,
    setacl,
    deleteacl,
    listrights,
    myrights,
    genurlauth,
    resetkey,
    urlfetch,
    compress,
    idle,
    notify,
    check,
    close,
    unselect,
    expunge,
    search,
    sort,
    thread,
    cancelupdate,
    esearch,
    uidbatches,
    fetch,
    store,
    copy,
    move,
    replace,
    kEnd
};

/// Whether message numbers are sequence numbers or UIDs (the `UID` commands).
enum class Numbers : uint8_t { sequence, uid, kEnd };

struct NoArguments {};
struct LoginArguments {
    std::string user;
    std::string password;
};
struct AuthenticateArguments {
    std::string mechanism;               // upper case
    std::optional<std::string> initial;  // base64, or "=" (RFC 4959)
};
struct IdArguments {
    std::vector<std::pair<std::string, std::optional<std::string>>> fields;
};
struct EnableArguments {
    std::vector<std::string> names;  // upper case
};
/// LANGUAGE (RFC 5255 3.2).
struct LanguageArguments {
    std::vector<std::string> ranges;
};
struct MailboxArguments {
    std::string name;
};
/// SELECT, EXAMINE (RFC 7162 3.1.8, 3.2.5).
struct SelectArguments {
    std::string name;
    bool condstore = false;
    struct Resync {
        uint32_t uidvalidity;
        uint64_t modseq;
        std::optional<SequenceSet> known_uids;
        bool has_sequence_match;  // parsed, not needed: no expunge is ever forgotten here
    };
    std::optional<Resync> resync;
};
struct CreateArguments {
    std::string name;
    uint32_t special_use = 0;          // proto::SpecialUse (RFC 6154 3)
    bool unknown_special_use = false;  // one was named that no mailbox can have here
};
struct RenameArguments {
    std::string from;
    std::string to;
};

enum StatusItem : uint32_t {
    kStatusMessages = 1,
    kStatusRecent = 2,
    kStatusUidNext = 4,
    kStatusUidValidity = 8,
    kStatusUnseen = 16,
    kStatusSize = 32,             // RFC 8438
    kStatusDeleted = 64,          // RFC 9051 6.3.11
    kStatusAppendLimit = 128,     // RFC 7889 4
    kStatusHighestModSeq = 256,   // RFC 7162 3.1.7
    kStatusMailboxId = 512,       // RFC 8474 4.3
    kStatusDeletedStorage = 1024  // RFC 9208 4.1.4
};
struct StatusArguments {
    std::string name;
    uint32_t items = 0;  // StatusItem bits
};
struct ListArguments {
    std::string reference;              // still encoded
    std::vector<std::string> patterns;  // still encoded
    bool extended = false;              // in the syntax of RFC 5258
    bool select_subscribed = false;
    bool select_special_use = false;
    bool recursive_match = false;
    bool return_subscribed = false;
    bool return_children = false;
    uint32_t return_status = 0;                // StatusItem bits, 0: none
    bool return_my_rights = false;             // RFC 8440 3
    std::vector<std::string> return_metadata;  // names of annotations (RFC 9590 3)
};
/// GENURLAUTH, URLFETCH (RFC 4467 7, RFC 5524 3).
enum UrlItem : uint32_t { kUrlBody = 1, kUrlBinary = 2, kUrlStructure = 4 };
struct UrlArguments {
    struct Item {
        std::string url;
        std::string mechanism;  // upper case; of GENURLAUTH
        bool extended = false;  // what is wanted was said
        uint32_t wanted = 0;    // UrlItem bits; of URLFETCH
    };
    std::vector<Item> urls;
};
struct ResetKeyArguments {
    std::string mailbox;  // empty: all
};
struct CompressArguments {
    std::string mechanism;  // upper case
};
struct QuotaArguments {
    std::string root;
};
/// GETMETADATA (RFC 5464 4.2).
struct GetMetadataArguments {
    std::string mailbox;  // empty: the account
    std::optional<uint32_t> max_size;
    enum class Depth : uint8_t { none, one, infinity, kEnd };
    Depth depth = Depth::none;
    std::vector<std::string> names;  // lower case
};
/// SETMETADATA (RFC 5464 4.3).
struct SetMetadataArguments {
    std::string mailbox;
    std::vector<proto::MetadataEntry> entries;
};
/// SETACL, DELETEACL and LISTRIGHTS (RFC 4314 3), the last two without change and rights.
struct AclArguments {
    std::string mailbox;
    std::string identifier;  // prepared (RFC 4013), with its '-'
    proto::AclChange change = proto::AclChange::replace;
    uint32_t rights = 0;  // proto::Right bits
};
/// APPEND and REPLACE up to the first message's bytes, which are not here: they follow in the stream.
struct AppendArguments {
    std::string mailbox;
    std::optional<SequenceSet> replaced;  // one number (RFC 8508 3)
    std::vector<AppendStep> steps;
    AppendParser parser;  // for what comes behind them
};
struct ExpungeArguments {
    std::optional<SequenceSet> uids;  // UID EXPUNGE (RFC 4315 2.1)
};

/// A part of a message to be fetched: BODY[numbers.kind]<offset.count>, BINARY[numbers]<offset.count>,
/// BINARY.SIZE[numbers] (RFC 9051 6.4.5).
struct Section {
    enum class Form : uint8_t { body, binary, binary_size, kEnd };
    Form form = Form::body;
    enum class Kind : uint8_t { whole, header, header_fields, header_fields_not, text, mime, kEnd };
    std::vector<uint32_t> numbers;
    Kind kind = Kind::whole;
    std::vector<std::string> fields;
    struct Partial {
        uint64_t offset;
        uint64_t count;
    };
    std::optional<Partial> partial;
    bool peek = false;
    std::string label;  // how the answer names it: "BODY[1.MIME]<0>", "RFC822"
};
enum FetchItem : uint32_t {
    kFetchUid = 1,
    kFetchFlags = 2,
    kFetchInternalDate = 4,
    kFetchSize = 8,
    kFetchEnvelope = 16,
    kFetchBody = 32,
    kFetchBodyStructure = 64,
    kFetchModSeq = 128,    // RFC 7162 3.1.4.2
    kFetchSaveDate = 256,  // RFC 8514 4.2
    kFetchEmailId = 512,   // RFC 8474 5.2
    kFetchThreadId = 1024,
    kFetchPreview = 2048  // RFC 8970 3.1
};
/// What is to be told of messages.
struct FetchAttributes {
    uint32_t items = 0;  // FetchItem bits
    std::vector<Section> sections;
};
struct SearchKey {
    enum class Kind : uint8_t {
        all,
        none,
        set,
        uid_set,
        flags,
        no_flags,
        keyword,
        no_keyword,
        before,
        on,
        since,
        sent_before,
        sent_on,
        sent_since,
        larger,
        smaller,
        older,
        younger,
        modseq,
        saved_before,
        saved_on,
        saved_since,
        email_id,
        from,
        to,
        cc,
        bcc,
        subject,
        header,
        body,
        text,
        not_,
        or_,
        and_,
        filter,  // a search kept under a name: never in a Search
        kEnd
    };
    Kind kind = Kind::all;
    bool fuzzy = false;               // RFC 6203 3
    std::vector<SearchKey> children;  // not_: 1, or_: 2, and_: any
    SequenceSet numbers;
    uint32_t bits = 0;  // flags, no_flags
    std::string text;   // what is searched for, the keyword, or the filter's name
    std::string field;  // header
    mail::Date date;
    uint64_t size = 0;  // larger, smaller; older, younger: seconds; modseq
};
/// What RETURN asks for (RFC 4731 3.1, RFC 5182 2.1).
enum SearchReturn : uint32_t {
    kReturnMin = 1,
    kReturnMax = 2,
    kReturnAll = 4,
    kReturnCount = 8,
    kReturnSave = 16,
    kReturnRelevancy = 32  // RFC 6203 4
};
struct SearchReturns {
    bool given = false;  // RETURN was there
    uint32_t items = 0;  // SearchReturn bits; with RETURN () that of ALL
    std::optional<PartialRange> partial;
    bool context = false;               // RFC 5267 4.2: a hint, of no use here
    bool update = false;                // RFC 5267 4.3
    FetchAttributes update_attributes;  // of new messages that match (RFC 5465 7)
};
struct SearchArguments {
    SearchReturns returns;
    std::string charset;  // upper case, empty: none named
    SearchKey key;
};

/// ESEARCH (RFC 7377 2).
struct EsearchArguments {
    std::vector<MailboxFilter> sources;  // none: the selected mailbox
    SearchArguments search;
};
/// UIDBATCHES (RFC 10022).
struct UidBatchesArguments {
    uint32_t size = 0;
    std::optional<std::pair<uint32_t, uint32_t>> batches;  // of those from the end of the mailbox
};
/// CANCELUPDATE (RFC 5267 4.3.5).
struct CancelUpdateArguments {
    std::vector<std::string> tags;
};

struct SortKey {
    enum class Kind : uint8_t { arrival, cc, date, from, size, subject, to, display_from, display_to, relevancy, kEnd };
    Kind kind = Kind::arrival;
    bool reverse = false;
};
/// SORT (RFC 5256 3, RFC 5267 3, RFC 5957).
struct SortArguments {
    std::vector<SortKey> keys;
    SearchArguments search;
};
/// THREAD (RFC 5256 3).
struct ThreadArguments {
    enum class Algorithm : uint8_t { ordered_subject, references, kEnd };
    Algorithm algorithm = Algorithm::references;
    SearchArguments search;
};

struct FetchArguments : FetchAttributes {
    SequenceSet set;
    std::optional<uint64_t> changed_since;  // RFC 7162 3.1.4.1
    bool vanished = false;                  // RFC 7162 3.2.6
    std::optional<PartialRange> partial;    // RFC 9394 3.3
};
struct StoreArguments {
    SequenceSet set;
    std::optional<uint64_t> unchanged_since;  // RFC 7162 3.1.3
    enum class Mode : uint8_t { replace, add, remove, kEnd };
    Mode mode = Mode::replace;
    bool silent = false;
    FlagList flags;
};
struct CopyArguments {
    SequenceSet set;
    std::string mailbox;
};

/// What NOTIFY may ask for (RFC 5465 5).
enum NotifyEvent : uint32_t {
    kMessageNew = 1,
    kMessageExpunge = 2,
    kFlagChange = 4,
    kAnnotationChange = 8,  // not supported
    kMailboxName = 16,
    kSubscriptionChange = 32,
    kMailboxMetadataChange = 64,
    kServerMetadataChange = 128,
    kMessageEvents = kMessageNew | kMessageExpunge | kFlagChange | kAnnotationChange
};
struct EventGroup {
    MailboxFilter filter;
    uint32_t events = 0;         // NotifyEvent bits; none: NONE
    FetchAttributes attributes;  // of messages that are new in the selected mailbox
};
/// NOTIFY SET, or without groups NONE.
struct NotifyArguments {
    bool status = false;
    bool unsupported = false;  // an event was named that is not there
    std::vector<EventGroup> groups;
};

using Arguments =
    std::variant<NoArguments, LoginArguments, AuthenticateArguments, IdArguments, EnableArguments, MailboxArguments,
                 SelectArguments, CreateArguments, RenameArguments, StatusArguments, ListArguments, AppendArguments,
                 ExpungeArguments, SearchArguments, SortArguments, ThreadArguments, CompressArguments, QuotaArguments,
                 GetMetadataArguments, SetMetadataArguments, AclArguments, FetchArguments, StoreArguments,
                 CopyArguments, NotifyArguments, CancelUpdateArguments, EsearchArguments, UidBatchesArguments,
                 LanguageArguments, UrlArguments, ResetKeyArguments>;

struct Command {
    std::string tag;
    Verb verb = Verb::noop;
    Numbers numbers = Numbers::sequence;
    Arguments arguments;
};

/// Bounds of a command beyond those of its text.
constexpr size_t kMaxDepth = 64;   // nested search keys
constexpr size_t kMaxKeys = 2000;  // of one SEARCH
constexpr size_t kMaxSortKeys = 20;
constexpr size_t kMaxCancelled = 100;  // tags of one CANCELUPDATE
constexpr size_t kMaxSections = 100;   // BODY[...] of one FETCH

/// The verb's name, upper case, for metrics and logs.
std::string_view to_string(Verb verb);

/// The tag at the start of a command's text, or nothing: then the answer can only be untagged.
std::string find_tag(std::string_view text);

/// A whole command (RFC 3501 9 command), without its final CRLF, literals in place. Throws SyntaxError. APPEND and
/// REPLACE end before their first message's literal.
Command parse_command(std::string_view text, NameForm names = NameForm::utf7);

/// Search keys by themselves, as a filter has them (RFC 5466 4 search-criteria). Throws SyntaxError.
SearchKey parse_search_criteria(std::string_view text);
/// Whether it is the name of a filter (RFC 5466 4 filter-name).
bool is_filter_name(std::string_view name);

/// True when the literal that begins at `literal` is message content of an APPEND or REPLACE: mailbox and a space are
/// there, and it is no URL of CATENATE.
bool is_message_literal(std::string_view text, size_t literal);
/// The same behind a message that has been there.
bool is_further_message_literal(std::string_view text, size_t literal);

}  // namespace mox::imapd
