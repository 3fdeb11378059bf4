// What became of handing a message for one recipient to a server.
//
// A plain value: whether it was delivered, may be later or never, who said so, and whether another server of the same
// domain could do better. RFCs: 5321 4.2.1 (first digit), 3463 (status).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/smtp/reply.h"

namespace mox::smtp {

enum class Verdict : uint8_t { delivered, temporary, permanent, kEnd };

/// What a failure is about, and so what else may be tried in the same attempt.
enum class Scope : uint8_t {
    message,  // the message or the recipient: nothing else
    host,     // this server, now: another one
    tls,      // its TLS: the same server without, where that is allowed
    kEnd
};

struct Outcome {
    Verdict verdict = Verdict::temporary;
    Scope scope = Scope::message;
    uint16_t code = 0;        // of the server's reply; 0: found out on this side
    std::string enhanced;     // "5.1.1"; of a failure always there
    std::string text;         // the whole reply in one line, or what was found out
    std::string remote_name;  // host name, empty when there was none
    std::string remote_address;
    bool interrupted = false;  // a process of this server was away: says nothing of the recipient

    bool delivered() const { return verdict == Verdict::delivered; }
};

/// A failure that was found out on this side.
Outcome failure(Verdict verdict, Scope scope, std::string_view enhanced, std::string text);

/// What a server's reply means. 5xx is permanent within `scope`, 4xx may be tried at another server.
Outcome from_reply(const Reply& reply, Scope scope);

}  // namespace mox::smtp
