#include "storaged/sender_index.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <fmt/format.h>
#include <sodium.h>
#include <utility>

#include "common/text/ascii.h"
#include "storaged/names.h"

namespace mox::storaged {
namespace {

using proto::Opinion;
using proto::SenderFacet;

constexpr uint8_t kFiled = 16;  // beside proto::Verified bits
constexpr uint8_t kKnown = 64;  // always, so that the byte is a character
static_assert((proto::kAllVerified & (kFiled | kKnown)) == 0);
constexpr size_t kIndexedAtOnce = 500;  // contents in one step

std::string_view domain_of(std::string_view address) {
    size_t at = address.rfind('@');
    return at == std::string_view::npos ? std::string_view() : address.substr(at + 1);
}

/// The network of so many bits that the address is in; empty when it is no address.
std::string network_of(const std::string& address, unsigned v4_bits, unsigned v6_bits) {
    unsigned char bytes[sizeof(in6_addr)]{};
    bool v4 = inet_pton(AF_INET, address.c_str(), bytes) == 1;
    if (!v4 && inet_pton(AF_INET6, address.c_str(), bytes) != 1) return {};
    unsigned bits = v4 ? v4_bits : v6_bits;
    for (unsigned i = bits; i < sizeof bytes * 8; i++) bytes[i / 8] &= static_cast<unsigned char>(~(0x80u >> i % 8));
    char text[INET6_ADDRSTRLEN] = "";
    if (inet_ntop(v4 ? AF_INET : AF_INET6, bytes, text, sizeof text) == nullptr) return {};
    return fmt::format("{}/{}", text, bits);
}

void add_key(std::vector<SenderKey>& keys, SenderFacet facet, std::string_view value) {
    if (value.empty() || !is_printable(value, proto::kMaxSenderText)) return;
    SenderKey key{facet, text::to_lower(value)};
    auto same = [&](const SenderKey& other) { return other.facet == facet && other.value == key.value; };
    if (std::ranges::none_of(keys, same)) keys.push_back(std::move(key));
}

/// Columns from this one on: mail_from, remote_address, ehlo, sender of content.
Senders senders_from(const Query& row, int column) {
    Senders senders{row.bytes(column), row.bytes(column + 1), row.bytes(column + 2), {}};
    std::string encoded = row.bytes(column + 3);
    senders.facts.verified = static_cast<unsigned char>(encoded[0]) & proto::kAllVerified;
    std::string_view rest = std::string_view(encoded).substr(1);
    std::vector<std::string> lines;
    while (!rest.empty()) {
        size_t end = std::min(rest.find('\n'), rest.size());
        lines.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (!lines.empty()) senders.facts.from = lines[0];
    if (lines.size() > 1) senders.facts.organization = lines[1];
    if (lines.size() > 2) senders.facts.signed_by.assign(lines.begin() + 2, lines.end());
    return senders;
}

uint64_t hash_of(const SenderKey& key, const std::string& secret) {
    std::string text = static_cast<char>(key.facet) + key.value;
    unsigned char digest[crypto_shorthash_BYTES];
    crypto_shorthash(digest, reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                     reinterpret_cast<const unsigned char*>(secret.data()));
    uint64_t hash = 0;
    std::memcpy(&hash, digest, sizeof hash);
    return hash;
}

/// Of a message, by its bits and the column with what was said of it.
Opinion opinion_of(uint32_t bits, const Query& row, int column) {
    if (row.is_null(column)) return (bits & kFiled) != 0 ? Opinion::filed_as_junk : Opinion::none;
    uint32_t said = row.small(column);
    return said < std::to_underlying(Opinion::filed_as_junk) ? static_cast<Opinion>(said) : Opinion::none;
}

void add_outcome(proto::SenderHistory& history, proto::SenderOutcome outcome) {
    if (history.messages == 0) history.last = outcome.stored;
    history.messages++;
    history.junk += outcome.opinion == Opinion::junk;
    history.not_junk += outcome.opinion == Opinion::not_junk;
    history.filed_as_junk += outcome.opinion == Opinion::filed_as_junk;
    if (outcome.opinion != Opinion::none && history.latest.size() < proto::kMaxSenderOutcomes)
        history.latest.push_back(std::move(outcome));
}

/// Opinions of messages that are gone, and have no senders any more.
void drop_orphans(Database& db, uint64_t first, uint64_t last) {
    db.run(
        "DELETE FROM opinion WHERE content BETWEEN ? AND ?"
        " AND NOT EXISTS (SELECT 1 FROM content c WHERE c.id = opinion.content)"
        " AND NOT EXISTS (SELECT 1 FROM sender s WHERE s.content = opinion.content)",
        first, last);
}

std::vector<uint64_t> segments_of(Database& db) {
    std::vector<uint64_t> segments;
    auto rows = db.query("SELECT first FROM sender_segment ORDER BY first DESC");
    while (rows.next()) segments.push_back(rows.number(0));
    return segments;
}

}  // namespace

std::vector<SenderKey> sender_keys(const Senders& senders) {
    std::vector<SenderKey> keys;
    add_key(keys, SenderFacet::from, senders.facts.from);
    add_key(keys, SenderFacet::from_domain, domain_of(senders.facts.from));
    add_key(keys, SenderFacet::organization, senders.facts.organization);
    add_key(keys, SenderFacet::mail_from, senders.mail_from);
    add_key(keys, SenderFacet::mail_from_domain, domain_of(senders.mail_from));
    add_key(keys, SenderFacet::ehlo, senders.ehlo);
    for (const std::string& domain : senders.facts.signed_by) add_key(keys, SenderFacet::signed_by, domain);
    // IPv6: a /64 is what one customer has
    add_key(keys, SenderFacet::address, network_of(senders.remote_address, 32, 64));
    add_key(keys, SenderFacet::network, network_of(senders.remote_address, 26, 48));
    add_key(keys, SenderFacet::wide_network, network_of(senders.remote_address, 21, 32));
    return keys;
}

bool are_facts(const proto::SenderFacts& facts) {
    return (facts.verified & ~uint32_t{proto::kAllVerified}) == 0 && facts.signed_by.size() <= proto::kMaxSignedBy;
}

std::string encode_facts(const proto::SenderFacts& facts) {
    std::string encoded(1, static_cast<char>(kKnown | facts.verified));
    auto add = [&](std::string_view text) {
        if (is_printable(text, proto::kMaxSenderText)) encoded += text::to_lower(text);
    };
    add(facts.from);
    encoded += '\n';
    add(facts.organization);
    for (const std::string& domain : facts.signed_by) {
        encoded += '\n';
        add(domain);
    }
    while (encoded.ends_with('\n')) encoded.pop_back();
    return encoded;
}

void mark_filed_as_junk(std::string& encoded) {
    encoded[0] = static_cast<char>(encoded[0] | kFiled);
}

/// What is looked for, and found so far.
struct SenderIndex::Wanted {
    uint64_t key;
    proto::SenderHistory history;
    uint64_t room() const { return proto::kMaxSenderMessages - history.messages; }
};

uint64_t SenderIndex::indexed(Database& db) {
    auto row = db.query("SELECT sender_indexed FROM state");
    return row.next() ? row.number(0) : 0;
}

std::string SenderIndex::secret(Database& db) {
    std::string secret;
    auto row = db.query("SELECT sender_secret FROM state");
    if (row.next()) secret = row.bytes(0);
    secret.resize(crypto_shorthash_KEYBYTES);
    return secret;
}

void SenderIndex::look(Database& db) {
    if (looked_) return;
    auto row =
        db.query("SELECT count(*) FROM (SELECT 1 FROM content WHERE id > ? LIMIT ?)", indexed(db), limits_.waiting);
    row.next();
    waiting_ = row.number(0);
    looked_ = true;
}

bool SenderIndex::is_due(Database& db) {
    look(db);
    return waiting_ >= limits_.waiting;
}

bool SenderIndex::step(Database& db, int64_t now) {
    return is_due(db) ? index_some(db) : drop_oldest(db, now);
}

void SenderIndex::index_up_to(Database& db, uint64_t content) {
    while (indexed(db) < content && index_some(db)) continue;
}

/// Of the contents that wait, some; false when none did. Those without senders are passed over for good.
bool SenderIndex::index_some(Database& db) {
    looked_ = false;
    const std::string secret = this->secret(db);
    std::vector<Posting> keys;
    uint64_t first = 0;
    uint64_t last = 0;
    uint64_t messages = 0;
    {
        auto rows = db.query(
            "SELECT id, stored, mail_from, remote_address, ehlo, sender FROM content WHERE id > ? ORDER BY id LIMIT ?",
            indexed(db), kIndexedAtOnce);
        while (rows.next()) {
            last = rows.number(0);
            if (rows.bytes(5).empty()) continue;
            Senders senders = senders_from(rows, 2);
            db.run("INSERT INTO sender VALUES (?, ?, ?, ?)", last, rows.integer(1), rows.bytes(5)[0],
                   senders.facts.from);
            for (const SenderKey& key : sender_keys(senders)) keys.push_back({hash_of(key, secret), last});
            if (messages++ == 0) first = last;
        }
    }
    if (last == 0) return false;
    if (messages > 0) add_to_segment(db, first, last, messages, keys);
    db.run("UPDATE state SET sender_indexed = ? WHERE id = 1", last);
    return true;
}

/// To the newest segment while that has room, else to a new one.
void SenderIndex::add_to_segment(Database& db, uint64_t first, uint64_t last, uint64_t messages,
                                 std::vector<Posting>& keys) {
    uint64_t segment = first;
    {
        auto newest = db.query("SELECT first, messages FROM sender_segment ORDER BY first DESC LIMIT 1");
        if (newest.next() && newest.number(1) + messages <= limits_.segment) segment = newest.number(0);
    }
    if (db.run("UPDATE sender_segment SET last = ?, messages = messages + ? WHERE first = ?", last, messages,
               segment) == 0)
        db.run("INSERT INTO sender_segment VALUES (?, ?, ?)", segment, last, messages);
    // In the order of the table, which compares them as signed.
    std::ranges::sort(keys, {}, [](const auto& k) { return std::pair(static_cast<int64_t>(k.key), k.content); });
    for (auto [key, content] : keys) db.run("INSERT INTO sender_key VALUES (?, ?, ?)", segment, key, content);
}

/// When there are too many without it, or all of it is too old.
bool SenderIndex::drop_oldest(Database& db, int64_t now) {
    uint64_t first = 0;
    uint64_t last = 0;
    {
        auto row = db.query(
            "SELECT first, last, (SELECT sum(messages) FROM sender_segment) - messages,"
            " (SELECT stored FROM sender WHERE content <= last ORDER BY content DESC LIMIT 1)"
            " FROM sender_segment ORDER BY first LIMIT 1");
        if (!row.next()) return false;
        bool too_many = row.number(2) >= limits_.messages;
        bool too_old = row.integer(3) < now - limits_.keep.count();
        if (!too_many && !too_old) return false;
        first = row.number(0);
        last = row.number(1);
    }
    db.run("DELETE FROM sender_key WHERE segment = ?", first);
    db.run("DELETE FROM sender_segment WHERE first = ?", first);
    db.run("DELETE FROM sender WHERE content BETWEEN ? AND ?", first, last);
    drop_orphans(db, first, last);
    return true;
}

void SenderIndex::find_waiting(Database& db, std::vector<Wanted>& wanted) {
    const std::string secret = this->secret(db);
    auto rows = db.query(
        "SELECT c.stored, c.mail_from, c.remote_address, c.ehlo, c.sender, o.value FROM content c"
        " LEFT JOIN opinion o ON o.content = c.id WHERE c.id > ? AND c.sender != x'' ORDER BY c.id DESC",
        indexed(db));
    while (rows.next()) {
        Senders senders = senders_from(rows, 1);
        auto bits = static_cast<unsigned char>(rows.bytes(4)[0]);
        proto::SenderOutcome outcome{rows.integer(0), opinion_of(bits, rows, 5), senders.facts.verified,
                                     senders.facts.from};
        for (const SenderKey& key : sender_keys(senders)) {
            auto found = std::ranges::find(wanted, hash_of(key, secret), &Wanted::key);
            if (found != wanted.end() && found->room() > 0) add_outcome(found->history, outcome);
        }
    }
}

void SenderIndex::find_in_segment(Database& db, uint64_t segment, Wanted& wanted) {
    auto rows = db.query(
        "SELECT s.stored, s.facts, s.address, o.value FROM sender_key k CROSS JOIN sender s ON s.content = k.content"
        " LEFT JOIN opinion o ON o.content = k.content WHERE k.segment = ? AND k.key = ? ORDER BY k.content DESC"
        " LIMIT ?",
        segment, wanted.key, wanted.room());
    while (rows.next()) {
        uint32_t bits = rows.small(1);
        add_outcome(wanted.history,
                    {rows.integer(0), opinion_of(bits, rows, 3), bits & proto::kAllVerified, rows.bytes(2)});
    }
}

std::vector<proto::SenderHistory> SenderIndex::find(Database& db, const std::vector<SenderKey>& keys) {
    const std::string secret = this->secret(db);
    std::vector<Wanted> wanted;
    for (const SenderKey& key : keys)
        wanted.push_back({hash_of(key, secret), {key.facet, key.value, 0, 0, 0, 0, 0, {}}});
    find_waiting(db, wanted);
    for (uint64_t segment : segments_of(db))
        for (Wanted& one : wanted)
            if (one.room() > 0) find_in_segment(db, segment, one);
    std::vector<proto::SenderHistory> histories;
    for (Wanted& one : wanted) histories.push_back(std::move(one.history));
    return histories;
}

int64_t SenderIndex::forget(Database& db, const std::vector<SenderKey>& keys) {
    index_up_to(db, INT64_MAX);
    const std::string secret = this->secret(db);
    int64_t forgotten = 0;
    for (uint64_t segment : segments_of(db))
        for (const SenderKey& key : keys)
            forgotten += db.run(
                "DELETE FROM sender WHERE content IN (SELECT content FROM sender_key WHERE segment = ? AND key = ?)",
                segment, hash_of(key, secret));
    drop_orphans(db, 0, INT64_MAX);
    return forgotten;
}

int64_t SenderIndex::forget_all(Database& db) {
    index_up_to(db, INT64_MAX);
    int64_t forgotten = db.run("DELETE FROM sender WHERE content > 0");
    db.run("DELETE FROM sender_key");
    db.run("DELETE FROM sender_segment");
    drop_orphans(db, 0, INT64_MAX);
    return forgotten;
}

}  // namespace mox::storaged
