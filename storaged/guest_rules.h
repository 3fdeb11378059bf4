// How far each message of an account channel reaches into the mailboxes of others, and which rights that takes of who
// sends it (RFC 4314 4).
//
// This is the one table: a message without a row does not compile, and what its row does not let through never gets to
// the other's store (AccountChannel::carry_out). Rights on what a message names besides (where copies go, the parent of
// a new name) and for single flags are asked for by the operation, see MailStore::find_for.
#pragma once

#include "common/ipc/message.h"
#include "proto/account.h"

namespace mox::storaged {

enum class Reach : uint8_t {
    own,      // the channel's account, whatever it says
    mailbox,  // the mailbox that it names first
    parent,   // the same, which does not exist: rights on the nearest mailbox above it
    each,     // several mailboxes: those with too few rights are left out
    token,    // of whoever a token says, whatever rights there are (url_tokens.cc)
    kEnd
};
struct GuestRule {
    ipc::Kind kind;
    Reach reach;
    uint32_t all_of = 0;  // Right bits
    uint32_t any_of = 0;  // one of these; 0: none needed
};

constexpr uint32_t kAnyRight = proto::kLookupRight | proto::kReadRight | proto::kInsertRight | proto::kCreateRight |
                               proto::kDeleteMailboxRight | proto::kAdminRight;
constexpr uint32_t kRemoveRights = proto::kReadRight | proto::kDeleteMessageRight | proto::kExpungeRight;

constexpr GuestRule kGuestRules[] = {
    {proto::AskAccount::kKind, Reach::own},
    {proto::CreateSpool::kKind, Reach::own},
    {proto::DropSpool::kKind, Reach::own},
    {proto::Subscribe::kKind, Reach::own},     // RFC 4314 4: no right is needed, the name need not exist
    {proto::FindText::kKind, Reach::own},      // the index speaks of all mailboxes at once
    {proto::IndexWords::kKind, Reach::own},    // and nobody else's word is taken for what is in it
    {proto::MakeUrlToken::kKind, Reach::own},  // to let others in is for the owner
    {proto::ResetUrlKeys::kKind, Reach::own},
    {proto::OpenUrl::kKind, Reach::token},
    // Threads go through all mailboxes, and their messages are of parses that a guest may not see.
    {proto::GetUnthreaded::kKind, Reach::own},
    {proto::AssignThreads::kKind, Reach::own},
    {proto::GetThreads::kKind, Reach::own},
    {proto::FindThread::kKind, Reach::own},
    {proto::GetUnlearned::kKind, Reach::own},  // what is junk the owner says
    {proto::LearnMessages::kKind, Reach::own},
    {proto::ListMailboxes::kKind, Reach::each, proto::kLookupRight},
    {proto::GetMailboxes::kKind, Reach::each, proto::kReadRight},
    {proto::CreateMailbox::kKind, Reach::parent, proto::kCreateRight},
    {proto::DeleteMailbox::kKind, Reach::mailbox, proto::kDeleteMailboxRight},
    {proto::RenameMailbox::kKind, Reach::mailbox, proto::kDeleteMailboxRight},  // k for the new parent: rename()
    {proto::GetQuota::kKind, Reach::mailbox, proto::kReadRight},                // RFC 9208 6
    {proto::GetMetadata::kKind, Reach::mailbox, proto::kLookupRight, proto::kAnnotationRights},  // RFC 5464 3.3
    {proto::SetMetadata::kKind, Reach::mailbox, proto::kLookupRight | proto::kWriteRight},       // stricter than that
    {proto::GetAcl::kKind, Reach::mailbox, proto::kAdminRight},
    {proto::SetAcl::kKind, Reach::mailbox, proto::kAdminRight},
    {proto::GetFixedRights::kKind, Reach::mailbox, proto::kAdminRight},  // LISTRIGHTS
    {proto::GetMyRights::kKind, Reach::mailbox, 0, kAnyRight},
    {proto::OpenMailbox::kKind, Reach::mailbox, proto::kReadRight},
    {proto::GetChanges::kKind, Reach::mailbox, proto::kReadRight},
    {proto::FetchInfos::kKind, Reach::mailbox, proto::kReadRight},
    {proto::OpenMessages::kKind, Reach::mailbox, proto::kReadRight},
    {proto::StoreFlags::kKind, Reach::mailbox, proto::kReadRight},    // s, t, w by flag: store_flags()
    {proto::CopyMessages::kKind, Reach::mailbox, proto::kReadRight},  // i there: copy()
    {proto::MoveMessages::kKind, Reach::mailbox, kRemoveRights},      // RFC 6851 4.2; i there: move()
    {proto::Expunge::kKind, Reach::mailbox, proto::kReadRight | proto::kExpungeRight},
    {proto::AppendMessages::kKind, Reach::mailbox, proto::kInsertRight},  // what is replaced: append()
};

/// The row of a message; without one it does not compile.
template <class M>
consteval GuestRule guest_rule() {
    for (const GuestRule& rule : kGuestRules)
        if (rule.kind == M::kKind) return rule;
    throw "this message has no row in kGuestRules";
}

/// The mailbox that a message names first, by its id when that is not 0, else by its name.
struct NamedMailbox {
    std::string name;
    proto::MailboxId id;
};
template <class M>
NamedMailbox named_mailbox(const M& message) {
    if constexpr (requires { message.from_name; })
        return {message.from_name, {}};
    else if constexpr (requires { message.id; })
        return {message.name, message.id};
    else if constexpr (requires { message.name; })
        return {message.name, {}};
    else if constexpr (requires { message.mailbox.value; })
        return {{}, message.mailbox};
    else
        return {message.mailbox, {}};
}
/// Puts another name, or id, there.
template <class M>
void set_named_mailbox(M& message, NamedMailbox named) {
    if constexpr (requires { message.from_name; })
        message.from_name = std::move(named.name);
    else if constexpr (requires { message.mailbox.value; })
        message.mailbox = named.id;
    else if constexpr (requires { message.name; })
        message.name = std::move(named.name);
    else
        message.mailbox = std::move(named.name);
    if constexpr (requires { message.id; }) message.id = named.id;
}

template <class... M>
consteval bool all_have_rules(ipc::Messages<M...>) {
    (guest_rule<M>(), ...);
    return sizeof...(M) == std::size(kGuestRules);
}
static_assert(all_have_rules(proto::AccountMessages{}));

}  // namespace mox::storaged
