#include "common/mail/params.h"

#include <algorithm>
#include <array>

#include "common/mail/charset.h"
#include "common/mail/encoded_word.h"
#include "common/mail/scanner.h"
#include "common/mail/transfer.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

constexpr size_t kMaxDecoded = 16 * 1024;

bool is_value_char(char c) {
    return c != ';' && c != '"' && !is_blank(c);
}

// A value without quotes. DEVIATES RFC 2045 5.1: tspecials and, up to the semicolon, blanks are taken as part of it,
// for `boundary=----=_Part_1` and `filename=My File.txt`; not if what follows the blank looks like a parameter.
std::string take_bare_value(Scanner& in) {
    std::string value(in.take_while(is_value_char));
    while (!in.done() && in.peek() != ';') {
        auto start = in.position();
        in.skip_cfws();
        auto word = in.take_while(is_value_char);
        if (word.empty()) {
            if (in.peek() == '"') in.take_quoted();
            continue;
        }
        if (word.find('=') != word.npos) {
            in.seek(start);
            in.skip_cfws();
            break;
        }
        value += ' ';
        value += word;
    }
    return value;
}

// One parameter; false if there was none. Consumes at least one character unless at the end.
bool take_parameter(Scanner& in, Parameter& out) {
    in.skip_cfws();
    out.name = in.take_while(is_mime_token);
    in.skip_cfws();
    if (out.name.empty() || !in.accept('=')) {
        in.take_while([](char c) { return c != ';'; });
        return false;
    }
    in.skip_cfws();
    out.value = !in.done() && in.peek() == '"' ? in.take_quoted() : take_bare_value(in);
    in.skip_cfws();
    return true;
}

std::vector<Parameter> take_parameters(Scanner& in, const ParamLimits& limits, bool& truncated) {
    std::vector<Parameter> out;
    while (true) {
        while (in.skip_cfws() || in.accept(';')) continue;
        if (in.done()) return out;
        Parameter param;
        if (!take_parameter(in, param)) continue;
        if (out.size() >= limits.count || param.name.size() > 100 || param.value.size() > limits.value_bytes) {
            truncated = true;
            if (out.size() >= limits.count) return out;
            continue;
        }
        std::ranges::replace(param.value, '\0', ' ');
        out.push_back(std::move(param));
    }
}

// One piece of a parameter by RFC 2231: name, name*, name*N, name*N*.
struct Piece {
    size_t index = 0;
    bool encoded = false;
    const std::string* value = nullptr;
};

std::optional<Piece> match_piece(const Parameter& param, std::string_view name) {
    if (!text::istarts_with(param.name, name)) return std::nullopt;
    std::string_view rest = std::string_view(param.name).substr(name.size());
    Piece piece{0, false, &param.value};
    if (!rest.starts_with('*')) return std::nullopt;
    if (rest == "*") {
        piece.encoded = true;
        return piece;
    }
    rest.remove_prefix(1);
    if (rest.ends_with('*')) {
        piece.encoded = true;
        rest.remove_suffix(1);
    }
    auto index = text::parse_number<uint16_t>(rest);
    if (!index) return std::nullopt;
    piece.index = *index;
    return piece;
}

std::string percent_decode(std::string_view in) {
    std::string out;
    for (size_t i = 0; i < in.size(); ++i) {
        auto byte = in[i] == '%' ? hex_byte(in.substr(i + 1)) : std::nullopt;
        out += byte.value_or(in[i]);
        if (byte) i += 2;
    }
    return out;
}

std::string join_pieces(std::vector<Piece> pieces) {
    std::ranges::sort(pieces, {}, &Piece::index);
    std::string charset, bytes;
    size_t expected = 0;
    for (const auto& piece : pieces) {
        if (piece.index < expected) continue;  // given twice
        if (piece.index != expected) break;    // RFC 2231 3: numbered from 0 without gaps
        std::string_view value = *piece.value;
        if (expected == 0 && piece.encoded) {
            // RFC 2231 4: charset'language'text
            auto first = value.find('\'');
            auto second = first == value.npos ? value.npos : value.find('\'', first + 1);
            if (second != value.npos) {
                charset = value.substr(0, first);
                value.remove_prefix(second + 1);
            }
        }
        bytes += piece.encoded ? percent_decode(value) : std::string(value);
        ++expected;
    }
    return charset_to_utf8(charset, bytes, kMaxDecoded).value_or(repair_utf8(bytes));
}

}  // namespace

std::optional<ContentType> parse_content_type(std::string_view value, const ParamLimits& limits) {
    Scanner in(value);
    ContentType out;
    in.skip_cfws();
    out.type = in.take_while(is_mime_token);
    in.skip_cfws();
    if (in.accept('/')) {
        in.skip_cfws();
        out.subtype = in.take_while(is_mime_token);
    } else if (text::iequals(out.type, "text")) {
        out.subtype = "plain";  // DEVIATES RFC 2045 5.1: `Content-Type: text` is what some old agents write
    }
    if (out.type.empty() || out.subtype.empty() || out.type.size() > 127 || out.subtype.size() > 127) {
        return std::nullopt;  // lengths: RFC 6838 4.2
    }
    in.skip_cfws();
    if (!in.done() && in.peek() != ';') in.take_while([](char c) { return c != ';'; });
    out.params = take_parameters(in, limits, out.truncated);
    return out;
}

std::optional<Disposition> parse_disposition(std::string_view value, bool& truncated, const ParamLimits& limits) {
    Scanner in(value);
    Disposition out;
    in.skip_cfws();
    out.type = in.take_while(is_mime_token);
    if (out.type.empty() || out.type.size() > 127) return std::nullopt;
    in.skip_cfws();
    if (in.peek() == '=') {  // `Content-Disposition: filename=x`: no type; RFC 2183 2.8: unknown is attachment
        out.type = "attachment";
        in.seek(0);
    }
    out.params = take_parameters(in, limits, truncated);
    return out;
}

std::optional<std::string> find_parameter(std::span<const Parameter> params, std::string_view name) {
    std::vector<Piece> pieces;
    const Parameter* plain = nullptr;
    for (const auto& param : params) {
        if (auto piece = match_piece(param, name)) pieces.push_back(*piece);
        if (plain == nullptr && text::iequals(param.name, name)) plain = &param;
    }
    // RFC 2231 4: the extended form is preferred by who understands it
    if (std::ranges::any_of(pieces, [](const Piece& piece) { return piece.index == 0; })) return join_pieces(pieces);
    if (plain != nullptr) return decode_encoded_words(plain->value, kMaxDecoded);
    return std::nullopt;
}

std::optional<std::string> file_name(const Part& part) {
    if (part.disposition) {
        if (auto name = find_parameter(part.disposition->params, "filename")) return name;
    }
    return find_parameter(part.params, "name");
}

}  // namespace mox::mail
