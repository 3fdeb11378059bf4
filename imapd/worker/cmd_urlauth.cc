// GENURLAUTH, RESETKEY and URLFETCH (RFC 4467), URLFETCH with what is wanted of a URL (RFC 5524).
//
// This process knows no key: storaged makes tokens and looks at them, and hands out a message, of whatever account,
// only with a right one. A URL may name a part of it; to keep to that is for this side, which both ends of a URL have.
#include "common/mail/imap_text.h"
#include "common/text/hex.h"
#include "imapd/grammar/imap_url.h"
#include "imapd/worker/commands.h"
#include "imapd/worker/section_value.h"

namespace mox::imapd {
namespace {

constexpr std::string_view kInternal = "INTERNAL";  // RFC 4467 2.4.1: the one mechanism there is

// RFC 5524 3.1: without the part's transfer encoding; a header has none
Section as_binary(Section section) {
    if (section.kind == Section::Kind::whole) section.form = Section::Form::binary;
    return section;
}

class UrlAnswer {
  public:
    UrlAnswer(Session& session, const UrlArguments::Item& item) : session_(session), item_(item) {
        out_ = "* URLFETCH ";
        mail::append_astring(out_, item.url);
        out_ += ' ';
    }
    // RFC 4467 7: the one answer to a URL that is invalid for any reason
    void nothing() {
        out_ += "NIL\r\n";
        session_.stream().write(out_);
    }
    async::Task<void> write(const StoredMessage& message, const Section& section) {
        if (!item_.extended) co_await write_section_value(session_, out_, message, section);
        if (item_.extended && (item_.wanted & kUrlStructure)) write_structure(message, section);
        if (item_.extended && (item_.wanted & kUrlBody)) co_await write_element("BODY", message, section);
        if (item_.extended && (item_.wanted & kUrlBinary))
            co_await write_element("BINARY", message, as_binary(section));
        if (empty_ && item_.extended) out_ += "NIL";
        out_ += "\r\n";
        session_.stream().write(out_);
    }

  private:
    void begin(std::string_view name) {
        out_ += empty_ ? "(" : " (";
        empty_ = false;
        out_ += name;
        out_ += ' ';
    }
    async::Task<void> write_element(std::string_view name, const StoredMessage& message, const Section& section) {
        begin(name);
        co_await write_section_value(session_, out_, message, section);
        out_ += ')';
    }
    // RFC 5524 3.1: of the message or a part as a whole
    void write_structure(const StoredMessage& message, const Section& section) {
        auto part =
            section.numbers.empty() ? std::optional<uint32_t>(0) : mail::find_part(message.info(), section.numbers);
        if (section.kind != Section::Kind::whole || !part) return;
        begin("BODYPARTSTRUCTURE");
        mail::append_body(out_, message.info(), *part, mail::BodyForm::bodystructure, session_.features().strings(),
                          session_.features().revision());
        out_ += ')';
    }

    Session& session_;
    const UrlArguments::Item& item_;
    std::string out_;
    bool empty_ = true;
};

/// What the URL names, when it is one, and its token opens it.
async::Task<std::optional<StoredMessage>> open_url(Session& session, AuthUrl url, uint32_t wanted) {
    auto files = co_await session.account().call(proto::OpenUrl{std::move(url.terms), std::move(url.token)});
    // RFC 4467 7: a NO is for failures of the server, and then none of the URLs is answered
    if (!files && files.error().is_temporary()) fail_storage(files.error(), "NONEXISTENT");
    if (!files || files->messages.empty()) co_return std::nullopt;
    StoredMessage message(std::move(files->messages.front()));
    if (!message.locate(url.section) || !message.is_readable(url.section)) co_return std::nullopt;
    // The decoded form is made of all of the part, also for some bytes of it.
    if ((wanted & kUrlBinary) && !message.is_readable(as_binary(url.section))) co_return std::nullopt;
    co_return message;
}

async::Task<void> fetch_url(Session& session, const UrlArguments::Item& item) {
    UrlAnswer answer(session, item);
    auto url = parse_auth_url(item.url);
    std::optional<StoredMessage> message;
    if (url && url->mechanism == kInternal) message = co_await open_url(session, *url, item.wanted);
    if (message)
        co_await answer.write(*message, url->section);
    else
        answer.nothing();
}

}  // namespace

async::Task<Answer> cmd_genurlauth(Session& session, const Command& command) {
    const auto& args = std::get<UrlArguments>(command.arguments);
    std::string out = "* GENURLAUTH";
    for (const auto& item : args.urls) {
        auto url = parse_auth_url(item.url);
        if (item.mechanism != kInternal) fail_bad("INTERNAL is the only mechanism");
        if (!url || !url->mechanism.empty()) fail_bad("not a URL that can be authorized");
        auto made = co_await session.account().call(proto::MakeUrlToken{std::move(url->terms)});
        // RFC 4467 7: what is wrong with a URL is told with BAD
        bool refused = !made && (made.error().code == ErrorCode::not_found || made.error().code == ErrorCode::denied ||
                                 made.error().code == ErrorCode::bad_request);
        if (refused) fail_bad("not the URL of one of your own mailboxes");
        if (!made) fail_storage(made.error(), "NONEXISTENT");
        out += ' ';
        mail::append_string(out, item.url + ":internal:" + text::encode_hex(made->token));
    }
    session.untagged(std::string_view(out).substr(2));
    co_return Answer{Answer::Status::ok, "done"};
}

async::Task<Answer> cmd_resetkey(Session& session, const Command& command) {
    const auto& args = std::get<ResetKeyArguments>(command.arguments);
    co_await session.ask(proto::ResetUrlKeys{args.mailbox});
    session.touch_url_keys(args.mailbox);
    if (args.mailbox.empty()) co_return Answer{Answer::Status::ok, "all keys removed"};
    co_return Answer{Answer::Status::ok, session.has_tls() ? "[URLMECH INTERNAL] done" : "done"};
}

async::Task<Answer> cmd_urlfetch(Session& session, const Command& command) {
    for (const auto& item : std::get<UrlArguments>(command.arguments).urls) {
        co_await fetch_url(session, item);
        co_await session.flush_some();
    }
    co_return Answer{Answer::Status::ok, "done"};
}

}  // namespace mox::imapd
