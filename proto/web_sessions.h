// Sessions of people who are logged in with a browser: what storaged keeps of them, for authd and moxctl.
//
// A session belongs to one account and is known by a token that only the browser has; what is kept and travels here is
// its hash. authd begins one once the password has been verified. They end when they rest for too long, when they are
// too old, when the password changes, and when the account is restored, removed or may not log in. Sessions of the
// administrator's pages belong to no account, and are not kept here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mox::proto {

constexpr size_t kSessionHash = 32;                            // bytes: SHA-256
constexpr size_t kMaxWebSessions = 100;                        // of an account
constexpr size_t kMaxUserAgent = 200;                          // bytes of UTF-8 without control characters
constexpr int64_t kSessionRest = int64_t{24} * 3600;           // seconds without a use; then it ends
constexpr int64_t kSessionLifetime = int64_t{30} * 24 * 3600;  // seconds since its beginning; then it ends
constexpr int64_t kSessionUseNoted = 300;                      // seconds that last_used may be behind

/// What its token opens.
enum class WebSessionKind : uint8_t { webmail, account, kEnd };

struct NewWebSession {
    std::string token;  // hash of the token, kSessionHash bytes
    std::string csrf;   // hash of the second token, which pages send along so that other sites cannot act in its name
    WebSessionKind kind = WebSessionKind::webmail;
    std::string remote_address;  // IP
    std::string user_agent;      // as the browser says, cut and made printable by the sender
};
struct WebSession {
    uint64_t id = 0;  // never used again in the account
    WebSessionKind kind = WebSessionKind::webmail;
    std::string csrf;       // as above; empty in a list
    int64_t created = 0;    // Unix seconds
    int64_t last_used = 0;  // the same; up to kSessionUseNoted before the last use
    std::string remote_address;
    std::string user_agent;
};
struct WebSessions {
    std::vector<WebSession> sessions;  // that have not ended, those used last first
};

}  // namespace mox::proto
