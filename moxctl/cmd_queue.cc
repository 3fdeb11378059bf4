// queue list|kick|drop. A listing is asked for in pages and printed page by page, however long the queue is.
#include <algorithm>
#include <fmt/format.h>

#include "common/text/ascii.h"
#include "moxctl/command.h"

namespace mox::moxctl {
namespace {

constexpr uint32_t kPage = 500;
constexpr size_t kMaxIds = 10000;

std::string option(const Arguments& arguments, char letter) {
    auto found = arguments.options.find(letter);
    return found != arguments.options.end() ? found->second : std::string();
}

proto::QueueFilter filter_of(const Arguments& arguments) {
    proto::QueueFilter filter;
    filter.account = option(arguments, 'a');
    filter.sender = option(arguments, 'f');
    filter.recipient = option(arguments, 't');
    for (const auto& [letter, value] : arguments.options)
        if (value.empty()) throw UsageError(fmt::format("option -{} needs a value that is not empty", letter));
    if (arguments.words.size() > kMaxIds) throw UsageError("too many ids");
    for (const auto& word : arguments.words) {
        auto id = text::parse_number<uint64_t>(word);
        if (!id) throw UsageError(fmt::format("not an id: \"{}\"", word));
        filter.ids.push_back(*id);
    }
    // So that an id that is given twice does not look like one that is missing.
    std::ranges::sort(filter.ids);
    filter.ids.erase(std::ranges::unique(filter.ids).begin(), filter.ids.end());
    return filter;
}

/// For commands that change something: nobody changes the whole queue by forgetting an argument.
proto::QueueFilter change_filter_of(const Arguments& arguments) {
    if (arguments.words == std::vector<std::string>{"all"} && arguments.options.empty()) return {};
    if (arguments.words.empty() && arguments.options.empty())
        throw UsageError("which messages? Give ids, options or all");
    return filter_of(arguments);
}

Json to_json(const proto::QueueEntry& e) {
    return {{"id", e.id},
            {"message", e.message},
            {"account", e.account},
            {"from", e.mail_from},
            {"to", e.recipient},
            {"size", e.size},
            {"queued", e.queued},
            {"attempts", e.attempts},
            {"last_attempt", e.last_attempt},
            {"next_attempt", e.next_attempt},
            {"last_error", e.last_error},
            {"message_id", e.message_id}};
}

std::vector<std::string> to_row(const proto::QueueEntry& e, int64_t now) {
    using std::chrono::seconds;
    return {fmt::to_string(e.id),
            e.mail_from.empty() ? "<>" : e.mail_from,
            e.recipient,
            human_size(e.size),
            human_duration(seconds(now - e.queued)),
            fmt::to_string(e.attempts),
            e.next_attempt <= now ? "now" : human_duration(seconds(e.next_attempt - now)),
            e.last_error};
}

class Listing {
  public:
    Listing(Output& output, int64_t now) : output_(output), now_(now) {
        if (output_.format == Format::json) output_.raw("{\"messages\": [");
    }
    void add(const std::vector<proto::QueueEntry>& entries) {
        for (const auto& entry : entries) {
            count_++;
            if (output_.format == Format::text) {
                table_.add(to_row(entry, now_));
                continue;
            }
            output_.raw(count_ > 1 ? ",\n" : "\n");
            output_.raw(to_text(to_json(entry)));
        }
        if (output_.format == Format::text && count_ > 0) output_.raw(table_.take());
    }
    void end() {
        if (output_.format == Format::json)
            output_.raw("]}\n");
        else if (count_ == 0)
            output_.say("no messages");
    }

  private:
    Output& output_;
    int64_t now_;
    uint64_t count_ = 0;
    Table table_{{{"ID", Align::right},
                  {"FROM"},
                  {"TO"},
                  {"SIZE", Align::right},
                  {"AGE", Align::right},
                  {"ATTEMPTS", Align::right},
                  {"NEXT", Align::right},
                  {"LAST ERROR"}}};
};

void report(Context& context, const proto::QueueFilter& filter, uint64_t count, std::string_view done) {
    if (count < filter.ids.size())
        throw Failed(
            Error{Persistence::permanent, ErrorCode::not_found,
                  fmt::format("{} {} of {}: the others are not in the queue", count, done, filter.ids.size())});
    context.output.say(fmt::format("{} {}", count, done), {{"count", count}});
}

}  // namespace

void cmd_queue_list(Context& context, const Arguments& arguments) {
    proto::QueueFilter filter = filter_of(arguments);
    // Before anything is printed, since this may fail.
    auto page = context.moxd.call(proto::CtlQueueList{filter, 0, kPage});
    Listing listing(context.output, context.now);
    for (;;) {
        listing.add(page.entries);
        if (!page.more || page.entries.empty()) break;
        page = context.moxd.call(proto::CtlQueueList{filter, page.entries.back().id, kPage});
    }
    listing.end();
}

void cmd_queue_kick(Context& context, const Arguments& arguments) {
    proto::QueueFilter filter = change_filter_of(arguments);
    report(context, filter, context.moxd.call(proto::CtlQueueKick{filter}, kQueueLimit).count, "kicked");
}

void cmd_queue_drop(Context& context, const Arguments& arguments) {
    proto::QueueFilter filter = change_filter_of(arguments);
    report(context, filter, context.moxd.call(proto::CtlQueueDrop{filter}, kQueueLimit).count, "dropped");
}

}  // namespace mox::moxctl
