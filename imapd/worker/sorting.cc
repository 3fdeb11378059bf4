#include "imapd/worker/sorting.h"

#include <algorithm>

#include "common/mail/encoded_word.h"
#include "imapd/worker/base_subject.h"
#include "imapd/worker/search_text.h"

namespace mox::imapd {
namespace {

using Kind = SortKey::Kind;

const mail::Envelope* envelope_of(const mail::MessageInfo* info) {
    if (info == nullptr || !info->parts[0].envelope) return nullptr;
    return &info->envelopes[*info->parts[0].envelope];
}

// RFC 5256 3: the mailbox part of the first address
std::string mailbox_text(const std::vector<mail::EnvelopeAddress>& addresses) {
    return addresses.empty() ? std::string() : fold_case(addresses[0].mailbox.value_or(""));
}

// RFC 5957 3: the name people see, else mailbox@host
std::string display_text(const std::vector<mail::EnvelopeAddress>& addresses) {
    if (addresses.empty()) return {};
    const auto& first = addresses[0];
    auto name = first.name ? mail::decode_encoded_words(*first.name, 1000) : std::string();
    if (name.empty()) name = first.mailbox.value_or("") + '@' + first.host.value_or("");
    return fold_case(name);
}

}  // namespace

bool needs_info(const SortKey& key) {
    return key.kind != Kind::arrival && key.kind != Kind::size && key.kind != Kind::relevancy;
}

int64_t sent_date(const proto::MessageRow& row, const mail::MessageInfo* info) {
    return info != nullptr && info->date ? info->date->unix_seconds : row.received;
}

Sorter::Value Sorter::value_of(Kind kind, uint32_t number, const proto::MessageRow& row,
                               const mail::MessageInfo* info) const {
    const auto* envelope = envelope_of(info);
    switch (kind) {
        case Kind::relevancy: {  // RFC 6203 6: the highest first
            auto at = relevancies_.find(number);
            return {at == relevancies_.end() ? 0 : -static_cast<int64_t>(at->second), {}};
        }
        case Kind::arrival:
            return {row.received, {}};
        case Kind::size:
            return {static_cast<int64_t>(row.size), {}};
        case Kind::date:
            return {sent_date(row, info), {}};
        case Kind::subject:
            return {0, envelope ? base_subject(envelope->subject.value_or("")).text : std::string()};
        case Kind::cc:
            return {0, envelope ? mailbox_text(envelope->cc) : std::string()};
        case Kind::from:
            return {0, envelope ? mailbox_text(envelope->from) : std::string()};
        case Kind::to:
            return {0, envelope ? mailbox_text(envelope->to) : std::string()};
        case Kind::display_from:
            return {0, envelope ? display_text(envelope->from) : std::string()};
        default:
            return {0, envelope ? display_text(envelope->to) : std::string()};
    }
}

Sorter::Item Sorter::make_item(uint32_t number, const proto::MessageRow& row, const mail::MessageInfo* info) {
    Item item{number, {}};
    item.values.reserve(keys_.size());
    for (const auto& key : keys_) {
        item.values.push_back(value_of(key.kind, number, row, info));
        text_bytes_ += item.values.back().text.size();
    }
    return item;
}

void Sorter::add(uint32_t number, const proto::MessageRow& row, const mail::MessageInfo* info) {
    items_.push_back(make_item(number, row, info));
}

bool Sorter::less(const Item& a, const Item& b) const {
    for (size_t i = 0; i < keys_.size(); i++) {
        auto order = a.values[i] <=> b.values[i];
        if (order != 0) return keys_[i].reverse ? order > 0 : order < 0;
    }
    return a.number < b.number;  // RFC 5256 3: REVERSE does not turn this around
}

void Sorter::sort() {
    std::ranges::sort(items_, [this](const Item& a, const Item& b) { return less(a, b); });
}

std::vector<uint32_t> Sorter::order() const {
    std::vector<uint32_t> out;
    out.reserve(items_.size());
    for (const auto& item : items_) out.push_back(item.number);
    return out;
}

size_t Sorter::insert(uint32_t number, const proto::MessageRow& row, const mail::MessageInfo* info) {
    auto item = make_item(number, row, info);
    auto at = std::ranges::lower_bound(items_, item, [this](const Item& a, const Item& b) { return less(a, b); });
    return static_cast<size_t>(items_.insert(at, std::move(item)) - items_.begin());
}

std::optional<size_t> Sorter::erase(uint32_t number) {
    auto at = std::ranges::find(items_, number, &Item::number);
    if (at == items_.end()) return std::nullopt;
    for (const auto& value : at->values) text_bytes_ -= value.text.size();
    auto position = static_cast<size_t>(at - items_.begin());
    items_.erase(at);
    return position;
}

}  // namespace mox::imapd
