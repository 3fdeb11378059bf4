#include "imapd/worker/thread_ids.h"

#include <algorithm>
#include <fmt/format.h>

#include "common/mail/info_codec.h"
#include "common/mail/message_id.h"
#include "common/text/ascii.h"
#include "common/text/hash.h"
#include "imapd/worker/base_subject.h"

namespace mox::imapd {
namespace {

// 0 is for none
uint64_t hash_of_id(std::string_view id) {
    std::string plain = text::to_lower(id);
    std::erase(plain, '"');
    return std::max<uint64_t>(text::hash64(plain), 1);
}

bool is_report(const mail::MessageInfo& info) {
    const mail::Part& root = info.parts[0];
    if (!text::iequals(root.type, "multipart") || !text::iequals(root.subtype, "report")) return false;
    return std::ranges::any_of(root.params, [](const auto& param) {  // RFC 3464 2
        return text::iequals(param.name, "report-type") && text::iequals(param.value, "delivery-status");
    });
}

// The closest first; with too many the oldest, where the thread began, and the closest.
void add_references(std::vector<uint64_t>& ids, const std::vector<std::string>& references) {
    size_t room = proto::kMaxThreadKeys - ids.size();
    size_t closest = references.size() <= room ? references.size() : room - 1;
    for (size_t i = 0; i < closest; i++) ids.push_back(hash_of_id(references[references.size() - 1 - i]));
    if (closest < references.size()) ids.push_back(hash_of_id(references.front()));
}

}  // namespace

proto::ThreadFacts thread_facts(uint64_t content, int64_t stored, const mail::MessageInfo& info) {
    proto::ThreadFacts facts{content, {}, 0, info.date ? info.date->unix_seconds : stored, false, {}};
    auto root = info.parts[0].envelope;
    if (!root) return facts;
    const mail::Envelope& envelope = info.envelopes[*root];
    auto ids_in = [](const auto& field, size_t max) {
        return field ? mail::parse_message_ids(*field, max) : std::vector<std::string>();
    };
    if (auto own = ids_in(envelope.message_id, 1); !own.empty()) facts.ids.push_back(hash_of_id(own.front()));
    // RFC 5322 3.6.4: In-Reply-To is for replies without References
    std::vector<std::string> references = info.references;
    if (references.empty()) references = ids_in(envelope.in_reply_to, proto::kMaxThreadKeys);
    facts.has_references = !references.empty();
    add_references(facts.ids, references);
    auto subject = base_subject(envelope.subject.value_or(""));
    facts.subject = subject.text.empty() ? 0 : std::max<uint64_t>(text::hash64(subject.text), 1);
    if (subject.is_reply) facts.role = proto::ThreadRole::reply;
    if (is_report(info)) facts.role = proto::ThreadRole::report;
    return facts;
}

std::string thread_id(const proto::ThreadId& thread) {
    return fmt::format("T{:x}-{:x}", thread.number, static_cast<uint64_t>(thread.born));
}

std::optional<proto::ThreadId> parse_thread_id(std::string_view id) {
    size_t dash = id.find('-');
    if (dash == std::string_view::npos || id.size() > 40) return std::nullopt;
    std::string text(id);
    char* end = nullptr;
    if (text[0] != 'T' && text[0] != 't') return std::nullopt;
    proto::ThreadId thread;
    thread.number = std::strtoull(text.c_str() + 1, &end, 16);
    thread.born = static_cast<int64_t>(std::strtoull(text.c_str() + dash + 1, &end, 16));
    // Written as we write it, and no other way.
    if (!text::iequals(thread_id(thread), id)) return std::nullopt;
    return thread;
}

void ThreadIds::append(std::string& out, uint64_t content) const {
    auto found = threads_.find(content);
    out += found == threads_.end() ? "NIL" : '(' + thread_id(found->second) + ')';
}

namespace {

// Another session may do the same at the same time: storaged takes each message once.
async::Task<void> catch_up(Session& session) {
    uint64_t done = 0;
    for (;;) {
        auto unthreaded = co_await session.ask(proto::GetUnthreaded{});
        if (unthreaded.messages.empty()) co_return;
        co_await session.tell_progress(done, 0);
        done += unthreaded.messages.size();
        proto::AssignThreads request;
        for (const auto& message : unthreaded.messages)
            request.messages.push_back(thread_facts(message.content, message.stored, mail::decode_info(message.info)));
        co_await session.ask(std::move(request));
        co_await async::Yield();
    }
}

// Adds what is known of the contents; true when all have a thread.
async::Task<bool> ask_threads(Session& session, std::vector<uint64_t> contents, ThreadIds& ids) {
    auto reply = co_await session.ask(proto::GetThreads{contents});
    if (reply.threads.size() != contents.size()) fail_no("[SERVERBUG] the threads cannot be read");
    bool all = true;
    for (size_t i = 0; i < contents.size(); i++) {
        bool known = reply.threads[i].number != 0;
        if (known) ids.add(contents[i], reply.threads[i]);
        all &= known;
    }
    co_return all;
}

}  // namespace

async::Task<ThreadIds> load_threads(Session& session, std::vector<uint32_t> indexes) {
    ThreadIds ids;
    if (proto::is_anothers(session.view().id())) co_return ids;
    std::vector<uint64_t> contents;
    for (uint32_t index : indexes) contents.push_back(session.view().rows()[index].content);
    if (contents.empty() || co_await ask_threads(session, contents, ids)) co_return ids;
    co_await catch_up(session);
    co_await ask_threads(session, contents, ids);
    co_return ids;
}

async::Task<std::vector<uint64_t>> find_thread(Session& session, std::string id) {
    auto thread = parse_thread_id(id);
    if (!thread) co_return std::vector<uint64_t>{};
    co_await catch_up(session);
    auto found = co_await session.ask(proto::FindThread{*thread});
    std::ranges::sort(found.contents);
    co_return std::move(found.contents);
}

}  // namespace mox::imapd
