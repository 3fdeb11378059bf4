// What only the whole configuration shows: names that must be unique or must exist, listeners that collide,
// services that nobody could use.
#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

#include "common/config/config.h"
#include "common/config/values.h"
#include "common/text/ascii.h"

namespace mox::config {
namespace {

Position position_of(const Origin& origin) {
    return {origin.line, origin.column};
}

// ---- mox.conf ----

bool takes_passwords(ServiceKind kind) {
    return kind == ServiceKind::submission || kind == ServiceKind::imap;
}

void check_service(const Listener& listener, const Service& service, Diagnostics& out) {
    std::string_view name = service_name(service.kind);
    Position at = position_of(service.origin);
    bool has_tls = listener.tls.source != TlsSource::none;
    bool plain_only = service.kind == ServiceKind::http || service.kind == ServiceKind::metrics;
    if (is_implicit_tls(service.kind) && !has_tls) {
        out.add(at, fmt::format("'{}' in a listener without TLS", name),
                fmt::format("'tls' in listener '{}'", listener.name));
    } else if (!plain_only && !has_tls && service.starttls != Starttls::off) {
        out.add(at, fmt::format("'{}' offers STARTTLS in a listener without TLS", name),
                fmt::format("'tls' in listener '{}', or '{} {{ no-starttls }}'", listener.name, name));
    }
    if (takes_passwords(service.kind) && service.starttls == Starttls::off && !listener.allow_insecure_auth) {
        out.add(at, fmt::format("nobody could log in by '{}': passwords need TLS, and it has none", name),
                "STARTTLS, or 'allow-insecure-auth'");
    }
}

bool overlap(const std::string& a, const std::string& b) {
    auto is_any = [](const std::string& s) { return s == "0.0.0.0" || s == "::"; };
    return is_ipv6(a) == is_ipv6(b) && (a == b || is_any(a) || is_any(b));
}

struct Endpoint {
    const std::string* address;
    const Service* service;
};

/// By port, the addresses in use: two services cannot share one.
void check_endpoints(const Listener& listener, std::map<uint16_t, std::vector<Endpoint>>& used, Diagnostics& out) {
    for (const Service& service : listener.services) {
        auto& endpoints = used[service.port];
        size_t before = endpoints.size();
        for (const std::string& address : listener.addresses) {
            auto other = std::find_if(endpoints.begin(), endpoints.begin() + static_cast<ptrdiff_t>(before),
                                      [&](const Endpoint& e) { return overlap(*e.address, address); });
            if (other != endpoints.begin() + static_cast<ptrdiff_t>(before)) {
                out.add(
                    position_of(service.origin),
                    fmt::format("'{}' on {} port {} collides with '{}' in line {}", service_name(service.kind), address,
                                service.port, service_name(other->service->kind), other->service->origin.line),
                    "another address or port");
            }
            endpoints.push_back({&address, &service});
        }
    }
}

void check_listener(const Listener& listener, Diagnostics& out) {
    Position at = position_of(listener.origin);
    if (listener.services.empty()) {
        out.add(at, fmt::format("listener '{}' has no service", listener.name), "smtp, submission, imap, ...");
    }
    for (size_t i = 0; i < listener.addresses.size(); i++) {
        for (size_t j = 0; j < i; j++) {
            if (!overlap(listener.addresses[i], listener.addresses[j])) continue;
            out.add(at,
                    fmt::format("addresses {} and {} of listener '{}' overlap", listener.addresses[j],
                                listener.addresses[i], listener.name),
                    "each address once");
        }
    }
    if (listener.max_connections_per_address > listener.max_connections) {
        out.add(at,
                fmt::format("'max-connections-per-address' {} is more than 'max-connections' {}",
                            listener.max_connections_per_address, listener.max_connections),
                "at most as many");
    }
    for (const Service& service : listener.services) check_service(listener, service, out);
}

void check_users(const Users& users, Diagnostics& out) {
    std::set<std::string> seen;
    for (const std::string& user :
         {users.storaged, users.authd, users.dnsd, users.smtpd, users.imapd, users.httpd, users.queued}) {
        if (user == "root") out.add({}, "a program runs as 'root'", "a user without privileges");
        if (seen.insert(user).second) continue;
        out.add({}, fmt::format("two programs run as user '{}'", user), "a user for each program");
    }
}

void check(const Config& config, Diagnostics& out) {
    std::set<std::string> names;
    std::map<uint16_t, std::vector<Endpoint>> used;
    for (const Listener& listener : config.listeners) {
        if (!names.insert(listener.name).second) {
            out.add(position_of(listener.origin), fmt::format("a second listener '{}'", listener.name), "another name");
        }
        check_listener(listener, out);
        check_endpoints(listener, used, out);
    }
    check_users(config.users, out);
    const auto& sources = config.queue.source_addresses;
    auto ipv6 = std::ranges::count_if(sources, [](const auto& ip) { return is_ipv6(ip); });
    if (ipv6 > 1 || std::ssize(sources) - ipv6 > 1) {
        out.add({}, "more than one 'source-address' of a kind", "at most one IPv4 and one IPv6 address");
    }
}

// ---- domains.conf ----

class DomainsCheck {
  public:
    DomainsCheck(const Domains& domains, Diagnostics& out) : domains_(domains), out_(out) {}
    void run();

  private:
    void check_names();
    void check_routes(const std::vector<Route>& routes);
    void check_address(const Address& address);

    const Domains& domains_;
    Diagnostics& out_;
    std::map<std::string, const Domain*> by_name_;
    std::set<std::string> transports_;
    std::map<std::string, uint32_t> addresses_;  // canonical, with the line
};

void DomainsCheck::check_names() {
    for (const Domain& domain : domains_.domains) {
        if (by_name_.emplace(domain.name, &domain).second) continue;
        out_.add(position_of(domain.origin), fmt::format("a second domain '{}'", domain.name), "each domain once");
    }
    std::set<std::string> accounts;
    for (const Account& account : domains_.accounts) {
        if (accounts.insert(text::to_lower(account.name)).second) continue;
        out_.add(position_of(account.origin), fmt::format("a second account '{}'", account.name),
                 "names that differ by more than case");
    }
    for (const Transport& transport : domains_.transports) {
        if (transports_.insert(transport.name).second) continue;
        out_.add(position_of(transport.origin), fmt::format("a second transport '{}'", transport.name), "another name");
    }
}

void DomainsCheck::check_routes(const std::vector<Route>& routes) {
    for (const Route& route : routes) {
        if (transports_.contains(route.transport)) continue;
        out_.add(position_of(route.origin), fmt::format("no transport '{}'", route.transport),
                 "the name of a transport");
    }
}

void DomainsCheck::check_address(const Address& address) {
    Position at = position_of(address.origin);
    std::string whole = address.localpart + "@" + address.domain;
    auto found = by_name_.find(address.domain);
    if (found == by_name_.end()) {
        out_.add(at, fmt::format("{} is of a domain that is not configured", shown(whole)),
                 fmt::format("a 'domain \"{}\"'", address.domain));
        return;
    }
    const Domain& domain = *found->second;
    std::string canonical = canonical_localpart(domain, address.localpart);
    if (canonical.size() != address.localpart.size()) {
        out_.add(at, fmt::format("{} has a separator of its domain in it", shown(whole)),
                 fmt::format("'{}@{}'", canonical, domain.name));
        return;
    }
    auto [other, is_new] = addresses_.emplace(canonical + "@" + domain.name, at.line);
    if (is_new) return;
    out_.add(at, fmt::format("{} is the same address as in line {}", shown(whole), other->second), "each address once");
}

void DomainsCheck::run() {
    check_names();
    check_routes(domains_.routes);
    for (const Domain& domain : domains_.domains) check_routes(domain.routes);
    for (const Account& account : domains_.accounts) {
        check_routes(account.routes);
        for (const Address& address : account.addresses) check_address(address);
    }
}

}  // namespace

std::string canonical_localpart(const Domain& domain, std::string_view localpart) {
    std::string out = domain.case_sensitive ? std::string(localpart) : text::to_lower(localpart);
    if (out == "*") return out;
    for (const std::string& separator : domain.localpart_separators) {
        size_t at = out.find(separator, 1);
        if (at != std::string::npos) out.resize(at);
    }
    return out;
}

std::vector<Diagnostic> validate(const Config& config) {
    Diagnostics out(config.file);
    check(config, out);
    return out.take();
}

std::vector<Diagnostic> validate(const Domains& domains) {
    Diagnostics out(domains.file);
    DomainsCheck(domains, out).run();
    return out.take();
}

std::vector<Diagnostic> validate(const Config& config, const Domains& domains) {
    Diagnostics of_config(config.file);
    check(config, of_config);
    auto is_postmaster = [&](const Account& account) { return account.name == config.postmaster.account; };
    if (std::ranges::none_of(domains.accounts, is_postmaster)) {
        of_config.add(position_of(config.postmaster.origin), fmt::format("no account '{}'", config.postmaster.account),
                      fmt::format("the name of an account in {}", domains.file));
    }
    std::vector<Diagnostic> out = of_config.take();
    std::ranges::move(validate(domains), std::back_inserter(out));
    return out;
}

}  // namespace mox::config
