#include <ctime>

#include "storaged/mail_store.h"
#include "storaged/names.h"

// Messages of an import. `imported` remembers each by its key, in the same commit: an import that was interrupted at
// any point is simply made again, and adds what is missing.

namespace mox::storaged {

std::vector<std::string> MailStore::fitting_keywords(uint64_t mailbox, const std::vector<std::string>& names) {
    std::vector<std::string> fitting;
    for (const std::string& name : names)
        if (keyword_bits(mailbox, {name}, true)) fitting.push_back(name);
    return fitting;
}

// The same message may be in a source several times. `seen` counts how often the present run has met it: the n-th is
// known when there were n before.
Result<proto::ImportState> MailStore::import_one(const proto::Mailbox& mailbox, uint64_t run,
                                                 const ImportedMessage& message, uint64_t modseq) {
    uint64_t count = 0;
    uint64_t seen = 0;
    if (!message.key.empty()) {
        auto row = db().query("SELECT count, run, seen FROM imported WHERE key = ?", Blob{message.key});
        if (row.next()) {
            count = row.number(0);
            seen = row.number(1) == run ? row.number(2) : 0;
        }
    }
    auto state = seen < count ? proto::ImportState::known : proto::ImportState::added;
    if (state == proto::ImportState::added) {
        NewMessage m = message.message;
        m.keywords = fitting_keywords(mailbox.id.value, m.keywords);
        if (m.keywords != message.message.keywords) state = proto::ImportState::added_without_keywords;
        if (over_quota(m.prefix.size() + m.content->size()))
            return permanent(ErrorCode::over_quota, "the account may not hold more");
        auto uid = add_message(mailbox, m, modseq);
        if (!uid) return std::unexpected(uid.error());
        count++;
    }
    if (!message.key.empty())
        db().run("INSERT OR REPLACE INTO imported VALUES (?, ?, ?, ?, ?)", Blob{message.key}, count, run, seen + 1,
                 std::time(nullptr));
    return state;
}

Result<proto::MessagesImported> MailStore::import(const std::string& name, uint64_t run,
                                                  const std::vector<ImportedMessage>& messages) {
    auto canonical = canonical_mailbox_name(name);
    if (!canonical) return std::unexpected(canonical.error());
    auto mailbox = find(*canonical);
    if (!mailbox) return permanent(ErrorCode::not_found, "no such mailbox");
    for (const ImportedMessage& message : messages)
        if (!message.key.empty() && message.key.size() != proto::kImportKeySize)
            return permanent(ErrorCode::bad_request, "a key does not have the right size");
    proto::MessagesImported imported;
    ModSeqs modseqs(*this);
    for (const ImportedMessage& message : messages) {
        auto state = import_one(*mailbox, run, message, modseqs.for_row());
        if (state)
            imported.messages.push_back({*state, {}});
        else
            imported.messages.push_back({proto::ImportState::refused, std::move(state.error())});
    }
    return imported;
}

}  // namespace mox::storaged
