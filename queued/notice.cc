#include "queued/notice.h"

#include <fmt/format.h>

#include "common/mail/dsn.h"
#include "common/text/ascii.h"

namespace mox::queued {
namespace {

mail::Address to_address(const std::string& text) {
    auto parsed = mail::parse_address(text, mail::Utf8::allowed);
    if (parsed) return *parsed;
    return {text.substr(0, text.rfind('@')), "invalid"};
}

std::string duration_text(int64_t seconds) {
    auto count = [](int64_t n, const char* unit) { return fmt::format("{} {}{}", n, unit, n == 1 ? "" : "s"); };
    if (seconds >= 2 * 86400) return count(seconds / 86400, "day");
    if (seconds >= 2 * 3600) return count(seconds / 3600, "hour");
    if (seconds >= 120) return count(seconds / 60, "minute");
    return count(std::max<int64_t>(seconds, 0), "second");
}

std::string what_happened(const smtp::Outcome& outcome) {
    if (outcome.code == 0 && outcome.remote_name.empty()) return fmt::format("    {}.\n", outcome.text);
    std::string server = outcome.remote_name.empty() ? "this server" : outcome.remote_name;
    if (!outcome.remote_address.empty() && outcome.remote_address != server)
        server += " (" + outcome.remote_address + ")";
    if (outcome.code == 0) return fmt::format("    Trying {}: {}.\n", server, outcome.text);
    return fmt::format("    {} answered:\n    {}\n", server, outcome.text);
}

std::string intro(Notice kind, const NoticeRecipient& first, const NoticeFacts& facts) {
    if (kind == Notice::delayed)
        return fmt::format(
            "This is the mail server {}.\n\n"
            "Your message has not been delivered yet, {} after you sent it. This is a warning only:\n"
            "you need not send it again. It will be tried until {}.\n\n",
            facts.hostname, duration_text(facts.now - first.entry.queued),
            mail::format_date({first.decision.give_up_at, 0}));
    return fmt::format(
        "This is the mail server {}.\n\n"
        "Your message could not be delivered to the recipients below, and will not be tried again.\n"
        "Recipients that are not named here are not affected.\n\n",
        facts.hostname);
}

std::string explain(Notice kind, const std::vector<NoticeRecipient>& recipients, const NoticeFacts& facts) {
    std::string out = intro(kind, recipients.front(), facts);
    for (const auto& r : recipients) {
        out += r.entry.recipient + "\n" + what_happened(r.outcome);
        if (kind == Notice::failed && r.decision.expired)
            out += fmt::format("    It was tried {} times in {}.\n", r.entry.attempts,
                               duration_text(facts.now - r.entry.queued));
        if (kind == Notice::failed) out += "    What you can do: " + advice(r.outcome, r.decision.expired) + "\n";
        out += "\n";
    }
    out += "The technical details, and the header of your message, follow.\n";
    return out;
}

mail::DsnRecipient to_dsn(Notice kind, const NoticeRecipient& r) {
    mail::DsnRecipient out;
    out.final_recipient = to_address(r.entry.recipient);
    out.action = kind == Notice::delayed ? mail::DsnAction::delayed : mail::DsnAction::failed;
    out.status = dsn_status(kind, r.outcome, r.decision.expired);
    if (!r.outcome.remote_name.empty()) {
        out.remote_mta = r.outcome.remote_name;
        if (!r.outcome.remote_address.empty() && r.outcome.remote_address != r.outcome.remote_name)
            *out.remote_mta += " (" + r.outcome.remote_address + ")";
    }
    if (r.outcome.code != 0) out.diagnostic = r.outcome.text;  // RFC 3464 2.3.6: the reply itself
    if (r.entry.last_attempt > 0) out.last_attempt = mail::DateTime{r.entry.last_attempt, 0};
    if (kind == Notice::delayed) out.will_retry_until = mail::DateTime{r.decision.give_up_at, 0};
    return out;
}

/// "1.1" of "5.1.1"; empty when there is nothing behind the class.
std::string_view detail_of(std::string_view enhanced) {
    return enhanced.size() > 2 && enhanced[1] == '.' ? enhanced.substr(2) : std::string_view();
}

}  // namespace

std::string dsn_status(Notice kind, const smtp::Outcome& outcome, bool expired) {
    auto detail = detail_of(outcome.enhanced);
    if (detail.empty() || detail == "0.0") detail = expired || kind == Notice::delayed ? "4.7" : "0.0";  // RFC 3463 3.5
    return (kind == Notice::delayed ? "4." : "5.") + std::string(detail);
}

std::string advice(const smtp::Outcome& outcome, bool expired) {
    auto detail = detail_of(outcome.enhanced);
    if (detail == "1.1" || detail == "1.3" || detail == "1.6" || detail == "2.1" ||
        (detail == "0.0" && outcome.code == 550))
        return "check the address for errors, or ask the recipient for the present one.";
    if (detail == "1.2" || detail == "1.10" || detail == "4.4")
        return "check what stands behind the @ of the address for errors; no mail is taken there.";
    if (detail == "2.2")
        return "the mailbox is full: send the message again later, or reach the recipient another way.";
    if (detail == "3.4" || detail == "2.3")
        return "make the message smaller, for example by sending attachments another way.";
    if (detail == "6.7") return "use an address of ASCII characters, if the recipient has one.";
    if (detail == "6.3")
        return "send the message again with 7-bit content, or ask the administrator of the other server.";
    if (detail.starts_with("7."))
        return "the other server refuses the message by its rules. Ask your administrator, and show this notice.";
    if (detail == "4.6") return "tell your administrator: mail for this domain is set up in a circle.";
    if (expired)
        return "the other server was not ready in all this time. Send again later, or reach the recipient another way.";
    return "if you cannot see the reason in the text above, ask your administrator, and show this notice.";
}

std::string build_notice(Notice kind, const std::vector<NoticeRecipient>& recipients, const NoticeFacts& facts) {
    const proto::QueueEntry& entry = recipients.front().entry;
    mail::Dsn dsn;
    dsn.reporting_mta = facts.hostname;
    dsn.arrival_date = mail::DateTime{entry.queued, 0};
    dsn.date = {facts.now, 0};
    dsn.from = {"postmaster", facts.hostname};
    dsn.to = to_address(entry.mail_from);
    dsn.message_id = facts.message_id;
    std::string_view original = text::trim(entry.message_id);
    if (original.starts_with('<')) original.remove_prefix(1);
    if (original.ends_with('>')) original.remove_suffix(1);
    if (!original.empty()) dsn.in_reply_to = std::string(original);
    dsn.subject = kind == Notice::delayed ? "Your message is delayed" : "Your message could not be delivered";
    dsn.explanation = explain(kind, recipients, facts);
    for (const auto& r : recipients) dsn.recipients.push_back(to_dsn(kind, r));
    dsn.original_header = facts.original_header;
    return mail::build_dsn(dsn);
}

}  // namespace mox::queued
