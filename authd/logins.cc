#include "authd/logins.h"

#include <arpa/inet.h>
#include <sodium.h>

#include "authd/passwords.h"
#include "common/log/log.h"

namespace mox::authd {

using namespace std::chrono_literals;
using proto::LoginResult;

namespace {

constexpr auto kStorageLimit = 10s;
constexpr auto kRememberFor = 15min;
constexpr size_t kMaxRemembered = 10000;
constexpr size_t kMaxQueuedHashes = 64;
constexpr size_t kMaxWaiting = 128;  // failed logins whose answer waits

std::string random_secret() {
    std::string secret(32, '\0');
    randombytes_buf(secret.data(), secret.size());
    return secret;
}

std::string_view to_string(proto::LoginProtocol p) {
    return p == proto::LoginProtocol::imap ? "imap" : "submission";
}

}  // namespace

Logins::Logins(const Directory& directory, ipc::Link& storage, async::WorkerPool& pool)
    : directory_(directory), storage_(storage), pool_(pool), secret_(random_secret()), cache_secret_(random_secret()) {}

LoginResult Logins::wrong_for(const std::string& login) const {
    return directory_.account_of_login(login) ? LoginResult::wrong_password : LoginResult::unknown_user;
}

async::Task<Result<Logins::Candidate>> Logins::find(std::string login) {
    auto account = directory_.account_of_login(login);
    // An unknown user costs the same question as a known one.
    auto stored = co_await storage_.call(proto::GetCredentials{account ? *account : directory_.postmaster_account()},
                                         kStorageLimit);
    if (!stored && stored.error().is_temporary()) co_return std::unexpected(std::move(stored.error()));
    if (!account || !stored || !stored->credentials) {
        Candidate made_up{"", made_up_credentials(directory_.canonical_login(login), secret_)};
        made_up.credentials.argon2 = dummy_credentials().argon2;
        co_return made_up;
    }
    co_return Candidate{std::move(*account), std::move(*stored->credentials)};
}

std::string Logins::remembered_key(const Candidate& candidate, std::string_view password) const {
    // Bound to the stored hash: new credentials make old memories worthless.
    std::string text = candidate.credentials.argon2 + '\0' + std::string(password);
    std::string out(32, '\0');
    crypto_generichash(reinterpret_cast<unsigned char*>(out.data()), out.size(),
                       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                       reinterpret_cast<const unsigned char*>(cache_secret_.data()), cache_secret_.size());
    return out;
}

async::Task<bool> Logins::matches(Candidate candidate, std::string password) {
    std::string key = remembered_key(candidate, password);
    auto found = remembered_.find(candidate.account);
    if (!candidate.account.empty() && found != remembered_.end() && found->second.until > async::Clock::now() &&
        sodium_memcmp(found->second.key.data(), key.data(), key.size()) == 0)
        co_return true;
    bool right = co_await pool_.run([credentials = candidate.credentials, password = std::move(password)] {
        return verify_password(credentials, password);
    });
    if (!right || candidate.account.empty()) co_return false;
    if (remembered_.size() >= kMaxRemembered) remembered_.erase(remembered_.begin());
    remembered_[candidate.account] = {std::move(key), async::Clock::now() + kRememberFor};
    co_return true;
}

async::Task<Result<proto::LoggedIn>> Logins::succeed(proto::LoginContext context, std::string account,
                                                     std::string login) {
    log::Logger logger(context.cid);
    if (std::string text = directory_.login_disabled(account); !text.empty()) {
        logger.info("login refused: disabled", {{"account", account}});
        history_.note(context, login, LoginResult::disabled, account);
        co_return permanent(ErrorCode::denied, text);
    }
    throttle_.succeeded(context.remote_address, account);
    succeeded_++;
    proto::LoggedIn result{account, login, {}};
    if (context.protocol == proto::LoginProtocol::imap) {
        auto opened = co_await storage_.call(proto::OpenAccount{account}, kStorageLimit);
        if (!opened) {
            history_.note(context, login, LoginResult::unavailable, account);
            co_return std::unexpected(std::move(opened.error()));
        }
        result.account_channel = std::move(opened->channel);
    }
    history_.note(context, login, LoginResult::ok, account);
    logger.info("login",
                {{"protocol", to_string(context.protocol)}, {"account", account}, {"remote", context.remote_address}});
    co_return result;
}

async::Task<Error> Logins::fail(proto::LoginContext context, std::string account, std::string login, LoginResult result,
                                std::string_view why) {
    failed_++;
    history_.note(context, login, result, account);
    log::Logger(context.cid)
        .info("login failed", {{"protocol", to_string(context.protocol)},
                               {"login", std::string_view(login).substr(0, 320)},
                               {"remote", context.remote_address},
                               {"why", why}});
    // A name that leads nowhere counts like an account: how long an answer takes tells nothing.
    std::string counted = account.empty() ? directory_.canonical_login(login) : account;
    auto wait = throttle_.failed(context.remote_address, counted, async::Clock::now());
    // Waiting answers hold a place on their front's channel, which others need.
    if (waiting_ < kMaxWaiting) {
        struct Counted {
            size_t& count;
            explicit Counted(size_t& c) : count(c) { count++; }
            ~Counted() { count--; }
        } counted_wait(waiting_);
        co_await async::sleep_for(wait);
    }
    co_return Error{Persistence::permanent, ErrorCode::denied, "wrong user name or password"};
}

std::optional<Error> Logins::refuse(const proto::LoginContext& context, std::string_view login) {
    // What fronts say is theirs to check, and ours to check again: these become keys of tables here.
    in6_addr address{};
    const char* text = context.remote_address.c_str();
    if (login.size() > proto::kMaxLoginName ||
        (inet_pton(AF_INET, text, &address) != 1 && inet_pton(AF_INET6, text, &address) != 1))
        return Error{Persistence::permanent, ErrorCode::bad_request, "malformed login"};
    if (!throttle_.blocked(context.remote_address, async::Clock::now())) return std::nullopt;
    blocked_++;
    history_.note(context, login, LoginResult::throttled);
    return Error{Persistence::temporary, ErrorCode::busy,
                 "too many failed logins from your network, try again in some minutes"};
}

async::Task<Result<proto::LoggedIn>> Logins::plain(proto::LoginPlain request) {
    if (auto refused = refuse(request.context, request.login)) co_return std::unexpected(std::move(*refused));
    if (pool_.queued() > kMaxQueuedHashes) {
        history_.note(request.context, request.login, LoginResult::unavailable);
        co_return temporary(ErrorCode::busy, "too many logins at the moment, try again");
    }
    LoginResult wrong = wrong_for(request.login);
    if (request.password.value.size() > kMaxPassword)
        co_return std::unexpected(co_await fail(request.context, "", request.login, wrong, "password too long"));
    auto candidate = co_await find(request.login);
    if (!candidate) {
        history_.note(request.context, request.login, LoginResult::unavailable);
        co_return std::unexpected(std::move(candidate.error()));
    }
    std::string account = candidate->account;
    if (!co_await matches(std::move(*candidate), std::move(request.password.value)))
        co_return std::unexpected(
            co_await fail(request.context, account, request.login, wrong, "wrong user or password"));
    co_return co_await succeed(request.context, std::move(account), request.login);
}

async::Task<Result<proto::ScramChallenge>> Logins::scram_start(proto::ScramStart request,
                                                               std::unique_ptr<ScramServer>& server) {
    if (auto refused = refuse(request.context, "")) co_return std::unexpected(std::move(*refused));
    auto started = ScramServer::start(request);
    if (!started) {
        history_.note(request.context, "", LoginResult::malformed);
        co_return std::unexpected(std::move(started.error()));
    }
    server = std::make_unique<ScramServer>(std::move(*started));
    auto candidate = co_await find(server->user());
    if (!candidate) {
        history_.note(request.context, server->user(), LoginResult::unavailable);
        co_return std::unexpected(std::move(candidate.error()));
    }
    // Who has no keys for this hash is as unknown as who is not there at all.
    if (!server->fits(candidate->credentials))
        candidate->credentials = made_up_credentials(directory_.canonical_login(server->user()), secret_);
    co_return proto::ScramChallenge{0, server->challenge(candidate->credentials)};
}

async::Task<Result<proto::ScramDone>> Logins::scram_finish(proto::LoginContext context, ScramServer& server,
                                                           std::string client_final) {
    auto final_message = server.finish(client_final);
    auto account = directory_.account_of_login(server.user());
    if (!final_message || !account) {
        std::string why = final_message ? "unknown user" : final_message.error().text;
        LoginResult result = wrong_for(server.user());
        if (account && final_message.error().code == ErrorCode::bad_request) result = LoginResult::malformed;
        if (account && why == kWrongBinding) result = LoginResult::wrong_binding;
        co_return std::unexpected(co_await fail(std::move(context), account.value_or(""), server.user(), result, why));
    }
    auto logged_in = co_await succeed(std::move(context), std::move(*account), server.user());
    if (!logged_in) co_return std::unexpected(std::move(logged_in.error()));
    co_return proto::ScramDone{std::move(*final_message), std::move(*logged_in)};
}

// RFC 4422 A.2
async::Task<Result<proto::LoggedIn>> Logins::external(proto::LoginExternal request) {
    if (auto refused = refuse(request.context, request.authzid)) co_return std::unexpected(std::move(*refused));
    if (request.fingerprint.size() != proto::kKeyFingerprint)
        co_return permanent(ErrorCode::bad_request, "not the fingerprint of a key");
    bool asked_for = request.use == proto::ExternalUse::command;
    auto owned = co_await storage_.call(proto::FindClientKey{request.fingerprint}, kStorageLimit);
    if (!owned && owned.error().is_temporary()) {
        history_.note(request.context, request.authzid, LoginResult::unavailable);
        co_return std::unexpected(std::move(owned.error()));
    }
    if (!asked_for && (!owned || owned->key.preauth == proto::Preauth::no))
        co_return permanent(ErrorCode::denied, "not logged in by the certificate alone");
    if (!owned)
        co_return std::unexpected(
            co_await fail(request.context, "", request.authzid, wrong_for(request.authzid), owned.error().text));
    // The authorization identity is an address of that account by name; without one the server derives it.
    bool own = request.authzid.empty() || directory_.account_of_login(request.authzid) == owned->account;
    if (!own)
        co_return std::unexpected(co_await fail(request.context, "", request.authzid, wrong_for(request.authzid),
                                                "not an address of that account"));
    std::string login = request.authzid.empty() ? directory_.login_of_account(owned->account) : request.authzid;
    co_return co_await succeed(request.context, std::move(owned->account), std::move(login));
}

void Logins::scram_abandoned(const proto::LoginContext& context, const ScramServer& server, int64_t began) {
    history_.note(context, server.user(), LoginResult::aborted, {}, began);
}

async::Task<Result<ipc::Done>> Logins::set_password(proto::SetPassword request) {
    if (request.password.value.size() < kMinPassword || request.password.value.size() > kMaxPassword)
        co_return permanent(ErrorCode::bad_request,
                            fmt::format("a password has {} to {} bytes", kMinPassword, kMaxPassword));
    auto credentials =
        co_await pool_.run([password = std::move(request.password.value)] { return make_credentials(password); });
    remembered_.erase(request.account);
    co_return co_await storage_.call(proto::SetCredentials{request.account, std::move(credentials)}, kStorageLimit);
}

std::string Logins::metrics() const {
    return fmt::format(
        "# HELP mox_authentication_total Logins by result.\n# TYPE mox_authentication_total counter\n"
        "mox_authentication_total{{result=\"ok\"}} {}\nmox_authentication_total{{result=\"failed\"}} {}\n"
        "mox_authentication_total{{result=\"ratelimited\"}} {}\n"
        "# HELP mox_logins_left_out_total Attempts to log in that were too many for the history.\n"
        "# TYPE mox_logins_left_out_total counter\nmox_logins_left_out_total {}\n",
        succeeded_, failed_, blocked_, history_.left_out());
}

}  // namespace mox::authd
