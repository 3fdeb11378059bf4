// Where the data of a section of a message lies, and subsets of header fields.
//
// Pure functions over MessageInfo: part numbers as IMAP counts them become byte ranges, so that answering a FETCH is a
// positioned read. Nothing is found for numbers that name no part. RFCs: 3501 6.4.5 (section specifications).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/mail/message_info.h"

namespace mox::mail {

/// What of a part is asked for. `whole`: BODY[] or BODY[n]; header and text need a message; mime needs part numbers.
enum class SectionKind : uint8_t { whole, header, text, mime, kEnd };

/// Bytes of the message.
struct Range {
    uint64_t offset = 0;
    uint64_t length = 0;

    friend bool operator==(const Range&, const Range&) = default;
};

/// The index in info.parts of the part with these numbers; 0 (the root) for none. A message that is no multipart has
/// a part 1: itself. Nothing if there is no such part.
std::optional<uint32_t> find_part(const MessageInfo& info, std::span<const uint32_t> numbers);

/// The range of BODY[numbers.kind] (RFC 3501 6.4.5). Headers include their final empty line.
std::optional<Range> find_section(const MessageInfo& info, std::span<const uint32_t> numbers, SectionKind kind);

/// Which fields select_header_fields keeps: HEADER.FIELDS or HEADER.FIELDS.NOT.
enum class Select : uint8_t { listed, not_listed, kEnd };

/// The fields of a header block with these names (without case), byte for byte and in order, and the final empty line
/// if the block has one (RFC 3501 6.4.5). Lines that are no field count as not listed.
std::string select_header_fields(std::string_view raw_header, std::span<const std::string> names, Select select);

}  // namespace mox::mail
