#include "imapd/worker/search.h"

#include <chrono>
#include <optional>

#include "common/mail/encoded_word.h"
#include "common/text/ascii.h"
#include "imapd/worker/message_text.h"
#include "imapd/worker/object_id.h"

namespace mox::imapd {
namespace {

using Kind = SearchKey::Kind;

Match to_match(bool value) {
    return value ? Match::yes : Match::no;
}

// The addresses of a field as text: names decoded, `localpart@host`.
std::string address_text(const std::vector<mail::EnvelopeAddress>& addresses) {
    std::string out;
    for (const auto& address : addresses) {
        if (address.name) out += mail::decode_encoded_words(*address.name) + ' ';
        if (address.mailbox) out += *address.mailbox;
        if (address.host) out += '@' + *address.host;
        out += "\n";
    }
    return out;
}

std::string envelope_text(const mail::Envelope& envelope, Kind kind) {
    switch (kind) {
        case Kind::from:
            return address_text(envelope.from);
        case Kind::to:
            return address_text(envelope.to);
        case Kind::cc:
            return address_text(envelope.cc);
        case Kind::bcc:
            return address_text(envelope.bcc);
        default:
            return mail::decode_encoded_words(envelope.subject.value_or(""));
    }
}

mail::Date received_day(const proto::MessageRow& row) {
    return mail::day_of({row.received, row.received_zone});
}

}  // namespace

Search::Search(const SearchKey& key, const MailboxView& view)
    : now_(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
               .count()),
      root_(compile(key, view)) {}

Search::Node Search::compile(const SearchKey& key, const MailboxView& view) {
    Node node{key.kind, {}, {}, key.bits, 0, 0, fold_case(key.text), key.field, key.date, key.size};
    for (const auto& child : key.children) node.children.push_back(compile(child, view));
    if (key.kind == Kind::set || key.kind == Kind::uid_set) {
        node.numbers = view.uids_for_search(key.numbers, key.kind == Kind::set ? Numbers::sequence : Numbers::uid);
    } else if (key.kind == Kind::modseq) {
        has_modseq_ = true;
    }
    if (key.kind == Kind::keyword || key.kind == Kind::no_keyword) {
        node.keyword = view.keyword_bit(key.text);
    } else if (key.kind == Kind::body || key.kind == Kind::text) {
        node.word = words_.size();
        words_.push_back(node.text);
    }
    return node;
}

Match Search::decide(const Candidate& candidate) const {
    Match match = decide(root_, candidate, nullptr);
    if (match != Match::unknown || candidate.message == nullptr || words_.empty()) return match;
    Found found = find_words(*candidate.message);
    return decide(root_, candidate, &found);
}

Match Search::decide_all(const Node& node, const Candidate& candidate, const Found* found) const {
    Match result = Match::yes;
    for (const auto& child : node.children) {
        Match match = decide(child, candidate, found);
        if (match == Match::no) return Match::no;
        if (match == Match::unknown) result = Match::unknown;
    }
    return result;
}

Match Search::decide_any(const Node& node, const Candidate& candidate, const Found* found) const {
    Match result = Match::no;
    for (const auto& child : node.children) {
        Match match = decide(child, candidate, found);
        if (match == Match::yes) return Match::yes;
        if (match == Match::unknown) result = Match::unknown;
    }
    return result;
}

Match Search::decide(const Node& node, const Candidate& candidate, const Found* found) const {
    const auto& row = candidate.row;
    switch (node.kind) {
        case Kind::all:
            return Match::yes;
        case Kind::none:
            return Match::no;
        case Kind::set:
        case Kind::uid_set:
            return to_match(contains(node.numbers, row.uid));
        case Kind::flags:
            return to_match((row.flags & node.bits) != 0);
        case Kind::no_flags:
            return to_match((row.flags & node.bits) == 0);
        case Kind::keyword:
            return to_match((row.keywords & node.keyword) != 0);
        case Kind::no_keyword:
            return to_match((row.keywords & node.keyword) == 0);
        // RFC 3501 6.4.4: dates compare the day, disregarding time and zone
        case Kind::before:
            return to_match(received_day(row) < node.date);
        case Kind::on:
            return to_match(received_day(row) == node.date);
        case Kind::since:
            return to_match(received_day(row) >= node.date);
        // RFC 8514 4.3: the same of the day on which it was saved
        case Kind::saved_before:
            return to_match(mail::day_of({row.saved, 0}) < node.date);
        case Kind::saved_on:
            return to_match(mail::day_of({row.saved, 0}) == node.date);
        case Kind::saved_since:
            return to_match(mail::day_of({row.saved, 0}) >= node.date);
        case Kind::email_id:
            return candidate.content ? to_match(text::iequals(email_id(*candidate.content), node.text))
                                     : Match::unknown;
        case Kind::larger:
            return to_match(row.size > node.size);
        case Kind::smaller:
            return to_match(row.size < node.size);
        // RFC 5032 2: both with what is just that old
        case Kind::older:
            return to_match(row.received <= now_ - static_cast<int64_t>(node.size));
        case Kind::younger:
            return to_match(row.received >= now_ - static_cast<int64_t>(node.size));
        case Kind::modseq:
            return to_match(row.modseq >= node.size);  // RFC 7162 3.1.5
        case Kind::not_: {
            Match match = decide(node.children[0], candidate, found);
            return match == Match::unknown ? match : to_match(match == Match::no);
        }
        case Kind::and_:
            return decide_all(node, candidate, found);
        case Kind::or_:
            return decide_any(node, candidate, found);
        case Kind::header:
            return candidate.message ? to_match(header_holds(*candidate.message, node.field, node.text))
                                     : Match::unknown;
        case Kind::body:
            return found ? to_match(found->in_body[node.word]) : Match::unknown;
        case Kind::text:
            return found ? to_match(found->in_text[node.word]) : Match::unknown;
        default:
            return candidate.info ? decide_info(node, *candidate.info) : Match::unknown;
    }
}

Match Search::decide_info(const Node& node, const mail::MessageInfo& info) const {
    switch (node.kind) {
        // RFC 3501 6.4.4: SENTSINCE "within or later than the date"
        case Kind::sent_before:
            return to_match(info.date && mail::day_of(*info.date) < node.date);
        case Kind::sent_on:
            return to_match(info.date && mail::day_of(*info.date) == node.date);
        case Kind::sent_since:
            return to_match(info.date && mail::day_of(*info.date) >= node.date);
        default:
            break;
    }
    auto root = info.parts[0].envelope;
    if (!root) return Match::no;
    return to_match(fold_case(envelope_text(info.envelopes[*root], node.kind)).find(node.text) != std::string::npos);
}

Search::Found Search::find_words(const StoredMessage& message) const {
    Found found{std::vector<char>(words_.size()), std::vector<char>(words_.size())};
    WordFinder finder(words_);
    for (uint32_t part = 0; part < message.info().parts.size() && !finder.all_found(); part++)
        read_part_text(message, part, finder);
    for (size_t i = 0; i < words_.size(); i++) found.in_body[i] = finder.found(i);
    read_header_text(message, finder);
    for (size_t i = 0; i < words_.size(); i++) found.in_text[i] = finder.found(i);
    return found;
}

}  // namespace mox::imapd
