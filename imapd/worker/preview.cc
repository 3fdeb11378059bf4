#include "imapd/worker/preview.h"

#include <algorithm>

#include "common/mail/charset.h"
#include "common/mail/html_text.h"
#include "common/mail/params.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"
#include "imapd/worker/decoded_part.h"

namespace mox::imapd {
namespace {

constexpr size_t kMaxCharacters = 200;  // RFC 8970 3.1
constexpr size_t kMaxText = 64 * 1024;  // decoded bytes looked at

// Collects text up to the limit, white space as one space.
class Collector {
  public:
    bool full() const { return characters_ >= kMaxCharacters; }
    void add(std::string_view text) {
        while (!text.empty() && !full()) {
            size_t length = std::max<size_t>(mail::utf8_length(text), 1);
            take(text.substr(0, length));
            text.remove_prefix(length);
        }
    }
    void space() { space_ = !out_.empty(); }
    std::string finish() { return mail::repair_utf8(out_); }

  private:
    void take(std::string_view character) {
        bool blank =
            character == "\xc2\xa0" || (character.size() == 1 && static_cast<unsigned char>(character[0]) <= ' ');
        if (blank) return space();
        if (std::exchange(space_, false)) {
            out_ += ' ';
            characters_++;
        }
        if (full()) return;
        out_ += character;
        characters_++;
    }
    std::string out_;
    size_t characters_ = 0;
    bool space_ = false;
};

// `On ... wrote:`, which stands in front of what is quoted.
bool introduces_quote(std::string_view line) {
    return text::trim(line).ends_with(':') && (line.starts_with("On ") || line.find("wrote") != std::string_view::npos);
}

std::string_view take_line(std::string_view& text) {
    auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

// The text part people read first: plain if there is one.
std::optional<uint32_t> first_text(const mail::MessageInfo& info) {
    std::optional<uint32_t> html;
    for (uint32_t i = 0; i < info.parts.size(); i++) {
        const auto& part = info.parts[i];
        if (!text::iequals(part.type, "text")) continue;
        if (part.disposition && text::iequals(part.disposition->type, "attachment")) continue;
        if (text::iequals(part.subtype, "plain")) return i;
        if (!html && text::iequals(part.subtype, "html")) html = i;
    }
    return html;
}

std::string read_text(const StoredMessage& message, const mail::Part& part) {
    mail::Range range{message.prefix().size() + part.range.body_offset, part.range.end_offset - part.range.body_offset};
    DecodedReader reader(message, range, mail::parse_transfer_encoding(part.encoding));
    std::string text;
    for (auto piece = reader.next(); !piece.empty() && text.size() < kMaxText; piece = reader.next()) text += piece;
    text.resize(std::min(text.size(), kMaxText));
    auto charset = mail::find_parameter(part.params, "charset").value_or("");
    if (charset.empty() || text::iequals(charset, "utf-8") || text::iequals(charset, "us-ascii")) return text;
    return mail::charset_to_utf8(charset, text, 4 * kMaxText).value_or(text);
}

}  // namespace

std::string preview_of_plain(std::string_view text) {
    Collector out;
    while (!text.empty() && !out.full()) {
        auto line = take_line(text);
        if (line == "-- " || line == "--")
            break;  // RFC 3676 4.3: the signature begins; quoted-printable eats the space
        if (line.starts_with('>') || (text.starts_with('>') && introduces_quote(line))) continue;
        out.add(line);
        out.space();
    }
    return out.finish();
}

std::string preview_of_html(std::string_view text) {
    Collector out;
    mail::HtmlText html;
    std::string piece;
    while (!text.empty() && !out.full()) {
        piece.clear();
        auto length = std::min(text.find('>'), text.size() - 1) + 1;
        html.feed(text.substr(0, length), piece);
        text.remove_prefix(length);
        if (text.empty()) html.finish(piece);
        out.add(piece);
    }
    return out.finish();
}

std::string make_preview(const StoredMessage& message) {
    auto index = first_text(message.info());
    if (!index) return {};
    const auto& part = message.info().parts[*index];
    auto text = read_text(message, part);
    return text::iequals(part.subtype, "html") ? preview_of_html(text) : preview_of_plain(text);
}

}  // namespace mox::imapd
