// What storaged does for an administrator's moxctl, on channels that moxd hands out: one for the mail of a single
// account (import and export), and one for the store as a whole (backup, verification, restoring).
//
// The account's channel is the same as a worker's (proto/account.h) with fewer messages and one more: what foreign
// archives are parsed into reaches that account and no other.
#pragma once

#include <cstdint>
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

/// Served by storaged on an account channel of moxctl.
using AdminAccountMessages =
    ipc::Messages<CreateSpool, DropSpool, ListMailboxes, CreateMailbox, OpenMailbox, OpenMessages, ImportMessages>;

/// For moxctl, which moxd passes the channel on to: it speaks for exactly this account.
struct OpenAccountForAdmin {
    MOX_MESSAGE(OpenAccountForAdmin, 0x0350, AccountChannel, from(Role::moxd))
    std::string account;
};

}  // namespace mox::proto
