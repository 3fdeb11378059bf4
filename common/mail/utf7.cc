#include "common/mail/utf7.h"

#include <cstdint>

#include "common/mail/utf8.h"

namespace mox::mail {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

bool is_direct(char32_t c) {
    return c >= 0x20 && c <= 0x7e;  // RFC 3501 5.1.3: printable US-ASCII represents itself
}

class Shift {
  public:
    explicit Shift(std::string& out) : out_(out) {}

    void put(char32_t c) {
        if (c >= 0x10000) {
            put_unit(0xd800 + ((c - 0x10000) >> 10));
            put_unit(0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            put_unit(c);
        }
    }
    void end() {
        if (!open_) return;
        if (bits_ > 0) out_ += kAlphabet[held_ << (6 - bits_) & 0x3f];
        out_ += '-';  // RFC 3501 5.1.3: always explicitly terminated
        open_ = false;
        bits_ = 0;
        held_ = 0;
    }

  private:
    void put_unit(char32_t unit) {
        if (!open_) out_ += '&';
        open_ = true;
        held_ = held_ << 16 | unit;
        for (bits_ += 16; bits_ >= 6; bits_ -= 6) out_ += kAlphabet[held_ >> (bits_ - 6) & 0x3f];
        held_ &= (1u << bits_) - 1;
    }

    std::string& out_;
    bool open_ = false;
    uint32_t held_ = 0;
    unsigned bits_ = 0;
};

// The characters of one shift (between & and -), false if malformed.
bool decode_shift(std::string_view in, std::string& out) {
    uint32_t held = 0;
    unsigned bits = 0;
    char32_t high = 0;
    for (char c : in) {
        auto value = kAlphabet.find(c);
        if (value == kAlphabet.npos) return false;
        held = held << 6 | static_cast<uint32_t>(value);
        bits += 6;
        if (bits < 16) continue;
        bits -= 16;
        char32_t unit = held >> bits & 0xffff;
        held &= (1u << bits) - 1;
        bool is_low = unit >= 0xdc00 && unit <= 0xdfff;
        if (is_low != (high != 0)) return false;  // surrogates come in pairs
        if (unit >= 0xd800 && unit <= 0xdbff) {
            high = unit;
            continue;
        }
        char32_t c32 = is_low ? 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00) : unit;
        if (is_direct(c32)) return false;  // RFC 3501 5.1.3: never encode what represents itself
        append_utf8(out, c32);
        high = 0;
    }
    return high == 0 && bits < 6 && held == 0;
}

}  // namespace

std::optional<std::string> encode_utf7(std::string_view name) {
    std::string out;
    Shift shift(out);
    while (!name.empty()) {
        auto length = utf8_length(name);
        if (length == 0) return std::nullopt;
        auto c = utf8_decode(name, length);
        name.remove_prefix(length);
        if (!is_direct(c)) {
            shift.put(c);
            continue;
        }
        shift.end();
        out += static_cast<char>(c);
        if (c == '&') out += '-';  // RFC 3501 5.1.3: & is written &-
    }
    shift.end();
    return out;
}

std::optional<std::string> decode_utf7(std::string_view name) {
    std::string out;
    bool after_shift = false;
    for (size_t i = 0; i < name.size(); ++i) {
        if (name[i] != '&') {
            if (!is_direct(static_cast<unsigned char>(name[i]))) return std::nullopt;
            out += name[i];
            after_shift = false;
            continue;
        }
        auto end = name.find('-', i);
        if (end == name.npos) return std::nullopt;
        auto inner = name.substr(i + 1, end - i - 1);
        if (inner.empty()) {
            out += '&';
            after_shift = false;
        } else {
            if (after_shift || !decode_shift(inner, out)) return std::nullopt;  // no superfluous shifts
            after_shift = true;
        }
        i = end;
    }
    return out;
}

}  // namespace mox::mail
