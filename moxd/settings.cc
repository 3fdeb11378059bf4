#include "moxd/settings.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <sys/stat.h>
#include <unistd.h>

#include "common/async/fd.h"
#include "common/config/edit.h"
#include "common/ipc/frame.h"
#include "common/log/log.h"
#include "common/tls/key_store.h"
#include "common/tls/self_signed.h"
#include "common/tls/signer.h"

namespace mox::moxd {
namespace {

constexpr size_t kMaxConfig = 1u << 20;
constexpr size_t kMaxDomains = 16u << 20;
constexpr size_t kMaxPem = 1u << 20;
constexpr const char* kSystemCa = "/etc/ssl/certs/ca-certificates.crt";
constexpr const char* kSystemAnchor = "/usr/share/dns/root.key";

std::unexpected<Error> refuse(std::string text) {
    return permanent(ErrorCode::bad_request, std::move(text));
}

std::string all(const std::vector<config::Diagnostic>& diagnostics) {
    std::string text;
    for (const auto& d : diagnostics) text += (text.empty() ? "" : "\n") + config::format(d);
    return text;
}

std::string beside(const std::string& file, const std::string& name) {
    size_t slash = file.rfind('/');
    return slash == std::string::npos ? name : file.substr(0, slash + 1) + name;
}

/// That the two files are what they should be, and belong together.
Result<ipc::Done> check_pair(const config::KeyPair& files, const std::string& chain, const std::string& key) {
    std::string wanted = tls::public_key_id_of_certificate(chain);
    if (wanted.empty()) return refuse(files.certificate_file + ": no certificate in PEM");
    tls::KeyStore store;
    if (auto added = store.add(key); !added) return refuse(files.key_file + ": " + added.error().text);
    if (!store.has(wanted)) return refuse(files.key_file + ": not the key of " + files.certificate_file);
    return ipc::Done{};
}

uint32_t add_certificate(Settings& s, std::string chain_pem, std::string key_pem) {
    s.certificates.push_back({std::move(chain_pem)});
    s.private_keys.push_back({std::move(key_pem)});
    return static_cast<uint32_t>(s.certificates.size() - 1);
}

Result<uint32_t> add_self_signed(Settings& s, const config::Listener& listener) {
    const std::string& hostname = listener.hostname.empty() ? s.config.hostname : listener.hostname;
    auto found = std::ranges::find(s.made, hostname, &MadeCertificate::hostname);
    if (found == s.made.end()) {
        auto made = tls::make_self_signed({hostname}, {});
        if (!made) return std::unexpected(std::move(made.error()));
        s.made.push_back({hostname, std::move(made->certificate_pem), std::move(made->key_pem)});
        found = s.made.end() - 1;
    }
    return add_certificate(s, found->chain_pem, found->key_pem);
}

Result<ipc::Done> load_tls_files(Settings& s) {
    std::map<std::string, uint32_t> known;
    for (const auto& listener : s.config.listeners) {
        std::vector<uint32_t> indexes;
        if (listener.tls.source == config::TlsSource::self_signed) {
            auto index = add_self_signed(s, listener);
            if (!index) return std::unexpected(std::move(index.error()));
            indexes.push_back(*index);
        }
        for (const auto& pair : listener.tls.pairs) {
            auto [entry, is_new] =
                known.try_emplace(pair.certificate_file, static_cast<uint32_t>(s.certificates.size()));
            indexes.push_back(entry->second);
            if (!is_new) continue;
            auto chain = read_file(pair.certificate_file, kMaxPem);
            if (!chain) return std::unexpected(std::move(chain.error()));
            auto key = read_file(pair.key_file, kMaxPem);
            if (!key) return std::unexpected(std::move(key.error()));
            if (auto fits = check_pair(pair, *chain, *key); !fits) return fits;
            add_certificate(s, std::move(*chain), std::move(*key));
        }
        s.listener_certificates.push_back(std::move(indexes));
    }
    return ipc::Done{};
}

Result<ipc::Done> load_files(Settings& s) {
    if (auto done = load_tls_files(s); !done) return done;
    if (!s.config.resolver.no_dnssec) {
        const std::string& named = s.config.resolver.trust_anchor;
        auto anchor = read_file(named.empty() ? kSystemAnchor : named, kMaxPem);
        if (!anchor && !named.empty()) return std::unexpected(std::move(anchor.error()));
        if (anchor) s.trust_anchor = std::move(*anchor);
    }
    if (auto ca = read_file(kSystemCa, 4 * kMaxPem)) s.ca_pem = std::move(*ca);
    return ipc::Done{};
}

proto::LogConfig log_of(const Settings& s) {
    return {static_cast<uint8_t>(s.config.log.level), static_cast<uint8_t>(s.config.log.format)};
}

proto::LocalMode local_mode_of(const Settings& s) {
    return s.config.local_mode ? proto::LocalMode::on : proto::LocalMode::off;
}

proto::TlsMode tls_mode(const config::Listener& listener, const config::Service& service) {
    using config::ServiceKind;
    if (config::is_implicit_tls(service.kind)) return proto::TlsMode::immediate;
    bool has_starttls = service.kind == ServiceKind::smtp || service.kind == ServiceKind::submission ||
                        service.kind == ServiceKind::imap;
    if (!has_starttls || listener.tls.source == config::TlsSource::none || service.starttls == config::Starttls::off)
        return proto::TlsMode::none;
    return proto::TlsMode::starttls;
}

ipc::Role role_of(config::ServiceKind kind) {
    switch (kind) {
        case config::ServiceKind::smtp:
        case config::ServiceKind::submission:
        case config::ServiceKind::submissions:
            return ipc::Role::smtpd;
        case config::ServiceKind::imap:
        case config::ServiceKind::imaps:
            return ipc::Role::imapd;
        default:
            return ipc::Role::httpd;
    }
}

proto::Route route_of(const config::Route& r, std::string account, std::string sender_domain) {
    return {std::move(account), std::move(sender_domain), r.from_domains, r.to_domains, r.min_attempts, r.transport};
}

proto::TransportTls transport_tls(config::TransportTls tls) {
    switch (tls) {
        case config::TransportTls::implicit:
            return proto::TransportTls::implicit;
        case config::TransportTls::starttls:
            return proto::TransportTls::starttls;
        case config::TransportTls::none:
            return proto::TransportTls::none;
        default:
            return proto::TransportTls::opportunistic;
    }
}

}  // namespace

Result<std::string> read_file(const std::string& path, size_t limit) {
    Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return refuse(path + ": " + std::strerror(errno));
    std::string text;
    char chunk[65536];
    for (;;) {
        ssize_t n = ::read(file.get(), chunk, sizeof chunk);
        if (n < 0) return refuse(path + ": " + std::strerror(errno));
        if (n == 0) return text;
        text.append(chunk, static_cast<size_t>(n));
        if (text.size() > limit) return refuse(fmt::format("{}: larger than {} bytes", path, limit));
    }
}

Result<Settings> load_settings(const std::string& config_file, std::vector<MadeCertificate> made) {
    Settings s;
    s.made = std::move(made);
    s.config_file = config_file;
    s.domains_file = beside(config_file, "domains.conf");
    auto config_text = read_file(s.config_file, kMaxConfig);
    if (!config_text) return std::unexpected(std::move(config_text.error()));
    auto domains_text = read_file(s.domains_file, kMaxDomains);
    if (!domains_text) return std::unexpected(std::move(domains_text.error()));
    auto parsed = config::parse_config(*config_text, s.config_file);
    if (!parsed) return refuse(all(parsed.error()));
    s.config = std::move(*parsed);
    auto checked = check_domains(s, std::move(*domains_text));
    if (!checked) return checked;
    if (auto done = load_files(*checked); !done) return std::unexpected(std::move(done.error()));
    return checked;
}

Result<Settings> check_domains(const Settings& present, std::string domains_text) {
    Settings s = present;
    auto parsed = config::parse_domains(domains_text, s.domains_file);
    if (!parsed) return refuse(all(parsed.error()));
    s.domains = std::move(*parsed);
    s.domains_text = std::move(domains_text);
    auto problems = config::validate(s.config, s.domains);
    if (!problems.empty()) return refuse(all(problems));
    // authd gets its directory in one message, and so does storaged.
    if (std::max(ipc::encode(for_authd(s)).size(), ipc::encode(for_storaged(s)).size()) + (64 << 10) > ipc::kMaxFrame)
        return refuse(s.domains_file + ": more addresses than this release can hold");
    return s;
}

Result<ipc::Done> write_domains_file(const Settings& s) {
    const std::string temporary_file = s.domains_file + ".new";
    auto failed = [&] { return temporary(ErrorCode::io, temporary_file + ": " + std::strerror(errno)); };
    struct stat old{};
    bool had_old = stat(s.domains_file.c_str(), &old) == 0;
    Fd file(open(temporary_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return failed();
    if (had_old && (fchmod(file.get(), old.st_mode & 07777) != 0 ||
                    (geteuid() == 0 && fchown(file.get(), old.st_uid, old.st_gid) != 0)))
        return failed();
    std::string_view rest = s.domains_text;
    while (!rest.empty()) {
        ssize_t n = ::write(file.get(), rest.data(), rest.size());
        if (n < 0) return failed();
        rest.remove_prefix(static_cast<size_t>(n));
    }
    if (fsync(file.get()) != 0) return failed();
    if (rename(temporary_file.c_str(), s.domains_file.c_str()) != 0) return failed();
    Fd folder(open(beside(s.domains_file, ".").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || fsync(folder.get()) != 0) return failed();
    return ipc::Done{};
}

namespace {

proto::Listener listener_of(const Settings& s, size_t index, const config::Service& service) {
    const auto& listener = s.config.listeners[index];
    proto::Listener l{};
    l.service = static_cast<proto::Service>(service.kind);
    l.name = listener.name;
    l.hostname = listener.hostname.empty() ? s.config.hostname : listener.hostname;
    l.tls = tls_mode(listener, service);
    l.tls13_only = listener.tls.min_version == config::TlsVersion::tls1_3;
    l.insecure_auth = listener.allow_insecure_auth ? proto::InsecureAuth::allow : proto::InsecureAuth::refuse;
    l.unauthenticate = listener.allow_unauthenticate ? proto::Unauthenticate::allow : proto::Unauthenticate::refuse;
    l.require_starttls = service.starttls == config::Starttls::required;
    l.max_message_size = listener.max_message_size;
    l.message_limit = listener.message_limit;
    l.max_connections = listener.max_connections;
    l.max_connections_per_address = listener.max_connections_per_address;
    l.certificates = s.listener_certificates[index];
    return l;
}

}  // namespace

std::vector<Endpoint> endpoints(const Settings& s) {
    std::vector<Endpoint> result;
    for (size_t i = 0; i < s.config.listeners.size(); i++)
        for (const auto& service : s.config.listeners[i].services)
            for (const auto& address : s.config.listeners[i].addresses)
                result.push_back({role_of(service.kind), address, service.port, listener_of(s, i, service)});
    return result;
}

namespace {

/// Those of the account count before those of its first address's domain, and those before the ones for all.
std::vector<proto::ConfigureStoraged::Expiry> expiries_of(const Settings& s, const config::Account& account) {
    std::map<std::string, std::optional<config::Seconds>> chosen;
    auto take = [&](const std::vector<config::Expiry>& expiries) {
        for (const auto& expiry : expiries) chosen.try_emplace(expiry.mailbox, expiry.after);
    };
    take(account.expiries);
    if (!account.addresses.empty()) {
        auto domain = std::ranges::find(s.domains.domains, account.addresses[0].domain, &config::Domain::name);
        if (domain != s.domains.domains.end()) take(domain->expiries);
    }
    take(s.domains.expiries);
    std::vector<proto::ConfigureStoraged::Expiry> expiries;
    for (const auto& [mailbox, after] : chosen)
        if (after) expiries.push_back({mailbox, after->count()});
    return expiries;
}

// As authd looks them up.
std::string canonical_address(const Settings& s, const config::Address& address) {
    auto domain = std::ranges::find(s.domains.domains, address.domain, &config::Domain::name);
    bool known = domain != s.domains.domains.end();
    return (known ? config::canonical_localpart(*domain, address.localpart) : address.localpart) + "@" + address.domain;
}

}  // namespace

proto::ConfigureStoraged for_storaged(const Settings& s) {
    proto::ConfigureStoraged m{};
    m.log = log_of(s);
    for (const auto& account : s.domains.accounts) {
        m.accounts.push_back({account.name, account.quota.value_or(0), expiries_of(s, account)});
        auto& added = m.accounts.back();
        for (const auto& a : account.addresses) added.addresses.push_back(canonical_address(s, a));
        if (account.submission_server) added.submission_server = proto::SubmissionServer::yes;
        if (!account.login_disabled.empty()) added.logins = proto::Logins::disabled;
    }
    const config::Storage& storage = s.config.storage;
    m.quota = storage.quota.value_or(0);
    m.reserve = storage.reserve;
    m.compression = storage.compress ? proto::Compression::on : proto::Compression::off;
    m.keep_removed = storage.keep_removed.value_or(config::Seconds(0)).count();
    m.keep_logins = storage.keep_logins.count();
    m.max_failed_logins = storage.max_failed_logins;
    return m;
}

proto::ConfigureAuthd for_authd(const Settings& s) {
    proto::ConfigureAuthd m{};
    m.log = log_of(s);
    m.hostname = s.config.hostname;
    m.local_mode = local_mode_of(s);
    m.postmaster_account = s.config.postmaster.account;
    m.postmaster_mailbox = s.config.postmaster.mailbox;
    for (const auto& domain : s.domains.domains) {
        std::string separators;
        for (const auto& separator : domain.localpart_separators) separators += separator;
        m.domains.push_back({domain.name, separators, domain.case_sensitive, domain.disabled});
    }
    for (const auto& account : s.domains.accounts) {
        m.accounts.push_back({account.name, account.login_disabled});
        for (const auto& a : account.addresses)
            m.addresses.push_back({canonical_address(s, a), account.name, a.mailbox});
    }
    m.private_keys_pem = s.private_keys;
    return m;
}

proto::ConfigureDnsd for_dnsd(const Settings& s) {
    proto::ConfigureDnsd m{};
    m.log = log_of(s);
    for (const auto& f : s.config.resolver.forward) m.forward.push_back(fmt::format("{}@{}", f.address, f.port));
    m.trust_anchor = s.trust_anchor;
    m.local_data = s.config.resolver.local_data;
    m.no_dnssec = s.config.resolver.no_dnssec;
    return m;
}

proto::ConfigureSmtpd for_smtpd(const Settings& s) {
    return {log_of(s), s.config.hostname, local_mode_of(s), s.certificates, {}};
}

proto::ConfigureImapd for_imapd(const Settings& s) {
    return {log_of(s), s.config.hostname, s.certificates, {}};
}

proto::ConfigureHttpd for_httpd(const Settings& s) {
    return {log_of(s), s.config.hostname, s.certificates, {}};
}

proto::ConfigureImapdWorker for_imapd_worker(const Settings& s, const std::string& account) {
    return {log_of(s), account, s.config.imap.sleep_after};
}

proto::ConfigureQueued for_queued(const Settings& s) {
    proto::ConfigureQueued m{};
    m.log = log_of(s);
    m.hostname = s.config.hostname;
    m.local_mode = local_mode_of(s);
    m.retry_after = s.config.queue.retry_after;
    m.give_up_after = s.config.queue.give_up_after;
    m.delay_notice_after = s.config.queue.delay_notice_after;
    m.max_concurrent = s.config.queue.max_concurrent;
    m.max_per_destination = s.config.queue.max_per_destination;
    m.outgoing_port = s.config.queue.outgoing_port;
    m.source_addresses = s.config.queue.source_addresses;
    for (const auto& t : s.domains.transports)
        m.transports.push_back({t.name, t.host, t.port, transport_tls(t.tls), t.verify, t.username, {t.password}});
    for (const auto& account : s.domains.accounts)
        for (const auto& r : account.routes) m.routes.push_back(route_of(r, account.name, ""));
    for (const auto& domain : s.domains.domains)
        for (const auto& r : domain.routes) m.routes.push_back(route_of(r, "", domain.name));
    for (const auto& r : s.domains.routes) m.routes.push_back(route_of(r, "", ""));
    m.ca_pem = s.ca_pem;
    return m;
}

std::string user_of(const config::Config& config, ipc::Role role) {
    switch (role) {
        case ipc::Role::storaged:
            return config.users.storaged;
        case ipc::Role::authd:
            return config.users.authd;
        case ipc::Role::dnsd:
            return config.users.dnsd;
        case ipc::Role::smtpd:
            return config.users.smtpd;
        case ipc::Role::imapd:
        case ipc::Role::imapd_worker:
            return config.users.imapd;
        case ipc::Role::httpd:
            return config.users.httpd;
        case ipc::Role::queued:
            return config.users.queued;
        default:
            return {};
    }
}

}  // namespace mox::moxd
