#include <algorithm>
#include <ctime>
#include <sodium.h>

#include "common/text/ascii.h"
#include "common/text/little_endian.h"
#include "storaged/account_channel.h"

// URLs that carry their authorization (RFC 4467): a mailbox's access key, and the tokens made with it.
//
// A token is a keyed hash of what its URL says, and of which mailbox that was: its id and UIDVALIDITY, so that it opens
// neither one of the same name made later nor the same uid of a restored account. The key never leaves this process,
// and a token is only looked at here: a worker can ask for its own account's, and learns of another's nothing but the
// message when the token is right. Whatever else is the case is one answer, after one time.

namespace mox::storaged {
namespace {

using namespace std::chrono_literals;

constexpr char kHmacSha256 = 1;        // RFC 4467 2.4.1: the first byte says how the token was made
constexpr auto kRefusalAfter = 100ms;  // longer than finding out takes, and slow for who guesses

std::unexpected<Error> no_such_message() {
    return permanent(ErrorCode::not_found, "the URL leads to no message that this account may fetch");
}

bool is_well_formed(const proto::AuthorizedUrl& url) {
    auto fits = [](const std::string& text) { return text.size() <= proto::kMaxUrlText; };
    bool names_user = url.access == proto::UrlAccess::submit || url.access == proto::UrlAccess::user;
    return !url.user.empty() && !url.mailbox.empty() && url.uid.value != 0 && fits(url.user) && fits(url.host) &&
           fits(url.mailbox) && fits(url.section) && fits(url.partial) && fits(url.access_user) &&
           names_user == !url.access_user.empty();
}

void put_text(std::string& out, std::string_view text) {
    text::put_little_endian(out, static_cast<uint32_t>(text.size()));
    out += text;
}

// DEVIATES RFC 4467 6: made over what the URL says, decoded, not over its text: clients respell what they are given.
/// Different for what differs in any of it. Part of what is on disk, in URLs that others keep: never changed.
std::string signed_text(const proto::AuthorizedUrl& url, const proto::Mailbox& mailbox) {
    std::string out;
    text::put_little_endian(out, mailbox.id.value);
    text::put_little_endian(out, mailbox.uidvalidity);
    for (const auto* text : {&url.user, &url.host, &url.mailbox}) put_text(out, *text);
    text::put_little_endian(out, url.uidvalidity.value_or(0));
    text::put_little_endian(out, url.uid.value);
    for (const auto* text : {&url.section, &url.partial}) put_text(out, *text);
    out += static_cast<char>(url.expire.has_value());
    text::put_little_endian(out, url.expire.value_or(0));
    out += static_cast<char>(url.access);
    put_text(out, url.access_user);
    return out;
}

std::string make_token(const std::string& key, const std::string& text) {
    std::string token(1 + crypto_auth_hmacsha256_BYTES, kHmacSha256);
    crypto_auth_hmacsha256(reinterpret_cast<unsigned char*>(token.data() + 1),
                           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                           reinterpret_cast<const unsigned char*>(key.data()));
    return token;
}

bool is_same(const std::string& a, const std::string& b) {
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

std::optional<std::string> MailStore::url_key(uint64_t mailbox) {
    auto row = db().query("SELECT key FROM url_key WHERE mailbox = ?", mailbox);
    // What has not the size of a key was not made here.
    if (!row.next() || row.bytes(0).size() != crypto_auth_hmacsha256_KEYBYTES) return std::nullopt;
    return row.bytes(0);
}

Result<proto::UrlToken> MailStore::make_url_token(const proto::AuthorizedUrl& url) {
    auto mailbox = find_for(url.mailbox, proto::kReadRight);
    if (!mailbox) return std::unexpected(mailbox.error());
    if (url.uidvalidity && *url.uidvalidity != mailbox->uidvalidity)
        return permanent(ErrorCode::not_found, "another UIDVALIDITY");
    auto key = url_key(mailbox->id.value);
    if (!key) {  // RFC 4467 7 GENURLAUTH: it is made when it is needed
        key.emplace(crypto_auth_hmacsha256_KEYBYTES, '\0');
        randombytes_buf(key->data(), key->size());
        db().run("INSERT OR REPLACE INTO url_key VALUES (?, ?)", mailbox->id.value, Blob{*key});
    }
    return proto::UrlToken{make_token(*key, signed_text(url, *mailbox))};
}

Result<proto::Done> MailStore::reset_url_keys(const std::string& name) {
    if (name.empty()) {
        db().run("DELETE FROM url_key");
        return proto::Done{};
    }
    auto mailbox = find_for(name, proto::kReadRight);
    if (!mailbox) return std::unexpected(mailbox.error());
    db().run("DELETE FROM url_key WHERE mailbox = ?", mailbox->id.value);
    return proto::Done{};
}

Result<proto::MessageFiles> MailStore::open_url(const proto::AuthorizedUrl& url, const std::string& token) {
    auto mailbox = find_for(url.mailbox, proto::kReadRight);
    if (!mailbox || (url.uidvalidity && *url.uidvalidity != mailbox->uidvalidity)) return no_such_message();
    auto key = url_key(mailbox->id.value);
    if (!key || !is_same(token, make_token(*key, signed_text(url, *mailbox)))) return no_such_message();
    return files({mailbox->id, {url.uid}});
}

std::shared_ptr<Account> Accounts::find_by_user(const std::string& user) {
    if (auto account = find(user)) return account;
    std::string lower = text::to_lower(user);
    for (const auto& account : all())
        if (account->has_address(user) || account->has_address(lower)) return account;
    return nullptr;
}

// RFC 4467 3. Who is logged in here never is anonymous.
bool AccountChannel::may_fetch(const proto::AuthorizedUrl& url) {
    switch (url.access) {
        case proto::UrlAccess::authuser:
        case proto::UrlAccess::anonymous:
            return true;
        case proto::UrlAccess::user:
            return accounts_.find_by_user(url.access_user).get() == &account_;
        case proto::UrlAccess::submit:
            return account_.is_submission_server();
        case proto::UrlAccess::kEnd:
            break;
    }
    return false;
}

async::Task<Result<proto::UrlToken>> AccountChannel::on(proto::MakeUrlToken message) {
    if (!is_well_formed(message.url)) co_return permanent(ErrorCode::bad_request, "not the URL of a message");
    if (accounts_.find_by_user(message.url.user).get() != &account_)
        co_return permanent(ErrorCode::not_found, "not the URL of one of the account's own mailboxes");
    co_return co_await account_.run(
        Access::write, [url = std::move(message.url)](MailStore& store) { return store.make_url_token(url); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::ResetUrlKeys message) {
    return account_.run(Access::write,
                        [name = std::move(message.mailbox)](MailStore& store) { return store.reset_url_keys(name); });
}

async::Task<Result<proto::MessageFiles>> AccountChannel::open_url(proto::OpenUrl message) {
    const auto& url = message.url;
    bool plausible = is_well_formed(url) && message.token.size() <= proto::kMaxUrlToken && may_fetch(url) &&
                     (!url.expire || std::time(nullptr) <= *url.expire);  // RFC 4467 3: the latest time
    auto owner = plausible ? accounts_.find_by_user(url.user) : nullptr;
    if (owner == nullptr) co_return no_such_message();
    accounts_.make_room();
    auto files = co_await owner->run(
        Access::read, [m = std::move(message)](MailStore& store) { return store.open_url(m.url, m.token); });
    if (files && owner.get() != &account_) for_guests(*owner, *files);
    if (files && files->messages.empty()) co_return no_such_message();
    co_return files;
}

async::Task<Result<proto::MessageFiles>> AccountChannel::on(proto::OpenUrl message) {
    auto refusal = async::Clock::now() + kRefusalAfter;
    auto files = co_await open_url(std::move(message));
    if (files) co_return files;
    if (auto now = async::Clock::now(); now < refusal) co_await async::sleep_for(refusal - now);
    if (files.error().is_temporary()) co_return std::unexpected(std::move(files.error()));
    co_return no_such_message();
}

}  // namespace mox::storaged
