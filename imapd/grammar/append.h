// What follows the mailbox in APPEND and REPLACE, read piece by piece: the messages' bytes stand between the pieces and
// stay in the stream.
//
// A piece is the text up to the next literal that is message content, or up to the end of the command; feed() turns it
// into steps. RFC 3501 6.3.11, 3502 (MULTIAPPEND), 4466 2.5 (literal8), 4469 (CATENATE), 6855 4 (UTF8).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/mail/date.h"
#include "imapd/grammar/scanner.h"

namespace mox::imapd {

struct AppendStep {
    enum class Kind : uint8_t {
        message,  // begins, with its flags and date
        literal,  // content follows in the stream; always the last step of a piece
        url,      // content is what the URL names (RFC 4469 3)
        end,      // of the command
        kEnd
    };
    Kind kind = Kind::message;
    FlagList flags;
    std::optional<mail::DateTime> date;
    std::string url;
};

class AppendParser {
  public:
    /// The next piece; throws SyntaxError.
    std::vector<AppendStep> feed(std::string_view text);

  private:
    enum class State : uint8_t { message, after_message, after_utf8, part, after_part, after_utf8_part };
    void take_message(Scanner& in, std::vector<AppendStep>& steps);
    void take_part(Scanner& in, std::vector<AppendStep>& steps);
    void take_literal(Scanner& in, std::vector<AppendStep>& steps, State then);

    State state_ = State::message;
};

}  // namespace mox::imapd
