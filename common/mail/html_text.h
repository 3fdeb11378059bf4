// The text of HTML as people read it: without tags, comments, scripts and styles, with character references decoded.
//
// Tolerant: nothing fails, what is no markup passes as it is. Tags that begin or end a line or a cell in a browser
// become a blank; those within a line (b, i, span, a ...) nothing, so that a word with markup inside stays one. Fed any
// split of the bytes (UTF-8); memory is bounded. The title of the page is no text of the message.
// Source: the HTML standard, 13.2.5 (tokenization), far simplified.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mox::mail {

/// The character that a name (`amp`, `#228`, `#xe4`) stands for; nothing when it is not known.
std::optional<char32_t> character_reference(std::string_view name);

class HtmlText {
  public:
    /// Appends the text of the next bytes. Several blanks may follow each other.
    void feed(std::string_view html, std::string& out);
    /// Writes what waited for more.
    void finish(std::string& out);

  private:
    enum class State : uint8_t { text, markup, tag, comment, declaration, reference, skipped };
    size_t take_text(std::string_view html, std::string& out);
    void take_markup(char c, std::string& out);
    void take_tag(char c, std::string& out);
    void take_comment(char c);
    bool take_reference(char c, std::string& out);
    void take_skipped(char c);
    void end_tag(std::string& out);
    void end_reference(std::string& out);

    State state_ = State::text;
    std::string held_;     // of a tag its name, of a reference its name, of markup its first bytes
    std::string skipped_;  // the element whose content is no text
    char quote_ = 0;       // inside the value of an attribute
    bool value_ = false;   // behind '=' in a tag
    bool name_ended_ = false;
};

}  // namespace mox::mail
