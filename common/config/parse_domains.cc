// domains.conf: the tables of its keywords. The page domains.conf(5) documents each of them.
#include <algorithm>
#include <set>

#include "common/config/config.h"
#include "common/config/schema.h"
#include "common/config/words.h"
#include "common/text/ascii.h"

namespace mox::config {
namespace {

// ---- route ----

/// example.org, or .example.org for the names below it.
std::optional<std::string> as_domain_pattern(Reader& reader, const Word& word) {
    if (!word.text.starts_with('.')) return as_domain(reader, word);
    auto name = as_domain(reader, {word.text.substr(1), word.position, word.span});
    if (name) name->insert(0, 1, '.');
    return name;
}

constexpr Rule<Route> kRouteRules[] = {
    {"from-domain", "from-domain NAME, ...", list<&Route::from_domains, as_domain_pattern>},
    {"to-domain", "to-domain NAME, ...", list<&Route::to_domains, as_domain_pattern>},
    {"min-attempts", "min-attempts NUMBER", one<&Route::min_attempts, as_number<uint32_t, 0, 1000>>},
    {"transport", "transport NAME", one<&Route::transport, as_name>, Repeat::once, Need::required},
};

template <auto Member>
void read_route(Reader& reader, const Statement& statement, ClassOf<Member>& out) {
    if (!reader.expect_words(statement, 0) || !reader.expect_block(statement)) return;
    Route route{.origin = origin_of(statement.position)};
    reader.read_block<Route>(statement.block, kRouteRules, statement.position, "route", route);
    (out.*Member).push_back(std::move(route));
}

// ---- expire ----

template <auto Member>
void read_expire(Reader& reader, const Statement& statement, ClassOf<Member>& out) {
    constexpr size_t kMaxExpiries = 1000;
    constexpr int64_t kHour = 3600;
    constexpr int64_t kLongest = 10'000 * 24 * kHour;
    if (!reader.expect_words(statement, 2) || !reader.expect_no_block(statement)) return;
    Expiry expiry{.origin = origin_of(statement.position)};
    auto mailbox = as_mailbox(reader, word_of(statement, 0));
    if (mailbox) expiry.mailbox = *mailbox;
    if (word_of(statement, 1).text != "never")
        expiry.after = as_duration<kHour, kLongest>(reader, word_of(statement, 1));
    for (const Expiry& other : out.*Member)
        if (mailbox && other.mailbox == *mailbox)
            reader.fail(statement.position, "'expire' twice for one mailbox", "one");
    if ((out.*Member).size() >= kMaxExpiries) return reader.fail(statement.position, "too many 'expire'", "fewer");
    (out.*Member).push_back(std::move(expiry));
}

// ---- domain ----

std::optional<std::string> as_separator(Reader& reader, const Word& word) {
    constexpr std::string_view kAllowed = "!#$%&'*+-/=?^_`{|}~";  // RFC 5322 3.2.3 atext but for letters and digits
    if (word.text.size() == 1 && kAllowed.contains(word.text[0])) return word.text;
    reader.fail(word.position, fmt::format("{} is not a separator", shown(word.text)),
                fmt::format("one of {}, or none", kAllowed));
    return std::nullopt;
}

void read_separators(Reader& reader, const Statement& statement, Domain& out) {
    if (statement.arguments.size() == 1) {
        const auto& words = statement.arguments[0].words;
        if (words.size() == 1 && words[0].text == "none" && reader.expect_no_block(statement)) {
            out.localpart_separators.clear();
            return;
        }
    }
    list<&Domain::localpart_separators, as_separator>(reader, statement, out);
    std::set<std::string> unique(out.localpart_separators.begin(), out.localpart_separators.end());
    if (unique.size() != out.localpart_separators.size()) {
        reader.fail(statement.position, "a separator stands twice", "each once");
    }
}

constexpr Rule<Domain> kDomainRules[] = {
    {"description", "description \"text\"", one<&Domain::description, as_text>},
    {"disabled", "disabled [yes | no]", flag<&Domain::disabled>},
    {"localpart-separators", "localpart-separators \"+\", ... | none", read_separators},
    {"case-sensitive", "case-sensitive [yes | no]", flag<&Domain::case_sensitive>},
    {"expire", "expire MAILBOX DURATION | never", read_expire<&Domain::expiries>, Repeat::many},
    {"route", "route { ... }", read_route<&Domain::routes>, Repeat::many},
};

void read_domain(Reader& reader, const Statement& statement, Domains& out) {
    if (!reader.expect_words(statement, 1)) return;
    Domain domain{.origin = origin_of(statement.position)};
    if (auto name = as_domain(reader, word_of(statement, 0))) domain.name = *name;
    reader.read_block<Domain>(statement.block, kDomainRules, statement.position, "domain", domain);
    out.domains.push_back(std::move(domain));
}

// ---- account ----

std::optional<Address> as_address(Reader& reader, const Word& word) {
    Address out{.origin = origin_of(word.position)};
    std::string_view text = word.text;
    size_t at = text.rfind('@');
    if (at == std::string_view::npos || !is_localpart(text.substr(0, at))) {
        reader.fail(word.position, fmt::format("{} is not an address", shown(text)),
                    "an address like \"alice@example.org\" or \"*@example.org\"");
        return std::nullopt;
    }
    out.localpart = text.substr(0, at);
    auto domain = as_domain(reader, {std::string(text.substr(at + 1)), word.position, word.span});
    if (!domain) return std::nullopt;
    out.domain = *domain;
    return out;
}

constexpr Rule<Address> kAddressRules[] = {
    {"mailbox", "mailbox NAME", one<&Address::mailbox, as_mailbox>},
};

void read_address(Reader& reader, const Statement& statement, Account& out) {
    if (statement.arguments.size() != 1) {
        reader.misshaped(statement);
        return;
    }
    Address options;
    reader.read_block<Address>(statement.block, kAddressRules, statement.position, "address", options);
    for (const Word& word : statement.arguments[0].words) {
        auto address = as_address(reader, word);
        if (!address) continue;
        address->mailbox = options.mailbox;
        out.addresses.push_back(std::move(*address));
    }
}

std::optional<std::string> as_login_text(Reader& reader, const Word& word) {
    auto printable = [](char c) { return c >= ' ' && c <= '~'; };
    if (!std::ranges::all_of(word.text, printable)) {
        reader.fail(word.position, "the text has characters beyond ASCII", "1 to 256 printable ASCII characters");
        return std::nullopt;
    }
    return as_text(reader, word);
}

constexpr Rule<Account> kAccountRules[] = {
    {"full-name", "full-name \"text\"", one<&Account::full_name, as_text>},
    {"address", "address ADDRESS, ... [{ mailbox NAME }]", read_address, Repeat::many},
    {"quota", "quota SIZE", one<&Account::quota, as_size<uint64_t{1} << 10, uint64_t{1} << 60>>},
    {"login-disabled", "login-disabled \"text\"", one<&Account::login_disabled, as_login_text>},
    {"submission-server", "submission-server [yes | no]", flag<&Account::submission_server>},
    {"expire", "expire MAILBOX DURATION | never", read_expire<&Account::expiries>, Repeat::many},
    {"route", "route { ... }", read_route<&Account::routes>, Repeat::many},
};

void read_account(Reader& reader, const Statement& statement, Domains& out) {
    if (!reader.expect_words(statement, 1)) return;
    Account account{.origin = origin_of(statement.position)};
    if (auto name = as_name(reader, word_of(statement, 0))) account.name = *name;
    reader.read_block<Account>(statement.block, kAccountRules, statement.position, "account", account);
    out.accounts.push_back(std::move(account));
}

// ---- transport ----

/// What a transport block says; the defaults depend on each other.
struct TransportText {
    Transport transport;
    std::optional<uint16_t> port;
    std::optional<bool> verify;
};

template <auto Member, auto Convert>
void in_transport(Reader& reader, const Statement& statement, TransportText& out) {
    one<Member, Convert>(reader, statement, out.transport);
}

void read_verify(Reader& reader, const Statement& statement, TransportText& out) {
    struct Flag {
        bool on = false;
    } wanted;
    flag<&Flag::on>(reader, statement, wanted);
    out.verify = wanted.on;
}

std::optional<std::string> as_secret(Reader& reader, const Word& word) {
    if (!word.text.empty()) return word.text;
    reader.fail(word.position, "an empty password", "a text");
    return std::nullopt;
}

constexpr Rule<TransportText> kTransportRules[] = {
    {"host", "host NAME", in_transport<&Transport::host, as_host>, Repeat::once, Need::required},
    {"port", "port NUMBER", one<&TransportText::port, as_port>},
    {"tls", "tls implicit | starttls | opportunistic | none",
     in_transport<&Transport::tls, as_choice<TransportTls, kTransportTlsWords>>},
    {"verify", "verify [yes | no]", read_verify},
    {"username", "username TEXT", in_transport<&Transport::username, as_text>},
    {"password", "password TEXT", in_transport<&Transport::password, as_secret>},
};

bool is_authenticated(TransportTls tls) {
    return tls == TransportTls::implicit || tls == TransportTls::starttls;
}

uint16_t transport_port(const Transport& transport) {
    if (transport.tls == TransportTls::implicit) return 465;
    return transport.username.empty() ? 25 : 587;
}

/// A password must not go to whoever answers.
void check_transport(Reader& reader, Position position, const TransportText& text) {
    const Transport& t = text.transport;
    if (t.username.empty() != t.password.empty()) {
        reader.fail(position, "only one of 'username' and 'password'", "both or none");
    }
    if (is_authenticated(t.tls)) return;
    if (!t.username.empty()) {
        reader.fail(position, "a password without sure TLS", "'tls implicit' or 'tls starttls' with 'username'");
    }
    if (text.verify == true) {
        reader.fail(position, "'verify' without sure TLS", "'tls implicit' or 'tls starttls' with 'verify'");
    }
}

void read_transport(Reader& reader, const Statement& statement, Domains& out) {
    if (!reader.expect_words(statement, 1) || !reader.expect_block(statement)) return;
    TransportText text;
    reader.read_block<TransportText>(statement.block, kTransportRules, statement.position, "transport", text);
    check_transport(reader, statement.position, text);
    Transport& transport = text.transport;
    if (auto name = as_name(reader, word_of(statement, 0))) transport.name = *name;
    transport.origin = origin_of(statement.position);
    transport.port = text.port.value_or(transport_port(transport));
    transport.verify = text.verify.value_or(is_authenticated(transport.tls));
    out.transports.push_back(std::move(transport));
}

// ---- the file ----

constexpr Rule<Domains> kDomainsRules[] = {
    {"domain", "domain NAME [{ ... }]", read_domain, Repeat::many},
    {"account", "account NAME [{ ... }]", read_account, Repeat::many},
    {"transport", "transport NAME { host ...; ... }", read_transport, Repeat::many},
    {"expire", "expire MAILBOX DURATION | never", read_expire<&Domains::expiries>, Repeat::many},
    {"route", "route { ... }", read_route<&Domains::routes>, Repeat::many},
};

}  // namespace

std::vector<BlockKeywords> domains_keywords() {
    return {keywords_of<Domains>("", kDomainsRules),        keywords_of<Domain>("domain", kDomainRules),
            keywords_of<Account>("account", kAccountRules), keywords_of<Address>("address", kAddressRules),
            keywords_of<Route>("route", kRouteRules),       keywords_of<TransportText>("transport", kTransportRules)};
}

std::vector<std::string> known_keywords(File file) {
    std::set<std::string> out;
    for (const auto& block : file == File::config ? config_keywords() : domains_keywords()) {
        out.insert(block.keywords.begin(), block.keywords.end());
    }
    return {out.begin(), out.end()};
}

std::expected<Domains, std::vector<Diagnostic>> parse_domains(std::string_view text, std::string file_name) {
    Diagnostics diagnostics(file_name);
    auto statements = parse_syntax(text, kDomainsLimits, diagnostics);
    auto blocks = domains_keywords();
    Domains domains{.file = std::move(file_name)};
    Reader(diagnostics, blocks).read_block<Domains>(statements, kDomainsRules, {}, "", domains);
    if (!diagnostics.empty()) return std::unexpected(diagnostics.take());
    return domains;
}

}  // namespace mox::config
