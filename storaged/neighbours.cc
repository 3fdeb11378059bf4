#include <algorithm>
#include <unistd.h>

#include "common/log/log.h"
#include "common/text/ascii.h"
#include "storaged/account.h"
#include "storaged/account_channel.h"

// What accounts of a domain have to do with each other (RFC 4314): who shares mailboxes with whom, and who is told of
// what. All in the loop. What is known here decides only whom to ask and whom to tell: whether a request is allowed is
// decided anew, by the rows, in the operation that carries it out (MailStore::admit).

namespace mox::storaged {
namespace {

const Shares kNothing;

const Shares& shares_of(const std::shared_ptr<const Shares>& shares) {
    return shares == nullptr ? kNothing : *shares;
}

}  // namespace

bool Account::is_neighbour(const Account& other) const {
    return &other != this && std::ranges::any_of(domains_, [&](const auto& d) { return other.domains_.contains(d); });
}

async::Task<Result<proto::Done>> Account::load_shares() {
    if (shares_ != nullptr) co_return proto::Done{};
    if (!may_share_) {
        shares_ = std::make_shared<const Shares>();
        co_return proto::Done{};
    }
    auto loaded = co_await run(Access::read, [](MailStore& store) -> Result<Shares> { return store.shares(); });
    if (!loaded) co_return std::unexpected(std::move(loaded.error()));
    if (shares_ == nullptr) shares_ = std::make_shared<const Shares>(std::move(*loaded));
    co_return proto::Done{};
}

void Account::tell_guests(const Effects& effects) {
    if (effects.shares == nullptr && visitors_.empty()) return;
    auto before = shares_;
    if (effects.shares != nullptr) shares_ = effects.shares;
    tell_visitors(effects, shares_of(before), shares_of(shares_));
    if (effects.shares != nullptr) accounts_.tell_shares_changed(*this, shares_of(before), shares_of(shares_));
}

// Each hears of the mailboxes that it may read, and of those that it could read up to now: so that it finds out.
void Account::tell_visitors(const Effects& effects, const Shares& before, const Shares& now) {
    for (auto* visitor : visitors_) {
        const Account& guest = visitor->account();
        if (!is_neighbour(guest)) continue;
        Effects theirs;
        for (auto [mailbox, modseq] : effects.changed) {
            uint32_t rights = rights_for(now, mailbox, guest.name()) | rights_for(before, mailbox, guest.name());
            if (rights & proto::kReadRight) theirs.changed[id_for_guests(mailbox)] = modseq;
        }
        theirs.list_changed = effects.list_changed && shares_with(now, guest.name());
        visitor->tell(theirs);
    }
}

void Account::tell_list_changed() {
    Effects effects;
    effects.list_changed = true;
    for (auto& channel : channels_) channel->tell(effects);
}

void Account::close_visitors(std::string_view reason) {
    for (auto* visitor : visitors_) visitor->channel().close(reason);
}

void Accounts::tell_shares_changed(const Account& owner, const Shares& before, const Shares& now) {
    for (auto& [name, entry] : accounts_) {
        Account& guest = *entry.account;
        if (guest.channels() == 0 || !owner.is_neighbour(guest)) continue;
        if (shares_with(before, name) || shares_with(now, name)) guest.tell_list_changed();
    }
}

std::shared_ptr<Account> Accounts::find_neighbour(const Account& of, const std::string& name) {
    auto account = find(name);
    return account != nullptr && of.is_neighbour(*account) ? account : nullptr;
}

std::shared_ptr<Account> Accounts::find_neighbour(const Account& of, uint64_t number) {
    auto account = by_number_.find(number);
    return account == by_number_.end() ? nullptr : find_neighbour(of, account->second->name());
}

Result<std::string> Accounts::canonical_identifier(const Account& owner, std::string_view identifier) {
    std::string_view sign = identifier.starts_with('-') ? "-" : "";
    std::string name(identifier.substr(sign.size()));
    if (name == proto::kAnyone) return std::string(identifier);
    if (name == owner.name() || owner.has_address(name) || owner.has_address(text::to_lower(name)))
        return permanent(ErrorCode::exists, "the owner has all rights, always");
    for (const auto& account : all()) {
        bool meant =
            account->name() == name || account->has_address(name) || account->has_address(text::to_lower(name));
        // A name that could be read as another's negative rights, or as everyone's, cannot be given any.
        bool plain = !account->name().starts_with('-') && account->name() != proto::kAnyone;
        if (meant && plain && owner.is_neighbour(*account)) return std::string(sign) + account->name();
    }
    return permanent(ErrorCode::bad_request, "no account of that name in this domain; there are no groups");
}

async::Task<std::set<std::string>> Accounts::find_marked(std::vector<std::string> names, const char* mark) {
    return engine_.pool.run([names = std::move(names), mark] {
        std::set<std::string> marked;
        for (const auto& name : names)
            if (access(("accounts/" + name + '/' + mark).c_str(), F_OK) == 0) marked.insert(name);
        return marked;
    });
}

// Once, and again when there are more accounts: which of them may have given rights to others.
async::Task<void> Accounts::look_for_shares() {
    if (shares_known_) co_return;
    std::vector<std::string> names;
    for (const auto& [name, entry] : accounts_)
        if (entry.account->shares() == nullptr) names.push_back(name);
    auto marked = co_await find_marked(names, kSharedMark);
    for (const auto& name : names)
        if (auto found = accounts_.find(name); found != accounts_.end())
            found->second.account->set_may_share(marked.contains(name));
    shares_known_ = true;
}

async::Task<std::vector<std::shared_ptr<Account>>> Accounts::sharing_with(std::shared_ptr<Account> guest) {
    co_await look_for_shares();
    std::vector<std::shared_ptr<Account>> sharing;
    for (const auto& account : all()) {
        // While another was waited for it may have been removed.
        if (!guest->is_neighbour(*account) || find(account->name()) != account) continue;
        make_room();
        auto loaded = co_await account->load_shares();
        if (!loaded) log::warn("it is not known what an account shares", {{"account", account->name()}});
        if (loaded && shares_with(*account->shares(), guest->name())) sharing.push_back(account);
    }
    co_return sharing;
}

// A new account of the name must not come by what this one had: what cannot be removed stops the removal.
async::Task<Result<proto::Done>> Accounts::forget_identifier(std::string name) {
    if (name.starts_with('-') || name == proto::kAnyone) co_return proto::Done{};  // it was given none
    co_await look_for_shares();
    for (const auto& account : all()) {
        if (find(account->name()) != account) continue;
        make_room();
        auto loaded = co_await account->load_shares();
        if (loaded && account->shares()->empty()) continue;
        auto forgotten =
            co_await account->run(Access::write, [name](MailStore& store) { return store.forget_identifier(name); });
        if (!forgotten) {
            log::warn("rights of an account cannot be removed", {{"account", name}, {"at", account->name()}});
            co_return forgotten;
        }
    }
    co_return proto::Done{};
}

}  // namespace mox::storaged
