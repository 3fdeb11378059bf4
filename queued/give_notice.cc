#include "queued/give_notice.h"

#include "common/incoming/content.h"
#include "common/ipc/codec.h"
#include "common/mail/mime_parser.h"
#include "common/mail/words.h"

namespace mox::queued {
namespace {

/// Fills in the content and what is known of it, and asks storaged.
template <class M>
async::Task<Result<typename M::Reply>> give(Peers& peers, M message, std::string text) {
    incoming::Content<ipc::Link> content(peers.storage);
    co_await content.add(text);
    mail::MessageInfo info = mail::parse_message(text);
    message.facts.words = mail::word_list_of(content, info);
    content.finish();
    if (content.error()) co_return std::unexpected(*content.error());
    message.facts.size = text.size();
    message.facts.received = {unix_now(), 0};
    message.facts.info = ipc::encode(info);
    message.facts.has_8bit = info.has_8bit_body || info.has_8bit_header;
    if (!info.envelopes.empty()) message.facts.message_id = info.envelopes[0].message_id.value_or("");
    content.give_to(message);
    co_return co_await peers.storage.call(std::move(message), kStorageTimeout);
}

// RFC 3464 2: a notice has the null reverse path.
async::Task<Result<ipc::Done>> send(Peers& peers, std::string to, std::string text) {
    proto::Enqueue enqueue{};
    enqueue.recipients = {std::move(to)};
    auto enqueued = co_await give(peers, std::move(enqueue), std::move(text));
    if (!enqueued) co_return std::unexpected(std::move(enqueued.error()));
    co_return ipc::Done{};
}

async::Task<Result<ipc::Done>> store(Peers& peers, std::string account, std::string to, std::string text) {
    proto::Deliver deliver{};
    deliver.targets.push_back({std::move(account), "", "Return-Path: <>\r\nDelivered-To: " + to + "\r\n"});
    deliver.targets[0].words = mail::header_word_list(deliver.targets[0].prefix);
    auto outcome = co_await give(peers, std::move(deliver), std::move(text));
    if (!outcome) co_return std::unexpected(std::move(outcome.error()));
    if (outcome->targets.size() != 1) co_return temporary(ErrorCode::internal, "no outcome of the delivery");
    if (auto& error = outcome->targets[0].error) co_return std::unexpected(std::move(*error));
    co_return ipc::Done{};
}

async::Task<std::string> postmaster_account(Peers& peers, std::string hostname) {
    auto where = co_await peers.auth.call(proto::ResolveAddress{"postmaster@" + hostname}, kLookupTimeout);
    if (where && where->status == proto::AddressStatus::local) co_return where->account;
    co_return std::string();
}

}  // namespace

async::Task<Result<ipc::Done>> give_notice(Peers& peers, Notice kind, NoticeAddressee to, std::string text) {
    if (to.account.empty()) co_return co_await send(peers, to.mail_from, std::move(text));
    auto done = co_await store(peers, to.account, to.mail_from, text);
    bool refused = !done && !done.error().is_temporary();  // the account is gone, or full
    if (!refused || kind != Notice::failed) co_return done;
    std::string postmaster = co_await postmaster_account(peers, to.hostname);
    if (postmaster.empty()) co_return done;
    co_return co_await store(peers, std::move(postmaster), to.mail_from, std::move(text));
}

}  // namespace mox::queued
