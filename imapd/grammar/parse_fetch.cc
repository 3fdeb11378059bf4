// FETCH (RFC 3501 6.4.5 and 9: fetch, fetch-att, section).
#include "common/mail/imap_text.h"
#include "common/text/ascii.h"
#include "imapd/grammar/parse.h"

namespace mox::imapd {
namespace {

constexpr size_t kMaxFields = 500;  // names in one HEADER.FIELDS
constexpr size_t kMaxNumbers = 64;  // of a part: 1.2.3
constexpr uint32_t kFast = kFetchFlags | kFetchInternalDate | kFetchSize;

void parse_header_fields(Scanner& in, Section& section) {
    in.space();
    in.expect('(');
    do {
        if (section.fields.size() == kMaxFields) throw SyntaxError("too many header fields");
        section.fields.push_back(in.astring());
    } while (in.take(' '));
    in.expect(')');
}

// RFC 3501 9 section-msgtext, and section-text after numbers
void parse_section_text(Scanner& in, Section& section) {
    using Kind = Section::Kind;
    if (in.take_prefix("HEADER.FIELDS.NOT")) {
        section.kind = Kind::header_fields_not;
        parse_header_fields(in, section);
    } else if (in.take_prefix("HEADER.FIELDS")) {
        section.kind = Kind::header_fields;
        parse_header_fields(in, section);
    } else if (in.take_prefix("HEADER")) {
        section.kind = Kind::header;
    } else if (in.take_prefix("TEXT")) {
        section.kind = Kind::text;
    } else if (in.take_prefix("MIME")) {
        if (section.numbers.empty()) throw SyntaxError("MIME needs a part number");  // RFC 3501 6.4.5
        section.kind = Kind::mime;
    } else {
        throw SyntaxError("unknown section");
    }
}

std::string make_label(const Section& section) {
    constexpr std::string_view kForms[] = {"BODY[", "BINARY[", "BINARY.SIZE["};
    std::string label(kForms[static_cast<size_t>(section.form)]);
    for (size_t i = 0; i < section.numbers.size(); i++)
        label += (i > 0 ? "." : "") + std::to_string(section.numbers[i]);
    constexpr std::string_view kNames[] = {"", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"};
    auto name = kNames[static_cast<size_t>(section.kind)];
    if (!section.numbers.empty() && !name.empty()) label += '.';
    label += name;
    std::string_view before = " (";
    for (const auto& field : section.fields) {
        label += before;
        mail::append_astring(label, field);
        before = " ";
    }
    if (!section.fields.empty()) label += ')';
    label += ']';
    if (section.partial) label += '<' + std::to_string(section.partial->offset) + '>';  // RFC 3501 7.4.2
    return label;
}

void add_section(FetchAttributes& args, Section section) {
    if (args.sections.size() == kMaxSections) throw SyntaxError("too many sections");
    args.sections.push_back(std::move(section));
}

void parse_partial(Scanner& in, Section& section) {
    if (!in.take('<')) return;
    Section::Partial partial{};
    partial.offset = in.number64();
    in.expect('.');
    partial.count = in.number64();
    if (partial.count == 0) throw SyntaxError("a partial fetch is of at least 1 byte");  // RFC 3501 9 nz-number
    section.partial = partial;
    in.expect('>');
}

void parse_body(Scanner& in, FetchAttributes& args, bool peek) {
    Section section;
    section.peek = peek;
    parse_section_spec(in, section);
    in.expect(']');
    parse_partial(in, section);
    section.label = make_label(section);
    add_section(args, std::move(section));
}

// RFC 9051 9 section-binary: numbers alone
void parse_binary(Scanner& in, FetchAttributes& args, Section::Form form, bool peek) {
    Section section;
    section.form = form;
    section.peek = peek;
    if (in.peek() != ']') {
        do {
            if (section.numbers.size() == kMaxNumbers) throw SyntaxError("part nested too deeply");
            section.numbers.push_back(in.nz_number());
        } while (in.take('.'));
    }
    in.expect(']');
    if (form == Section::Form::binary) parse_partial(in, section);
    section.label = make_label(section);
    add_section(args, std::move(section));
}

Section make_rfc822(Section::Kind kind, std::string_view label) {
    Section section;
    section.kind = kind;
    section.label = label;
    section.peek = kind == Section::Kind::header;  // RFC 3501 6.4.5: RFC822.HEADER is BODY.PEEK[HEADER]
    return section;
}

// RFC 7162 7 fetch-modifier, rexpunges-fetch-mod; RFC 9394 4
void parse_modifiers(Scanner& in, FetchArguments& args) {
    in.expect('(');
    do {
        if (in.take_word("CHANGEDSINCE")) {
            in.space();
            args.changed_since = in.number64();
        } else if (in.take_word("VANISHED")) {
            args.vanished = true;
        } else if (in.take_word("PARTIAL")) {
            in.space();
            args.partial = in.partial_range();
        } else {
            throw SyntaxError("unknown FETCH modifier");
        }
    } while (in.take(' '));
    in.expect(')');
    if (args.vanished && !args.changed_since) throw SyntaxError("VANISHED needs CHANGEDSINCE");  // RFC 7162 3.2.6
}

void parse_items(Scanner& in, FetchArguments& args) {
    if (in.take('(')) {
        do parse_fetch_item(in, args);
        while (in.take(' '));
        in.expect(')');
    } else if (in.take_word("ALL")) {
        args.items = kFast | kFetchEnvelope;
    } else if (in.take_word("FAST")) {
        args.items = kFast;
    } else if (in.take_word("FULL")) {
        args.items = kFast | kFetchEnvelope | kFetchBody;
    } else {
        parse_fetch_item(in, args);
    }
}

}  // namespace

void parse_fetch_item(Scanner& in, FetchAttributes& args) {
    if (in.take_prefix("BODY[")) return parse_body(in, args, false);
    if (in.take_prefix("BODY.PEEK[")) return parse_body(in, args, true);
    if (in.take_prefix("BINARY[")) return parse_binary(in, args, Section::Form::binary, false);
    if (in.take_prefix("BINARY.PEEK[")) return parse_binary(in, args, Section::Form::binary, true);
    if (in.take_prefix("BINARY.SIZE[")) return parse_binary(in, args, Section::Form::binary_size, true);
    if (in.take_word("RFC822.HEADER")) return add_section(args, make_rfc822(Section::Kind::header, "RFC822.HEADER"));
    if (in.take_word("RFC822.TEXT")) return add_section(args, make_rfc822(Section::Kind::text, "RFC822.TEXT"));
    if (in.take_word("RFC822")) return add_section(args, make_rfc822(Section::Kind::whole, "RFC822"));
    if (in.take_word("PREVIEW")) {
        in.take_prefix(" (LAZY)");  // RFC 8970 4.1: previews are never late here
        args.items |= kFetchPreview;
        return;
    }
    constexpr std::pair<std::string_view, uint32_t> kItems[] = {
        {"UID", kFetchUid},          {"FLAGS", kFetchFlags},       {"INTERNALDATE", kFetchInternalDate},
        {"RFC822.SIZE", kFetchSize}, {"ENVELOPE", kFetchEnvelope}, {"BODYSTRUCTURE", kFetchBodyStructure},
        {"BODY", kFetchBody},        {"MODSEQ", kFetchModSeq},     {"SAVEDATE", kFetchSaveDate},
        {"EMAILID", kFetchEmailId},  {"THREADID", kFetchThreadId}};
    for (const auto& [name, bit] : kItems) {
        if (!in.take_word(name)) continue;
        args.items |= bit;
        return;
    }
    throw SyntaxError("unknown FETCH item");
}

void parse_section_spec(Scanner& in, Section& section) {
    while (text::is_digit(in.peek())) {
        if (section.numbers.size() == kMaxNumbers) throw SyntaxError("part nested too deeply");
        section.numbers.push_back(in.nz_number());
        if (!in.take('.')) return;
        if (!text::is_digit(in.peek())) return parse_section_text(in, section);
    }
    if (in.peek() != ']') parse_section_text(in, section);
}

Arguments parse_fetch(Scanner& in) {
    FetchArguments args;
    in.space();
    args.set = in.sequence_set();
    in.space();
    parse_items(in, args);
    if (in.take(' ')) parse_modifiers(in, args);
    return args;
}

}  // namespace mox::imapd
