// mox.conf: the tables of its keywords. The page mox.conf(5) documents each of them.
#include <algorithm>

#include "common/config/config.h"
#include "common/config/schema.h"

namespace mox::config {
namespace {

constexpr int64_t kMinute = 60;
constexpr int64_t kDay = 86400;
constexpr size_t kMaxSocketPath = 103;  // sun_path of OpenBSD; Linux has four more

constexpr std::array<std::string_view, 5> kLogLevels = {"error", "warn", "info", "debug", "trace"};
constexpr std::array<std::string_view, 2> kLogFormats = {"text", "json"};
constexpr std::array<std::string_view, 2> kTlsVersions = {"1.2", "1.3"};
constexpr std::array<std::string_view, 7> kRoles = {"storaged", "authd", "dnsd", "smtpd", "imapd", "httpd", "queued"};
constexpr std::array<std::string_view, 3> kWorkerRoles = {"smtpd", "imapd", "httpd"};

struct ServiceInfo {
    std::string_view name;
    uint16_t port;
};
constexpr std::array<ServiceInfo, static_cast<size_t>(ServiceKind::kEnd)> kServices = {{{"smtp", 25},
                                                                                        {"submission", 587},
                                                                                        {"submissions", 465},
                                                                                        {"imap", 143},
                                                                                        {"imaps", 993},
                                                                                        {"http", 80},
                                                                                        {"https", 443},
                                                                                        {"metrics", 8010}}};

constexpr Rule<Log> kLogRules[] = {
    {"level", "level error | warn | info | debug | trace", one<&Log::level, as_choice<LogLevel, kLogLevels>>},
    {"format", "format text | json", one<&Log::format, as_choice<LogFormat, kLogFormats>>},
};

// ---- listen ----

template <Starttls value>
void read_starttls(Reader& reader, const Statement& statement, Service& out) {
    struct Flag {
        bool on = true;
    } wanted;
    flag<&Flag::on>(reader, statement, wanted);
    if (!wanted.on) return;
    if (out.starttls != Starttls::offered) {
        reader.fail(statement.position, "both 'require-starttls' and 'no-starttls'", "one of them");
    }
    out.starttls = value;
}

constexpr Rule<Service> kPlainServiceRules[] = {
    {"port", "port NUMBER", one<&Service::port, as_port>},
};
constexpr Rule<Service> kStarttlsServiceRules[] = {
    {"port", "port NUMBER", one<&Service::port, as_port>},
    {"require-starttls", "require-starttls [yes | no]", read_starttls<Starttls::required>},
    {"no-starttls", "no-starttls [yes | no]", read_starttls<Starttls::off>},
};

bool has_starttls(ServiceKind kind) {
    return kind == ServiceKind::smtp || kind == ServiceKind::submission || kind == ServiceKind::imap;
}

template <ServiceKind kind>
void read_service(Reader& reader, const Statement& statement, Listener& out) {
    Service service{.kind = kind, .port = default_port(kind), .origin = origin_of(statement.position)};
    if (!reader.expect_words(statement, 0)) return;
    std::span<const Rule<Service>> rules = kPlainServiceRules;
    if (has_starttls(kind)) rules = kStarttlsServiceRules;
    reader.read_block<Service>(statement.block, rules, statement.position, statement.keyword, service);
    out.services.push_back(service);
}

void read_tls(Reader& reader, const Statement& statement, Listener& out) {
    const auto& arguments = statement.arguments;
    bool self_signed = arguments.size() == 1 && word_of(statement, 0).text == "self-signed";
    bool files = arguments.size() == 3 && word_of(statement, 0).text == "files";
    if (!self_signed && !files) {
        reader.misshaped(statement);
        return;
    }
    if (!reader.expect_words(statement, arguments.size()) || !reader.expect_no_block(statement)) return;
    TlsSource source = files ? TlsSource::files : TlsSource::self_signed;
    if (out.tls.source != TlsSource::none && (out.tls.source != source || self_signed)) {
        reader.fail(statement.position, "'tls self-signed' besides another 'tls'",
                    "one 'tls self-signed', or 'tls files' only");
        return;
    }
    out.tls.source = source;
    if (!files) return;
    auto certificate = as_path(reader, word_of(statement, 1));
    auto key = as_path(reader, word_of(statement, 2));
    if (certificate && key) out.tls.pairs.push_back({*certificate, *key});
}

void read_tls_version(Reader& reader, const Statement& statement, Listener& out) {
    one<&ListenerTls::min_version, as_choice<TlsVersion, kTlsVersions>>(reader, statement, out.tls);
}

constexpr std::string_view kServiceShape =
    "the service, alone or with a block of 'port' and, where TLS may start later, "
    "'require-starttls' or 'no-starttls'";
constexpr uint64_t kMinMessageSize = uint64_t{64} << 10;  // RFC 5321 4.5.3.1.7
constexpr uint64_t kMaxMessageSize = uint64_t{2} << 30;
constexpr uint32_t kMinMessageLimit = 1000;     // RFC 9738 3
constexpr uint32_t kMaxMessageLimit = 400'000;  // proto::kMaxMessagesPerCopy: a COPY takes no more in any case

constexpr Rule<Listener> kListenRules[] = {
    {"address", "address IP, ...", list<&Listener::addresses, as_ip, Repeat::many>, Repeat::many, Need::required},
    {"hostname", "hostname NAME", one<&Listener::hostname, as_domain>},
    {"tls", "tls files CERTIFICATE KEY, or tls self-signed", read_tls, Repeat::many},
    {"tls-min-version", "tls-min-version 1.2 | 1.3", read_tls_version},
    {"allow-insecure-auth", "allow-insecure-auth [yes | no]", flag<&Listener::allow_insecure_auth>},
    {"allow-unauthenticate", "allow-unauthenticate [yes | no]", flag<&Listener::allow_unauthenticate>},
    {"max-message-size", "max-message-size SIZE",
     one<&Listener::max_message_size, as_size<kMinMessageSize, kMaxMessageSize>>},
    {"message-limit", "message-limit NUMBER",
     one<&Listener::message_limit, as_number<uint32_t, kMinMessageLimit, kMaxMessageLimit>>},
    {"max-connections", "max-connections NUMBER", one<&Listener::max_connections, as_number<uint32_t, 1, 100'000>>},
    {"max-connections-per-address", "max-connections-per-address NUMBER",
     one<&Listener::max_connections_per_address, as_number<uint32_t, 1, 100'000>>},
    {"smtp", kServiceShape, read_service<ServiceKind::smtp>, Repeat::many},
    {"submission", kServiceShape, read_service<ServiceKind::submission>, Repeat::many},
    {"submissions", kServiceShape, read_service<ServiceKind::submissions>, Repeat::many},
    {"imap", kServiceShape, read_service<ServiceKind::imap>, Repeat::many},
    {"imaps", kServiceShape, read_service<ServiceKind::imaps>, Repeat::many},
    {"http", kServiceShape, read_service<ServiceKind::http>, Repeat::many},
    {"https", kServiceShape, read_service<ServiceKind::https>, Repeat::many},
    {"metrics", kServiceShape, read_service<ServiceKind::metrics>, Repeat::many},
};

void read_listen(Reader& reader, const Statement& statement, Config& out) {
    if (!reader.expect_words(statement, 1) || !reader.expect_block(statement)) return;
    Listener listener{.origin = origin_of(statement.position)};
    if (auto name = as_name(reader, word_of(statement, 0))) listener.name = *name;
    reader.read_block<Listener>(statement.block, kListenRules, statement.position, "listen", listener);
    if (out.listeners.size() == 64) {
        reader.fail(statement.position, "too many listeners", "at most 64");
        return;
    }
    out.listeners.push_back(std::move(listener));
}

// ---- resolver, queue ----

std::optional<Forwarder> as_forwarder(Reader& reader, const Word& word) {
    Forwarder out;
    std::string_view text = word.text;
    size_t at = std::min(text.find('@'), text.size());
    auto ip = parse_ip(text.substr(0, at));
    if (!ip) {
        reader.fail(word.position, fmt::format("{} is not the address of a resolver", shown(text)),
                    "an IP address, or IP@PORT");
        return std::nullopt;
    }
    out.address = *ip;
    if (at == text.size()) return out;
    auto port = as_port(reader, {word.text.substr(at + 1), word.position, word.span});
    if (!port) return std::nullopt;
    out.port = *port;
    return out;
}

std::optional<std::string> as_record(Reader& reader, const Word& word) {
    if (!word.text.empty()) return word.text;
    reader.fail(word.position, "an empty resource record", "a record like \"example.org. 60 IN A 192.0.2.1\"");
    return std::nullopt;
}

constexpr Rule<Resolver> kResolverRules[] = {
    {"forward", "forward IP[@PORT], ...", list<&Resolver::forward, as_forwarder>},
    {"trust-anchor", "trust-anchor FILE", one<&Resolver::trust_anchor, as_path>},
    {"local-data", "local-data \"resource record\"", list<&Resolver::local_data, as_record, Repeat::many>,
     Repeat::many},
    {"no-dnssec", "no-dnssec [yes | no]", flag<&Resolver::no_dnssec>},
};

void read_retry_after(Reader& reader, const Statement& statement, Queue& out) {
    list<&Queue::retry_after, as_duration<1, 7 * kDay>>(reader, statement, out);
    if (out.retry_after.size() > 64) {
        reader.fail(statement.position, "too many durations in 'retry-after'", "at most 64, the last one repeats");
    }
}

constexpr Rule<Queue> kQueueRules[] = {
    {"retry-after", "retry-after DURATION, ...", read_retry_after},
    {"give-up-after", "give-up-after DURATION", one<&Queue::give_up_after, as_duration<1, 30 * kDay>>},
    {"delay-notice-after", "delay-notice-after DURATION", one<&Queue::delay_notice_after, as_duration<1, 30 * kDay>>},
    {"max-concurrent", "max-concurrent NUMBER", one<&Queue::max_concurrent, as_number<uint32_t, 1, 10'000>>},
    {"max-per-destination", "max-per-destination NUMBER",
     one<&Queue::max_per_destination, as_number<uint32_t, 1, 1'000>>},
    {"outgoing-port", "outgoing-port NUMBER", one<&Queue::outgoing_port, as_port>},
    {"source-address", "source-address IP, ...", list<&Queue::source_addresses, as_ip>},
};

// ---- storage ----

constexpr Rule<Storage> kStorageRules[] = {
    {"quota", "quota SIZE", one<&Storage::quota, as_size<uint64_t{1} << 20, uint64_t{1} << 60>>},
    {"reserve", "reserve SIZE", one<&Storage::reserve, as_size<uint64_t{1} << 20, uint64_t{1} << 50>>},
    {"compress", "compress [yes | no]", flag<&Storage::compress>},
    {"keep-removed", "keep-removed DURATION", one<&Storage::keep_removed, as_duration<kDay, 10'000 * kDay>>},
    {"keep-logins", "keep-logins DURATION", one<&Storage::keep_logins, as_duration<kDay, 1'000 * kDay>>},
    {"max-failed-logins", "max-failed-logins NUMBER",
     one<&Storage::max_failed_logins, as_number<uint32_t, 100, 100'000>>},
};

// ---- imap ----

constexpr Rule<Imap> kImapRules[] = {
    {"sleep-after", "sleep-after DURATION", one<&Imap::sleep_after, as_duration<1, kDay>>},
};

// ---- the file ----

std::string Users::* user_of_role(size_t role) {
    constexpr std::array kMembers = {&Users::storaged, &Users::authd, &Users::dnsd,  &Users::smtpd,
                                     &Users::imapd,    &Users::httpd, &Users::queued};
    return kMembers[role];
}

void read_user(Reader& reader, const Statement& statement, Config& out) {
    if (!reader.expect_words(statement, 2) || !reader.expect_no_block(statement)) return;
    auto role = index_of_choice(reader, word_of(statement, 0), kRoles);
    auto name = as_name(reader, word_of(statement, 1));
    if (role && name) out.users.*user_of_role(*role) = *name;
}

void read_workers(Reader& reader, const Statement& statement, Config& out) {
    constexpr std::array kMembers = {&Workers::smtpd, &Workers::imapd, &Workers::httpd};
    if (!reader.expect_words(statement, 2) || !reader.expect_no_block(statement)) return;
    auto role = index_of_choice(reader, word_of(statement, 0), kWorkerRoles);
    auto count = as_number<uint16_t, 1, 64>(reader, word_of(statement, 1));
    if (role && count) out.workers.*kMembers[*role] = *count;
}

void read_control_socket(Reader& reader, const Statement& statement, Config& out) {
    one<&Config::control_socket, as_path>(reader, statement, out);
    if (out.control_socket.size() > kMaxSocketPath) {
        reader.fail(word_of(statement, 0).position, "the path is too long for a socket",
                    fmt::format("at most {} bytes", kMaxSocketPath));
    }
}

void read_postmaster(Reader& reader, const Statement& statement, Config& out) {
    size_t count = statement.arguments.size();
    bool good = (count == 2 || count == 4) && word_of(statement, 0).text == "account" &&
                (count == 2 || word_of(statement, 2).text == "mailbox");
    if (!good) {
        reader.misshaped(statement);
        return;
    }
    if (!reader.expect_words(statement, count) || !reader.expect_no_block(statement)) return;
    out.postmaster.origin = origin_of(statement.position);
    if (auto account = as_name(reader, word_of(statement, 1))) out.postmaster.account = *account;
    if (count == 2) return;
    if (auto mailbox = as_mailbox(reader, word_of(statement, 3))) out.postmaster.mailbox = *mailbox;
}

constexpr Rule<Config> kConfigRules[] = {
    {"hostname", "hostname NAME", one<&Config::hostname, as_domain>, Repeat::once, Need::required},
    {"data-directory", "data-directory PATH", one<&Config::data_directory, as_path>},
    {"control-socket", "control-socket PATH", read_control_socket},
    {"chroot-directory", "chroot-directory PATH", one<&Config::chroot_directory, as_path>},
    {"log", "log { level ...; format ... }", nested<&Config::log, kLogRules>},
    {"user", "user PROGRAM NAME", read_user, Repeat::many},
    {"workers", "workers smtpd | imapd | httpd NUMBER", read_workers, Repeat::many},
    {"listen", "listen NAME { address ...; services }", read_listen, Repeat::many, Need::required},
    {"resolver", "resolver { ... }", nested<&Config::resolver, kResolverRules>},
    {"queue", "queue { ... }", nested<&Config::queue, kQueueRules>},
    {"storage", "storage { ... }", nested<&Config::storage, kStorageRules>},
    {"imap", "imap { ... }", nested<&Config::imap, kImapRules>},
    {"postmaster", "postmaster account NAME [mailbox NAME]", read_postmaster, Repeat::once, Need::required},
    {"local-mode", "local-mode [yes | no]", flag<&Config::local_mode>},
};

}  // namespace

std::vector<Seconds> default_retry_after() {
    std::vector<Seconds> out;
    constexpr Seconds kCap{12 * 60 * kMinute};
    for (Seconds next{7 * kMinute + 30}; next < kCap; next *= 2) out.push_back(next);
    out.push_back(kCap);
    return out;
}

std::string_view service_name(ServiceKind kind) {
    return kServices[static_cast<size_t>(kind)].name;
}

uint16_t default_port(ServiceKind kind) {
    return kServices[static_cast<size_t>(kind)].port;
}

bool is_implicit_tls(ServiceKind kind) {
    return kind == ServiceKind::submissions || kind == ServiceKind::imaps || kind == ServiceKind::https;
}

std::vector<BlockKeywords> config_keywords() {
    return {keywords_of<Config>("", kConfigRules),
            keywords_of<Log>("log", kLogRules),
            keywords_of<Listener>("listen", kListenRules),
            keywords_of<Service>("smtp", kStarttlsServiceRules),
            keywords_of<Resolver>("resolver", kResolverRules),
            keywords_of<Queue>("queue", kQueueRules),
            keywords_of<Storage>("storage", kStorageRules),
            keywords_of<Imap>("imap", kImapRules)};
}

std::expected<Config, std::vector<Diagnostic>> parse_config(std::string_view text, std::string file_name) {
    Diagnostics diagnostics(file_name);
    auto statements = parse_syntax(text, kConfigLimits, diagnostics);
    auto blocks = config_keywords();
    Config config{.file = std::move(file_name)};
    Reader(diagnostics, blocks).read_block<Config>(statements, kConfigRules, {}, "", config);
    if (!diagnostics.empty()) return std::unexpected(diagnostics.take());
    for (Listener& listener : config.listeners) {
        if (listener.hostname.empty()) listener.hostname = config.hostname;
    }
    return config;
}

}  // namespace mox::config
