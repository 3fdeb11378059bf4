#include "common/mail/scanner.h"

namespace mox::mail {

bool Scanner::skip_cfws() {
    auto start = pos_;
    while (!done()) {
        if (is_blank(text_[pos_])) {
            ++pos_;
        } else if (text_[pos_] == '(') {
            skip_comment();
        } else {
            break;
        }
    }
    return pos_ != start;
}

void Scanner::skip_comment() {
    comment_.clear();
    size_t depth = 0;  // counted, not recursed into: depth costs no stack
    while (!done()) {
        char c = text_[pos_++];
        if (c == '\\' && !done()) {
            comment_ += text_[pos_++];
            continue;
        }
        if (c == '(' && depth++ == 0) continue;
        if (c == ')' && --depth == 0) return;
        if (c != '\r' && c != '\n') comment_ += c;
    }
}

std::string Scanner::take_quoted() {
    std::string out;
    ++pos_;
    while (!done()) {
        char c = text_[pos_++];
        if (c == '"') break;
        if (c == '\\' && !done()) c = text_[pos_++];  // RFC 5322 3.2.4: the backslash is invisible
        if (c != '\r' && c != '\n') out += c;         // RFC 5322 3.2.4: so are the CRLFs of folding
    }
    return out;
}

std::string Scanner::take_literal() {
    std::string out = "[";
    ++pos_;
    while (!done()) {
        char c = text_[pos_++];
        if (c == ']') break;
        if (c == '\\' && !done()) c = text_[pos_++];
        if (!is_blank(c)) out += c;
    }
    return out + ']';
}

}  // namespace mox::mail
