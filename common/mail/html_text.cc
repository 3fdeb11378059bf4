#include "common/mail/html_text.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

constexpr size_t kMaxName = 32;  // of a tag or a reference; what is longer is none that is known

// Tags within a line: what stands around them is one word in a browser.
constexpr std::array<std::string_view, 26> kInline = {
    "a",   "abbr", "acronym", "b",    "bdo",   "big",  "cite", "code",   "dfn", "em", "font", "i", "ins",
    "kbd", "mark", "o:p",     "samp", "small", "span", "st1",  "strong", "sub", "tt", "u",    "s", "wbr"};
// Elements whose content nobody reads.
constexpr std::array<std::string_view, 3> kSkipped = {"script", "style", "title"};

bool is_in(std::string_view name, auto& names) {
    return std::ranges::find(names, name) != names.end();
}

}  // namespace

void HtmlText::feed(std::string_view html, std::string& out) {
    for (size_t i = 0; i < html.size();) {
        char c = html[i];
        switch (state_) {
            case State::text:
                i += take_text(html.substr(i), out);
                continue;
            case State::markup:
                take_markup(c, out);
                break;
            case State::tag:
                take_tag(c, out);
                break;
            case State::comment:
                take_comment(c);
                break;
            case State::declaration:
                if (c == '>') state_ = State::text;
                break;
            case State::reference:
                if (!take_reference(c, out)) continue;  // it belongs to what follows
                break;
            case State::skipped:
                take_skipped(c);
                break;
        }
        i++;
    }
}

size_t HtmlText::take_text(std::string_view html, std::string& out) {
    auto end = std::min(html.find_first_of("<&"), html.size());
    out += html.substr(0, end);
    if (end == html.size()) return end;
    held_.clear();
    state_ = html[end] == '<' ? State::markup : State::reference;
    return end + 1;
}

// Behind '<': what it begins shows in the next bytes.
void HtmlText::take_markup(char c, std::string& out) {
    held_ += c;
    if (held_ == "!" || held_ == "!-") return;
    if (held_ == "!--") {
        held_.clear();
        state_ = State::comment;
    } else if (held_.size() > 1 || c == '?') {
        state_ = c == '>' ? State::text : State::declaration;
    } else if (text::is_alpha(c) || c == '/') {
        held_ = text::to_lower(held_);
        value_ = name_ended_ = false;
        quote_ = 0;
        state_ = State::tag;
    } else {
        state_ = State::text;
        out += '<';
        take_text(std::exchange(held_, {}), out);
    }
}

void HtmlText::take_tag(char c, std::string& out) {
    if (quote_ != 0) {
        if (c == quote_) quote_ = 0;
        return;
    }
    if (c == '>') return end_tag(out);
    bool blank = static_cast<unsigned char>(c) <= ' ';
    if ((c == '"' || c == '\'') && value_) {
        quote_ = c;
    } else if (!name_ended_ && !blank && c != '/' && held_.size() < kMaxName) {
        held_ += text::to_lower(c);
    } else {
        name_ended_ = true;
    }
    if (c == '=')
        value_ = true;
    else if (!blank)
        value_ = false;
}

void HtmlText::end_tag(std::string& out) {
    state_ = State::text;
    std::string_view name = held_;
    bool closes = name.starts_with('/');
    if (closes) name.remove_prefix(1);
    if (!closes && is_in(name, kSkipped)) {
        skipped_ = "</" + std::string(name);
        held_.clear();
        state_ = State::skipped;
    }
    if (!is_in(name, kInline)) out += ' ';
}

// `-->` ends it; what was seen of that is in held_.
void HtmlText::take_comment(char c) {
    if (c == '>' && held_.size() >= 2) {
        state_ = State::text;
    } else if (c == '-') {
        if (held_.size() < 2) held_ += c;
    } else {
        held_.clear();
    }
}

// Up to the tag that ends the element.
void HtmlText::take_skipped(char c) {
    c = text::to_lower(c);
    if (c == '<')
        held_ = "<";
    else if (!held_.empty())
        held_ += c;
    if (!std::string_view(skipped_).starts_with(held_)) held_.clear();
    if (held_.size() != skipped_.size()) return;
    held_ = held_.substr(1);
    value_ = name_ended_ = false;
    quote_ = 0;
    state_ = State::tag;
}

bool HtmlText::take_reference(char c, std::string& out) {
    if (c == ';') {
        end_reference(out);
        return true;
    }
    if ((text::is_alnum(c) || (c == '#' && held_.empty())) && held_.size() < kMaxName) {
        held_ += c;
        return true;
    }
    state_ = State::text;
    out += '&';
    out += held_;
    return false;
}

void HtmlText::end_reference(std::string& out) {
    state_ = State::text;
    auto character = character_reference(held_);
    if (!character) {
        out += '&' + held_ + ';';
    } else if (*character == 0xa0) {
        out += ' ';  // it is a blank to who reads
    } else if (*character != 0xad) {
        append_utf8(out, *character);  // a place to break a word is nothing one reads
    }
}

void HtmlText::finish(std::string& out) {
    if (state_ == State::markup) out += '<' + held_;
    if (state_ == State::reference) out += '&' + held_;
    *this = {};
}

}  // namespace mox::mail
