// What the parser learns of a message: its MIME parts with byte ranges, its envelopes, its properties.
//
// Plain aggregates of integers, strings, vectors and optionals, made once by MimeParser and then passed between
// processes and stored; byte offsets are absolute in the whole message. Header values are raw: unfolded, but with
// their encoded words (RFC 2047) and parameter encodings (RFC 2231), as IMAP hands them out (RFC 3501 7.4.2).
// Parts stand in the order of their headers: a parent before its children, root first.
// Invariants: parts is not empty after parsing; for each part header_offset <= body_offset <= end_offset; a child's
// range lies within the body of its parent; siblings do not overlap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/mail/date.h"

namespace mox::mail {

/// A parameter of Content-Type or Content-Disposition (RFC 2045 5.1), value unquoted but otherwise as written.
struct Parameter {
    std::string name;
    std::string value;

    friend bool operator==(const Parameter&, const Parameter&) = default;
};

/// Content-Disposition (RFC 2183).
struct Disposition {
    std::string type;
    std::vector<Parameter> params;

    friend bool operator==(const Disposition&, const Disposition&) = default;
};

/// One address, or a mark of a group: with `mailbox` but no `host` the start of the group of that name, with neither
/// the end of a group (RFC 3501 7.4.2). `mailbox` is unquoted, `name` may hold encoded words.
struct EnvelopeAddress {
    std::optional<std::string> name;
    std::optional<std::string> adl;  // obsolete source route
    std::optional<std::string> mailbox;
    std::optional<std::string> host;

    friend bool operator==(const EnvelopeAddress&, const EnvelopeAddress&) = default;
};

/// The header fields of a message that IMAP's ENVELOPE shows. Absent: nothing or an empty list. Address fields that
/// occur several times are joined, of the others the first counts.
struct Envelope {
    std::optional<std::string> date;
    std::optional<std::string> subject;
    std::vector<EnvelopeAddress> from;
    std::vector<EnvelopeAddress> sender;
    std::vector<EnvelopeAddress> reply_to;
    std::vector<EnvelopeAddress> to;
    std::vector<EnvelopeAddress> cc;
    std::vector<EnvelopeAddress> bcc;
    std::optional<std::string> in_reply_to;
    std::optional<std::string> message_id;

    friend bool operator==(const Envelope&, const Envelope&) = default;
};

/// Where a part lies. `end_offset` is exclusive and does not count the line ending that belongs to the boundary line
/// after the part (RFC 2046 5.1.1). `lines` counts the line ends in [body_offset, end_offset).
struct PartRange {
    uint64_t header_offset = 0;
    uint64_t body_offset = 0;
    uint64_t end_offset = 0;
    uint64_t lines = 0;

    friend bool operator==(const PartRange&, const PartRange&) = default;
};

/// A MIME part. Type and encoding are as written, compare without case; defaults are filled in (RFC 2045 5.2, 6.1).
struct Part {
    uint32_t parent = 0;  // index of the enclosing part; the root's is its own: 0
    uint32_t number = 1;  // position in the parent, from 1; always 1 for the root and for the message in a message part
    std::string type;
    std::string subtype;
    std::vector<Parameter> params;
    std::optional<std::string> content_id;
    std::optional<std::string> description;
    std::string encoding;
    std::optional<Disposition> disposition;
    std::vector<std::string> language;
    std::optional<std::string> location;
    std::optional<std::string> md5;
    PartRange range;
    std::optional<uint32_t> envelope;  // index in MessageInfo.envelopes: the root and messages in message parts
    bool truncated = false;            // a limit was reached in this part; its body is opaque or a field is cut

    friend bool operator==(const Part&, const Part&) = default;
};

/// What clients ask of many messages at once, in lower case; most messages lack most of it. A name more or less would
/// make the listed fields of the parses before wrong: those have to be a member of their own then.
constexpr std::string_view kListedFields[] = {"bcc",
                                              "cc",
                                              "content-description",
                                              "content-language",
                                              "content-type",
                                              "date",
                                              "disposition-notification-to",
                                              "followup-to",
                                              "from",
                                              "importance",
                                              "in-reply-to",
                                              "lines",
                                              "list-id",
                                              "list-post",
                                              "list-subscribe",
                                              "list-unsubscribe",
                                              "mail-followup-to",
                                              "mail-reply-to",
                                              "message-id",
                                              "newsgroups",
                                              "path",
                                              "precedence",
                                              "priority",
                                              "references",
                                              "reply-to",
                                              "resent-date",
                                              "resent-from",
                                              "resent-to",
                                              "return-path",
                                              "sender",
                                              "status",
                                              "subject",
                                              "to",
                                              "x-draft-info",
                                              "x-evolution",
                                              "x-evolution-source",
                                              "x-k9mail-identity",
                                              "x-label",
                                              "x-priority",
                                              "x-spam-flag",
                                              "x-status",
                                              "x-tuid",
                                              "xref"};
/// Bytes; more are not kept.
constexpr size_t kMaxListed = 2048;

struct MessageInfo {
    std::vector<Part> parts;
    std::vector<Envelope> envelopes;
    uint64_t size = 0;
    uint64_t max_line_length = 0;         // longest line in bytes without its line ending
    uint32_t received_count = 0;          // Received fields of the root (loops: RFC 5321 6.3)
    uint32_t from_count = 0;              // From fields of the root; more than one is an RFC 5322 3.6 violation
    std::optional<DateTime> date;         // of the Date field of the root, if it can be understood
    std::vector<std::string> references;  // ids of References of the root, without <>, in order; the last ones if many
    bool has_8bit_header = false;         // bytes above 0x7f in the header of any part
    bool has_8bit_body = false;
    bool has_bare_lf = false;  // a line that does not end in CRLF
    bool has_nul = false;
    bool truncated = false;  // a limit was reached somewhere
    // The root's fields with a name in kListedFields, byte for byte and in order, and the empty line that ends the
    // header. Nothing when that is long, and in parses that are older than this member.
    std::optional<std::string> listed_fields;

    friend bool operator==(const MessageInfo&, const MessageInfo&) = default;
};

/// Whether a name, in whatever case, is in kListedFields.
bool is_listed_field(std::string_view name);
/// True for multipart/*.
bool is_multipart(const Part& part);
/// True for message/rfc822 and message/global (RFC 6532 3.7).
bool is_message(const Part& part);
/// True if `part` is the root or the message in a message part: it has an envelope and a message's header.
bool is_message_root(const Part& part);
/// The addresses in To, Cc and Bcc of the root, each once and at most `max`, their domains as A-labels in lower case.
std::vector<std::string> recipient_addresses(const MessageInfo& info, size_t max);
/// Indexes of the children of `parts[index]`, in order.
std::vector<uint32_t> children(const MessageInfo& info, uint32_t index);

}  // namespace mox::mail
