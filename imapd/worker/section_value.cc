#include "imapd/worker/section_value.h"

#include <algorithm>
#include <array>

#include "imapd/worker/decoded_part.h"

namespace mox::imapd {
namespace {

constexpr size_t kMaxHeader = 4 << 20;  // bytes of a header looked at for its fields

// RFC 3501 6.4.5: what a partial leaves; beyond the end nothing.
mail::Range cut(mail::Range range, const std::optional<Section::Partial>& partial) {
    if (!partial) return range;
    uint64_t skip = std::min(partial->offset, range.length);
    return {range.offset + skip, std::min(partial->count, range.length - skip)};
}

void append_literal_start(std::string& out, uint64_t size) {
    out += '{';
    append_number(out, size);
    out += "}\r\n";
}

void hand_over(Session& session, std::string& out) {
    session.stream().write(out);
    out.clear();
}

// When the file fails, the promised size cannot be kept: the connection ends.
async::Task<void> send_range(Session& session, const StoredMessage& message, mail::Range range) {
    std::array<char, 32 * 1024> piece;
    while (range.length > 0) {
        size_t n = message.read(range.offset, std::span(piece).first(std::min<uint64_t>(piece.size(), range.length)));
        if (n == 0) {
            session.log().error("message file cannot be read", {{"uid", message.uid()}});
            throw async::ConnectionLost("message file cannot be read");
        }
        session.stream().write({piece.data(), n});
        range.offset += n;
        range.length -= n;
        co_await session.flush_some();
    }
}

void write_fields(std::string& out, const StoredMessage& message, const Section& section, mail::Range header) {
    auto select = section.kind == Section::Kind::header_fields ? mail::Select::listed : mail::Select::not_listed;
    auto fields = mail::select_header_fields(message.read(header, kMaxHeader), section.fields, select);
    auto part = cut({0, fields.size()}, section.partial);
    append_literal_start(out, part.length);
    out += std::string_view(fields).substr(part.offset, part.length);
}

async::Task<void> send_decoded(Session& session, const StoredMessage& message, mail::Range range,
                               mail::TransferEncoding encoding, mail::Range wanted) {
    DecodedReader reader(message, range, encoding);
    while (wanted.length > 0) {
        auto piece = reader.next();
        if (piece.empty()) throw async::ConnectionLost("message file cannot be read");
        size_t skip = std::min<uint64_t>(wanted.offset, piece.size());
        wanted.offset -= skip;
        auto told = piece.substr(skip, wanted.length);
        wanted.length -= told.size();
        session.stream().write(told);
        co_await session.flush_some();
    }
}

// Read twice: the size stands in front.
async::Task<Written> write_binary(Session& session, std::string& out, const StoredMessage& message,
                                  const Section& section, mail::Range range) {
    auto encoding = encoding_of(message, section);
    bool size_only = section.form == Section::Form::binary_size;
    if (encoding == mail::TransferEncoding::unknown) {
        out += size_only ? "0" : "NIL";
        co_return Written::unknown_encoding;
    }
    auto size = measure(DecodedReader(message, range, encoding));
    if (size_only) {
        append_number(out, size.bytes);
        co_return Written::done;
    }
    auto part = cut({0, size.bytes}, section.partial);
    if (size.has_nul) out += '~';  // RFC 3516 7 literal8: the one form that may hold NUL
    append_literal_start(out, part.length);
    hand_over(session, out);
    co_await send_decoded(session, message, range, encoding, part);
    co_return Written::done;
}

}  // namespace

async::Task<Written> write_section_value(Session& session, std::string& out, const StoredMessage& message,
                                         const Section& section) {
    using Kind = Section::Kind;
    auto range = message.locate(section);
    if (!range) {
        out += section.form == Section::Form::binary_size ? "0" : "NIL";  // no such part
        co_return Written::done;
    }
    if (section.form != Section::Form::body) co_return co_await write_binary(session, out, message, section, *range);
    if (section.kind == Kind::header_fields || section.kind == Kind::header_fields_not) {
        write_fields(out, message, section, *range);
        co_return Written::done;
    }
    auto part = cut(*range, section.partial);
    append_literal_start(out, part.length);
    hand_over(session, out);
    co_await send_range(session, message, part);
    co_return Written::done;
}

}  // namespace mox::imapd
