#include "imapd/worker/message_text.h"

#include "common/mail/charset.h"
#include "common/mail/encoded_word.h"
#include "common/mail/header.h"
#include "common/text/ascii.h"
#include "imapd/worker/decoded_part.h"

namespace mox::imapd {
namespace {

constexpr size_t kPiece = 64 * 1024;
constexpr size_t kMaxHeader = 1 << 20;  // bytes of a header looked at

std::string decoded(const mail::HeaderField& field) {
    return mail::decode_encoded_words(mail::unfold(field.value));
}

std::string root_header(const StoredMessage& message) {
    uint64_t end = message.prefix().size() + message.info().parts[0].range.body_offset;
    return message.read({0, end}, kMaxHeader);
}

void feed_header(std::string_view header, WordFinder& finder) {
    mail::HeaderReader reader(header);
    while (auto field = reader.next()) {
        finder.restart();
        finder.feed(std::string(field->name) + ": " + decoded(*field));
        if (finder.all_found()) return;
    }
}

// Brings decoded bytes to UTF-8 in pieces that end with a line, so that no character and no shift state is cut in
// practice.
class CharsetReader {
  public:
    CharsetReader(std::string charset, WordFinder& finder) : charset_(std::move(charset)), finder_(finder) {
        plain_ = charset_.empty() || text::iequals(charset_, "us-ascii") || text::iequals(charset_, "utf-8");
    }
    std::string& buffer() { return buffer_; }
    void advance() {
        if (buffer_.size() < kPiece) return;
        auto at = buffer_.rfind('\n');
        pass(at == std::string::npos ? buffer_.size() : at + 1);
    }
    void finish() { pass(buffer_.size()); }

  private:
    void pass(size_t count) {
        std::string_view piece = std::string_view(buffer_).substr(0, count);
        auto text = plain_ ? std::nullopt : mail::charset_to_utf8(charset_, piece, 4 * count + 16);
        finder_.feed(text ? std::string_view(*text) : piece);
        buffer_.erase(0, count);
    }
    std::string charset_;
    WordFinder& finder_;
    bool plain_;
    std::string buffer_;
};

std::string charset_of(const mail::Part& part) {
    for (const auto& param : part.params)
        if (text::iequals(param.name, "charset")) return param.value;
    return {};
}

}  // namespace

void read_header_text(const StoredMessage& message, WordFinder& finder) {
    feed_header(root_header(message), finder);
}

void read_part_text(const StoredMessage& message, uint32_t index, WordFinder& finder) {
    const auto& part = message.info().parts[index];
    uint64_t shift = message.prefix().size();
    if (index > 0 && mail::is_message_root(part)) {
        uint64_t length = part.range.body_offset - part.range.header_offset;
        feed_header(message.read({shift + part.range.header_offset, length}, kMaxHeader), finder);
    }
    if (!text::iequals(part.type, "text")) return;
    finder.restart();
    TransferDecoder transfer(mail::parse_transfer_encoding(part.encoding));
    CharsetReader charset(charset_of(part), finder);
    std::string piece(kPiece, '\0');
    uint64_t at = shift + part.range.body_offset;
    uint64_t end = shift + part.range.end_offset;
    while (at < end && !finder.all_found()) {
        size_t n = message.read(at, std::span(piece).first(std::min<uint64_t>(piece.size(), end - at)));
        if (n == 0) break;
        transfer.feed(std::string_view(piece).substr(0, n), charset.buffer());
        charset.advance();
        at += n;
    }
    transfer.finish(charset.buffer());
    charset.finish();
}

bool header_holds(const StoredMessage& message, std::string_view field_name, std::string_view word) {
    std::string header = root_header(message);
    mail::HeaderReader reader(header);
    while (auto field = reader.next()) {
        if (!text::iequals(field->name, field_name)) continue;
        if (word.empty() || fold_case(decoded(*field)).find(word) != std::string::npos) return true;
    }
    return false;
}

}  // namespace mox::imapd
