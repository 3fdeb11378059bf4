#include "common/mail/imap_text.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "common/mail/scanner.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

constexpr size_t kMaxQuoted = 1000;  // longer strings go out as literals, for readers with line limits

// What of a string matters for how it is written.
enum : uint8_t { kEscaped = 1, kControl = 2, k8bit = 4 };

constexpr auto kClasses = [] {
    std::array<uint8_t, 256> classes{};
    for (size_t c = 0; c < classes.size(); c++)
        classes[c] = c >= 0x80 ? k8bit : (c < ' ' || c == 0x7f) && c != '\t' ? kControl : 0;
    classes['"'] = classes['\\'] = kEscaped;
    return classes;
}();

uint8_t classes_of(std::string_view s) {
    uint8_t classes = 0;
    for (char c : s) classes |= kClasses[static_cast<unsigned char>(c)];
    return classes;
}

bool is_quotable(std::string_view s, uint8_t classes, Utf8 utf8) {
    if (s.size() > kMaxQuoted || (classes & kControl) != 0) return false;
    return (classes & k8bit) == 0 || (utf8 == Utf8::allowed && is_utf8(s));
}

bool is_atom(std::string_view s) {
    // RFC 3501 9 ASTRING-CHAR
    return !s.empty() && s.size() <= kMaxQuoted && !text::iequals(s, "NIL") && std::ranges::all_of(s, [](char c) {
        return c > ' ' && c < 0x7f && std::string_view("(){%*\"\\").find(c) == std::string_view::npos;
    });
}

void append_address_list(std::string& out, const std::vector<EnvelopeAddress>& list, Utf8 utf8) {
    if (list.empty()) {
        out += "NIL";
        return;
    }
    out += '(';
    for (const auto& entry : list) {
        out += '(';
        append_nstring(out, entry.name, utf8);
        out += ' ';
        append_nstring(out, entry.adl, utf8);
        out += ' ';
        append_nstring(out, entry.mailbox, utf8);
        out += ' ';
        append_nstring(out, entry.host, utf8);
        out += ')';
    }
    out += ')';
}

class BodyWriter {
  public:
    BodyWriter(std::string& out, const MessageInfo& info, BodyForm form, Utf8 utf8, ImapRevision revision)
        : out_(out), info_(info), form_(form), utf8_(utf8), revision_(revision) {}

    // Depth is bounded by MimeLimits.depth; kMaxDepth is for metadata that did not come from our parser.
    void body(uint32_t index, unsigned depth) {
        const auto& part = info_.parts[index];
        out_ += '(';
        if (is_multipart(part)) {
            multipart(part, index, depth);
        } else {
            single(part, index, depth);
        }
        out_ += ')';
    }

  private:
    static constexpr unsigned kMaxDepth = 100;

    // RFC 3501 9 body-type-mpart: 1*body SP media-subtype [SP body-ext-mpart]
    void multipart(const Part& part, uint32_t index, unsigned depth) {
        auto below = depth < kMaxDepth ? children(info_, index) : std::vector<uint32_t>();
        for (auto child : below) body(child, depth + 1);
        if (below.empty()) empty_text();  // the grammar wants at least one
        out_ += ' ';
        append_string(out_, part.subtype, utf8_);
        if (form_ == BodyForm::body) return;
        out_ += ' ';
        params(part.params);
        common_extension(part);
    }

    // RFC 3501 9 body-type-1part: (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]
    void single(const Part& part, uint32_t index, unsigned depth) {
        append_string(out_, part.type, utf8_);
        out_ += ' ';
        append_string(out_, part.subtype, utf8_);
        out_ += ' ';
        params(part.params);
        out_ += ' ';
        append_nstring(out_, part.content_id, utf8_);
        out_ += ' ';
        append_nstring(out_, part.description, utf8_);
        out_ += ' ';
        append_string(out_, part.encoding, utf8_);
        out_ += ' ' + std::to_string(part.range.end_offset - part.range.body_offset);
        if (is_media_message(part)) message(index, depth);
        if (is_media_message(part) || text::iequals(part.type, "text")) out_ += ' ' + std::to_string(part.range.lines);
        if (form_ == BodyForm::body) return;
        out_ += ' ';
        append_nstring(out_, part.md5, utf8_);
        common_extension(part);
    }

    bool is_media_message(const Part& part) const {
        return is_message(part) && (revision_ == ImapRevision::rev2 || text::iequals(part.subtype, "rfc822"));
    }

    // SP envelope SP body, of the message in a message part
    void message(uint32_t index, unsigned depth) {
        auto below = depth < kMaxDepth ? children(info_, index) : std::vector<uint32_t>();
        out_ += ' ';
        auto envelope = below.empty() ? std::nullopt : info_.parts[below[0]].envelope;
        bool is_there = envelope && *envelope < info_.envelopes.size();
        append_envelope(out_, is_there ? info_.envelopes[*envelope] : Envelope{}, utf8_);
        out_ += ' ';
        if (below.empty()) {
            empty_text();
        } else {
            body(below[0], depth + 1);
        }
    }

    void empty_text() {
        out_ += R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)";
        if (form_ == BodyForm::bodystructure) out_ += " NIL NIL NIL NIL";
        out_ += ')';
    }

    void params(const std::vector<Parameter>& list) {
        if (list.empty()) {
            out_ += "NIL";
            return;
        }
        char before = '(';
        for (const auto& param : list) {
            out_ += before;
            append_string(out_, param.name, utf8_);
            out_ += ' ';
            append_string(out_, param.value, utf8_);
            before = ' ';
        }
        out_ += ')';
    }

    // SP body-fld-dsp SP body-fld-lang SP body-fld-loc
    void common_extension(const Part& part) {
        out_ += ' ';
        if (part.disposition) {
            out_ += '(';
            append_string(out_, part.disposition->type, utf8_);
            out_ += ' ';
            params(part.disposition->params);
            out_ += ')';
        } else {
            out_ += "NIL";
        }
        out_ += ' ';
        if (part.language.empty()) out_ += "NIL";
        if (part.language.size() == 1) append_string(out_, part.language[0], utf8_);
        if (part.language.size() > 1) {
            char before = '(';
            for (const auto& tag : part.language) {
                out_ += before;
                append_string(out_, tag, utf8_);
                before = ' ';
            }
            out_ += ')';
        }
        out_ += ' ';
        append_nstring(out_, part.location, utf8_);
    }

    std::string& out_;
    const MessageInfo& info_;
    BodyForm form_;
    Utf8 utf8_;
    ImapRevision revision_;
};

}  // namespace

void append_string(std::string& out, std::string_view s, Utf8 utf8) {
    uint8_t classes = classes_of(s);
    if (!is_quotable(s, classes, utf8)) {
        out += '{' + std::to_string(s.size()) + "}\r\n";
        auto start = out.size();
        out += s;
        std::replace(out.begin() + static_cast<ptrdiff_t>(start), out.end(), '\0', ' ');  // RFC 3501 9 CHAR8: no NUL
        return;
    }
    out += '"';
    if ((classes & kEscaped) == 0) {
        out += s;
    } else {
        for (char c : s) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
    }
    out += '"';
}

void append_nstring(std::string& out, const std::optional<std::string>& s, Utf8 utf8) {
    if (s) {
        append_string(out, *s, utf8);
    } else {
        out += "NIL";
    }
}

void append_astring(std::string& out, std::string_view s, Utf8 utf8) {
    if (is_atom(s)) {
        out += s;
    } else {
        append_string(out, s, utf8);
    }
}

void append_envelope(std::string& out, const Envelope& envelope, Utf8 utf8) {
    // RFC 3501 7.4.2: date, subject, from, sender, reply-to, to, cc, bcc, in-reply-to, message-id
    const auto& sender = envelope.sender.empty() ? envelope.from : envelope.sender;
    const auto& reply_to = envelope.reply_to.empty() ? envelope.from : envelope.reply_to;
    out += '(';
    append_nstring(out, envelope.date, utf8);
    out += ' ';
    append_nstring(out, envelope.subject, utf8);
    for (const auto* list : {&envelope.from, &sender, &reply_to, &envelope.to, &envelope.cc, &envelope.bcc}) {
        out += ' ';
        append_address_list(out, *list, utf8);
    }
    out += ' ';
    append_nstring(out, envelope.in_reply_to, utf8);
    out += ' ';
    append_nstring(out, envelope.message_id, utf8);
    out += ')';
}

void append_body(std::string& out, const MessageInfo& info, uint32_t index, BodyForm form, Utf8 utf8,
                 ImapRevision revision) {
    if (index >= info.parts.size()) {
        out += "NIL";
        return;
    }
    BodyWriter(out, info, form, utf8, revision).body(index, 0);
}

}  // namespace mox::mail
