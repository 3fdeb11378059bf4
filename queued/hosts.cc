#include "queued/hosts.h"

#include <algorithm>
#include <arpa/inet.h>

#include "common/text/ascii.h"

namespace mox::queued {
namespace {

using smtp::Scope;
using smtp::Verdict;

HostPlan fail(std::string_view enhanced, std::string text) {
    return {{}, smtp::failure(Verdict::permanent, Scope::message, enhanced, std::move(text))};
}

}  // namespace

bool is_address(const std::string& text) {
    unsigned char bytes[16];
    return inet_pton(AF_INET, text.c_str(), bytes) == 1 || inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

std::optional<std::string> literal_address(std::string_view domain) {
    if (!domain.starts_with('[') || !domain.ends_with(']')) return std::nullopt;
    domain = domain.substr(1, domain.size() - 2);
    if (text::istarts_with(domain, "IPv6:")) domain.remove_prefix(5);  // RFC 5321 4.1.3
    std::string address(domain);
    if (!is_address(address)) return std::nullopt;
    return address;
}

HostPlan plan_hosts(const proto::MxHosts& answer, const std::string& domain, const std::string& hostname,
                    std::mt19937_64& random) {
    if (answer.answer.status == proto::DnsStatus::no_domain)
        return fail("5.1.2", "the domain " + domain + " does not exist");
    auto hosts = answer.hosts;
    // RFC 7505 3: only a null MX that stands alone is one.
    if (hosts.size() == 1 && hosts[0].host.empty())
        return fail("5.1.10", "the domain " + domain + " takes no mail (null MX)");
    std::erase_if(hosts, [](const auto& h) { return h.host.empty(); });
    // RFC 5321 5.1: without MX the domain itself, as if with preference 0.
    if (hosts.empty()) hosts.push_back({0, domain});
    std::ranges::shuffle(hosts, random);
    std::ranges::sort(hosts, {}, &proto::MxHost::preference);
    // RFC 5321 5.1: neither this server nor any behind it in preference; they would send the message back here.
    auto self = std::ranges::find_if(hosts, [&](const auto& h) { return text::iequals(h.host, hostname); });
    if (self != hosts.end()) {
        uint16_t limit = self->preference;
        std::erase_if(hosts, [&](const auto& h) { return h.preference >= limit; });
    }
    if (hosts.empty())
        return fail("5.4.6",
                    "the mail of " + domain + " comes to this server, which does not know the domain as its own");
    HostPlan plan;
    for (auto& h : hosts) {
        if (plan.hosts.size() < kMaxHosts && std::ranges::find(plan.hosts, h.host) == plan.hosts.end())
            plan.hosts.push_back(std::move(h.host));
    }
    return plan;
}

}  // namespace mox::queued
