#include "common/mail/header.h"

#include "common/mail/scanner.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

// Length of the line ending at `pos`, 0 if there is none.
size_t eol_length(std::string_view s, size_t pos) {
    if (pos >= s.size()) return 0;
    if (s[pos] == '\n') return 1;
    return s[pos] == '\r' && pos + 1 < s.size() && s[pos + 1] == '\n' ? 2 : 0;
}

size_t line_end(std::string_view s, size_t pos) {
    auto newline = s.find('\n', pos);
    return newline == s.npos ? s.size() : newline + 1;
}

// RFC 5322 2.2: printable ASCII but no colon. DEVIATES: bytes above 0x7f are let through, they name no known field.
bool is_field_name(std::string_view name) {
    if (name.empty()) return false;
    for (char c : name) {
        if (!is_8bit(c) && (c <= ' ' || c == 0x7f || c == ':')) return false;
    }
    return true;
}

}  // namespace

HeaderField parse_field(std::string_view field) {
    HeaderField out;
    out.end = field.size();
    if (field.ends_with('\n')) field.remove_suffix(1);
    if (field.ends_with('\r')) field.remove_suffix(1);
    out.value = field;
    auto colon = field.find(':');
    if (colon == field.npos) return out;
    auto name = field.substr(0, colon);
    while (!name.empty() && text::is_wsp(name.back())) name.remove_suffix(1);  // RFC 5322 4.5: blanks before the colon
    if (!is_field_name(name)) return out;
    out.name = name;
    out.value = field.substr(colon + 1);
    return out;
}

std::optional<HeaderField> HeaderReader::next() {
    if (pos_ >= block_.size() || eol_length(block_, pos_) != 0) return std::nullopt;
    auto begin = pos_;
    do {
        pos_ = line_end(block_, pos_);
    } while (pos_ < block_.size() && text::is_wsp(block_[pos_]));  // RFC 5322 2.2.3: folded lines belong to it
    auto field = parse_field(block_.substr(begin, pos_ - begin));
    field.begin = begin;
    field.end = pos_;
    return field;
}

std::optional<size_t> find_header_end(std::string_view bytes) {
    for (size_t pos = 0; pos < bytes.size(); pos = line_end(bytes, pos)) {
        if (auto length = eol_length(bytes, pos); length != 0) return pos + length;
    }
    return std::nullopt;
}

std::string unfold(std::string_view value) {
    std::string out;
    value = text::trim(value);
    out.reserve(value.size());
    for (size_t i = 0; i < value.size(); ++i) {
        char c = value[i];
        if (c != '\r' && c != '\n') {
            out += c == '\0' ? ' ' : c;
            continue;
        }
        while (i + 1 < value.size() && (value[i + 1] == '\r' || value[i + 1] == '\n')) ++i;
        if (i + 1 < value.size() && !text::is_wsp(value[i + 1])) out += ' ';
    }
    return out;
}

std::optional<HeaderField> find_field(std::string_view block, std::string_view name) {
    HeaderReader reader(block);
    while (auto field = reader.next()) {
        if (text::iequals(field->name, name)) return field;
    }
    return std::nullopt;
}

}  // namespace mox::mail
