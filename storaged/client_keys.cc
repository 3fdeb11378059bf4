#include <algorithm>

#include "common/log/log.h"
#include "storaged/account.h"
#include "storaged/names.h"

// The keys of TLS clients that log in with them (SASL EXTERNAL), by the fingerprints of their public halves: rows of
// each account's database, so they are backed up, restored and removed with it.
//
// Who owns a key is asked before it is known whose account it is. So the loop knows the keys of all accounts; only the
// databases of those with a mark (kClientKeysMark, made before the first row) are opened for that, once. A key is one
// account's alone: it is added to one only when no other has it. A restored account may bring one back that is
// another's by now; then it opens neither.

namespace mox::storaged {
namespace {

using namespace std::chrono_literals;

constexpr auto kUnreadableFor = 1min;  // not tried again

Result<void> check_key(const proto::ClientKey& key) {
    bool fits = key.fingerprint.size() == proto::kKeyFingerprint && is_printable(key.type, proto::kMaxClientKeyType) &&
                is_printable(key.name, proto::kMaxClientKeyName);
    if (!fits) return permanent(ErrorCode::bad_request, "not a key, or a name that is too long or not text");
    return {};
}

bool has_key(const std::shared_ptr<const Account::ClientKeys>& keys, const std::string& fingerprint) {
    return keys != nullptr && std::ranges::find(*keys, fingerprint, &proto::ClientKey::fingerprint) != keys->end();
}

}  // namespace

Result<std::vector<proto::ClientKey>> MailStore::client_keys() {
    std::vector<proto::ClientKey> keys;
    auto rows =
        db().query("SELECT fingerprint, type, name, added, preauth FROM client_key ORDER BY added, fingerprint");
    while (rows.next())
        keys.push_back({rows.bytes(0), rows.bytes(1), rows.bytes(2), rows.integer(3),
                        rows.integer(4) != 0 ? proto::Preauth::yes : proto::Preauth::no});
    return keys;
}

Result<proto::Done> MailStore::add_client_key(const proto::ClientKey& key) {
    make_mark(kClientKeysMark);
    db().run("INSERT OR REPLACE INTO client_key VALUES (?, ?, ?, ?, ?)", Blob{key.fingerprint}, key.type, key.name,
             key.added, key.preauth == proto::Preauth::yes);
    auto all = db().query("SELECT count(*) FROM client_key");
    all.next();
    if (all.number(0) > proto::kMaxClientKeys)
        return permanent(ErrorCode::over_quota, "the account has too many certificates");
    return proto::Done{};
}

Result<proto::Done> MailStore::remove_client_key(const std::string& fingerprint) {
    db().run("DELETE FROM client_key WHERE fingerprint = ?", Blob{fingerprint});
    return proto::Done{};
}

async::Task<Result<proto::Done>> Account::load_client_keys() {
    while (client_keys_ == nullptr) {
        uint64_t version = client_keys_version_;
        auto loaded = co_await run(Access::read, [](MailStore& store) { return store.client_keys(); });
        if (version != client_keys_version_) continue;
        if (!loaded) {
            client_keys_unreadable_until_ = async::Clock::now() + kUnreadableFor;
            co_return std::unexpected(std::move(loaded.error()));
        }
        client_keys_ = std::make_shared<const ClientKeys>(std::move(*loaded));
    }
    co_return proto::Done{};
}

/// Of all accounts, or of one: when this ends all keys that can be read are known. An error when some cannot be read.
async::Task<Result<proto::Done>> Accounts::load_client_keys(std::string name) {
    struct Unread {
        std::shared_ptr<Account> account;
        uint64_t version;
        bool idle;
    };
    auto meant = [&](const auto& account) { return name.empty() || account->name() == name; };
    for (;;) {
        std::vector<Unread> unread;
        std::vector<std::string> names;
        for (auto& account : all()) {
            if (!meant(account) || !account->has_unread_client_keys()) continue;
            names.push_back(account->name());
            unread.push_back({account, account->client_keys_version(), account->idle()});
        }
        if (unread.empty()) break;
        auto marked = co_await find_marked(std::move(names), kClientKeysMark);
        for (const auto& [account, version, idle] : unread) {
            if (find(account->name()) != account || !account->has_unread_client_keys()) continue;
            // The mark may be made while it is looked for.
            if (idle && version == account->client_keys_version() && !marked.contains(account->name())) {
                account->set_no_client_keys();
                continue;
            }
            make_room();
            if (!co_await account->load_client_keys())
                log::warn("it is not known which keys an account has", {{"account", account->name()}});
        }
    }
    for (const auto& account : all())
        if (meant(account) && account->client_keys() == nullptr)
            co_return temporary(ErrorCode::unavailable,
                                "the keys of account " + account->name() + " cannot be read at the moment");
    co_return proto::Done{};
}

std::vector<std::shared_ptr<Account>> Accounts::owners_of(const std::string& fingerprint) const {
    auto owners = all();
    std::erase_if(owners, [&](const auto& account) { return !has_key(account->client_keys(), fingerprint); });
    return owners;
}

async::Task<Result<proto::OwnedClientKey>> Accounts::find_client_key(std::string fingerprint) {
    auto loaded = co_await load_client_keys();
    auto owners = owners_of(fingerprint);
    if (owners.empty() && !loaded) co_return std::unexpected(std::move(loaded.error()));
    if (owners.empty()) co_return permanent(ErrorCode::not_found, "no account has this key");
    if (owners.size() > 1) {
        log::warn("several accounts have the same key: it opens none of them",
                  {{"account", owners[0]->name()}, {"another", owners[1]->name()}});
        co_return permanent(ErrorCode::exists, "several accounts have this key");
    }
    const auto& keys = *owners[0]->client_keys();
    co_return proto::OwnedClientKey{owners[0]->name(),
                                    *std::ranges::find(keys, fingerprint, &proto::ClientKey::fingerprint)};
}

class Accounts::KeyTurn {
  public:
    explicit KeyTurn(Accounts& accounts) : accounts_(accounts) { accounts_.changing_keys_ = true; }
    KeyTurn(const KeyTurn&) = delete;
    KeyTurn& operator=(const KeyTurn&) = delete;
    ~KeyTurn() {
        accounts_.changing_keys_ = false;
        accounts_.keys_changed_.notify_all();
    }

  private:
    Accounts& accounts_;
};

async::Task<Result<proto::Done>> Accounts::add_client_key(proto::AddClientKey message) {
    if (auto checked = check_key(message.key); !checked) co_return std::unexpected(checked.error());
    while (changing_keys_) co_await keys_changed_.wait();
    KeyTurn turn(*this);
    // Not while it is not known whether another has it.
    auto loaded = co_await load_client_keys();
    if (!loaded) co_return loaded;
    if (auto owners = owners_of(message.key.fingerprint); !owners.empty())
        co_return permanent(ErrorCode::exists, "this key belongs to account " + owners[0]->name() + " already");
    auto account = find(message.account);
    if (account == nullptr) co_return permanent(ErrorCode::not_found, "no such account");
    account->forget_client_keys();
    co_return co_await account->run(
        Access::write, [key = std::move(message.key)](MailStore& store) { return store.add_client_key(key); });
}

async::Task<Result<proto::Done>> Accounts::remove_client_key(std::string fingerprint) {
    while (changing_keys_) co_await keys_changed_.wait();
    KeyTurn turn(*this);
    auto loaded = co_await load_client_keys();
    auto owners = owners_of(fingerprint);
    if (owners.empty() && !loaded) co_return loaded;
    if (owners.empty()) co_return permanent(ErrorCode::not_found, "no account has this certificate");
    for (const auto& account : owners) {
        account->forget_client_keys();
        auto removed = co_await account->run(
            Access::write, [fingerprint](MailStore& store) { return store.remove_client_key(fingerprint); });
        if (!removed) co_return removed;
    }
    co_return proto::Done{};
}

async::Task<Result<proto::OwnedClientKeys>> Accounts::list_client_keys(std::string name) {
    if (!name.empty() && find(name) == nullptr) co_return permanent(ErrorCode::not_found, "no such account");
    if (auto loaded = co_await load_client_keys(name); !loaded) co_return std::unexpected(std::move(loaded.error()));
    proto::OwnedClientKeys list;
    for (const auto& account : all()) {
        if ((!name.empty() && account->name() != name) || account->client_keys() == nullptr) continue;
        for (const auto& key : *account->client_keys())
            if (list.keys.size() < proto::kMaxListedClientKeys) list.keys.push_back({account->name(), key});
    }
    co_return list;
}

}  // namespace mox::storaged
