#include "queued/route.h"

#include <algorithm>

#include "common/mail/address.h"
#include "common/text/ascii.h"

namespace mox::queued {
namespace {

std::string normal(std::string_view domain) {
    auto ascii = mail::domain_to_ascii(domain);
    return ascii ? *ascii : text::to_lower(domain);
}

bool any_matches(const std::vector<std::string>& patterns, std::string_view domain) {
    if (patterns.empty()) return true;
    return std::ranges::any_of(patterns, [&](const auto& p) { return domain_matches(p, domain); });
}

bool matches(const proto::Route& route, const RouteFacts& facts) {
    if (!route.account.empty() && route.account != facts.account) return false;
    if (!route.sender_domain.empty() && !domain_matches(route.sender_domain, facts.from_domain)) return false;
    return facts.attempts >= route.min_attempts && any_matches(route.from_domains, facts.from_domain) &&
           any_matches(route.to_domains, facts.to_domain);
}

}  // namespace

bool domain_matches(std::string_view pattern, std::string_view domain) {
    if (domain.empty()) return false;
    if (!pattern.starts_with('.')) return normal(pattern) == normal(domain);
    std::string below = "." + normal(pattern.substr(1));
    std::string name = normal(domain);
    return name.size() > below.size() && name.ends_with(below);
}

const proto::Route* choose_route(const std::vector<proto::Route>& routes, const RouteFacts& facts) {
    auto found = std::ranges::find_if(routes, [&](const auto& r) { return matches(r, facts); });
    return found != routes.end() ? &*found : nullptr;
}

const proto::Transport* find_transport(const std::vector<proto::Transport>& transports, std::string_view name) {
    auto found = std::ranges::find(transports, name, &proto::Transport::name);
    return found != transports.end() ? &*found : nullptr;
}

std::string domain_of(std::string_view address) {
    auto at = address.rfind('@');
    return at == address.npos ? std::string() : normal(address.substr(at + 1));
}

}  // namespace mox::queued
