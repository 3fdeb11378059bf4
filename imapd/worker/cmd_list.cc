// LIST, LSUB (RFC 3501 6.3.8, 6.3.9) with the extended forms of RFC 5258, special uses of RFC 6154, and STATUS,
// METADATA and MYRIGHTS in LIST of RFC 5819, RFC 9590 and RFC 8440.
#include <algorithm>

#include "common/text/ascii.h"
#include "imapd/worker/commands.h"
#include "imapd/worker/list_entries.h"
#include "imapd/worker/list_match.h"

namespace mox::imapd {
namespace {

std::vector<std::string> full_patterns(const ListArguments& args) {
    std::vector<std::string> out;
    for (const auto& pattern : args.patterns) {
        std::string full = args.reference + pattern;
        // RFC 3501 5.1: INBOX in any case
        if (text::istarts_with(full, "inbox") &&
            (full.size() == 5 || full[5] == '/' || full[5] == '*' || full[5] == '%'))
            full.replace(0, 5, "INBOX");
        out.push_back(std::move(full));
    }
    return out;
}

bool matches_any(const std::vector<std::string>& patterns, std::string_view name) {
    return std::ranges::any_of(patterns, [&](const auto& pattern) { return matches_pattern(pattern, name); });
}

// RFC 5258 3: what is selected must meet all options; without SUBSCRIBED it must exist.
bool is_selected(const Entry& entry, const ListArguments& args) {
    if (args.select_special_use && (entry.mailbox == nullptr || entry.mailbox->special_use == 0)) return false;
    return args.select_subscribed ? entry.subscribed : entry.mailbox != nullptr;
}

void select_entries(Entries& entries, const ListArguments& args) {
    auto patterns = full_patterns(args);
    for (auto& [name, entry] : entries) {
        entry.selected = is_selected(entry, args);
        entry.matches = matches_any(patterns, name);
        if (!args.recursive_match || !entry.selected || entry.matches) continue;
        // RFC 5258 3.5: CHILDINFO only for what is not returned itself
        for_each_parent(name, [&](const std::string& parent) { entries[parent].has_hidden_below = true; });
    }
}

// RFC 3501 6.3.8: with % at the end also levels that are no mailbox, as those above what others share
bool is_level(const Entry& entry, const ListArguments& args) {
    bool plain = !args.select_subscribed && !args.select_special_use;
    return plain && entry.mailbox == nullptr && entry.has_children &&
           std::ranges::any_of(args.patterns, [](const auto& pattern) { return pattern.ends_with('%'); });
}

async::Task<void> write_entry(Session& session, const std::string& name, const Entry& entry,
                              const ListArguments& args) {
    std::string out = "* LIST (";
    append_attributes(out, entry, args.extended ? Absent::nonexistent : Absent::noselect,
                      args.return_subscribed || args.select_subscribed);
    out += ") \"/\" ";
    mail::append_astring(out, name, session.features().strings());
    if (entry.has_hidden_below) {  // RFC 5258 3.5: the options that what is below meets
        out += R"( ("CHILDINFO" ()";
        if (args.select_subscribed) out += R"("SUBSCRIBED")";
        if (args.select_special_use) out += args.select_subscribed ? R"( "SPECIAL-USE")" : R"("SPECIAL-USE")";
        out += "))";
    }
    session.stream().write(out + "\r\n");
    // RFC 5819 2, RFC 9590 3: nothing more of what cannot be selected; RFC 8440 4: nor of what does not itself match
    if (entry.mailbox == nullptr || !entry.selected) co_return;
    uint32_t rights = entry.mailbox->rights;
    if (args.return_my_rights) write_my_rights(session, entry.mailbox->name, rights);
    if (args.return_status != 0 && (rights & proto::kReadRight))
        co_await write_status(session, *entry.mailbox, args.return_status);
    bool annotated = (rights & proto::kAnnotationRights) != 0 && !args.return_metadata.empty();  // RFC 5464 3.3
    if (annotated) co_await write_metadata(session, entry.mailbox->name, args.return_metadata);
}

}  // namespace

async::Task<Answer> cmd_list(Session& session, const Command& command) {
    const auto& args = std::get<ListArguments>(command.arguments);
    if (!args.extended && args.patterns.front().empty()) {
        session.untagged(R"(LIST (\Noselect) "/" "")");  // RFC 3501 6.3.8: asks for the separator
        co_return Answer{Answer::Status::ok, "done"};
    }
    auto list = co_await session.ask(proto::ListMailboxes{});
    auto entries = make_entries(list, session.features().names());
    select_entries(entries, args);
    if (args.return_status & kStatusHighestModSeq) session.enable_condstore();  // RFC 7162 3.1
    for (const auto& [name, entry] : entries) {
        bool told = entry.selected || entry.has_hidden_below || is_level(entry, args);
        if (!entry.matches || !told) continue;
        co_await write_entry(session, name, entry, args);
        co_await session.flush_some();
    }
    co_return Answer{Answer::Status::ok, "done"};
}

async::Task<Answer> cmd_lsub(Session& session, const Command& command) {
    const auto& args = std::get<ListArguments>(command.arguments);
    auto list = co_await session.ask(proto::ListMailboxes{});
    auto entries = make_entries(list, session.features().names());
    auto patterns = full_patterns(args);
    bool percent = patterns.front().ends_with('%');
    for (const auto& [name, entry] : entries) {
        // RFC 3501 6.3.9: with %, a name that is not subscribed but has such children is told with \Noselect
        bool parent = !entry.subscribed && entry.has_subscribed_below && percent;
        if ((!entry.subscribed && !parent) || !matches_any(patterns, name)) continue;
        std::string out = parent ? "* LSUB (\\Noselect) \"/\" " : "* LSUB () \"/\" ";
        mail::append_astring(out, name, session.features().strings());
        session.stream().write(out + "\r\n");
        co_await session.flush_some();
    }
    co_return Answer{Answer::Status::ok, "done"};
}

}  // namespace mox::imapd
