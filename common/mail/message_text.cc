#include "common/mail/message_text.h"

#include <algorithm>
#include <optional>

#include "common/mail/charset.h"
#include "common/mail/encoded_word.h"
#include "common/mail/header.h"
#include "common/mail/html_text.h"
#include "common/mail/params.h"
#include "common/mail/transfer.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

constexpr size_t kPiece = 64 * 1024;

// The bytes at the end that may be the beginning of a character.
size_t unfinished(std::string_view text) {
    for (size_t n = 1; n <= std::min<size_t>(3, text.size()); n++) {
        auto byte = static_cast<unsigned char>(text[text.size() - n]);
        if (byte < 0x80) return 0;
        if (byte >= 0xc0) return utf8_length(text.substr(text.size() - n)) == 0 ? n : 0;
    }
    return 0;
}

// Brings decoded bytes to UTF-8 in pieces that end with a line, so that no character and no shift state is cut in
// practice.
class CharsetReader {
  public:
    CharsetReader(std::string charset, bool html, TextSink& sink)
        : charset_(std::move(charset)), is_html_(html), sink_(sink) {
        plain_ = charset_.empty() || text::iequals(charset_, "us-ascii") || text::iequals(charset_, "utf-8");
    }
    std::string& buffer() { return buffer_; }
    void advance() {
        if (buffer_.size() < kPiece) return;
        auto at = buffer_.rfind('\n');
        pass(at == std::string::npos ? buffer_.size() - (plain_ ? unfinished(buffer_) : 0) : at + 1);
    }
    void finish() {
        pass(buffer_.size());
        if (!is_html_) return;
        text_.clear();
        html_.finish(text_);
        sink_.add_text(text_);
    }
    bool failed() const { return failed_; }

  private:
    void pass(size_t count) {
        std::string_view piece = std::string_view(buffer_).substr(0, count);
        auto converted = plain_ ? std::nullopt : charset_to_utf8(charset_, piece, 4 * count + 16);
        failed_ |= !plain_ && !converted;
        if (converted) piece = *converted;
        if (is_html_) {
            text_.clear();
            html_.feed(piece, text_);
            piece = text_;
        }
        sink_.add_text(piece);
        buffer_.erase(0, count);
    }
    std::string charset_;
    bool is_html_;
    TextSink& sink_;
    HtmlText html_;
    bool plain_;
    bool failed_ = false;
    std::string buffer_;
    std::string text_;
};

std::string address_text(const std::vector<EnvelopeAddress>& addresses) {
    std::string out;
    for (const auto& address : addresses) {
        if (address.name) out += decode_encoded_words(*address.name) + ' ';
        if (address.mailbox) out += *address.mailbox;
        if (address.host) out += '@' + *address.host;
        out += "\n";
    }
    return out;
}

}  // namespace

std::string read_range(const ReadAt& read, uint64_t offset, uint64_t length, size_t max) {
    std::string out(std::min<uint64_t>(length, max), '\0');
    size_t filled = 0;
    while (filled < out.size()) {
        size_t n = read(offset + filled, std::span(out).subspan(filled));
        if (n == 0) break;
        filled += n;
    }
    out.resize(filled);
    return out;
}

std::string root_header(const TextSource& source) {
    return read_range(source.read, 0, source.shift + source.info.parts[0].range.body_offset, kMaxHeaderText);
}

std::string decoded_value(std::string_view raw_value) {
    return decode_encoded_words(unfold(raw_value));
}

void read_header_fields(std::string_view header, TextSink& sink) {
    HeaderReader reader(header);
    std::string text;
    while (auto field = reader.next()) {
        text = field->name;
        text += ": ";
        text += decoded_value(field->value);
        sink.begin_text();
        sink.add_text(text);
        if (sink.has_enough()) return;
    }
}

PartText read_part_text(const TextSource& source, uint32_t index, TextSink& sink) {
    const auto& part = source.info.parts[index];
    const auto& range = part.range;
    if (index > 0 && is_message_root(part)) {
        uint64_t length = range.body_offset - range.header_offset;
        read_header_fields(read_range(source.read, source.shift + range.header_offset, length, kMaxHeaderText), sink);
    }
    if (!text::iequals(part.type, "text")) return PartText::none;
    sink.begin_text();
    TransferDecoder transfer(parse_transfer_encoding(part.encoding));
    CharsetReader charset(std::string(find_parameter(part.params, "charset").value_or("")),
                          text::iequals(part.subtype, "html"), sink);
    uint64_t at = source.shift + range.body_offset;
    uint64_t end = source.shift + range.end_offset;
    std::string piece(std::min<uint64_t>(kPiece, end - at), '\0');
    while (at < end && !sink.has_enough()) {
        size_t n = source.read(at, std::span(piece).first(std::min<uint64_t>(piece.size(), end - at)));
        if (n == 0) break;
        transfer.feed(std::string_view(piece).substr(0, n), charset.buffer());
        charset.advance();
        at += n;
    }
    transfer.finish(charset.buffer());
    charset.finish();
    return charset.failed() ? PartText::unknown_charset : PartText::decoded;
}

std::string envelope_text(const Envelope& envelope, EnvelopeField field) {
    switch (field) {
        case EnvelopeField::from:
            return address_text(envelope.from);
        case EnvelopeField::to:
            return address_text(envelope.to);
        case EnvelopeField::cc:
            return address_text(envelope.cc);
        case EnvelopeField::bcc:
            return address_text(envelope.bcc);
        default:
            return decode_encoded_words(envelope.subject.value_or(""));
    }
}

}  // namespace mox::mail
