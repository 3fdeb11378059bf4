// What storaged does for an administrator's moxctl, on channels that moxd hands out: one for the mail of a single
// account (import and export), and one for the store as a whole (backup, verification, restoring).
//
// The account's channel is the same as a worker's (proto/account.h) with fewer messages and one more: what foreign
// archives are parsed into reaches that account and no other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/account.h"
#include "proto/storage.h"

namespace mox::proto {

constexpr size_t kImportKeySize = 20;       // bytes
constexpr size_t kMaxImportedAtOnce = 256;  // messages in one ImportMessages

/// A message on its way in, and by what it is known when the same source is imported again: a digest of its mailbox and
/// its bytes, made by the importer.
struct ImportItem {
    std::string key;  // kImportKeySize bytes
    AppendItem message;
};
enum class ImportState : uint8_t {
    added,
    added_without_keywords,  // without some of them: they are not allowed, or the mailbox has too many
    known,
    refused,
    kEnd
};
struct ImportOutcome {
    ImportState state;
    Error error;  // of refused
};
struct MessagesImported {
    std::vector<ImportOutcome> messages;  // in the order of the items
};
/// Adds each message that no import has added before; durable when answered. A source that has the same message several
/// times, within one `run`, gets it as often: the n-th is known when n were added before this run.
/// Errors (of all): not_found when the mailbox does not exist.
struct ImportMessages {
    MOX_MESSAGE(ImportMessages, 0x0450, MessagesImported, from(Role::moxctl))
    std::string mailbox;
    uint64_t run;  // a random number, the same for all messages of one import
    std::vector<ImportItem> items;
};

/// Forgets the index of words: the next searches read messages, until they are indexed again (IndexWords).
struct DropIndex {
    MOX_MESSAGE(DropIndex, 0x0451, Done, from(Role::moxctl))
};

/// An address that the account has written to.
struct KnownRecipient {
    std::string address;  // in lower case
    int64_t last;         // Unix seconds
    uint64_t count;
};
struct KnownRecipients {
    std::vector<KnownRecipient> recipients;  // by address
};
constexpr size_t kMaxRecipientsAtOnce = 1000;
/// Those behind `after`, by address, kMaxRecipientsAtOnce at a time. None: there are no more.
struct ListRecipients {
    MOX_MESSAGE(ListRecipients, 0x0452, KnownRecipients, from(Role::moxctl))
    std::string after;
};

/// The account's sessions in a browser.
struct ListWebSessions {
    MOX_MESSAGE(ListWebSessions, 0x0453, WebSessions, from(Role::moxctl))
};
/// Ends one, or with id 0 all. Error not_found.
struct RemoveWebSessions {
    MOX_MESSAGE(RemoveWebSessions, 0x0454, Done, from(Role::moxctl))
    uint64_t id;
};

/// The addresses in From of messages that are known, behind `after`, kMaxSendersAtOnce at a time. None: there are no
/// more. Messages without one are left out.
struct ListSenders {
    MOX_MESSAGE(ListSenders, 0x0455, KnownSenders, from(Role::moxctl))
    std::string after;
};
/// What is known of an address, a domain, a name or an IP, whichever facet of senders it is.
struct FindSender {
    MOX_MESSAGE(FindSender, 0x0456, SenderHistories, from(Role::moxctl))
    std::string who;
};
struct SendersForgotten {
    uint64_t messages;
};
/// Forgets the messages that FindSender finds; all when it is empty.
struct ForgetSenders {
    MOX_MESSAGE(ForgetSenders, 0x0457, SendersForgotten, from(Role::moxctl))
    std::string who;
};

struct GetJunkStatus {
    MOX_MESSAGE(GetJunkStatus, 0x0458, JunkStatus, from(Role::moxctl))
};
/// What is to become of the words that were learned: nothing is left of them, and nothing, or all messages that have
/// their flags now, are learned anew.
enum class JunkReset : uint8_t { forget, learn_anew, kEnd };
struct ResetJunkWords {
    MOX_MESSAGE(ResetJunkWords, 0x0459, Done, from(Role::moxctl))
    JunkReset reset;
};

/// Served by storaged on an account channel of moxctl.
using AdminAccountMessages =
    ipc::Messages<CreateSpool, DropSpool, ListMailboxes, CreateMailbox, OpenMailbox, OpenMessages, ImportMessages,
                  IndexWords, DropIndex, GetAcl, SetAcl, ListRecipients, ListWebSessions, RemoveWebSessions,
                  ListSenders, FindSender, ForgetSenders, GetJunkStatus, ResetJunkWords>;

/// For moxctl, which moxd passes the channel on to: it speaks for exactly this account.
struct OpenAccountForAdmin {
    MOX_MESSAGE(OpenAccountForAdmin, 0x0350, AccountChannel, from(Role::moxd))
    std::string account;
};

// ---- the store as a whole. A store is an account's or, where the account's name is empty, the queue's.

/// Message files lie in directories by the bits of their number above these: 5 is 0/5, 8193 is 1/8193.
constexpr unsigned kMessageDirectoryShift = 13;
constexpr size_t kMaxFilesAtOnce = 100;

struct StoreChannel {
    Fd channel;
};
struct OpenStoreForAdmin {
    MOX_MESSAGE(OpenStoreForAdmin, 0x0351, StoreChannel, from(Role::moxd))
};

struct StoreNames {
    std::vector<std::string> accounts;  // configured
    std::vector<std::string> removed;   // "NAME.TIME": accounts out of use
};
struct ListStores {
    MOX_MESSAGE(ListStores, 0x0352, StoreNames, from(Role::moxctl))
};

/// What becomes of files that no row knows: they are never deleted. With move_aside, also what is damaged of the index
/// of words is dropped: searches, or moxctl reindex, make it anew.
enum class Strays : uint8_t { leave, move_aside, kEnd };
struct StoreChecked {
    std::vector<std::string> problems;  // bounded; the last one then says that there are more
    uint64_t messages;                  // that are whole
    uint64_t moved_aside;
    uint64_t repaired = 0;  // problems of the index of words, which was dropped as far as it was damaged
};
/// Checks rows against each other, their indexes and their files. The store goes on working in between.
struct CheckStore {
    MOX_MESSAGE(CheckStore, 0x0353, StoreChecked, from(Role::moxctl))
    std::string account;
    Strays strays;
};

/// A file with one message; one of packed messages (common/pack/record.h): of that, what is behind `size` bytes belongs
/// to nobody; one with a compressed message (common/pack/frames.h). The numbers are those of Store::files_sql().
enum class FileKind : uint64_t { message = 0, pack = 1, compressed = 2, kEnd };
/// A row of the list of a store's message files: 24 bytes, ascending.
struct FileRow {
    uint64_t number;
    uint64_t size;
    FileKind kind;
};
static_assert(sizeof(FileRow) == 24);
struct BackupBegun {
    uint64_t backup;
    Fd database;     // read-only: a copy as of one moment
    Fd files;        // sealed memory file of FileRow: those that the copy speaks of; absent when count is 0
    uint64_t count;  // rows
    uint64_t messages;
    uint64_t history;  // of the store: when it is another one, the same numbers may be other files
};
/// From now on, until EndBackup or the end of the channel, no file that the copy speaks of is erased.
struct BeginBackup {
    MOX_MESSAGE(BeginBackup, 0x0354, BackupBegun, from(Role::moxctl))
    std::string account;
};
struct OpenedFile {
    uint64_t number;
    Fd file;
};
struct OpenedFiles {
    std::vector<OpenedFile> files;  // those that are there with the right size
};
struct OpenBackupFiles {
    MOX_MESSAGE(OpenBackupFiles, 0x0355, OpenedFiles, from(Role::moxctl))
    uint64_t backup;
    std::vector<FileRow> files;  // at most kMaxFilesAtOnce
};
struct EndBackup {
    MOX_MESSAGE(EndBackup, 0x0356, NoReply, from(Role::moxctl))
    uint64_t backup;
};

/// A database from a backup, copied to a place of its own, upgraded there if need be, and looked at.
struct Staged {
    uint64_t stage;
    Fd files;  // as BackupBegun's
    uint64_t count;
    uint64_t messages;
    std::vector<std::string> problems;  // of its rows
};
struct StageDatabase {
    MOX_MESSAGE(StageDatabase, 0x0357, Staged, from(Role::moxctl))
    std::string account;  // whose it is
    Fd database;
    uint64_t size;
};
/// Where the bytes of a message are.
struct StagedPlace {
    FileKind kind;
    uint64_t file;
    uint64_t offset;  // in a pack
    uint64_t length;  // in a pack: stored bytes; else of the file
};
struct StagedMessage {
    uint32_t uid;
    uint64_t content;
    uint64_t file_size;
    std::string prefix;
    uint32_t flags;
    std::vector<std::string> keywords;
    Timestamp received;
    StagedPlace place = {};
};
struct StagedMessages {
    std::vector<StagedMessage> messages;  // ascending; none: there are no more
};
/// The messages of a staged mailbox with a uid above `after`, some at a time. Errors: not_found.
struct ListStaged {
    MOX_MESSAGE(ListStaged, 0x0358, StagedMessages, from(Role::moxctl))
    uint64_t stage;
    std::string mailbox;
    uint32_t after;
};
struct StagedFile {
    uint64_t number;
    uint64_t size;
    Fd file;
};
/// Copies message files to a stage.
struct StageFiles {
    MOX_MESSAGE(StageFiles, 0x0359, Done, from(Role::moxctl))
    uint64_t stage;
    std::vector<StagedFile> files;  // at most kMaxFilesAtOnce
};
/// Puts a complete stage in the place of its account, which is moved to removed/. All mailboxes get new UIDVALIDITY
/// values. Errors: bad_request when a file is missing; not_found when the account is not configured.
struct InstallStage {
    MOX_MESSAGE(InstallStage, 0x035a, Done, from(Role::moxctl))
    uint64_t stage;
};
struct DropStage {
    MOX_MESSAGE(DropStage, 0x035b, NoReply, from(Role::moxctl))
    uint64_t stage;
};
/// Puts an account that was removed back; what has its name now is moved to removed/.
struct UndeleteAccount {
    MOX_MESSAGE(UndeleteAccount, 0x035c, Done, from(Role::moxctl))
    std::string account;
    std::string removed;  // as in StoreNames
};

/// Which logins, and of whom.
enum class LoginsWanted : uint8_t { all, failed, kEnd };
/// Where a list of logins goes on: behind this one.
struct LoginPosition {
    int64_t last = INT64_MAX;
    uint64_t number = INT64_MAX;
};
struct LoginHistory {
    std::vector<LoginAttempt> attempts;
    LoginPosition next;
};
/// The history of logins, newest first. None: there are no more.
struct ListLogins {
    MOX_MESSAGE(ListLogins, 0x035d, LoginHistory, from(Role::moxctl))
    std::optional<std::string> account;  // absent: of all; empty: of those that lead to no account
    LoginsWanted wanted;
    LoginPosition after;
    uint32_t limit;  // no more than kMaxLoginsAtOnce come at once
};

/// Served by storaged on a channel of moxctl.
using StoreAdminMessages = ipc::Messages<ListStores, CheckStore, BeginBackup, OpenBackupFiles, EndBackup, StageDatabase,
                                         ListStaged, StageFiles, InstallStage, DropStage, UndeleteAccount, ListLogins>;

}  // namespace mox::proto
