#include "imapd/worker/search_program.h"

#include <algorithm>

#include "imapd/worker/batches.h"
#include "imapd/worker/search_run.h"
#include "imapd/worker/thread_ids.h"

namespace mox::imapd {
namespace {

using Kind = SearchKey::Kind;

bool has_filter(const SearchKey& key) {
    return key.kind == Kind::filter || std::ranges::any_of(key.children, has_filter);
}

bool is_any(const SearchKey&) {
    return true;
}

bool is_thread(const SearchKey& key) {
    return key.kind == Kind::thread_id;
}

size_t count_keys(const SearchKey& key, bool (*counts)(const SearchKey&)) {
    size_t count = counts(key) ? 1 : 0;
    for (const auto& child : key.children) count += count_keys(child, counts);
    return count;
}

bool is_text(Kind kind) {
    constexpr Kind kTexts[] = {Kind::from,    Kind::to,     Kind::cc,   Kind::bcc,
                               Kind::subject, Kind::header, Kind::body, Kind::text};
    return std::ranges::find(kTexts, kind) != std::end(kTexts);
}

// Puts filters in place of their names, within bounds whatever they hold.
class Expansion {
  public:
    explicit Expansion(const proto::MetadataEntries& entries) : entries_(entries) {}

    void expand(SearchKey& key, int passes) {
        for (auto& child : key.children) expand(child, passes);
        if (key.kind != Kind::filter) return;
        std::string name = std::move(key.text);
        // RFC 5466 3.1: a filter that leads to itself is as one that is not there
        if (passes == 0) fail(name);
        bool fuzzy = key.fuzzy;
        key = read(name);
        keys_ += count_keys(key, is_any);
        if (keys_ > kMaxKeys) fail_no("[LIMIT] too many search keys in filters");
        expand(key, passes - 1);
        if (fuzzy) make_fuzzy(key);
    }

  private:
    [[noreturn]] static void fail(const std::string& name) {
        fail_no("[UNDEFINED-FILTER " + name + "] there is no such filter");
    }
    static void make_fuzzy(SearchKey& key) {
        key.fuzzy = true;
        for (auto& child : key.children) make_fuzzy(child);
    }
    const std::optional<std::string>* find(const std::string& entry) const {
        auto at = std::ranges::find(entries_.entries, entry, &proto::MetadataEntry::name);
        return at == entries_.entries.end() ? nullptr : &at->value;
    }
    // RFC 5466 3.1: the private one before the shared one
    SearchKey read(const std::string& name) const {
        const auto* value = find("/private/filters/values/" + name);
        if (value == nullptr) value = find("/shared/filters/values/" + name);
        if (value == nullptr || !*value) fail(name);
        try {
            return parse_search_criteria(**value);
        } catch (const SyntaxError&) {
            fail(name);  // stored by who did not have it checked
        }
    }
    const proto::MetadataEntries& entries_;
    size_t keys_ = 0;
};

// RFC 8474 6
async::Task<void> find_threads(Session& session, SearchKey& key) {
    if (is_thread(key)) key.contents = co_await find_thread(session, key.text);
    for (auto& child : key.children) co_await find_threads(session, child);
}

// The words of a text, as separate keys of the same kind.
SearchKey split_words(const SearchKey& key) {
    SearchKey all;
    all.kind = Kind::and_;
    std::string_view rest = key.text;
    while (!rest.empty()) {
        auto end = std::min(rest.find(' '), rest.size());
        if (end > 0) {
            if (all.children.size() == kMaxFuzzyWords) return key;
            SearchKey word;
            word.kind = key.kind;
            word.field = key.field;
            word.text = rest.substr(0, end);
            all.children.push_back(std::move(word));
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return all.children.size() > 1 ? all : key;
}

}  // namespace

bool has_thread(const SearchKey& key) {
    return count_keys(key, is_thread) > 0;
}

bool is_fuzzy(const SearchKey& key) {
    return key.fuzzy || std::ranges::any_of(key.children, is_fuzzy);
}

SearchKey loosen(SearchKey key) {
    for (auto& child : key.children) child = loosen(std::move(child));
    if (key.fuzzy && is_text(key.kind)) return split_words(key);
    return key;
}

async::Task<SearchArguments> prepare_search(Session& session, SearchArguments args) {
    if (has_filter(args.key)) {
        // RFC 5466 3.1: BAD, where a search without filters is answered with NO
        if (!args.charset.empty() && args.charset != "US-ASCII" && args.charset != "UTF-8")
            fail_bad("[BADCHARSET (US-ASCII UTF-8)] charset not supported");
        auto entries = co_await session.ask(proto::GetMetadata{""});
        Expansion(entries).expand(args.key, kMaxFilterPasses);
    }
    if (count_keys(args.key, is_thread) > kMaxThreads) fail_no("[LIMIT] too many THREADID keys");
    if (has_thread(args.key)) co_await find_threads(session, args.key);
    check_charset(args, session.features());
    check_numbers(args.key, session.features());
    // RFC 6203 4
    if ((args.returns.items & kReturnRelevancy) && !is_fuzzy(args.key)) fail_bad("RELEVANCY is for FUZZY searches");
    co_return args;
}

async::Task<std::map<uint32_t, uint32_t>> find_relevancies(Session& session, const MailboxView& view, SearchKey key,
                                                           std::vector<uint32_t> found) {
    constexpr uint32_t kAsWritten = 100;
    constexpr uint32_t kWords = 50;
    std::ranges::sort(found);
    Search exact(key, view);
    std::map<uint32_t, uint32_t> out;
    for (uint32_t index : found) out[index] = kWords;
    for (uint32_t index : co_await find_messages(session, view, exact, to_selection(found))) out[index] = kAsWritten;
    co_return out;
}

}  // namespace mox::imapd
