#include "common/mail/part_data.h"

#include <algorithm>

#include "common/mail/header.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

std::optional<uint32_t> find_child(const MessageInfo& info, uint32_t parent, uint32_t number) {
    for (uint32_t i = parent + 1; i < info.parts.size(); ++i) {
        const auto& part = info.parts[i];
        if (part.parent < parent) break;  // the end of the subtree
        if (part.parent == parent && part.number == number) return i;
    }
    return std::nullopt;
}

// The message inside a message part.
std::optional<uint32_t> find_embedded(const MessageInfo& info, uint32_t index) {
    return is_message(info.parts[index]) ? find_child(info, index, 1) : std::nullopt;
}

Range header_range(const PartRange& range) {
    return {range.header_offset, range.body_offset - range.header_offset};
}

Range body_range(const PartRange& range) {
    return {range.body_offset, range.end_offset - range.body_offset};
}

}  // namespace

std::optional<uint32_t> find_part(const MessageInfo& info, std::span<const uint32_t> numbers) {
    if (info.parts.empty()) return std::nullopt;
    uint32_t current = 0;
    bool selected = false;  // current was named by a number, so the next number looks inside it
    for (auto number : numbers) {
        if (selected && !is_multipart(info.parts[current])) {
            auto embedded = find_embedded(info, current);  // RFC 3501 6.4.5: numbers go on in the embedded message
            if (!embedded) return std::nullopt;
            current = *embedded;
        }
        selected = true;
        if (is_multipart(info.parts[current])) {
            auto child = find_child(info, current, number);
            if (!child) return std::nullopt;
            current = *child;
        } else if (number != 1) {
            return std::nullopt;
        }  // RFC 3501 6.4.5: a message that is no multipart has but part 1, which is itself
    }
    return current;
}

std::optional<Range> find_section(const MessageInfo& info, std::span<const uint32_t> numbers, SectionKind kind) {
    auto index = find_part(info, numbers);
    if (!index) return std::nullopt;
    const auto& range = info.parts[*index].range;
    if (numbers.empty()) {
        switch (kind) {
            case SectionKind::whole:
                return Range{0, info.size};
            case SectionKind::header:
                return header_range(range);
            case SectionKind::text:
                return body_range(range);
            default:
                return std::nullopt;  // RFC 3501 6.4.5: MIME must be prefixed by numbers
        }
    }
    if (kind == SectionKind::whole) return body_range(range);
    if (kind == SectionKind::mime) return header_range(range);
    // RFC 3501 6.4.5: HEADER and TEXT refer to the message inside a message part
    auto embedded = find_embedded(info, *index);
    if (!embedded) return std::nullopt;
    const auto& inner = info.parts[*embedded].range;
    return kind == SectionKind::header ? header_range(inner) : body_range(inner);
}

std::string select_header_fields(std::string_view raw_header, std::span<const std::string> names, Select select) {
    std::string out;
    HeaderReader reader(raw_header);
    while (auto field = reader.next()) {
        bool listed = std::ranges::any_of(names, [&](const auto& name) { return text::iequals(name, field->name); });
        if (listed != (select == Select::listed)) continue;
        out += raw_header.substr(field->begin, field->end - field->begin);
    }
    // RFC 3501 6.4.5: the empty line is part of every subset, if the message has one
    auto rest = raw_header.substr(reader.position());
    if (auto end = find_header_end(rest)) out += rest.substr(0, *end);
    return out;
}

}  // namespace mox::mail
