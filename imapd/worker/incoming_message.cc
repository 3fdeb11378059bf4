#include "imapd/worker/incoming_message.h"

#include <chrono>

#include "common/ipc/codec.h"
#include "common/mail/words.h"

namespace mox::imapd {
namespace {

proto::Timestamp timestamp(const std::optional<mail::DateTime>& given) {
    if (given) return {given->unix_seconds, given->zone_minutes};
    auto now = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::seconds>(now).count(), 0};
}

}  // namespace

IncomingMessage::IncomingMessage(Account& account, const AppendStep& step) : content_(account) {
    item_.flags = step.flags.bits;
    item_.keywords = step.flags.keywords;
    item_.received = timestamp(step.date);
}

async::Task<void> IncomingMessage::add(std::string_view bytes) {
    if (content_.error()) co_return;
    converted_.clear();
    endings_.convert(bytes, converted_);
    parser_.feed(converted_);
    co_await content_.add(converted_);
}

size_t IncomingMessage::finish() {
    auto info = parser_.finish();
    item_.words = mail::word_list_of(content_, info);
    content_.finish();
    item_.recipients = mail::recipient_addresses(info, proto::kMaxItemRecipients);
    has_nul_ = info.has_nul;
    item_.info = ipc::encode(info);
    size_t recipients = 0;
    for (const auto& address : item_.recipients) recipients += address.size();
    return item_.info.size() + item_.words.size() + recipients + (has_file() ? 0 : content_.size());
}

proto::AppendItem IncomingMessage::give() {
    item_.size = content_.size();
    content_.give_to(item_);
    return std::move(item_);
}

}  // namespace mox::imapd
