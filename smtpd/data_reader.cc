#include "smtpd/data_reader.h"

namespace mox::smtpd {

// Inside a line: up to and including its CRLF, or all there is but a CR whose LF may come with the next bytes.
size_t DataReader::feed_line(std::string_view input, std::string& out) {
    size_t lf = input.find('\n');
    std::string_view piece = input.substr(0, lf == std::string_view::npos ? lf : lf + 1);
    size_t cr = piece.find('\r');
    size_t expected = lf == std::string_view::npos ? piece.size() - 1 : lf - 1;
    if (cr != std::string_view::npos && cr < expected) bare_ = true;
    if (lf == std::string_view::npos) {
        bool held = piece.ends_with('\r');
        out += piece.substr(0, piece.size() - (held ? 1 : 0));
        state_ = held ? State::after_cr : State::in_line;
        return piece.size();
    }
    out += piece;
    if (lf > 0 && piece[lf - 1] == '\r')
        state_ = State::line_start;
    else
        bare_ = true, state_ = State::in_line;
    return piece.size();
}

size_t DataReader::feed(std::string_view input, std::string& out) {
    size_t at = 0;
    while (at < input.size() && !done_) {
        char c = input[at];
        switch (state_) {
            case State::line_start:
                if (c == '.') {
                    state_ = State::dot;
                    at++;
                } else {
                    state_ = State::in_line;
                }
                break;
            case State::in_line:
                at += feed_line(input.substr(at), out);
                break;
            case State::after_cr:
                out += '\r';
                if (c == '\n') {
                    out += '\n';
                    at++;
                    state_ = State::line_start;
                } else {
                    bare_ = true;
                    state_ = State::in_line;
                }
                break;
            case State::dot:
                if (c == '\r') {
                    state_ = State::dot_cr;
                    at++;
                } else {
                    state_ = State::in_line;  // RFC 5321 4.5.2: the first dot of a line is taken away
                }
                break;
            case State::dot_cr:
                if (c == '\n') {
                    done_ = true;
                    at++;
                } else {
                    bare_ = true;
                    out += '\r';
                    state_ = State::in_line;
                }
                break;
        }
    }
    return at;
}

}  // namespace mox::smtpd
