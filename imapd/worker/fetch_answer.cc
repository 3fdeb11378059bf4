#include "imapd/worker/fetch_answer.h"

#include "imapd/worker/object_id.h"
#include "imapd/worker/preview.h"

namespace mox::imapd {
FetchAnswer::FetchAnswer(Session& session, uint32_t index) : session_(session), index_(index) {
    session_.view().append_fetch_start(out_, index, session_.features());
}

std::string& FetchAnswer::item(std::string_view name) {
    if (!first_) out_ += ' ';
    first_ = false;
    out_ += name;
    out_ += ' ';
    return out_;
}

void FetchAnswer::hand_over() {
    session_.stream().write(out_);
    out_.clear();
}

void FetchAnswer::finish() {
    out_ += ")\r\n";
    hand_over();
}

void FetchAnswer::write_row_items(uint32_t items) {
    const auto& view = session_.view();
    const auto& row = view.rows()[index_];
    if (items & kFetchUid) append_number(item("UID"), row.uid);
    if (items & kFetchFlags) view.append_flags(item("FLAGS"), row);
    if (items & kFetchInternalDate) {
        auto& out = item("INTERNALDATE");
        out += '"';
        out += mail::format_internal_date({row.received, row.received_zone});
        out += '"';
    }
    if (items & kFetchSize) append_number(item("RFC822.SIZE"), row.size);
    if (items & kFetchModSeq) {  // RFC 7162 3.1.4.2
        auto& out = item("MODSEQ");
        out += '(';
        append_number(out, row.modseq);
        out += ')';
    }
    if (items & kFetchSaveDate) {  // RFC 8514 4.2
        auto& out = item("SAVEDATE");
        out += '"';
        out += mail::format_internal_date({row.saved, 0});
        out += '"';
    }
    if (items & kFetchThreadId) item("THREADID") += "NIL";  // RFC 8474 5.2: not supported
}

void FetchAnswer::write_preview(const StoredMessage& message) {
    mail::append_string(item("PREVIEW"), make_preview(message), session_.features().strings());
}

void FetchAnswer::write_info_items(const mail::MessageInfo& info, const proto::ContentId& content, uint32_t items) {
    if (items & kFetchEmailId)
        item("EMAILID") += '(' + email_id(content, session_.view().mailbox()) + ')';  // RFC 8474 5.2
    auto utf8 = session_.features().strings();
    auto revision = session_.features().revision();
    if (items & kFetchEnvelope) {
        auto root = info.parts[0].envelope;
        mail::append_envelope(item("ENVELOPE"), root ? info.envelopes[*root] : mail::Envelope{}, utf8);
    }
    if (items & kFetchBody) mail::append_body(item("BODY"), info, 0, mail::BodyForm::body, utf8, revision);
    if (items & kFetchBodyStructure)
        mail::append_body(item("BODYSTRUCTURE"), info, 0, mail::BodyForm::bodystructure, utf8, revision);
}

async::Task<Written> FetchAnswer::write_section(const StoredMessage& message, const Section& section) {
    return write_section_value(session_, item(section.label), message, section);
}

}  // namespace mox::imapd
