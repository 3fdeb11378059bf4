// mbox: messages one behind the other in a file, each behind a line "From sender date" (RFC 4155 appendix A).
//
// Read as mboxrd: of lines that begin with any number of ">" and "From ", one ">" is taken off. A line "From " begins a
// message only behind an empty line, and when it ends like one with a date; the empty line belongs to it, not to the
// message before. Status, X-Status, X-Keywords and what else mbox programs keep in the header are taken as flags and
// taken out. Memory: a header of up to 256 KiB, else a piece.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "moxctl/transfer/source.h"

namespace mox::moxctl {

/// Whether a line, without its end, begins a message.
bool is_from_line(std::string_view line);
/// Whether a line is "From " behind one ">" or more: mboxrd's quoting.
bool is_quoted_from(std::string_view line);
/// The date of a From line: asctime, with or without a zone (UTC). Nothing when it has none.
std::optional<proto::Timestamp> parse_from_line(std::string_view line);

/// Lines of a stream, long ones in pieces.
class LineReader {
  public:
    explicit LineReader(Bytes& bytes) : bytes_(bytes) {}
    struct Piece {
        std::string_view text;     // with its line end
        bool begins_line = false;  // else it goes on with the one before
    };
    /// The next piece, valid until the next call; nothing at the end.
    std::optional<Piece> next();

  private:
    static constexpr size_t kMaxPiece = 16u << 10;
    Bytes& bytes_;
    std::string buffer_;
    size_t position_ = 0;
    bool begins_ = true;
    bool ended_ = false;
};

class MboxSource : public Source {
  public:
    MboxSource(std::unique_ptr<Bytes> bytes, std::string origin, std::string mailbox);
    bool next(SourceMessage& message) override;
    std::string_view read() override;

  private:
    enum class State : uint8_t { begin, between, message, end };
    void skip_rest();
    void read_header(SourceMessage& message);
    void end_field(SourceMessage& message);
    bool take_piece(const LineReader::Piece& piece);
    std::unique_ptr<Bytes> bytes_;
    std::string origin_;
    std::string mailbox_;
    LineReader lines_;
    State state_ = State::begin;
    uint64_t count_ = 0;
    std::string from_line_;     // of the next message
    std::string output_;        // of the present one
    std::string handed_out_;    // to the caller of read()
    std::string field_;         // of the header, as it is read
    std::string empty_line_;    // held back: it may belong to the next From line
    bool after_empty_ = false;  // the line before was empty
    bool first_internal_ = false;
};

}  // namespace mox::moxctl
