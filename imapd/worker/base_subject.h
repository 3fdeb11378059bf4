// What of a subject counts when messages are sorted and threaded: without "Re:", "Fwd:" and their like (RFC 5256 2.1).
#pragma once

#include <string>
#include <string_view>

namespace mox::imapd {

struct BaseSubject {
    std::string text;       // folded
    bool is_reply = false;  // something was taken away that says reply or forward
};

/// `subject` is raw: encoded words and folding are undone. Pure.
BaseSubject base_subject(std::string_view subject);

}  // namespace mox::imapd
