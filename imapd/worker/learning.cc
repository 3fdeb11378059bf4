#include "imapd/worker/learning.h"

#include "common/log/log.h"
#include "common/mail/junk_words.h"
#include "common/mail/words.h"
#include "imapd/worker/stored_message.h"

namespace mox::imapd {
namespace {

static_assert(mail::kMaxJunkWords == proto::kMaxJunkWords);

// Of the file alone: what is in front of it was put there by this server. Nothing when it cannot be read.
std::optional<std::vector<uint64_t>> words_of(proto::MessageFile file) {
    file.prefix.clear();
    StoredMessage message(std::move(file));
    mail::ReadAt read = [&](uint64_t offset, std::span<char> into) { return message.read(offset, into); };
    auto words = mail::junk_words(mail::word_list({message.info(), read}));
    if (message.has_failed()) return std::nullopt;
    return words;
}

}  // namespace

async::Task<void> learn_messages(Account& account) {
    for (;;) {
        auto unlearned = co_await account.call(proto::GetUnlearned{});
        if (!unlearned || unlearned->messages.empty()) co_return;
        proto::LearnMessages request;
        for (auto& one : unlearned->messages) {
            uint64_t content = one.message.content.number;
            auto words = words_of(std::move(one.message));
            if (!words) log::warn("a message cannot be learned: it cannot be read", {{"content", content}});
            // Without words: or it would be asked for again and again.
            request.messages.push_back({content, one.was, one.wanted, words.value_or(std::vector<uint64_t>())});
            co_await async::Yield();  // a large message takes its time: the sessions have their turn
        }
        if (!co_await account.call(std::move(request))) co_return;
    }
}

}  // namespace mox::imapd
