#include "imapd/worker/stored_message.h"

#include <algorithm>
#include <span>

namespace mox::imapd {

StoredMessage::StoredMessage(proto::MessageFile file)
    : uid_(file.uid.value),
      prefix_(std::move(file.prefix)),
      file_size_(file.size),
      content_(file.content),
      file_(std::move(file.start), file.packed, std::move(file.file), file.size, file.stored),
      encoded_info_(std::move(file.info)) {}

const mail::MessageInfo& StoredMessage::info() const {
    if (!info_) info_ = decode_info(encoded_info_, file_size_);
    return *info_;
}

std::optional<mail::Range> StoredMessage::locate(const Section& section) const {
    using Kind = Section::Kind;
    if (section.kind == Kind::whole && section.numbers.empty()) return mail::Range{0, size()};
    auto kind = mail::SectionKind::whole;
    if (section.kind == Kind::text)
        kind = mail::SectionKind::text;
    else if (section.kind == Kind::mime)
        kind = mail::SectionKind::mime;
    else if (section.kind != Kind::whole)
        kind = mail::SectionKind::header;
    auto range = mail::find_section(info(), section.numbers, kind);
    if (!range) return std::nullopt;
    // The prefix is the beginning of the root's header, so what begins with that header begins with the prefix.
    bool root = section.numbers.empty()
                    ? kind != mail::SectionKind::text
                    : kind == mail::SectionKind::mime && mail::find_part(info(), section.numbers) == 0u;
    if (root) return mail::Range{0, prefix_.size() + range->length};
    return mail::Range{prefix_.size() + range->offset, range->length};
}

bool StoredMessage::is_readable(const Section& section) const {
    auto range = locate(section);
    if (!range) return true;
    if (const auto& partial = section.partial; partial && section.form == Section::Form::body) {
        uint64_t skip = std::min<uint64_t>(partial->offset, range->length);
        range = mail::Range{range->offset + skip, std::min<uint64_t>(partial->count, range->length - skip)};
    }
    uint64_t before =
        std::min<uint64_t>(range->length, prefix_.size() - std::min<uint64_t>(range->offset, prefix_.size()));
    uint64_t begin = range->offset + before - prefix_.size();
    return file_.is_whole(begin, range->length - before);
}

size_t StoredMessage::read(uint64_t offset, std::span<char> into) const {
    if (offset < prefix_.size()) return prefix_.copy(into.data(), into.size(), offset);
    return file_.read(offset - prefix_.size(), into);
}

std::string StoredMessage::read(mail::Range range, size_t max) const {
    std::string out(std::min<uint64_t>(range.length, max), '\0');
    size_t filled = 0;
    while (filled < out.size()) {
        size_t n = read(range.offset + filled, std::span(out).subspan(filled));
        if (n == 0) break;
        filled += n;
    }
    out.resize(filled);
    return out;
}

}  // namespace mox::imapd
