// What the header fields of parts mean: the half of MimeParser that fills Part, Envelope and MessageInfo.
#include <algorithm>

#include "common/mail/address_list.h"
#include "common/mail/header.h"
#include "common/mail/message_id.h"
#include "common/mail/mime_parser.h"
#include "common/mail/scanner.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

size_t cost(const std::vector<Parameter>& params) {
    size_t bytes = 0;
    for (const auto& param : params) bytes += param.name.size() + param.value.size();
    return bytes;
}

size_t cost(const EnvelopeAddress& entry) {
    auto size = [](const std::optional<std::string>& s) { return s ? s->size() : 0; };
    return size(entry.name) + size(entry.adl) + size(entry.mailbox) + size(entry.host);
}

bool is_empty_line(std::string_view line) {
    return line == "\r\n" || line == "\n";
}

// RFC 3282 2: language tags separated by commas.
std::vector<std::string> parse_languages(std::string_view value) {
    std::vector<std::string> out;
    Scanner in(value);
    while (out.size() < 16) {
        while (in.skip_cfws() || in.accept(',')) continue;
        if (in.done()) break;
        auto tag = in.take_while(is_mime_token);
        if (!tag.empty() && tag.size() <= 64) out.emplace_back(tag);
        in.take_while([](char c) { return c != ','; });
    }
    return out;
}

}  // namespace

void MimeParser::list_bytes(std::string_view bytes) {
    if (!info_.listed_fields) return;
    if (field_cut_ || bytes.size() > kMaxListed - info_.listed_fields->size()) return info_.listed_fields.reset();
    *info_.listed_fields += bytes;
}

bool MimeParser::keep(size_t bytes) {
    if (bytes > limits_.header_bytes - kept_bytes_) {
        info_.truncated = true;
        return false;
    }
    kept_bytes_ += bytes;
    return true;
}

void MimeParser::mark_truncated(Part& part) {
    part.truncated = true;
    info_.truncated = true;
}

void MimeParser::keep_text(std::optional<std::string>& to, std::string_view value) {
    if (to) return;  // the first one counts (RFC 5322 3.6: there must be but one)
    auto text = unfold(value);
    if (keep(text.size())) to = std::move(text);
}

void MimeParser::keep_addresses(std::vector<EnvelopeAddress>& to, std::string_view value) {
    auto entries = parse_address_list(value, limits_.addresses - kept_addresses_, &info_.truncated);
    bool in_group = false;
    for (auto& entry : entries) {
        if (!keep(cost(entry))) {
            if (in_group) to.emplace_back();  // what is kept stays a closed group
            break;
        }
        if (!entry.host) in_group = entry.mailbox.has_value();
        ++kept_addresses_;
        to.push_back(std::move(entry));
    }
}

void MimeParser::flush_field() {
    if (field_.empty()) return;
    auto field = parse_field(field_);
    auto& frame = frames_.back();
    auto& part = info_.parts[frame.part];
    if (frame.part == 0 && (is_listed_field(field.name) || is_empty_line(field_))) list_bytes(field_);
    if (!field.name.empty()) {
        if (text::iequals(field.name, "content-type")) {
            take_content_type(frame, part, field.value);
        } else if (text::istarts_with(field.name, "content-")) {
            take_content_field(part, field.name.substr(8), field.value);
        } else if (part.envelope) {
            take_envelope_field(info_.envelopes[*part.envelope], field.name, field.value);
            if (frame.part == 0) take_root_field(field.name, field.value);
        }
    }
    field_.clear();
    if (field_cut_) mark_truncated(part);
    field_cut_ = false;
}

void MimeParser::take_content_type(Frame& frame, Part& part, std::string_view value) {
    if (frame.have_type) return;
    frame.have_type = true;
    auto type = parse_content_type(value, limits_.params);
    if (!type) {
        // DEVIATES RFC 2045 5.2 (text/plain): what nobody can name is better not shown as text
        part.type = "application";
        part.subtype = "octet-stream";
        return;
    }
    part.type = std::move(type->type);
    part.subtype = std::move(type->subtype);
    if (type->truncated) mark_truncated(part);
    if (keep(cost(type->params))) {
        part.params = std::move(type->params);
    } else {
        mark_truncated(part);
    }
}

// `name` without its "Content-".
void MimeParser::take_content_field(Part& part, std::string_view name, std::string_view value) {
    if (text::iequals(name, "transfer-encoding")) {
        Scanner in(value);
        in.skip_cfws();
        auto token = in.take_while(is_mime_token);
        if (part.encoding.empty() && token.size() <= 64) part.encoding = token;
    } else if (text::iequals(name, "id")) {
        keep_text(part.content_id, value);
    } else if (text::iequals(name, "description")) {
        keep_text(part.description, value);
    } else if (text::iequals(name, "location")) {
        keep_text(part.location, value);
    } else if (text::iequals(name, "md5")) {
        keep_text(part.md5, value);
    } else if (text::iequals(name, "language")) {
        if (!part.language.empty()) return;
        part.language = parse_languages(value);
        size_t bytes = 0;
        for (const auto& tag : part.language) bytes += tag.size();
        if (!keep(bytes)) part.language.clear();
    } else if (text::iequals(name, "disposition") && !part.disposition) {
        bool truncated = false;
        auto disposition = parse_disposition(value, truncated, limits_.params);
        if (disposition && !keep(disposition->type.size() + cost(disposition->params))) {
            disposition.reset();
            truncated = true;
        }
        part.disposition = std::move(disposition);
        if (truncated) mark_truncated(part);
    }
}

void MimeParser::take_envelope_field(Envelope& envelope, std::string_view name, std::string_view value) {
    if (text::iequals(name, "date")) {
        keep_text(envelope.date, value);
    } else if (text::iequals(name, "subject")) {
        keep_text(envelope.subject, value);
    } else if (text::iequals(name, "in-reply-to")) {
        keep_text(envelope.in_reply_to, value);
    } else if (text::iequals(name, "message-id")) {
        keep_text(envelope.message_id, value);
    } else if (text::iequals(name, "from")) {
        keep_addresses(envelope.from, value);
    } else if (text::iequals(name, "sender")) {
        keep_addresses(envelope.sender, value);
    } else if (text::iequals(name, "reply-to")) {
        keep_addresses(envelope.reply_to, value);
    } else if (text::iequals(name, "to")) {
        keep_addresses(envelope.to, value);
    } else if (text::iequals(name, "cc")) {
        keep_addresses(envelope.cc, value);
    } else if (text::iequals(name, "bcc")) {
        keep_addresses(envelope.bcc, value);
    }
}

void MimeParser::take_root_field(std::string_view name, std::string_view value) {
    if (text::iequals(name, "received")) {
        ++info_.received_count;
    } else if (text::iequals(name, "from")) {
        ++info_.from_count;
    } else if (text::iequals(name, "date")) {
        if (!info_.date) info_.date = parse_date(value);
    } else if (text::iequals(name, "references")) {
        auto ids = parse_message_ids(value, limits_.references);
        for (auto& id : ids) {
            if (!keep(id.size())) break;
            info_.references.push_back(std::move(id));
        }
        auto extra = info_.references.size() - std::min(info_.references.size(), limits_.references);
        info_.references.erase(info_.references.begin(), info_.references.begin() + static_cast<ptrdiff_t>(extra));
    }
}

void MimeParser::fill_defaults(const Frame& frame, Part& part) {
    if (!frame.have_type) {
        part.type = frame.digest_default ? "message" : "text";     // RFC 2046 5.1.5
        part.subtype = frame.digest_default ? "rfc822" : "plain";  // RFC 2045 5.2
        if (!frame.digest_default) part.params = {{"charset", "us-ascii"}};
    }
    if (part.encoding.empty()) part.encoding = "7bit";  // RFC 2045 6.1
}

}  // namespace mox::mail
