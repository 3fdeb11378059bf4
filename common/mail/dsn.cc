#include "common/mail/dsn.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "common/mail/header.h"
#include "common/mail/scanner.h"
#include "common/mail/transfer.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

constexpr size_t kMaxFieldLine = 900;  // RFC 5322 2.1.1: below 998 with the field's name
constexpr size_t kFoldAt = 76;

std::string one_line(std::string_view s) {
    std::string out = unfold(cut_utf8(s, kMaxFieldLine));
    for (char& c : out) {
        if ((!is_8bit(c) && c < ' ') || c == 0x7f) c = ' ';
    }
    return out;
}

// As one_line, with what is not ASCII replaced (RFC 3464 2.1.1: fields are 7-bit).
std::string ascii_line(std::string_view s) {
    auto out = one_line(s);
    std::ranges::replace_if(out, is_8bit, '?');
    return out;
}

// Appends `name: value` CRLF, folded at blanks (RFC 5322 2.2.3).
void field(std::string& out, std::string_view name, std::string_view value) {
    size_t column = name.size() + 1;
    out += name;
    out += ':';
    while (!value.empty()) {
        auto word = value.substr(0, value.find(' ', 1));
        if (!word.starts_with(' ')) out += ' ', ++column;
        if (column + word.size() > kFoldAt && column > name.size() + 2 && text::trim(word).size() > 0) {
            out += "\r\n";
            column = 0;
        }
        out += word;
        column += word.size();
        value.remove_prefix(word.size());
    }
    out += "\r\n";
}

// Text of a header field that people read: ASCII as it is, other text in encoded words (RFC 2047).
std::string header_text(std::string_view s) {
    auto line = one_line(s);
    if (text::is_ascii(line)) return line;
    auto repaired = repair_utf8(line);
    std::string out;
    for (std::string_view rest = repaired; !rest.empty();) {
        auto piece = cut_utf8(rest, 42);  // RFC 2047 2: 75 characters a word
        if (!out.empty()) out += ' ';
        out += "=?utf-8?B?" + encode_base64(piece) + "?=";
        rest.remove_prefix(piece.size());
    }
    return out;
}

// An address in ASCII if its domain is all that is not.
Address to_ascii(Address address) {
    if (auto domain = domain_to_ascii(address.domain)) address.domain = *domain;
    return address;
}

std::string address_text(const Address& address) {
    return one_line(to_string(to_ascii(address)));
}

// RFC 3464 2.3.2 typed address: rfc822, or utf-8 with utf-8-addr-xtext (RFC 6533 3) where ASCII does not do.
std::string typed_address(const Address& address) {
    auto text = address_text(address);
    if (text::is_ascii(text)) return "rfc822; " + text;
    std::string out = "utf-8; ";
    std::string_view rest = text;
    while (!rest.empty()) {
        auto length = std::max<size_t>(utf8_length(rest), 1);
        auto c = utf8_decode(rest, utf8_length(rest));
        if (length == 1 && c > ' ' && c < 0x7f && c != '\\' && c != '+' && c != '=') {
            out += rest[0];
        } else {
            out += fmt::format("\\x{{{:02X}}}", static_cast<uint32_t>(c));
        }
        rest.remove_prefix(length);
    }
    return out;
}

std::string_view action_name(DsnAction action) {
    constexpr std::array<std::string_view, 5> kNames = {"failed", "delayed", "delivered", "relayed", "expanded"};
    auto index = static_cast<size_t>(action);
    return index < kNames.size() ? kNames[index] : kNames[0];
}

// RFC 3464 2.3: the fields of one recipient.
void recipient_fields(std::string& out, const DsnRecipient& r) {
    if (r.original_recipient) field(out, "Original-Recipient", ascii_line(*r.original_recipient));
    field(out, "Final-Recipient", typed_address(r.final_recipient));
    field(out, "Action", action_name(r.action));
    field(out, "Status", ascii_line(r.status));
    if (r.remote_mta) field(out, "Remote-MTA", "dns; " + ascii_line(*r.remote_mta));
    if (r.diagnostic) field(out, "Diagnostic-Code", "smtp; " + ascii_line(*r.diagnostic));
    if (r.last_attempt) field(out, "Last-Attempt-Date", format_date(*r.last_attempt));
    if (r.will_retry_until && r.action == DsnAction::delayed) {  // RFC 3464 2.3.9: only with delayed
        field(out, "Will-Retry-Until", format_date(*r.will_retry_until));
    }
}

std::string delivery_status(const Dsn& dsn) {
    std::string out;
    if (dsn.envelope_id) field(out, "Original-Envelope-Id", ascii_line(*dsn.envelope_id));
    field(out, "Reporting-MTA", "dns; " + ascii_line(dsn.reporting_mta));
    if (dsn.arrival_date) field(out, "Arrival-Date", format_date(*dsn.arrival_date));
    for (const auto& recipient : dsn.recipients) {
        out += "\r\n";
        recipient_fields(out, recipient);
    }
    return out;
}

// Text with CRLF line ends, ending in one; lines are cut at 998 bytes, NULs become spaces.
std::string crlf_lines(std::string_view s) {
    std::string out;
    while (!s.empty()) {
        auto newline = s.find('\n');
        auto line = s.substr(0, newline);
        s.remove_prefix(newline == s.npos ? s.size() : newline + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        auto start = out.size();
        out += cut_utf8(line, 998);  // RFC 5322 2.1.1
        std::ranges::replace_if(
            out.begin() + static_cast<ptrdiff_t>(start), out.end(), [](char c) { return c == '\r' || c == '\0'; }, ' ');
        out += "\r\n";
    }
    return out;
}

// Whole fields of the original's header, up to the bound and not its empty line.
std::string bounded_header(std::string_view header) {
    HeaderReader reader(header);
    size_t end = 0;
    while (auto f = reader.next()) {
        if (f->end > kMaxOriginalHeader) break;
        end = f->end;
    }
    return crlf_lines(header.substr(0, end));
}

std::string choose_boundary(std::initializer_list<std::string_view> texts) {
    for (unsigned i = 0;; ++i) {
        auto boundary = fmt::format("=_report_{}", i);
        auto occurs = [&](std::string_view t) { return t.find(boundary) != t.npos; };
        if (std::ranges::none_of(texts, occurs)) return boundary;
    }
}

void part(std::string& out, std::string_view boundary, std::string_view type, std::string_view body) {
    out += fmt::format("--{}\r\nContent-Type: {}\r\n", boundary, type);
    if (!text::is_ascii(body)) out += "Content-Transfer-Encoding: 8bit\r\n";
    out += "\r\n";
    out += body;
    out += "\r\n";
}

}  // namespace

std::string build_dsn(const Dsn& dsn) {
    auto explanation = crlf_lines(repair_utf8(dsn.explanation));
    auto status = delivery_status(dsn);
    auto header = bounded_header(dsn.original_header);
    auto boundary = choose_boundary({explanation, status, header});

    std::string out;
    field(out, "From", "Mail Delivery System <" + address_text(dsn.from) + ">");
    field(out, "To", "<" + address_text(dsn.to) + ">");
    field(out, "Subject", header_text(dsn.subject));
    field(out, "Date", format_date(dsn.date));
    field(out, "Message-ID", "<" + ascii_line(dsn.message_id) + ">");
    if (dsn.in_reply_to) {
        field(out, "In-Reply-To", "<" + ascii_line(*dsn.in_reply_to) + ">");
        field(out, "References", "<" + ascii_line(*dsn.in_reply_to) + ">");
    }
    field(out, "Auto-Submitted", "auto-replied");  // RFC 3834 5
    field(out, "MIME-Version", "1.0");
    // RFC 6522 3: multipart/report with its report-type
    field(out, "Content-Type", fmt::format("multipart/report; report-type=delivery-status; boundary=\"{}\"", boundary));
    if (!text::is_ascii(explanation) || !text::is_ascii(header)) field(out, "Content-Transfer-Encoding", "8bit");
    out += "\r\n";
    part(out, boundary, "text/plain; charset=utf-8", explanation);
    part(out, boundary, "message/delivery-status", status);
    part(out, boundary, "text/rfc822-headers", header);
    out += fmt::format("--{}--\r\n", boundary);
    return out;
}

}  // namespace mox::mail
