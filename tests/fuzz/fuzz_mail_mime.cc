// Any bytes as a message: the parser must hold its invariants, whatever the split of the bytes, and what is written
// from its result must be well-formed.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/ipc/codec.h"
#include "common/mail/header.h"
#include "common/mail/imap_text.h"
#include "common/mail/info_codec.h"
#include "common/mail/mime_parser.h"
#include "common/mail/params.h"
#include "common/mail/part_data.h"
#include "tests/unit/common/mail/mail_samples.h"

using namespace mox::mail;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

MessageInfo parse_split(std::string_view message, size_t seed, const MimeLimits& limits) {
    MimeParser parser(limits);
    for (size_t pos = 0; pos < message.size();) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        auto step = seed >> 60;
        parser.feed(message.substr(pos, step));
        pos += step;
    }
    return parser.finish();
}

void check_parts(std::string_view message, const MessageInfo& info) {
    for (uint32_t first = 0; first < 4; ++first) {
        for (auto kind : {SectionKind::whole, SectionKind::header, SectionKind::text, SectionKind::mime}) {
            const uint32_t numbers[] = {first, 1};
            for (size_t count = 0; count <= 2; ++count) {
                auto range = find_section(info, std::span(numbers, count), kind);
                require(!range || range->offset + range->length <= message.size());
            }
        }
    }
    if (info.listed_fields) {
        auto header = message.substr(0, info.parts[0].range.body_offset);
        const std::vector<std::string> all(std::begin(kListedFields), std::end(kListedFields));
        for (const auto& names : {all, std::vector<std::string>{"to"}})
            require(select_header_fields(*info.listed_fields, names, Select::listed) ==
                    select_header_fields(header, names, Select::listed));
    }
    for (const auto& part : info.parts) {
        file_name(part);
        auto header = message.substr(part.range.header_offset, part.range.body_offset - part.range.header_offset);
        const std::string names[] = {"subject"};
        auto listed = select_header_fields(header, names, Select::listed);
        require(listed.size() <= header.size());
    }
}

void check_parentheses(const std::string& out) {
    size_t depth = 0;
    for (size_t i = 0; i < out.size(); ++i) {
        char c = out[i];
        if (c == '(') ++depth;
        if (c == ')') require(depth-- > 0);
        if (c == '"') {
            for (++i; i < out.size() && out[i] != '"'; ++i) {
                if (out[i] == '\\') ++i;
            }
            require(i < out.size());
        } else if (c == '{') {
            char* end = nullptr;
            auto length = std::strtoul(out.c_str() + i + 1, &end, 10);
            i = static_cast<size_t>(end - out.c_str()) + 2 + length;
            require(i < out.size());
        } else {
            require(static_cast<unsigned char>(c) >= ' ' && static_cast<unsigned char>(c) < 0x7f);
        }
    }
    require(depth == 0);
}

std::string text_of(const MessageInfo& info, InfoNeeds needs) {
    std::string out;
    if (needs == InfoNeeds::structure) append_body(out, info, 0, BodyForm::bodystructure);
    auto root = info.parts.at(0).envelope;
    if (needs == InfoNeeds::envelope) append_envelope(out, root ? info.envelopes.at(*root) : Envelope{});
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view message(reinterpret_cast<const char*>(data), size);
    MimeLimits small{.header_bytes = 300, .field_bytes = 1024, .depth = 4, .parts = 6, .addresses = 5, .references = 2};
    for (const auto& limits : {MimeLimits{}, small}) {
        auto info = parse_message(message, limits);
        require(info.size == size);
        require(broken_invariant(info).empty());
        require(parse_split(message, size, limits) == info);
        require(info.parts.size() <= limits.parts);
        check_parts(message, info);
        std::string encoded = mox::ipc::encode(info);
        require(decode_info(encoded, InfoNeeds::listed).listed_fields == info.listed_fields);
        decode_info(message, InfoNeeds::listed);  // any bytes
        for (auto needs : {InfoNeeds::structure, InfoNeeds::envelope}) {
            require(text_of(decode_info(encoded, needs), needs) == text_of(info, needs));
            text_of(decode_info(message, needs), needs);  // any bytes
        }
        for (auto form : {BodyForm::body, BodyForm::bodystructure}) {
            std::string out;
            append_body(out, info, 0, form);
            out += ' ';
            append_envelope(out, info.envelopes.at(0));
            check_parentheses(out);
        }
    }
    return 0;
}
