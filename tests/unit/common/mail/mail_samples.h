// Messages that several tests use, and the check of MessageInfo's invariants.
#pragma once

#include <string>
#include <string_view>

#include "common/mail/message_info.h"

// RFC 2046 5.1.1, the example.
inline const std::string kSimpleMultipart =
    "From: Nathaniel Borenstein <nsb@bellcore.com>\r\n"
    "To: Ned Freed <ned@innosoft.com>\r\n"
    "Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)\r\n"
    "Subject: Sample message\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-type: multipart/mixed; boundary=\"simple boundary\"\r\n"
    "\r\n"
    "This is the preamble.  It is to be ignored, though it\r\n"
    "is a handy place for composition agents to include an\r\n"
    "explanatory note to non-MIME conformant readers.\r\n"
    "\r\n"
    "--simple boundary\r\n"
    "\r\n"
    "This is implicitly typed plain US-ASCII text.\r\n"
    "It does NOT end with a linebreak.\r\n"
    "--simple boundary\r\n"
    "Content-type: text/plain; charset=us-ascii\r\n"
    "\r\n"
    "This is explicitly typed plain US-ASCII text.\r\n"
    "It DOES end with a linebreak.\r\n"
    "\r\n"
    "--simple boundary--\r\n"
    "\r\n"
    "This is the epilogue.  It is also to be ignored.\r\n";

// The message whose sections RFC 3501 6.4.5 lists.
inline const std::string kComplex =
    "From: A <a@example.org>\r\nSubject: complex\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=outer\r\n\r\npreamble\r\n"
    "--outer\r\n\r\nfirst text\r\n"
    "--outer\r\nContent-Type: application/octet-stream\r\n\r\nbinary\r\n"
    "--outer\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: embedded\r\nFrom: b@example.org\r\nContent-Type: multipart/mixed; boundary=in3\r\n\r\n"
    "--in3\r\n\r\ninner text\r\n--in3\r\nContent-Type: application/octet-stream\r\n\r\ninner binary\r\n--in3--\r\n"
    "--outer\r\nContent-Type: multipart/mixed; boundary=in4\r\n\r\n"
    "--in4\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <gif@x>\r\n"
    "Content-Description: a\r\n picture\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nContent-Location: "
    "http://x/y.gif\r\n"
    "Content-Language: en, de\r\nContent-Disposition: inline; filename=y.gif\r\n\r\nR0lG\r\n"
    "--in4\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: deep\r\nContent-Type: multipart/mixed; boundary=in42\r\n\r\n"
    "--in42\r\n\r\ndeep text\r\n"
    "--in42\r\nContent-Type: multipart/alternative; boundary=in422\r\n\r\n"
    "--in422\r\n\r\nplain\r\n--in422\r\nContent-Type: text/richtext\r\n\r\nrich\r\n--in422--\r\n"
    "--in42--\r\n"
    "--in4--\r\n"
    "--outer--\r\nepilogue\r\n";

// Bare line feeds, an mbox line, no closing delimiters, folded boundary, 8-bit, NUL.
inline const std::string kDirty =
    std::string(
        "From x Mon Jan 1\nno colon\nSubject: \xfc\nContent-Type:\n multipart/mixed;\n boundary=\"-=x\"\n\n"
        "---=x\nContent-Type: text/html; charset=x\r\n\r\n-\r\n--\r\n---\r\n---=\r\n---=x-\r\n\xfc\0\r\r\n\n",
        157) +
    "---=x\r\n\tno\r\nContent-Type: multipart/mixed; boundary=\"-=x2\"\r\n\r\n---=x2\r\n\r\nhi\r\n---=x";

// What is wrong with the offsets or the tree of `info`; empty if nothing.
inline std::string broken_invariant(const mox::mail::MessageInfo& info) {
    if (info.parts.empty()) return "no parts";
    for (size_t i = 0; i < info.parts.size(); ++i) {
        const auto& part = info.parts[i];
        const auto& range = part.range;
        auto at = " in part " + std::to_string(i);
        if (range.header_offset > range.body_offset || range.body_offset > range.end_offset) return "order" + at;
        if (range.end_offset > info.size) return "beyond the end" + at;
        if (range.lines > range.end_offset - range.body_offset) return "lines" + at;
        if (part.type.empty() || part.subtype.empty() || part.encoding.empty()) return "no default" + at;
        if (part.envelope && *part.envelope >= info.envelopes.size()) return "envelope" + at;
        if (i == 0) continue;
        if (part.parent >= i) return "parent" + at;
        const auto& outer = info.parts[part.parent].range;
        if (range.header_offset < outer.body_offset || range.end_offset > outer.end_offset) return "nesting" + at;
        if (part.number == 0) return "number" + at;
        for (size_t j = i - 1; j > part.parent; --j) {
            if (info.parts[j].parent != part.parent) continue;
            if (info.parts[j].range.end_offset > range.header_offset) return "overlap" + at;
            if (info.parts[j].number + 1 != part.number) return "numbering" + at;
            break;
        }
    }
    if (info.parts[0].range.header_offset != 0 || info.parts[0].range.end_offset != info.size) return "root";
    return "";
}
