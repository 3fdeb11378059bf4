// The content of DATA as it streams in: finds its one end, undoes dot-stuffing, and notices line ends that are none.
//
// Only CRLF "." CRLF ends a message, and only CRLF ends a line (RFC 5321 2.3.8, 4.1.1.4). A CR or LF by itself is
// neither; content that has one is refused at the end, for the next server might see a line end there ("SMTP
// smuggling"). No memory but a few states: any split of the input gives the same.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mox::smtpd {

class DataReader {
  public:
    /// Takes bytes from the front of `input`, adds the message's to `out`; how many were taken. Stops behind the end.
    size_t feed(std::string_view input, std::string& out);
    /// The end was seen.
    bool done() const { return done_; }
    /// A CR or LF stood alone somewhere.
    bool has_bare_line_end() const { return bare_; }

  private:
    enum class State { line_start, in_line, after_cr, dot, dot_cr };
    size_t feed_line(std::string_view input, std::string& out);
    State state_ = State::line_start;
    bool done_ = false;
    bool bare_ = false;
};

}  // namespace mox::smtpd
