#include "common/mail/rights.h"

namespace mox::mail {
namespace {

constexpr std::string_view kStandard = "lrswipkxtea";

constexpr uint32_t bit_of(char letter) {
    return uint32_t{1} << kStandard.find(letter);
}

// RFC 4314 2.1.1: of the two ways to read the old rights, the one in which "c" lets delete mailboxes too
constexpr uint32_t kCreate = bit_of('k') | bit_of('x');
constexpr uint32_t kDelete = bit_of('t') | bit_of('e');

uint32_t bits_of(char letter) {
    if (letter == 'c') return kCreate;
    if (letter == 'd') return kDelete;
    return kStandard.find(letter) == std::string_view::npos ? 0 : bit_of(letter);
}

}  // namespace

std::optional<uint32_t> parse_rights(std::string_view letters) {
    uint32_t rights = 0;
    for (char letter : letters) {
        uint32_t bits = bits_of(letter);
        if (bits == 0) return std::nullopt;
        rights |= bits;
    }
    return rights;
}

std::string rights_letters(uint32_t rights) {
    std::string out;
    for (char letter : std::string_view("lrswipkxtecda"))
        if (rights & bits_of(letter)) out += letter;
    return out;
}

}  // namespace mox::mail
