#include "common/smtp/outcome.h"

#include <fmt/format.h>

namespace mox::smtp {

Outcome failure(Verdict verdict, Scope scope, std::string_view enhanced, std::string text) {
    Outcome out;
    out.verdict = verdict;
    out.scope = scope;
    out.enhanced = enhanced;
    out.text = std::move(text);
    return out;
}

Outcome from_reply(const Reply& reply, Scope scope) {
    Outcome out;
    out.code = reply.code;
    out.text = to_string(reply);
    int severity = reply.severity();
    if (severity == 2)
        out.verdict = Verdict::delivered;  // any 25x: 251 and 252 are acceptance too (RFC 5321 3.4)
    else if (severity == 5)
        out.verdict = Verdict::permanent;
    else
        out.verdict = Verdict::temporary;
    out.scope = out.verdict == Verdict::permanent ? scope : Scope::host;
    out.enhanced = reply.enhanced;
    // RFC 3463 2: without a code of the server the class alone is known. A reply out of place is a protocol error.
    if (out.enhanced.empty() && severity == 3)
        out.enhanced = "4.5.1";
    else if (out.enhanced.empty())
        out.enhanced = fmt::format("{}.0.0", severity);
    return out;
}

}  // namespace mox::smtp
