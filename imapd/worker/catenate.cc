#include "imapd/worker/catenate.h"

#include "imapd/grammar/imap_url.h"
#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

[[noreturn]] void fail_url(std::string_view url, std::string_view reason) {
    fail_no("[BADURL " + printable_url(url) + "] " + std::string(reason));  // RFC 4469 4
}

async::Task<std::optional<proto::MailboxId>> find_mailbox_of(Session& session, MessageUrl url) {
    if (url.mailbox.empty()) {
        if (!session.selected()) co_return std::nullopt;
        co_return session.view().id();
    }
    auto mailbox = co_await find_mailbox(session, url.mailbox);
    if (!mailbox || (url.uidvalidity && *url.uidvalidity != mailbox->uidvalidity)) co_return std::nullopt;
    co_return mailbox->id;
}

}  // namespace

std::string printable_url(std::string_view url) {
    constexpr size_t kMax = 500;
    std::string out;
    for (char c : url.substr(0, kMax)) out += c > ' ' && c < 0x7f && c != ']' && c != '\\' ? c : '?';
    return out;
}

async::Task<UrlPart> find_part_of_url(Session& session, std::string url) {
    auto parsed = parse_message_url(url);
    if (!parsed) fail_url(url, "not the URL of a message here");
    auto mailbox = co_await find_mailbox_of(session, *parsed);
    if (!mailbox) fail_url(url, "no such mailbox");
    auto files = co_await session.ask(proto::OpenMessages{*mailbox, {{parsed->uid}}});
    if (!files.damaged.empty()) fail_url(url, "the message is damaged on disk");
    if (files.messages.empty()) fail_url(url, "no such message");
    StoredMessage message(std::move(files.messages.front()));
    auto range = message.locate(parsed->section);
    // Of fields picked from a header nothing is a range of the message.
    bool picked = parsed->section.kind == Section::Kind::header_fields ||
                  parsed->section.kind == Section::Kind::header_fields_not;
    if (!range || picked) fail_url(url, "no such part");
    if (!message.is_readable(parsed->section)) fail_url(url, "the message is damaged on disk");
    if (const auto& partial = parsed->section.partial) {
        uint64_t skip = std::min(partial->offset, range->length);
        range = mail::Range{range->offset + skip, std::min(partial->count, range->length - skip)};
    }
    co_return UrlPart{std::move(message), *range};
}

}  // namespace mox::imapd
