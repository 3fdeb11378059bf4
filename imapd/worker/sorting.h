// Putting messages into the order that SORT asks for (RFC 5256 2.2, 3; RFC 5957 3).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/mail/message_info.h"
#include "imapd/grammar/command.h"

namespace mox::imapd {

/// Whether a key needs more than the row.
bool needs_info(const SortKey& key);

/// Keeps what the keys need of each message, in order. Memory: a few words and the texts compared, of the messages
/// found. A message goes by a number that ascends as in the mailbox: its index, or its UID.
class Sorter {
  public:
    /// `relevancies` are by the numbers under which messages are added.
    explicit Sorter(std::vector<SortKey> keys, std::map<uint32_t, uint32_t> relevancies = {})
        : keys_(std::move(keys)), relevancies_(std::move(relevancies)) {}
    const std::vector<SortKey>& keys() const { return keys_; }
    /// `info` may be null when no key needs it.
    void add(uint32_t number, const proto::MessageRow& row, const mail::MessageInfo* info);
    /// Puts in order what was added; equal ones as in the mailbox.
    void sort();
    std::vector<uint32_t> order() const;
    /// Other numbers for the same messages, in the same order of the mailbox.
    template <class F>
    void renumber(F f) {
        for (auto& item : items_) item.number = f(item.number);
    }
    /// Of a sorted one: adds a message at its place, or takes one out; the position, from 0.
    size_t insert(uint32_t number, const proto::MessageRow& row, const mail::MessageInfo* info);
    std::optional<size_t> erase(uint32_t number);
    size_t size() const { return items_.size(); }
    /// Bytes of the texts kept.
    size_t text_bytes() const { return text_bytes_; }

  private:
    struct Value {
        int64_t number = 0;
        std::string text;  // folded
        friend auto operator<=>(const Value&, const Value&) = default;
    };
    struct Item {
        uint32_t number;
        std::vector<Value> values;
    };
    Value value_of(SortKey::Kind kind, uint32_t number, const proto::MessageRow& row,
                   const mail::MessageInfo* info) const;
    Item make_item(uint32_t number, const proto::MessageRow& row, const mail::MessageInfo* info);
    bool less(const Item& a, const Item& b) const;

    std::vector<SortKey> keys_;
    std::map<uint32_t, uint32_t> relevancies_;
    std::vector<Item> items_;
    size_t text_bytes_ = 0;
};

/// The date a message was sent, as Unix seconds; that of its arrival when it has none (RFC 5256 2.2).
int64_t sent_date(const proto::MessageRow& row, const mail::MessageInfo* info);

}  // namespace mox::imapd
