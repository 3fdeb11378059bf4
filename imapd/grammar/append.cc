#include "imapd/grammar/append.h"

namespace mox::imapd {

void AppendParser::take_literal(Scanner& in, std::vector<AppendStep>& steps, State then) {
    if (!in.at_end()) throw SyntaxError("expected the message as a literal");
    steps.push_back({AppendStep::Kind::literal, {}, {}, {}});
    state_ = then;
}

// RFC 4466 2.5: [SP flag-list] [SP date-time] SP append-data
void AppendParser::take_message(Scanner& in, std::vector<AppendStep>& steps) {
    AppendStep step;
    if (in.peek() == '(') {
        step.flags = in.flag_list();
        in.space();
    }
    if (in.peek() == '"') {
        step.date = mail::parse_internal_date(in.string());
        if (!step.date) throw SyntaxError("wrong date-time");
        in.space();
    }
    steps.push_back(std::move(step));
    if (in.take_word("UTF8")) {  // RFC 6855 4
        in.space();
        in.expect('(');
        take_literal(in, steps, State::after_utf8);
    } else if (in.take_word("CATENATE")) {  // RFC 4469 5
        in.space();
        in.expect('(');
        state_ = State::part;
    } else {
        take_literal(in, steps, State::after_message);
    }
}

// RFC 4469 5 cat-part, RFC 6855 4
void AppendParser::take_part(Scanner& in, std::vector<AppendStep>& steps) {
    if (in.take_word("TEXT")) {
        in.space();
        take_literal(in, steps, State::after_part);
    } else if (in.take_word("UTF8")) {
        in.space();
        in.expect('(');
        take_literal(in, steps, State::after_utf8_part);
    } else if (in.take_word("URL")) {
        in.space();
        steps.push_back({AppendStep::Kind::url, {}, {}, in.astring()});
        state_ = State::after_part;
    } else {
        throw SyntaxError("expected TEXT or URL");
    }
}

std::vector<AppendStep> AppendParser::feed(std::string_view text) {
    constexpr size_t kMaxSteps = 1000;
    std::vector<AppendStep> steps;
    Scanner in(text);
    while (steps.empty() || steps.back().kind != AppendStep::Kind::literal) {
        if (steps.size() > kMaxSteps) throw SyntaxError("too many parts");
        switch (state_) {
            case State::message:
                take_message(in, steps);
                break;
            case State::after_message:
                if (in.at_end()) {
                    steps.push_back({AppendStep::Kind::end, {}, {}, {}});
                    return steps;
                }
                if (!in.take(' ')) throw SyntaxError("unexpected text after the message");
                state_ = State::message;  // RFC 3502: another one
                break;
            case State::after_utf8:
                in.expect(')');
                state_ = State::after_message;
                break;
            case State::part:
                take_part(in, steps);
                break;
            case State::after_utf8_part:
                in.expect(')');
                state_ = State::after_part;
                break;
            case State::after_part:
                state_ = in.take(' ') ? State::part : State::after_message;
                if (state_ == State::after_message) in.expect(')');
                break;
        }
    }
    return steps;
}

}  // namespace mox::imapd
