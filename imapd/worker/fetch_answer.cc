#include "imapd/worker/fetch_answer.h"

#include <algorithm>
#include <array>

#include "imapd/worker/decoded_part.h"
#include "imapd/worker/object_id.h"
#include "imapd/worker/preview.h"

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

}  // namespace

FetchAnswer::FetchAnswer(Session& session, uint32_t index) : session_(session), index_(index) {
    session_.view().append_fetch_start(out_, index, session_.features());
}

std::string& FetchAnswer::item(std::string_view name) {
    if (!first_) out_ += ' ';
    first_ = false;
    out_ += name;
    out_ += ' ';
    return out_;
}

void FetchAnswer::hand_over() {
    session_.stream().write(out_);
    out_.clear();
}

void FetchAnswer::finish() {
    out_ += ")\r\n";
    hand_over();
}

void FetchAnswer::write_row_items(uint32_t items, const ThreadIds& threads) {
    const auto& view = session_.view();
    const auto& row = view.rows()[index_];
    if (items & kFetchUid) append_number(item("UID"), row.uid);
    if (items & kFetchFlags) view.append_flags(item("FLAGS"), row);
    if (items & kFetchInternalDate) {
        auto& out = item("INTERNALDATE");
        out += '"';
        out += mail::format_internal_date({row.received, row.received_zone});
        out += '"';
    }
    if (items & kFetchSize) append_number(item("RFC822.SIZE"), row.size);
    if (items & kFetchModSeq) {  // RFC 7162 3.1.4.2
        auto& out = item("MODSEQ");
        out += '(';
        append_number(out, row.modseq);
        out += ')';
    }
    if (items & kFetchSaveDate) {  // RFC 8514 4.2
        auto& out = item("SAVEDATE");
        out += '"';
        out += mail::format_internal_date({row.saved, 0});
        out += '"';
    }
    if (items & kFetchThreadId) threads.append(item("THREADID"), row.content);  // RFC 8474 5.2
}

void FetchAnswer::write_preview(const StoredMessage& message) {
    mail::append_string(item("PREVIEW"), make_preview(message), session_.features().strings());
}

void FetchAnswer::write_info_items(const mail::MessageInfo& info, const proto::ContentId& content, uint32_t items) {
    if (items & kFetchEmailId)
        item("EMAILID") += '(' + email_id(content, session_.view().mailbox()) + ')';  // RFC 8474 5.2
    auto utf8 = session_.features().strings();
    auto revision = session_.features().revision();
    if (items & kFetchEnvelope) {
        auto root = info.parts[0].envelope;
        mail::append_envelope(item("ENVELOPE"), root ? info.envelopes[*root] : mail::Envelope{}, utf8);
    }
    if (items & kFetchBody) mail::append_body(item("BODY"), info, 0, mail::BodyForm::body, utf8, revision);
    if (items & kFetchBodyStructure)
        mail::append_body(item("BODYSTRUCTURE"), info, 0, mail::BodyForm::bodystructure, utf8, revision);
}

// When the file fails, the promised size cannot be kept: the connection ends.
async::Task<void> FetchAnswer::send_range(const StoredMessage& message, mail::Range range) {
    std::array<char, 32 * 1024> piece;
    while (range.length > 0) {
        size_t n = message.read(range.offset, std::span(piece).first(std::min<uint64_t>(piece.size(), range.length)));
        if (n == 0) {
            session_.log().error("message file cannot be read", {{"uid", message.uid()}});
            throw async::ConnectionLost("message file cannot be read");
        }
        session_.stream().write({piece.data(), n});
        range.offset += n;
        range.length -= n;
        co_await session_.flush_some();
    }
}

void FetchAnswer::write_fields(std::string& out, const StoredMessage& message, const Section& section,
                               mail::Range header) {
    auto select = section.kind == Section::Kind::header_fields ? mail::Select::listed : mail::Select::not_listed;
    auto fields = mail::select_header_fields(message.read(header, kMaxHeader), section.fields, select);
    auto part = cut({0, fields.size()}, section.partial);
    append_literal_start(out, part.length);
    out += std::string_view(fields).substr(part.offset, part.length);
}

async::Task<void> FetchAnswer::send_decoded(const StoredMessage& message, mail::Range range,
                                            mail::TransferEncoding encoding, mail::Range wanted) {
    DecodedReader reader(message, range, encoding);
    while (wanted.length > 0) {
        auto piece = reader.next();
        if (piece.empty()) throw async::ConnectionLost("message file cannot be read");
        size_t skip = std::min<uint64_t>(wanted.offset, piece.size());
        wanted.offset -= skip;
        auto told = piece.substr(skip, wanted.length);
        wanted.length -= told.size();
        session_.stream().write(told);
        co_await session_.flush_some();
    }
}

// Read twice: the size stands in front.
async::Task<FetchAnswer::Written> FetchAnswer::write_binary(const StoredMessage& message, const Section& section,
                                                            mail::Range range) {
    auto& out = item(section.label);
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
    hand_over();
    co_await send_decoded(message, range, encoding, part);
    co_return Written::done;
}

async::Task<FetchAnswer::Written> FetchAnswer::write_section(const StoredMessage& message, const Section& section) {
    using Kind = Section::Kind;
    auto range = message.locate(section);
    if (!range) {
        item(section.label) += section.form == Section::Form::binary_size ? "0" : "NIL";  // no such part
        co_return Written::done;
    }
    if (section.form != Section::Form::body) co_return co_await write_binary(message, section, *range);
    auto& out = item(section.label);
    if (section.kind == Kind::header_fields || section.kind == Kind::header_fields_not) {
        write_fields(out, message, section, *range);
        co_return Written::done;
    }
    auto part = cut(*range, section.partial);
    append_literal_start(out, part.length);
    hand_over();
    co_await send_range(message, part);
    co_return Written::done;
}

}  // namespace mox::imapd
