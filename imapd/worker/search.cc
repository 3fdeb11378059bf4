#include "imapd/worker/search.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "common/mail/words.h"
#include "common/text/ascii.h"
#include "imapd/worker/message_text.h"
#include "imapd/worker/object_id.h"

namespace mox::imapd {
namespace {

using Kind = SearchKey::Kind;

Match to_match(bool value) {
    return value ? Match::yes : Match::no;
}

mail::EnvelopeField envelope_field(Kind kind) {
    switch (kind) {
        case Kind::from:
            return mail::EnvelopeField::from;
        case Kind::to:
            return mail::EnvelopeField::to;
        case Kind::cc:
            return mail::EnvelopeField::cc;
        case Kind::bcc:
            return mail::EnvelopeField::bcc;
        default:
            return mail::EnvelopeField::subject;
    }
}

/// Where the text of a key is looked for, as classes of words; 0 when it is none.
uint32_t classes_of(Kind kind) {
    switch (kind) {
        case Kind::body:
            return mail::kInBody;
        case Kind::text:
            return mail::kInBody | mail::kInHeader;
        case Kind::header:
            return mail::kInHeader;
        case Kind::subject:
            return mail::kInSubject;
        case Kind::from:
            return mail::kInFrom;
        case Kind::to:
            return mail::kInTo;
        case Kind::cc:
            return mail::kInCc;
        case Kind::bcc:
            return mail::kInBcc;
        default:
            return 0;
    }
}

mail::Date received_day(const proto::MessageRow& row) {
    return mail::day_of({row.received, row.received_zone});
}

}  // namespace

Search::Search(const SearchKey& key, const MailboxView& view)
    : now_(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
               .count()),
      mailbox_(view.mailbox()),
      root_(compile(key, view)) {}

Search::Node Search::compile(const SearchKey& key, const MailboxView& view) {
    Node node{key.kind, {}, {}, key.bits, 0, 0, {}, fold_case(key.text), key.field, key.date, key.size};
    for (const auto& child : key.children) node.children.push_back(compile(child, view));
    if (key.kind == Kind::set || key.kind == Kind::uid_set) {
        node.numbers = view.uids_for_search(key.numbers, key.kind == Kind::set ? Numbers::sequence : Numbers::uid);
    } else if (key.kind == Kind::modseq) {
        has_modseq_ = true;
    }
    // The threads are those of the account; what others share is in none of them.
    if (key.kind == Kind::thread_id && !proto::is_anothers(view.id())) node.contents = key.contents;
    if (key.kind == Kind::keyword || key.kind == Kind::no_keyword) {
        node.keyword = view.keyword_bit(key.text);
    } else if (key.kind == Kind::body || key.kind == Kind::text) {
        node.word = words_.size();
        words_.push_back(node.text);
    }
    compile_text(node);
    return node;
}

void Search::compile_text(Node& node) {
    uint32_t classes = classes_of(node.kind);
    switch (node.kind) {
        case Kind::subject:
        case Kind::from:
        case Kind::to:
        case Kind::cc:
        case Kind::bcc:
        case Kind::sent_before:
        case Kind::sent_on:
        case Kind::sent_since:
        case Kind::email_id:
            needs_infos_ = true;
            break;
        case Kind::header:
        case Kind::body:
        case Kind::text:
            needs_messages_ = true;
            break;
        default:
            break;
    }
    bool asks = !node.text.empty() || !node.field.empty();
    if (classes == 0 || !asks || text_keys_.size() == proto::kMaxTextKeys) return;
    if (node.text.size() > mail::kMaxQueryText || node.field.size() > mail::kMaxQueryText) return;
    node.text_key = text_keys_.size();
    text_keys_.push_back({classes, node.text, node.field});
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
    if (node.text_key && candidate.words) {
        Match match = candidate.words->decide(*node.text_key, row.content);
        if (match != Match::unknown) return match;
    }
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
            return candidate.content ? to_match(text::iequals(email_id(*candidate.content, mailbox_), node.text))
                                     : Match::unknown;
        case Kind::thread_id:
            return to_match(std::ranges::binary_search(node.contents, row.content));
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
    auto text = mail::envelope_text(info.envelopes[*root], envelope_field(node.kind));
    return to_match(fold_case(text).find(node.text) != std::string::npos);
}

Search::Found Search::find_words(const StoredMessage& message) const {
    Found found{std::vector<char>(words_.size()), std::vector<char>(words_.size())};
    WordFinder finder(words_);
    MessageText text(message);
    for (uint32_t part = 0; part < message.info().parts.size() && !finder.all_found(); part++)
        mail::read_part_text(text.source(), part, finder);
    for (size_t i = 0; i < words_.size(); i++) found.in_body[i] = finder.found(i);
    mail::read_header_fields(mail::root_header(text.source()), finder);
    for (size_t i = 0; i < words_.size(); i++) found.in_text[i] = finder.found(i);
    return found;
}

}  // namespace mox::imapd
