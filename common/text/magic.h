// Local mode's addresses that fail on purpose, for trying out how programs cope.
//
// A localpart that ends in "temperror", "permerror", "timeout" or three digits from 400 to 599 asks for that failure:
// at the end of DATA, or with the prefix "mailfrom" or "rcptto" at that command, or with "queue" at delivery from the
// queue.
#pragma once

#include <optional>
#include <string_view>

#include "common/text/ascii.h"

namespace mox::text {

enum class MagicStage { data, mail_from, rcpt_to, queue };

struct Magic {
    MagicStage stage;
    int code;  // SMTP reply code; 0: no answer for a long time
};

/// What the localpart asks for, if anything.
inline std::optional<Magic> parse_magic(std::string_view localpart) {
    std::string s = to_lower(localpart);
    Magic magic{MagicStage::data, 0};
    if (s.starts_with("mailfrom"))
        magic.stage = MagicStage::mail_from;
    else if (s.starts_with("rcptto"))
        magic.stage = MagicStage::rcpt_to;
    else if (s.starts_with("queue"))
        magic.stage = MagicStage::queue;
    if (s.ends_with("temperror"))
        magic.code = 451;
    else if (s.ends_with("permerror"))
        magic.code = 550;
    else if (s.ends_with("timeout"))
        magic.code = 0;
    else if (s.size() >= 3) {
        auto code = parse_number<unsigned>(std::string_view(s).substr(s.size() - 3));
        if (!code || *code < 400 || *code > 599) return std::nullopt;
        magic.code = static_cast<int>(*code);
    } else {
        return std::nullopt;
    }
    return magic;
}

}  // namespace mox::text
