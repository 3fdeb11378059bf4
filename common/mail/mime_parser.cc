#include "common/mail/mime_parser.h"

#include <algorithm>
#include <cstring>

#include "common/mail/scanner.h"
#include "common/mail/transfer.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

constexpr size_t kMaxBoundary = 200;  // DEVIATES RFC 2046 5.1.1 (70): longer ones are in use
constexpr size_t kMaxCandidate = 2 + kMaxBoundary + 2;

bool has_8bit(std::string_view bytes) {
    unsigned char all = 0;  // a loop without a branch, which compilers make a vector loop of
    for (char c : bytes) all |= static_cast<unsigned char>(c);
    return (all & 0x80) != 0;
}

bool has_nul(std::string_view bytes) {
    return !bytes.empty() && std::memchr(bytes.data(), 0, bytes.size()) != nullptr;
}

}  // namespace

MimeParser::MimeParser(const MimeLimits& limits) : limits_(limits) {
    limits_.field_bytes = std::max<size_t>(limits_.field_bytes, 1024);
    limits_.parts = std::max<size_t>(limits_.parts, 1);
    open_part(0, 1, false);
    info_.parts[0].envelope = 0;
    info_.envelopes.emplace_back();
    info_.listed_fields.emplace();
}

void MimeParser::feed(std::string_view bytes) {
    const char* p = bytes.data();
    const char* end = p + bytes.size();
    while (p != end) {
        if (line_length_ == 0) begin_line(*p);
        p = mode_ == LineMode::body ? scan_body(p, end) : collect_line(p, end);
    }
}

void MimeParser::begin_line(char first) {
    line_start_ = offset_;
    if (frames_.back().in_header) {
        mode_ = LineMode::header;
        if (!text::is_wsp(first)) flush_field();  // RFC 5322 2.2.3: a line with leading white space continues the field
    } else if (open_boundaries_ > 0 && first == '-') {
        mode_ = LineMode::candidate;
        candidate_.clear();
    } else {
        mode_ = LineMode::body;
    }
}

void MimeParser::end_body_line(uint64_t length, bool crlf) {
    info_.max_line_length = std::max(info_.max_line_length, length - (crlf ? 2 : 1));
    if (!crlf) info_.has_bare_lf = true;
    previous_ending_ = crlf ? 2 : 1;
    ++lines_;
    line_length_ = 0;
}

// Whole lines of a body, up to one that must be looked at or the end of the bytes.
const char* MimeParser::scan_body(const char* p, const char* end) {
    const char* start = p;
    uint64_t begin = offset_;
    while (p != end) {
        auto* newline = static_cast<const char*>(std::memchr(p, '\n', static_cast<size_t>(end - p)));
        if (newline == nullptr) {
            line_length_ += static_cast<uint64_t>(end - p);
            p = end;
            break;
        }
        bool crlf = newline != p ? newline[-1] == '\r' : line_length_ > 0 && last_byte_ == '\r';
        end_body_line(line_length_ + static_cast<uint64_t>(newline - p) + 1, crlf);
        p = newline + 1;
        line_start_ = begin + static_cast<uint64_t>(p - start);
        if (open_boundaries_ > 0 && p != end && *p == '-') break;
    }
    std::string_view seen(start, static_cast<size_t>(p - start));
    note_body_bytes(seen);
    offset_ += seen.size();
    last_byte_ = seen.back();
    return p;
}

void MimeParser::note_body_bytes(std::string_view bytes) {
    if (!info_.has_8bit_body) info_.has_8bit_body = has_8bit(bytes);
    if (!info_.has_nul) info_.has_nul = has_nul(bytes);
}

// Bytes of a line of a header, or of one that may be a delimiter.
const char* MimeParser::collect_line(const char* p, const char* end) {
    auto* newline = static_cast<const char*>(std::memchr(p, '\n', static_cast<size_t>(end - p)));
    const char* stop = newline == nullptr ? end : newline + 1;
    std::string_view bytes(p, static_cast<size_t>(stop - p));
    bool crlf = newline != nullptr && (newline != p ? newline[-1] == '\r' : line_length_ > 0 && last_byte_ == '\r');

    if (mode_ == LineMode::header) {
        auto room = limits_.field_bytes - std::min(field_.size(), limits_.field_bytes);
        field_ += bytes.substr(0, room);
        if (bytes.size() > room) field_cut_ = true;
        if (!info_.has_8bit_header) info_.has_8bit_header = has_8bit(bytes);
        if (!info_.has_nul) info_.has_nul = has_nul(bytes);
    } else {
        candidate_ += bytes.substr(0, kMaxCandidate - std::min(candidate_.size(), kMaxCandidate));
        note_body_bytes(bytes);
    }
    offset_ += bytes.size();
    line_length_ += bytes.size();
    last_byte_ = bytes.back();
    if (newline == nullptr) return stop;

    auto length = line_length_;
    auto collected_mode = mode_;
    bool blank = length == (crlf ? 2u : 1u);
    end_collected_line();
    end_body_line(length, crlf);
    if (collected_mode == LineMode::header && blank && frames_.back().in_header && field_.size() == length)
        begin_body();
    return stop;
}

// A line in candidate_, or in field_ if it started one, is complete: is it a delimiter? lines_ does not count it yet.
void MimeParser::end_collected_line() {
    if (open_boundaries_ == 0) return;
    bool starts_field = field_.size() == line_length_ || field_cut_;
    if (mode_ == LineMode::header && !starts_field) return;
    Delimiter delimiter;
    if (!find_delimiter(mode_ == LineMode::header ? field_ : candidate_, delimiter)) return;
    field_.clear();
    field_cut_ = false;
    handle_delimiter(delimiter);
}

// The open multipart whose delimiter `line` is. Where one boundary is the start of another, the longest that fits
// wins. RFC 2046 5.1.1: after the boundary come `--`, blanks or the line's end.
bool MimeParser::find_delimiter(std::string_view line, Delimiter& out) const {
    if (!line.starts_with("--")) return false;
    line.remove_prefix(2);
    size_t longest = 0;
    for (size_t i = frames_.size(); i-- > 0;) {
        const auto& boundary = frames_[i].boundary;
        if (boundary.size() <= longest || !line.starts_with(boundary)) continue;
        auto rest = line.substr(boundary.size());
        bool closing = rest.starts_with("--");
        if (!closing && !rest.empty() && !is_blank(rest.front())) continue;
        longest = boundary.size();
        out = {i, closing};
    }
    return longest != 0;
}

void MimeParser::handle_delimiter(const Delimiter& delimiter) {
    // RFC 2046 5.1.2: the delimiter of an outer multipart ends the inner ones
    close_frames(delimiter.frame + 1, line_start_, previous_ending_);
    auto& frame = frames_[delimiter.frame];
    if (delimiter.closing) {
        frame.boundary.clear();  // what follows is the epilogue
        --open_boundaries_;
    } else if (info_.parts.size() < limits_.parts && frames_.size() < limits_.depth) {
        bool digest = text::iequals(info_.parts[frame.part].subtype, "digest");
        open_part(frame.part, ++frame.children, digest);
    } else {
        mark_truncated(info_.parts[frame.part]);
    }
}

// Ends all open parts but the outermost `keep`. The line ending before the boundary line belongs to the boundary
// (RFC 2046 5.1.1), unless it is the one of an empty line that ended the innermost header.
void MimeParser::close_frames(size_t keep, uint64_t boundary_start, uint64_t line_ending) {
    if (frames_.size() <= keep) return;
    auto& top = frames_.back();
    if (top.in_header) {
        flush_field();
        info_.parts[top.part].range.body_offset = boundary_start;
        top.lines_at_body = lines_;
        fill_defaults(top, info_.parts[top.part]);
    }
    auto end = std::max(boundary_start - line_ending, info_.parts[top.part].range.body_offset);
    auto lines = lines_ - (end < boundary_start ? 1 : 0);
    while (frames_.size() > keep) {
        auto& frame = frames_.back();
        auto& range = info_.parts[frame.part].range;
        range.end_offset = end;
        range.lines = lines - frame.lines_at_body;
        if (!frame.boundary.empty()) --open_boundaries_;
        frames_.pop_back();
    }
}

void MimeParser::open_part(uint32_t parent, uint32_t number, bool digest_default) {
    Part part;
    part.parent = parent;
    part.number = number;
    part.range.header_offset = offset_;
    Frame frame;
    frame.part = static_cast<uint32_t>(info_.parts.size());
    frame.digest_default = digest_default;
    info_.parts.push_back(std::move(part));
    frames_.push_back(std::move(frame));
}

// The empty line after a header has been consumed: what kind of body follows?
void MimeParser::begin_body() {
    flush_field();
    auto& frame = frames_.back();
    auto index = frame.part;
    auto& part = info_.parts[index];
    frame.in_header = false;
    frame.lines_at_body = lines_;
    part.range.body_offset = offset_;
    fill_defaults(frame, part);
    if (!is_multipart(part) && !is_message(part)) return;
    if (frames_.size() >= limits_.depth) return mark_truncated(part);
    if (is_multipart(part)) {
        auto boundary = find_parameter(part.params, "boundary").value_or("");
        boundary.erase(boundary.find_last_not_of(" \t") + 1);  // RFC 2046 5.1.1: it does not end in white space
        if (boundary.empty() || boundary.size() > kMaxBoundary) {
            // RFC 2046 5.1: without a boundary it is no multipart
            part.type = "application";
            part.subtype = "octet-stream";
            return;
        }
        frame.boundary = std::move(boundary);
        ++open_boundaries_;
        return;
    }
    // RFC 2046 5.2.1: no encoding but 7bit, 8bit and binary; RFC 6532 3.7 lets message/global have one: opaque here
    if (parse_transfer_encoding(part.encoding) != TransferEncoding::identity) return;
    if (info_.parts.size() >= limits_.parts) return mark_truncated(part);
    open_part(index, 1, false);
    info_.parts.back().envelope = static_cast<uint32_t>(info_.envelopes.size());
    info_.envelopes.emplace_back();
}

MessageInfo MimeParser::finish() {
    if (line_length_ > 0) {
        info_.max_line_length = std::max(info_.max_line_length, line_length_);
        if (mode_ != LineMode::body) end_collected_line();
    }
    close_frames(0, offset_, 0);
    info_.size = offset_;
    return std::move(info_);
}

MessageInfo parse_message(std::string_view message, const MimeLimits& limits) {
    MimeParser parser(limits);
    parser.feed(message);
    return parser.finish();
}

}  // namespace mox::mail
