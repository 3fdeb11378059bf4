// Any text as address, address list, date, encoded words, parameters, modified UTF-7, base64 and quoted-printable.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/mail/address_list.h"
#include "common/mail/date.h"
#include "common/mail/encoded_word.h"
#include "common/mail/header.h"
#include "common/mail/message_id.h"
#include "common/mail/params.h"
#include "common/mail/transfer.h"
#include "common/mail/utf7.h"
#include "common/mail/utf8.h"

using namespace mox::mail;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check_address(std::string_view text) {
    for (auto utf8 : {Utf8::forbidden, Utf8::allowed}) {
        if (auto address = parse_address(text, utf8)) {
            auto again = parse_address(to_string(*address), utf8);
            require(again && *again == *address);
            require(same_address(*address, *again));
        }
        if (auto path = parse_path(text, utf8)) {
            auto again = parse_path(to_string(*path), utf8);
            require(again && *again == *path);
        }
    }
    if (auto ascii = domain_to_ascii(text)) {
        auto unicode = domain_to_unicode(*ascii);
        require(domain_to_ascii(*ascii) == *ascii);
        if (unicode) require(is_utf8(*unicode));
    }
    bool in_group = false;
    auto list = parse_address_list(text, 50);
    require(list.size() <= 50);
    for (const auto& entry : list) {
        if (entry.host) {
            to_address(entry);
        } else {
            require(in_group != entry.mailbox.has_value());  // groups open and close in turn
            in_group = entry.mailbox.has_value();
        }
    }
    require(!in_group);
}

void check_dates(std::string_view text) {
    if (auto time = parse_date(text)) {
        if (time->unix_seconds > -62135000000 && time->unix_seconds < 253402000000) {
            require(parse_date(format_date(*time)) == time);
            require(parse_internal_date(format_internal_date(*time)) == time);
        }
    }
    parse_internal_date(text);
    if (auto day = parse_imap_date(text)) require(day_of({unix_seconds(*day), 0}) == *day);
}

template <class Decoder>
void check_decoder(std::string_view text) {
    std::string whole, split;
    Decoder a, b;
    a.feed(text, whole);
    a.finish(whole);
    for (char c : text) b.feed(std::string_view(&c, 1), split);
    b.finish(split);
    require(whole == split && whole.size() <= text.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    check_address(text);
    check_dates(text);
    auto decoded = decode_encoded_words(text, 200);
    require(is_utf8(decoded) && decoded.size() <= 200);
    if (auto utf8 = decode_utf7(text)) require(encode_utf7(*utf8) == text);
    if (auto utf7 = encode_utf7(text)) require(decode_utf7(*utf7) == text);
    if (auto type = parse_content_type(text)) {
        for (const auto& param : type->params) {
            auto value = find_parameter(type->params, param.name);
            require(!value || is_utf8(*value));
        }
    }
    require(parse_message_ids(text, 5).size() <= 5);
    require(unfold(text).find('\n') == std::string::npos);
    check_decoder<Base64Decoder>(text);
    check_decoder<QuotedPrintableDecoder>(text);
    return 0;
}
