// Edits domains.conf in place: finds the bytes of a statement by the syntax tree and replaces only those.
//
// Invariant: the n-th statement "account" of the tree is the n-th account of the typed form, and likewise for domains,
// because a text with any error is refused at the start.
#include "common/config/edit.h"

#include <algorithm>
#include <fmt/format.h>
#include <ranges>

#include "common/config/config.h"
#include "common/config/syntax.h"
#include "common/config/values.h"

namespace mox::config {
namespace {

constexpr std::string_view kFile = "domains.conf";
constexpr std::string_view kBlank = " \t\r";
constexpr size_t kIndent = 4;

/// The bytes from begin to end become `text`.
struct Change {
    size_t begin;
    size_t end;
    std::string text;
};

/// A good text with its tree and meaning, and the changes to make.
class Editor {
  public:
    static Result<Editor> open(std::string_view text);

    const Domains& domains() const { return domains_; }
    std::vector<const Statement*> top_level(std::string_view keyword) const;

    void append(std::string_view keyword, const std::string& written);
    void insert_address(const Statement& account, std::string written);
    void remove(const Statement& statement);
    void remove_words(const Statement& statement, const std::vector<bool>& unwanted);

    Result<std::string> finish();

  private:
    size_t line_begin(size_t at) const;
    size_t line_end(size_t at) const;
    std::string_view slice(size_t begin, size_t end) const { return text_.substr(begin, end - begin); }
    bool is_blank(size_t begin, size_t end) const {
        return slice(begin, end).find_first_not_of(kBlank) == std::string_view::npos;
    }
    bool ends_line(size_t at) const;
    bool is_comment_line(size_t begin) const;
    bool is_blank_line(size_t begin) const { return is_blank(begin, line_end(begin)); }
    void remove_lines(const Statement& statement);
    void remove_inline(const Statement& statement);
    void remove_from_list(const Word& word);
    void remove_list_end(const Statement& statement, size_t last_kept);
    size_t comma_behind(const Word& word) const;
    std::string indent_of(const Statement& statement) const;

    std::string_view text_;
    std::vector<Statement> tree_;
    Domains domains_;
    std::vector<Change> changes_;
};

std::unexpected<Error> refused(const std::vector<Diagnostic>& diagnostics) {
    return permanent(ErrorCode::bad_request,
                     diagnostics.empty() ? "the text is too long" : format(diagnostics.front()));
}

Result<Editor> Editor::open(std::string_view text) {
    Editor out;
    auto domains = parse_domains(text, std::string(kFile));
    if (!domains) return refused(domains.error());
    Diagnostics none{std::string(kFile)};
    out.text_ = text;
    out.domains_ = std::move(*domains);
    out.tree_ = parse_syntax(text, kDomainsLimits, none);
    return out;
}

std::vector<const Statement*> Editor::top_level(std::string_view keyword) const {
    std::vector<const Statement*> out;
    for (const Statement& statement : tree_) {
        if (statement.keyword == keyword) out.push_back(&statement);
    }
    return out;
}

size_t Editor::line_begin(size_t at) const {
    size_t newline = at == 0 ? std::string_view::npos : text_.rfind('\n', at - 1);
    return newline == std::string_view::npos ? 0 : newline + 1;
}

size_t Editor::line_end(size_t at) const {
    return std::min(text_.find('\n', at), text_.size());
}

/// Whether nothing but a terminator and a comment follows in the line.
bool Editor::ends_line(size_t at) const {
    std::string_view rest = slice(at, line_end(at));
    size_t next = rest.find_first_not_of(" \t\r;");
    return next == std::string_view::npos || rest[next] == '#';
}

bool Editor::is_comment_line(size_t begin) const {
    size_t first = text_.find_first_not_of(kBlank, begin);
    return first != std::string_view::npos && text_[first] == '#';
}

std::string Editor::indent_of(const Statement& statement) const {
    size_t begin = line_begin(statement.span.begin);
    size_t end = std::min(text_.find_first_not_of(kBlank, begin), text_.size());
    return std::string(slice(begin, end));
}

/// At top level: behind the last statement with the keyword, or at the end of the file.
void Editor::append(std::string_view keyword, const std::string& written) {
    auto siblings = top_level(keyword);
    size_t at = text_.size();
    bool after_sibling = !siblings.empty() && ends_line(siblings.back()->span.end);
    if (after_sibling) at = std::min(line_end(siblings.back()->span.end) + 1, text_.size());
    bool multi_line = std::ranges::count(written, '\n') > 1;
    bool at_line_begin = at == 0 || text_[at - 1] == '\n';
    bool above_blank = at == 0 || (at_line_begin && is_blank_line(line_begin(at - 1)));
    std::string out = at_line_begin ? "" : "\n";
    if (!above_blank && (multi_line || !after_sibling)) out += "\n";
    out += written;
    if (multi_line && at < text_.size() && !is_blank_line(at)) out += "\n";
    changes_.push_back({at, at, out});
}

void Editor::insert_address(const Statement& account, std::string written) {
    while (written.ends_with('\n')) written.pop_back();
    std::string indent = indent_of(account) + std::string(kIndent, ' ');
    if (account.has_block == HasBlock::no) {
        size_t at = account.span.end;
        changes_.push_back({at, at, fmt::format(" {{\n{}{}\n{}}}", indent, written, indent_of(account))});
        return;
    }
    const Statement* last = nullptr;
    for (const Statement& statement : account.block) {
        if (statement.keyword == "address") last = &statement;
    }
    size_t at = last != nullptr ? last->span.end : account.block_span.begin + 1;
    if (ends_line(at)) {
        if (last != nullptr) indent = indent_of(*last);
        size_t end = line_end(at);
        changes_.push_back({end, end, "\n" + indent + written});
    } else {
        changes_.push_back({at, at, last != nullptr ? "; " + written : fmt::format(" {};", written)});
    }
}

void Editor::remove(const Statement& statement) {
    bool alone = is_blank(line_begin(statement.span.begin), statement.span.begin) && ends_line(statement.span.end);
    if (alone) {
        remove_lines(statement);
    } else {
        remove_inline(statement);
    }
}

/// The statement has its lines for itself: they go, with the comments above, and one of two blank lines around.
void Editor::remove_lines(const Statement& statement) {
    size_t begin = line_begin(statement.span.begin);
    while (begin > 0 && is_comment_line(line_begin(begin - 1))) begin = line_begin(begin - 1);
    size_t end = std::min(line_end(statement.span.end) + 1, text_.size());
    bool blank_above = begin == 0 || is_blank_line(line_begin(begin - 1));
    if (blank_above && end < text_.size() && is_blank_line(end)) end = std::min(line_end(end) + 1, text_.size());
    changes_.push_back({begin, end, ""});
}

/// Other things stand in its line: it goes with its terminator and the blanks behind.
void Editor::remove_inline(const Statement& statement) {
    size_t begin = statement.span.begin;
    size_t end = std::min(text_.find_first_not_of(kBlank, statement.span.end), text_.size());
    if (end < text_.size() && text_[end] == ';') end = std::min(text_.find_first_not_of(kBlank, end + 1), text_.size());
    bool at_line_end = end == text_.size() || text_[end] == '\n';
    while (at_line_end && begin > 0 && kBlank.contains(text_[begin - 1])) begin--;
    changes_.push_back({begin, end, ""});
}

/// Between a word of a list and the next stand blanks, newlines, comments and one comma.
size_t Editor::comma_behind(const Word& word) const {
    for (size_t at = word.span.end; at < text_.size(); at++) {
        if (text_[at] == ',') return at;
        if (text_[at] == '#') at = line_end(at);
    }
    return text_.size();
}

/// A word between two that stay: it goes with its comma, or with its line when it has one for itself.
void Editor::remove_from_list(const Word& word) {
    size_t begin = line_begin(word.span.begin);
    size_t comma = comma_behind(word);
    if (is_blank(begin, word.span.begin) && ends_line(comma + 1)) {
        changes_.push_back({begin, std::min(line_end(comma) + 1, text_.size()), ""});
    } else {
        size_t end = std::min(text_.find_first_not_of(" \t", comma + 1), text_.size());
        changes_.push_back({word.span.begin, end, ""});
    }
}

/// The words behind `last_kept` go, and its comma.
void Editor::remove_list_end(const Statement& statement, size_t last_kept) {
    const auto& words = statement.arguments[0].words;
    size_t end = words.back().span.end;
    if (statement.has_block == HasBlock::yes) {
        // The "{" has to stay in the line of the last word, so nothing between may.
        changes_.push_back({words[last_kept].span.end, end, ""});
        return;
    }
    size_t comma = comma_behind(words[last_kept]);
    changes_.push_back({comma, comma + 1, ""});
    size_t begin = words[last_kept + 1].span.begin;
    size_t solid = text_.find_last_not_of(kBlank, begin - 1);
    if (text_[solid] != '\n') {
        begin = solid + 1;
    } else if (ends_line(end)) {
        begin = solid;
        end = line_end(end);
    }
    changes_.push_back({begin, end, ""});
}

/// Takes words out of the list that is the statement's only argument; removes the statement when none is left.
void Editor::remove_words(const Statement& statement, const std::vector<bool>& unwanted) {
    const auto& words = statement.arguments[0].words;
    if (std::ranges::count(unwanted, false) == 0) return remove(statement);
    size_t first_kept = 0;
    while (unwanted[first_kept]) first_kept++;
    size_t last_kept = words.size() - 1;
    while (unwanted[last_kept]) last_kept--;
    // The list begins in the line of the keyword, so the first word that stays moves up to it.
    if (first_kept > 0) changes_.push_back({words[0].span.begin, words[first_kept].span.begin, ""});
    for (size_t i = first_kept; i < last_kept; i++) {
        if (unwanted[i]) remove_from_list(words[i]);
    }
    if (last_kept + 1 < words.size()) remove_list_end(statement, last_kept);
}

Result<std::string> Editor::finish() {
    std::ranges::sort(changes_, {}, &Change::begin);
    std::string out;
    size_t done = 0;
    for (const Change& change : changes_) {
        size_t begin = std::max(change.begin, done);  // neighbours may share the blanks between them
        out += slice(done, begin);
        out += change.text;
        done = std::max(change.end, done);
    }
    out += slice(done, text_.size());
    auto again = parse_domains(out, std::string(kFile));
    if (!again) return refused(again.error());
    return out;
}

/// The account that has the address, and which of its addresses it is.
struct Found {
    size_t account;
    size_t address;
};

std::optional<Found> find_address(const Domains& domains, std::string_view localpart, std::string_view domain) {
    auto hosted = std::ranges::find(domains.domains, domain, &Domain::name);
    auto canonical = [&](std::string_view s) {
        return hosted == domains.domains.end() ? std::string(s) : canonical_localpart(*hosted, s);
    };
    for (size_t i = 0; i < domains.accounts.size(); i++) {
        const auto& addresses = domains.accounts[i].addresses;
        for (size_t j = 0; j < addresses.size(); j++) {
            const Address& one = addresses[j];
            if (one.domain == domain && canonical(one.localpart) == canonical(localpart)) return Found{i, j};
        }
    }
    return std::nullopt;
}

/// Removes from the account's statement the addresses whose place in its list `unwanted` names.
template <class Unwanted>
void remove_addresses(Editor& editor, const Statement& account, Unwanted unwanted) {
    size_t index = 0;
    for (const Statement& statement : account.block) {
        if (statement.keyword != "address") continue;
        std::vector<bool> marks;
        for (size_t i = 0; i < statement.arguments[0].words.size(); i++) marks.push_back(unwanted(index++));
        if (std::ranges::count(marks, true) > 0) editor.remove_words(statement, marks);
    }
}

}  // namespace

Result<std::string> add_domain(std::string_view text, const Domain& domain) {
    auto editor = Editor::open(text);
    if (!editor) return std::unexpected(editor.error());
    auto name = parse_domain_name(domain.name);
    if (!name) return permanent(ErrorCode::bad_request, fmt::format("{} is not a domain name", shown(domain.name)));
    const auto& domains = editor->domains().domains;
    if (std::ranges::find(domains, *name, &Domain::name) != domains.end()) {
        return permanent(ErrorCode::exists, fmt::format("the domain {} exists already", *name));
    }
    Domain canonical = domain;
    canonical.name = *name;
    editor->append("domain", write_statement(canonical));
    return editor->finish();
}

Result<std::string> remove_domain(std::string_view text, std::string_view name) {
    auto editor = Editor::open(text);
    if (!editor) return std::unexpected(editor.error());
    const Domains& domains = editor->domains();
    auto found = std::ranges::find(domains.domains, parse_domain_name(name).value_or(""), &Domain::name);
    if (found == domains.domains.end()) {
        return permanent(ErrorCode::not_found, fmt::format("there is no domain {}", shown(name)));
    }
    editor->remove(*editor->top_level("domain")[static_cast<size_t>(found - domains.domains.begin())]);
    auto statements = editor->top_level("account");
    for (size_t i = 0; i < statements.size(); i++) {
        const auto& addresses = domains.accounts[i].addresses;
        remove_addresses(*editor, *statements[i], [&](size_t j) { return addresses[j].domain == found->name; });
    }
    return editor->finish();
}

Result<std::string> add_account(std::string_view text, const Account& account) {
    auto editor = Editor::open(text);
    if (!editor) return std::unexpected(editor.error());
    const Domains& domains = editor->domains();
    if (std::ranges::find(domains.accounts, account.name, &Account::name) != domains.accounts.end()) {
        return permanent(ErrorCode::exists, fmt::format("the account {} exists already", shown(account.name)));
    }
    for (const Address& address : account.addresses) {
        if (!find_address(domains, address.localpart, address.domain)) continue;
        return permanent(ErrorCode::exists,
                         fmt::format("the address {}@{} exists already", address.localpart, address.domain));
    }
    editor->append("account", write_statement(account));
    return editor->finish();
}

Result<std::string> remove_account(std::string_view text, std::string_view name) {
    auto editor = Editor::open(text);
    if (!editor) return std::unexpected(editor.error());
    const auto& accounts = editor->domains().accounts;
    auto found = std::ranges::find(accounts, name, &Account::name);
    if (found == accounts.end()) {
        return permanent(ErrorCode::not_found, fmt::format("there is no account {}", shown(name)));
    }
    editor->remove(*editor->top_level("account")[static_cast<size_t>(found - accounts.begin())]);
    return editor->finish();
}

Result<std::string> add_address(std::string_view text, std::string_view account, const Address& address) {
    auto editor = Editor::open(text);
    if (!editor) return std::unexpected(editor.error());
    const auto& accounts = editor->domains().accounts;
    auto found = std::ranges::find(accounts, account, &Account::name);
    if (found == accounts.end()) {
        return permanent(ErrorCode::not_found, fmt::format("there is no account {}", shown(account)));
    }
    Address canonical = address;
    canonical.domain = parse_domain_name(address.domain).value_or(address.domain);
    if (auto other = find_address(editor->domains(), canonical.localpart, canonical.domain)) {
        return permanent(ErrorCode::exists, fmt::format("the address exists already, it belongs to the account {}",
                                                        shown(accounts[other->account].name)));
    }
    const Statement& statement = *editor->top_level("account")[static_cast<size_t>(found - accounts.begin())];
    editor->insert_address(statement, write_statement(canonical));
    return editor->finish();
}

Result<std::string> remove_address(std::string_view text, std::string_view address) {
    auto editor = Editor::open(text);
    if (!editor) return std::unexpected(editor.error());
    size_t at = address.rfind('@');
    std::optional<Found> found;
    if (at != std::string_view::npos) {
        auto domain = parse_domain_name(address.substr(at + 1));
        if (domain) found = find_address(editor->domains(), address.substr(0, at), *domain);
    }
    if (!found) return permanent(ErrorCode::not_found, fmt::format("there is no address {}", shown(address)));
    const Statement& account = *editor->top_level("account")[found->account];
    remove_addresses(*editor, account, [&](size_t i) { return i == found->address; });
    return editor->finish();
}

}  // namespace mox::config
