#include "imapd/worker/stored_message.h"

#include <algorithm>
#include <span>
#include <unistd.h>

namespace mox::imapd {

StoredMessage::StoredMessage(proto::MessageFile file)
    : uid_(file.uid.value),
      prefix_(std::move(file.prefix)),
      file_size_(file.size),
      content_(file.content),
      start_(std::move(file.start)),
      file_(std::move(file.file)),
      info_(decode_info(file.info, file.size)) {}

std::optional<mail::Range> StoredMessage::locate(const Section& section) const {
    using Kind = Section::Kind;
    auto kind = mail::SectionKind::whole;
    if (section.kind == Kind::text)
        kind = mail::SectionKind::text;
    else if (section.kind == Kind::mime)
        kind = mail::SectionKind::mime;
    else if (section.kind != Kind::whole)
        kind = mail::SectionKind::header;
    auto range = mail::find_section(info_, section.numbers, kind);
    if (!range) return std::nullopt;
    // The prefix is the beginning of the root's header, so what begins with that header begins with the prefix.
    bool root = section.numbers.empty()
                    ? kind != mail::SectionKind::text
                    : kind == mail::SectionKind::mime && mail::find_part(info_, section.numbers) == 0u;
    if (root) return mail::Range{0, prefix_.size() + range->length};
    return mail::Range{prefix_.size() + range->offset, range->length};
}

size_t StoredMessage::read(uint64_t offset, std::span<char> into) const {
    if (offset < prefix_.size()) return prefix_.copy(into.data(), into.size(), offset);
    offset -= prefix_.size();
    if (offset < start_.size()) return start_.copy(into.data(), into.size(), offset);
    if (offset >= file_size_ || !file_) return 0;
    size_t n = std::min<uint64_t>(into.size(), file_size_ - offset);
    ssize_t got = ::pread(file_.get(), into.data(), n, static_cast<off_t>(offset));
    return got > 0 ? static_cast<size_t>(got) : 0;
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
