// GETMETADATA, SETMETADATA (RFC 5464): annotations of mailboxes and, with an empty name, of the account. Of
// one's own mailboxes /private and /shared differ in name alone; of those of others there is /shared only.
#include <algorithm>

#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

// RFC 5464 4.2.2: the entry, or one below it as far down as was asked for
bool is_wanted(std::string_view entry, std::string_view name, GetMetadataArguments::Depth depth) {
    using Depth = GetMetadataArguments::Depth;
    if (entry == name) return true;
    if (depth == Depth::none || !entry.starts_with(name) || entry[name.size()] != '/') return false;
    return depth == Depth::infinity || entry.find('/', name.size() + 1) == std::string_view::npos;
}

void append_value(std::string& out, const std::string& value, mail::Utf8 utf8) {
    if (value.find('\0') == std::string::npos) return mail::append_string(out, value, utf8);
    out += "~{" + std::to_string(value.size()) + "}\r\n" + value;  // RFC 5464 5 value: literal8
}

class MetadataWriter {
  public:
    MetadataWriter(Session& session, const std::string& mailbox) : session_(session) {
        out_ = "* METADATA ";
        session.append_name(out_, mailbox);
    }
    void add(const std::string& name, const std::optional<std::string>& value) {
        out_ += std::exchange(any_, true) ? " " : " (";
        mail::append_astring(out_, name);
        out_ += ' ';
        if (value)
            append_value(out_, *value, session_.features().strings());
        else
            out_ += "NIL";
    }
    void finish() {
        if (any_) session_.stream().write(out_ + ")\r\n");
    }

  private:
    Session& session_;
    std::string out_;
    bool any_ = false;
};

// RFC 5466 3.2: what is kept as a filter is a whole search
void check_filters(const std::vector<proto::MetadataEntry>& entries) {
    for (std::string_view root : {"/private/filters/values/", "/shared/filters/values/"}) {
        for (const auto& entry : entries) {
            if (!entry.name.starts_with(root)) continue;
            std::string name = entry.name.substr(root.size());
            if (!is_filter_name(name)) fail_bad("not the name of a filter");
            try {
                if (entry.value) parse_search_criteria(*entry.value);
            } catch (const SyntaxError& error) {
                fail_no("the filter " + name + " is not a search: " + error.text);
            }
        }
    }
}

}  // namespace

async::Task<void> write_metadata(Session& session, std::string mailbox, std::vector<std::string> names) {
    auto all = co_await session.ask(proto::GetMetadata{mailbox});
    MetadataWriter writer(session, mailbox);
    for (const auto& name : names) {
        auto found = std::ranges::find(all.entries, name, &proto::MetadataEntry::name);
        writer.add(name, found == all.entries.end() ? std::nullopt : found->value);
    }
    writer.finish();
}

async::Task<Answer> cmd_getmetadata(Session& session, const Command& command) {
    const auto& args = std::get<GetMetadataArguments>(command.arguments);
    auto all = co_await session.ask(proto::GetMetadata{args.mailbox});
    MetadataWriter writer(session, args.mailbox);
    size_t longest = 0;
    for (const auto& name : args.names) {
        bool there = false;
        for (const auto& entry : all.entries) {
            if (!is_wanted(entry.name, name, args.depth)) continue;
            there = true;
            size_t size = entry.value.value_or("").size();
            if (args.max_size && size > *args.max_size)
                longest = std::max(longest, size);
            else
                writer.add(entry.name, entry.value);
        }
        if (!there && args.depth == GetMetadataArguments::Depth::none) writer.add(name, std::nullopt);
    }
    writer.finish();
    if (longest == 0) co_return Answer{Answer::Status::ok, "done"};
    // RFC 5464 4.2.1
    co_return Answer{Answer::Status::ok, "[METADATA LONGENTRIES " + std::to_string(longest) + "] done"};
}

async::Task<Answer> cmd_setmetadata(Session& session, const Command& command) {
    const auto& args = std::get<SetMetadataArguments>(command.arguments);
    for (const auto& entry : args.entries)
        if (entry.value && entry.value->size() > proto::kMaxMetadataValue)
            fail_no("[METADATA MAXSIZE " + std::to_string(proto::kMaxMetadataValue) + "] too large");  // RFC 5464 4.3
    if (args.mailbox.empty()) check_filters(args.entries);
    auto set = co_await session.account().call(proto::SetMetadata{args.mailbox, args.entries});
    if (!set && set.error().code == ErrorCode::over_quota) fail_no("[METADATA TOOMANY] too many annotations");
    bool has_private = std::ranges::any_of(args.entries, [](const auto& e) { return e.name.starts_with("/private/"); });
    if (!set && set.error().code == ErrorCode::denied && has_private)
        fail_no("[METADATA NOPRIVATE] private annotations are for the owner of the mailbox");  // RFC 5464 4.3
    if (!set) fail_storage(set.error(), "NONEXISTENT");
    std::vector<std::string> names;
    for (const auto& entry : args.entries) names.push_back(entry.name);
    session.touch_metadata(args.mailbox, names);
    session.expect_own_news();
    co_return Answer{Answer::Status::ok, "done"};
}

}  // namespace mox::imapd
