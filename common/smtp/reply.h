// Replies of SMTP servers: parsing them line by line, and what an EHLO reply announces.
//
// Pure functions over lines from outside, without their CRLF. Bounded in bytes and lines; control characters become
// blanks, so that a reply can stand in a log or a notice. A reply whose lines have different codes, or that is no reply
// at all, is an error: the connection cannot be trusted to be in step any more. RFCs: 5321 4.2, 2034, 3463, 1869, 1870,
// 4954, 9422.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"

namespace mox::smtp {

constexpr size_t kMaxReplyLine = 2048;  // DEVIATES RFC 5321 4.5.3.1.5 (512): some servers explain at length
constexpr size_t kMaxReplyLines = 128;
constexpr size_t kMaxReplyBytes = 32 * 1024;  // of all lines

struct Reply {
    uint16_t code = 0;
    std::string enhanced;            // "5.1.1" of the first line, empty when it has none (RFC 2034 4)
    std::vector<std::string> lines;  // the texts behind the code, enhanced codes included

    int severity() const { return code / 100; }
};

/// One line for people and notices: "550 5.1.1 no such user"; the texts of several lines joined with blanks.
std::string to_string(const Reply& reply);

/// Puts a reply together from its lines.
class ReplyParser {
  public:
    enum class State : uint8_t { more, complete };
    /// The next line. Error bad_request when it is not part of a reply; the parser is then used up.
    Result<State> feed(std::string_view line);
    /// The complete reply; the parser is ready for the next one.
    Reply take();

  private:
    Reply reply_;
    size_t bytes_ = 0;
};

/// The code at the start of a text, "5.1.1", when it fits to the reply code's first digit; else empty.
std::string_view enhanced_code(std::string_view text, uint16_t code);

/// What a server announced.
struct Extensions {
    bool starttls = false;                // RFC 3207
    bool pipelining = false;              // RFC 2920
    bool eight_bit_mime = false;          // RFC 6152
    bool smtputf8 = false;                // RFC 6531
    std::optional<uint64_t> max_size;     // RFC 1870; absent when not announced or without limit
    bool size = false;                    // SIZE= may be given
    std::vector<std::string> mechanisms;  // upper case (RFC 4954)
    uint32_t max_recipients = 0;          // LIMITS RCPTMAX (RFC 9422), 0: not said
};
Extensions parse_extensions(const Reply& ehlo);

}  // namespace mox::smtp
