#include "storaged/mail_store.h"

// Searching by words: the index of them, as bitmaps of contents, which the worker brings together with its rows.

namespace mox::storaged {

Result<proto::TextFound> MailStore::find_text(const std::vector<proto::TextKey>& keys) {
    if (keys.empty() || keys.size() > proto::kMaxTextKeys)
        return permanent(ErrorCode::bad_request, "nothing to look for, or too much at once");
    uint64_t first = 0;
    uint64_t next = 0;
    {
        auto row = db().query("SELECT (SELECT min(id) FROM content), next_file FROM state");
        if (row.next()) first = row.number(0), next = row.number(1);
    }
    if (first == 0) first = next;  // no message
    auto hits = index_.find(db(), keys, first, next - first);
    if (!hits) return std::unexpected(std::move(hits.error()));
    proto::TextFound found{hits->first, hits->count, std::move(hits->keys), {}};
    MemoryFile bits;
    for (const ContentSet& set : hits->sets)
        bits.append(set.words().data(), set.words().size() * sizeof(set.words()[0]));
    found.bits = bits.seal();
    return found;
}

Result<proto::Done> MailStore::index_words(const std::vector<proto::ContentWords>& contents) {
    if (contents.size() > proto::kMaxIndexedAtOnce) return permanent(ErrorCode::bad_request, "too many at once");
    for (const auto& content : contents)
        if (!mail::is_word_list(content.words)) return permanent(ErrorCode::bad_request, "not a list of words");
    index_.add_missing(db(), contents);
    effects().index_due |= index_.is_due(db());
    return proto::Done{};
}

Result<proto::Done> MailStore::drop_index() {
    index_.drop(db());
    effects().index_due = true;
    return proto::Done{};
}

Result<bool> MailStore::build_index(int64_t now) {
    bool words = index_.step(db());
    return senders_.step(db(), now) || words;
}

uint64_t MailStore::check_part(uint64_t from, Repair repair, const std::function<void(std::string)>& report) {
    uint64_t next = index_.check(db(), from, repair, report);
    if (repair == Repair::drop_damaged) effects().index_due |= index_.is_due(db());
    return next;
}

}  // namespace mox::storaged
