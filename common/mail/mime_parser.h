// A push parser for messages: fed the bytes as they stream by, it learns structure, offsets and envelopes.
//
// Memory does not depend on the size of the body: kept are the current header field (up to a limit), the stack of open
// multiparts and the result, which MimeLimits bound. Parsing never fails: what is malformed or beyond a limit becomes
// an opaque body with `truncated` set, for parsing must not prevent storing. Any split of the bytes over calls of
// feed() gives the same result. Lines end in CRLF; a bare LF ends one too (DEVIATES RFC 5322 2.3: mail appended by
// IMAP clients and imported mail has them; the SMTP side must have refused them before).
// Bodies are scanned with memchr; only lines that start with '-' inside a multipart are looked at.
// Entry points: feed(), finish(). RFCs: 5322, 2045, 2046 5.1, 2183, 6532.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/mail/message_info.h"
#include "common/mail/params.h"

namespace mox::mail {

struct MimeLimits {
    size_t header_bytes = 256 * 1024;  // bytes of header values kept, over all parts
    size_t field_bytes = 128 * 1024;   // bytes looked at of one header field; at least 1024
    size_t depth = 32;                 // nested parts
    size_t parts = 1000;
    size_t addresses = 4096;  // address list entries kept, over all envelopes
    size_t references = 256;  // ids of References
    ParamLimits params = {};
};

class MimeParser {
  public:
    explicit MimeParser(const MimeLimits& limits = {});

    /// The next bytes of the message.
    void feed(std::string_view bytes);
    /// Ends the message and hands out the result; the parser is used up.
    MessageInfo finish();

  private:
    // An open part. It is a multipart with delimiters to look for if boundary is not empty.
    struct Frame {
        uint32_t part = 0;
        uint32_t children = 0;
        uint64_t lines_at_body = 0;
        bool in_header = true;
        bool digest_default = false;  // RFC 2046 5.1.5
        bool have_type = false;       // a Content-Type field was there
        std::string boundary;
    };
    enum class LineMode : uint8_t { body, candidate, header };
    struct Delimiter {
        size_t frame = 0;
        bool closing = false;
    };

    // mime_parser.cc: lines and nesting
    void begin_line(char first);
    const char* scan_body(const char* p, const char* end);
    const char* collect_line(const char* p, const char* end);
    void end_body_line(uint64_t length, bool crlf);
    void end_collected_line();
    bool find_delimiter(std::string_view line, Delimiter& out) const;
    void handle_delimiter(const Delimiter& delimiter);
    void close_frames(size_t keep, uint64_t boundary_start, uint64_t line_ending);
    void open_part(uint32_t parent, uint32_t number, bool digest_default);
    void begin_body();
    void note_body_bytes(std::string_view bytes);

    // mime_fields.cc: what header fields mean
    void flush_field();
    void list_bytes(std::string_view bytes);
    void take_content_field(Part& part, std::string_view name, std::string_view value);
    void take_envelope_field(Envelope& envelope, std::string_view name, std::string_view value);
    void take_root_field(std::string_view name, std::string_view value);
    void take_content_type(Frame& frame, Part& part, std::string_view value);
    void fill_defaults(const Frame& frame, Part& part);
    bool keep(size_t bytes);
    void keep_text(std::optional<std::string>& to, std::string_view value);
    void keep_addresses(std::vector<EnvelopeAddress>& to, std::string_view value);
    void mark_truncated(Part& part);

    MimeLimits limits_;
    MessageInfo info_;
    std::vector<Frame> frames_;
    size_t open_boundaries_ = 0;

    uint64_t offset_ = 0;           // bytes consumed
    uint64_t lines_ = 0;            // line ends before the current line
    uint64_t line_start_ = 0;       // offset of the current line
    uint64_t line_length_ = 0;      // bytes of the current line consumed
    uint64_t previous_ending_ = 0;  // bytes of the line ending before the current line
    LineMode mode_ = LineMode::body;
    char last_byte_ = 0;
    std::string candidate_;  // start of a line that may be a delimiter
    std::string field_;      // the header field being collected
    bool field_cut_ = false;

    size_t kept_bytes_ = 0;
    size_t kept_addresses_ = 0;
};

/// Parses a message that is in memory as a whole.
MessageInfo parse_message(std::string_view message, const MimeLimits& limits = {});

}  // namespace mox::mail
