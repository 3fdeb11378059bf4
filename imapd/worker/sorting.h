// Putting messages into the order that SORT asks for (RFC 5256 2.2, 3; RFC 5957 3).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/mail/message_info.h"
#include "imapd/grammar/command.h"

namespace mox::imapd {

/// Whether a key needs more than the row.
bool needs_info(const SortKey& key);

/// Collects what the keys need of each message, then sorts. Memory: a few words and the texts compared, of the messages
/// found.
class Sorter {
  public:
    explicit Sorter(std::vector<SortKey> keys) : keys_(std::move(keys)) {}
    /// `info` may be null when no key needs it.
    void add(uint32_t index, const proto::MessageRow& row, const mail::MessageInfo* info);
    /// The indexes in order; equal ones as in the mailbox.
    std::vector<uint32_t> take();

  private:
    struct Value {
        int64_t number = 0;
        std::string text;  // folded
        friend auto operator<=>(const Value&, const Value&) = default;
    };
    struct Item {
        uint32_t index;
        std::vector<Value> values;
    };
    static Value value_of(SortKey::Kind kind, const proto::MessageRow& row, const mail::MessageInfo* info);
    bool less(const Item& a, const Item& b) const;

    std::vector<SortKey> keys_;
    std::vector<Item> items_;
};

/// The date a message was sent, as Unix seconds; that of its arrival when it has none (RFC 5256 2.2).
int64_t sent_date(const proto::MessageRow& row, const mail::MessageInfo* info);

}  // namespace mox::imapd
