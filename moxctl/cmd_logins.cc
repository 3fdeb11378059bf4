// logins: who has logged in, or tried to, newest first. Asked for in pages and printed page by page.
#include <algorithm>
#include <fmt/format.h>

#include "common/text/ascii.h"
#include "moxctl/account_link.h"
#include "moxctl/command.h"
#include "moxctl/local_time.h"

namespace mox::moxctl {
namespace {

constexpr uint64_t kDefaultLimit = 100;
constexpr uint64_t kMaxLimit = 10'000'000;

std::string_view to_string(proto::LoginResult result) {
    using enum proto::LoginResult;
    switch (result) {
        case ok:
            return "ok";
        case wrong_password:
            return "wrong password";
        case unknown_user:
            return "unknown user";
        case disabled:
            return "login disabled";
        case wrong_binding:
            return "wrong channel binding";
        case malformed:
            return "malformed";
        case aborted:
            return "aborted";
        case throttled:
            return "throttled";
        case unavailable:
            return "unavailable";
        case kEnd:
            break;
    }
    return "?";
}

std::string_view to_string(proto::LoginMechanism mechanism) {
    using enum proto::LoginMechanism;
    switch (mechanism) {
        case plain:
            return "PLAIN";
        case login:
            return "LOGIN";
        case scram_sha_1:
            return "SCRAM-SHA-1";
        case scram_sha_1_plus:
            return "SCRAM-SHA-1-PLUS";
        case scram_sha_256:
            return "SCRAM-SHA-256";
        case scram_sha_256_plus:
            return "SCRAM-SHA-256-PLUS";
        case external:
            return "EXTERNAL";
        case kEnd:
            break;
    }
    return "?";
}

std::string_view to_string(proto::LoginTls tls) {
    if (tls == proto::LoginTls::none) return "none";
    return tls == proto::LoginTls::tls13 ? "1.3" : "1.2";
}

std::string_view to_string(proto::LoginProtocol protocol) {
    return protocol == proto::LoginProtocol::imap ? "imap" : "submission";
}

Json to_json(const proto::LoginAttempt& a) {
    return {{"account", a.account},
            {"login", a.login},
            {"remote_address", a.remote_address},
            {"protocol", to_string(a.protocol)},
            {"tls", to_string(a.tls)},
            {"mechanism", to_string(a.mechanism)},
            {"client", a.client},
            {"result", to_string(a.result)},
            {"first", a.first},
            {"last", a.last},
            {"count", a.count}};
}

std::vector<std::string> to_row(const proto::LoginAttempt& a) {
    return {local_time(a.last, "%Y-%m-%d %H:%M:%S"),
            fmt::to_string(a.count),
            std::string(to_string(a.result)),
            a.account,
            a.login,
            a.remote_address,
            std::string(to_string(a.protocol)),
            std::string(to_string(a.mechanism)),
            std::string(to_string(a.tls)),
            a.client};
}

class Listing {
  public:
    explicit Listing(Output& output) : output_(output) {
        if (output_.format == Format::json) output_.raw("{\"logins\": [");
    }
    void add(const std::vector<proto::LoginAttempt>& attempts) {
        for (const auto& attempt : attempts) {
            count_++;
            if (output_.format == Format::text) {
                table_.add(to_row(attempt));
                continue;
            }
            output_.raw(count_ > 1 ? ",\n" : "\n");
            output_.raw(to_text(to_json(attempt)));
        }
        if (output_.format == Format::text && count_ > 0) output_.raw(table_.take());
    }
    void end() {
        if (output_.format == Format::json)
            output_.raw("]}\n");
        else if (count_ == 0)
            output_.say("no logins");
    }

  private:
    Output& output_;
    Table table_{{{"LAST"},
                  {"TIMES", Align::right},
                  {"RESULT"},
                  {"ACCOUNT"},
                  {"LOGIN"},
                  {"FROM"},
                  {"PROTOCOL"},
                  {"MECHANISM"},
                  {"TLS"},
                  {"CLIENT"}}};
    size_t count_ = 0;
};

async::Task<void> list_logins(StoreLink& store, proto::ListLogins request, uint64_t limit, Listing& listing) {
    while (limit > 0) {
        request.limit = static_cast<uint32_t>(std::min<uint64_t>(limit, proto::kMaxLoginsAtOnce));
        auto history = co_await store.ask(request);
        if (history.attempts.empty()) break;
        limit -= std::min<uint64_t>(limit, history.attempts.size());
        listing.add(history.attempts);
        request.after = history.next;
    }
}

}  // namespace

void cmd_logins(Context& context, const Arguments& arguments) {
    proto::ListLogins request{};
    // "-" is for those that lead to no account.
    if (!arguments.words.empty()) request.account = arguments.words[0] == "-" ? std::string() : arguments.words[0];
    if (request.account && request.account->empty() && arguments.words[0] != "-")
        throw UsageError("an account has a name");
    if (arguments.flags.contains("--failed")) request.wanted = proto::LoginsWanted::failed;
    uint64_t limit = kDefaultLimit;
    if (arguments.value) {
        auto number = text::parse_number<uint64_t>(*arguments.value);
        if (!number || *number == 0 || *number > kMaxLimit) throw UsageError("the limit is a number above 0");
        limit = *number;
    }
    async::Loop loop;
    StoreLink store(context.moxd.open_store());
    Listing listing(context.output);
    run_to_end(list_logins(store, std::move(request), limit, listing));
    listing.end();
}

}  // namespace mox::moxctl
