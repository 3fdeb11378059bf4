// The roles of the suite's processes: who is at the other end of a channel. moxd decides it when it makes the channel;
// nothing a peer says changes it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace mox::ipc {

enum class Role : uint8_t {
    moxd,
    moxctl,
    storaged,
    authd,
    dnsd,
    smtpd,
    imapd,         // front: listens, TLS, not authenticated
    imapd_worker,  // all IMAP sessions of one account
    httpd,
    queued,
    kEnd
};

constexpr size_t kRoleCount = static_cast<size_t>(Role::kEnd);

constexpr std::array<std::string_view, kRoleCount> kRoleNames = {"moxd",  "moxctl", "storaged",     "authd", "dnsd",
                                                                 "smtpd", "imapd",  "imapd-worker", "httpd", "queued"};

constexpr std::string_view to_string(Role role) {
    return kRoleNames[static_cast<size_t>(role)];
}

/// A set of roles: those that may send a message.
struct Roles {
    uint32_t bits = 0;
    constexpr bool has(Role role) const { return (bits >> static_cast<unsigned>(role)) & 1; }
};

template <class... R>
constexpr Roles from(R... roles) {
    return {((1u << static_cast<unsigned>(roles)) | ... | 0u)};
}

}  // namespace mox::ipc
