#include "common/mail/transfer.h"

#include <array>

#include "common/mail/scanner.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

constexpr size_t kMaxPending = 1000;  // RFC 2045 6.7 (5): lines are at most 76 characters
constexpr int8_t kSkip = -1;
constexpr int8_t kPadding = -2;

constexpr std::array<int8_t, 256> make_table() {
    std::array<int8_t, 256> table{};
    table.fill(kSkip);
    for (size_t i = 0; i < 26; ++i) {
        table['A' + i] = static_cast<int8_t>(i);
        table['a' + i] = static_cast<int8_t>(26 + i);
    }
    for (size_t i = 0; i < 10; ++i) table['0' + i] = static_cast<int8_t>(52 + i);
    table['+'] = 62;
    table['/'] = 63;
    table['='] = kPadding;
    return table;
}

constexpr auto kTable = make_table();

int hex_digit(char c) {
    if (text::is_digit(c)) return c - '0';
    c = text::to_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

void Base64Decoder::feed(std::string_view in, std::string& out) {
    out.reserve(out.size() + in.size() / 4 * 3 + 3);
    for (char c : in) {
        auto value = kTable[static_cast<unsigned char>(c)];
        if (value == kPadding) finish(out);
        if (value < 0) continue;  // RFC 2045 6.8: characters outside the alphabet are ignored
        bits_ = bits_ << 6 | static_cast<uint32_t>(value);
        if (++count_ < 4) continue;
        out += static_cast<char>(bits_ >> 16);
        out += static_cast<char>(bits_ >> 8);
        out += static_cast<char>(bits_);
        bits_ = 0;
        count_ = 0;
    }
}

void Base64Decoder::finish(std::string& out) {
    if (count_ >= 2) out += static_cast<char>(count_ == 2 ? bits_ >> 4 : bits_ >> 10);
    if (count_ == 3) out += static_cast<char>(bits_ >> 2);
    bits_ = 0;
    count_ = 0;
}

void QuotedPrintableDecoder::feed(std::string_view in, std::string& out) {
    out.reserve(out.size() + in.size());
    for (char c : in) take(c, out);
}

void QuotedPrintableDecoder::take(char c, std::string& out) {
    if (pending_.starts_with('=')) return take_escape(c, out);
    if (text::is_wsp(c) || c == '=' || c == '\r') {
        // a blank may be the first of those at the line's end, which go (RFC 2045 6.7 (3)); a CR may be one's end
        if (c == '=' || (!pending_.empty() && pending_.back() == '\r') || pending_.size() >= kMaxPending) {
            out += pending_;
            pending_.clear();
        }
        pending_ += c;
        return;
    }
    if (c == '\n') {
        if (pending_.ends_with('\r')) out += '\r';
    } else {
        out += pending_;
    }
    pending_.clear();
    out += c;
}

// pending_ starts with '='.
void QuotedPrintableDecoder::take_escape(char c, std::string& out) {
    bool only_blanks = pending_.size() == 1 || is_blank(pending_[1]);
    bool goes_on =
        (is_blank(c) && only_blanks && pending_.size() < kMaxPending) || (pending_.size() == 1 && hex_digit(c) >= 0);
    if (c == '\n') {  // RFC 2045 6.7 (5): soft line break, also with blanks after the '='
        if (only_blanks) return pending_.clear();
    } else if (goes_on) {
        pending_ += c;
        return;
    } else if (pending_.size() == 2) {
        if (auto byte = hex_byte(std::string{pending_[1], c})) {
            out += *byte;
            return pending_.clear();
        }
    }
    out += pending_;  // RFC 2045 6.7 note: a malformed escape is best left as it is
    pending_.clear();
    take(c, out);
}

void QuotedPrintableDecoder::finish(std::string& out) {
    // what is left is a soft break, blanks at the end (both go), or half an escape
    if (pending_.size() > 1 && pending_[0] == '=' && !is_blank(pending_[1])) out += pending_;
    pending_.clear();
}

TransferEncoding parse_transfer_encoding(std::string_view value) {
    Scanner in(value);
    in.skip_cfws();
    auto name = in.take_while(is_mime_token);
    if (name.empty()) return TransferEncoding::identity;  // RFC 2045 6.1
    for (std::string_view same : {"7bit", "8bit", "binary"}) {
        if (text::iequals(name, same)) return TransferEncoding::identity;
    }
    if (text::iequals(name, "base64")) return TransferEncoding::base64;
    if (text::iequals(name, "quoted-printable")) return TransferEncoding::quoted_printable;
    return TransferEncoding::unknown;
}

std::string encode_base64_lines(std::string_view bytes) {
    auto line = encode_base64(bytes);
    std::string out;
    for (size_t i = 0; i < line.size(); i += 76) out += line.substr(i, 76) + "\r\n";  // RFC 2045 6.8
    return out;
}

std::optional<char> hex_byte(std::string_view digits) {
    if (digits.size() < 2 || hex_digit(digits[0]) < 0 || hex_digit(digits[1]) < 0) return std::nullopt;
    return static_cast<char>(hex_digit(digits[0]) << 4 | hex_digit(digits[1]));
}

TransferDecoder::TransferDecoder(TransferEncoding encoding) {
    if (encoding == TransferEncoding::base64) decoder_.emplace<Base64Decoder>();
    if (encoding == TransferEncoding::quoted_printable) decoder_.emplace<QuotedPrintableDecoder>();
}

void TransferDecoder::feed(std::string_view in, std::string& out) {
    if (auto* base64 = std::get_if<Base64Decoder>(&decoder_))
        base64->feed(in, out);
    else if (auto* quoted = std::get_if<QuotedPrintableDecoder>(&decoder_))
        quoted->feed(in, out);
    else
        out += in;
}

void TransferDecoder::finish(std::string& out) {
    if (auto* base64 = std::get_if<Base64Decoder>(&decoder_))
        base64->finish(out);
    else if (auto* quoted = std::get_if<QuotedPrintableDecoder>(&decoder_))
        quoted->finish(out);
}

}  // namespace mox::mail
