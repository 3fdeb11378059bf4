#include "imapd/worker/decoded_part.h"

namespace mox::imapd {
namespace {

constexpr size_t kPiece = 32 * 1024;

}  // namespace

std::string_view DecodedReader::next() {
    decoded_.clear();
    raw_.resize(kPiece);
    while (decoded_.empty() && !finished_) {
        size_t n = message_.read(range_.offset, std::span(raw_).first(std::min<uint64_t>(kPiece, range_.length)));
        decoder_.feed(std::string_view(raw_).substr(0, n), decoded_);
        range_.offset += n;
        range_.length -= n;
        if (n > 0 && range_.length > 0) continue;
        finished_ = true;
        decoder_.finish(decoded_);
    }
    return decoded_;
}

mail::TransferEncoding encoding_of(const StoredMessage& message, const Section& section) {
    auto index = mail::find_part(message.info(), section.numbers);
    if (section.numbers.empty() || !index) return mail::TransferEncoding::identity;
    const auto& part = message.info().parts[*index];
    if (mail::is_multipart(part) || mail::is_message(part)) return mail::TransferEncoding::identity;
    return mail::parse_transfer_encoding(part.encoding);
}

DecodedSize measure(DecodedReader reader) {
    DecodedSize size;
    for (auto piece = reader.next(); !piece.empty(); piece = reader.next()) {
        size.bytes += piece.size();
        size.has_nul |= piece.find('\0') != std::string_view::npos;
    }
    return size;
}

}  // namespace mox::imapd
