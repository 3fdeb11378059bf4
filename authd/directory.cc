#include "authd/directory.h"

#include "common/mail/address.h"
#include "common/text/ascii.h"

namespace mox::authd {

using proto::AddressStatus;

Directory::Directory(proto::ConfigureAuthd config)
    : local_mode_(config.local_mode == proto::LocalMode::on),
      hostname_(std::move(config.hostname)),
      postmaster_{std::move(config.postmaster_account), std::move(config.postmaster_mailbox)} {
    for (auto& domain : config.domains) domains_.emplace(domain.name, domain);
    for (auto& a : config.addresses) addresses_.emplace(a.address, Target{a.account, a.mailbox});
    for (auto& account : config.accounts) login_disabled_.emplace(account.name, account.login_disabled);
}

std::optional<Directory::Split> Directory::split(std::string_view text) const {
    auto address = mail::parse_address(text, mail::Utf8::allowed);
    if (!address) return std::nullopt;
    auto ascii = mail::domain_to_ascii(address->domain);
    auto domain = domains_.find(ascii ? *ascii : address->domain);
    if (domain == domains_.end()) return Split{address->localpart, nullptr};
    std::string localpart = address->localpart;
    if (size_t cut = localpart.find_first_of(domain->second.separators); cut != std::string::npos && cut > 0)
        localpart.resize(cut);
    if (!domain->second.case_sensitive) localpart = text::to_lower(localpart);
    return Split{std::move(localpart), &domain->second};
}

const Directory::Target* Directory::find(const std::string& canonical) const {
    auto found = addresses_.find(canonical);
    return found == addresses_.end() ? nullptr : &found->second;
}

proto::ResolvedAddress Directory::resolve(std::string_view text) const {
    auto local = [](const Target& t) { return proto::ResolvedAddress{AddressStatus::local, t.account, t.mailbox}; };
    // RFC 5321 4.1.1.3: <postmaster> without a domain.
    if (text::iequals(text, "postmaster")) return local(postmaster_);
    auto parts = split(text);
    if (!parts)
        return {local_mode_ ? AddressStatus::local : AddressStatus::unknown, postmaster_.account, postmaster_.mailbox};
    if (parts->domain == nullptr) {
        size_t at = text.rfind('@');
        bool host = text::iequals(text.substr(at + 1), hostname_);
        if (host && text::iequals(parts->localpart, "postmaster")) return local(postmaster_);
        if (local_mode_) return local(postmaster_);
        return {host ? AddressStatus::unknown : AddressStatus::not_ours, "", ""};
    }
    if (parts->domain->disabled) return {AddressStatus::domain_disabled, "", ""};
    if (auto* target = find(parts->localpart + "@" + parts->domain->name)) return local(*target);
    if (auto* target = find("*@" + parts->domain->name)) return local(*target);
    // RFC 5321 4.5.1: every domain has a postmaster.
    if (text::iequals(parts->localpart, "postmaster") || local_mode_) return local(postmaster_);
    return {AddressStatus::unknown, "", ""};
}

bool Directory::may_send(std::string_view account, std::string_view text) const {
    auto parts = split(text);
    if (!parts || parts->domain == nullptr || parts->domain->disabled) return false;
    if (auto* target = find(parts->localpart + "@" + parts->domain->name)) return target->account == account;
    auto* catch_all = find("*@" + parts->domain->name);
    return catch_all != nullptr && catch_all->account == account;
}

std::optional<std::string> Directory::account_of_login(std::string_view login) const {
    auto parts = split(login);
    if (!parts || parts->domain == nullptr || parts->localpart == "*") return std::nullopt;
    auto* target = find(parts->localpart + "@" + parts->domain->name);
    if (target == nullptr) return std::nullopt;
    return target->account;
}

std::string Directory::login_of_account(std::string_view account) const {
    for (const auto& [address, target] : addresses_)
        if (target.account == account && !address.starts_with("*@")) return address;
    return std::string(account);
}

std::string Directory::canonical_login(std::string_view login) const {
    auto parts = split(login);
    if (!parts || parts->domain == nullptr) return text::to_lower(login);
    return parts->localpart + "@" + parts->domain->name;
}

std::string Directory::login_disabled(std::string_view account) const {
    auto found = login_disabled_.find(account);
    return found == login_disabled_.end() ? "no such account" : found->second;
}

}  // namespace mox::authd
