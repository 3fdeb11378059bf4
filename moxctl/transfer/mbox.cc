#include "moxctl/transfer/mbox.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "common/mail/date.h"
#include "common/text/ascii.h"
#include "moxctl/transfer/flags.h"

namespace mox::moxctl {
namespace {

constexpr size_t kMaxHeader = 256u << 10;
constexpr size_t kPiece = 64u << 10;

std::string_view without_end(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    constexpr size_t kMaxWords = 32;
    for (size_t at = 0; at < line.size() && words.size() < kMaxWords;) {
        at = line.find_first_not_of(" \t", at);
        if (at == std::string_view::npos) break;
        size_t end = std::min(line.find_first_of(" \t", at), line.size());
        words.push_back(line.substr(at, end - at));
        at = end;
    }
    return words;
}

bool is_month(std::string_view word) {
    constexpr std::string_view kMonths = "jan feb mar apr may jun jul aug sep oct nov dec";
    if (word.size() != 3) return false;
    std::string lower;
    for (char c : word) lower += text::to_lower(c);
    return kMonths.find(lower) != std::string_view::npos;
}

bool is_number(std::string_view word, size_t min, size_t max) {
    return word.size() >= min && word.size() <= max &&
           std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
}

/// What mbox programs keep in a message's header for themselves; it is no part of the message.
bool is_internal_field(std::string_view name) {
    constexpr std::array<std::string_view, 7> kNames = {"Status", "X-Status",   "X-Keywords",    "X-UID",
                                                        "X-IMAP", "X-IMAPbase", "Content-Length"};
    return std::ranges::any_of(kNames, [&](std::string_view n) { return text::iequals(n, name); });
}

}  // namespace

std::optional<proto::Timestamp> parse_from_line(std::string_view line) {
    std::vector<std::string_view> words = words_of(line);
    // From sender Thu Nov 26 01:11:00 2026, a zone before or behind the year.
    for (size_t i = 1; i + 3 < words.size(); i++) {
        if (!is_month(words[i]) || !is_number(words[i + 1], 1, 2)) continue;
        std::string_view time = words[i + 2];
        if (time.find(':') == std::string_view::npos) continue;
        size_t year = is_number(words[i + 3], 4, 4) ? i + 3 : i + 4;
        if (year >= words.size() || !is_number(words[year], 4, 4)) continue;
        std::string_view zone = "+0000";
        for (size_t at : {i + 3, year + 1})
            if (at != year && at < words.size() && words[at].size() == 5 && is_number(words[at].substr(1), 4, 4))
                zone = words[at];
        auto date = mail::parse_date(fmt::format("{} {} {} {} {}", words[i + 1], words[i], words[year], time, zone));
        if (date) return proto::Timestamp{date->unix_seconds, date->zone_minutes};
    }
    return std::nullopt;
}

bool is_from_line(std::string_view line) {
    constexpr size_t kLongest = 1000;
    return line.starts_with("From ") && line.size() <= kLongest && parse_from_line(line).has_value();
}

bool is_quoted_from(std::string_view line) {
    size_t from = line.find_first_not_of('>');
    return from != 0 && from != std::string_view::npos && line.substr(from).starts_with("From ");
}

std::optional<LineReader::Piece> LineReader::next() {
    for (;;) {
        std::string_view rest = std::string_view(buffer_).substr(position_);
        size_t end = rest.find('\n');
        size_t length = end != std::string_view::npos ? end + 1 : rest.size();
        bool whole = end != std::string_view::npos || ended_ || length >= kMaxPiece;
        if (whole) {
            length = std::min(length, kMaxPiece);
            if (length == 0) return std::nullopt;
            Piece piece{rest.substr(0, length), begins_};
            begins_ = piece.text.back() == '\n';
            position_ += length;
            return piece;
        }
        buffer_.erase(0, position_);
        position_ = 0;
        ended_ = true;  // also when it cannot be read
        std::string_view more = bytes_.read();
        ended_ = more.empty();
        buffer_ += more;
    }
}

MboxSource::MboxSource(std::unique_ptr<Bytes> bytes, std::string origin, std::string mailbox)
    : bytes_(std::move(bytes)), origin_(std::move(origin)), mailbox_(std::move(mailbox)), lines_(*bytes_) {}

bool MboxSource::next(SourceMessage& message) {
    if (state_ == State::message) skip_rest();
    if (state_ == State::begin) {
        state_ = State::end;
        auto first = lines_.next();
        if (!first) return false;
        // Programs differ in the date they write here; what counts is that the file begins like one of them.
        if (!first->text.starts_with("From ")) throw Skipped(origin_, "not an mbox: it does not begin with \"From \"");
        from_line_ = without_end(first->text);
        state_ = State::between;
    }
    if (state_ == State::end) return false;
    state_ = State::message;
    message = {};
    message.origin = fmt::format("{}, message {}", origin_, ++count_);
    message.mailbox = mailbox_;
    message.received = parse_from_line(from_line_);
    output_.clear();
    empty_line_.clear();
    after_empty_ = false;
    first_internal_ = false;
    read_header(message);
    if (count_ == 1 && first_internal_)
        throw Skipped(message.origin, "no mail: data of the program that wrote the mbox");
    return true;
}

void MboxSource::skip_rest() {
    while (state_ == State::message) read();
}

/// Field by field, since those of the mbox programs are left out.
void MboxSource::read_header(SourceMessage& message) {
    field_.clear();
    while (output_.size() + field_.size() < kMaxHeader) {
        auto piece = lines_.next();
        if (!piece) {
            state_ = State::end;
            break;
        }
        std::string_view line = without_end(piece->text);
        bool continues = !piece->begins_line || line.starts_with(' ') || line.starts_with('\t');
        if (!continues) end_field(message);
        if (piece->begins_line && line.empty()) {
            output_ += piece->text;
            after_empty_ = true;
            return;
        }
        field_ += piece->text;
    }
    end_field(message);
}

void MboxSource::end_field(SourceMessage& message) {
    std::string field = std::exchange(field_, {});
    std::string_view name = std::string_view(field).substr(0, field.find(':'));
    if (name.size() == field.size() || !is_internal_field(name)) {
        output_ += is_quoted_from(field) ? field.substr(1) : field;
        return;
    }
    std::string value;
    for (char c : field.substr(name.size() + 1)) value += c == '\r' || c == '\n' ? ' ' : c;
    if (text::iequals(name, "X-Keywords"))
        take_keywords_field(message, value);
    else if (text::iequals(name, "Status") || text::iequals(name, "X-Status"))
        take_status(message, value);
    else if (text::iequals(name, "X-IMAP"))
        first_internal_ = true;
}

/// False when the piece begins the next message.
bool MboxSource::take_piece(const LineReader::Piece& piece) {
    std::string_view line = without_end(piece.text);
    if (piece.begins_line && after_empty_ && is_from_line(line)) {
        from_line_ = line;
        empty_line_.clear();
        return false;
    }
    output_ += std::exchange(empty_line_, {});
    bool empty = piece.begins_line && line.empty();
    after_empty_ = empty;
    if (empty) {
        empty_line_ = piece.text;
        return true;
    }
    std::string_view text = piece.text;
    if (piece.begins_line && is_quoted_from(text)) text.remove_prefix(1);
    output_ += text;
    return true;
}

std::string_view MboxSource::read() {
    while (state_ == State::message && output_.size() < kPiece) {
        auto piece = lines_.next();
        if (!piece)
            state_ = State::end;
        else if (!take_piece(*piece))
            state_ = State::between;
    }
    handed_out_.swap(output_);
    output_.clear();
    return handed_out_;
}

}  // namespace mox::moxctl
