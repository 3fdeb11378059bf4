#include "dnsd/answer.h"

#include <algorithm>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <optional>

#include "common/text/ascii.h"

namespace mox::dnsd {
namespace {

constexpr size_t kHeaderSize = 12;
constexpr size_t kMaxWireName = 255;  // RFC 1035 2.3.4
constexpr uint16_t kClassIn = 1;
constexpr uint32_t kMaxTtl = 7 * 86400;

/// Reads forwards in a packet; every read says whether there was enough.
class Reader {
  public:
    Reader(std::string_view packet, size_t at, size_t end) : packet_(packet), at_(at), end_(end) {}

    bool get8(uint8_t& v) {
        if (end_ - at_ < 1) return false;
        v = static_cast<uint8_t>(packet_[at_++]);
        return true;
    }
    bool get16(uint16_t& v) {
        uint8_t high = 0, low = 0;
        if (!get8(high) || !get8(low)) return false;
        v = static_cast<uint16_t>(high << 8 | low);
        return true;
    }
    bool get32(uint32_t& v) {
        uint16_t high = 0, low = 0;
        if (!get16(high) || !get16(low)) return false;
        v = static_cast<uint32_t>(high) << 16 | low;
        return true;
    }
    bool get_bytes(size_t count, std::string_view& v) {
        if (end_ - at_ < count) return false;
        v = packet_.substr(at_, count);
        at_ += count;
        return true;
    }
    /// A name in lower-case presentation form, the root as empty; bytes that host names do not have as \DDD.
    bool get_name(std::string& out);

    size_t at() const { return at_; }
    size_t left() const { return end_ - at_; }

  private:
    bool get_label(std::string& out, size_t& at, size_t limit, size_t& length) const;
    std::string_view packet_;
    size_t at_;
    size_t end_;
};

void append_label(std::string& out, std::string_view label) {
    for (char c : label) {
        if (text::is_alnum(c) || c == '-' || c == '_')
            out += text::to_lower(c);
        else
            out += fmt::format("\\{:03}", static_cast<unsigned char>(c));
    }
}

bool Reader::get_label(std::string& out, size_t& at, size_t limit, size_t& length) const {
    size_t size = static_cast<unsigned char>(packet_[at]);
    if (limit - at - 1 < size) return false;
    length += size + 1;
    if (length > kMaxWireName) return false;
    if (!out.empty()) out += '.';
    append_label(out, packet_.substr(at + 1, size));
    at += size + 1;
    return true;
}

bool Reader::get_name(std::string& out) {
    out.clear();
    size_t at = at_, limit = end_, length = 1;
    size_t lowest = at_;  // each pointer must lead before all that was read: it ends
    bool jumped = false;
    for (;;) {
        if (at >= limit) return false;
        auto first = static_cast<unsigned char>(packet_[at]);
        if (first == 0) {
            if (!jumped) at_ = at + 1;
            return true;
        }
        if ((first & 0xc0) == 0xc0) {  // RFC 1035 4.1.4
            if (limit - at < 2) return false;
            size_t target = static_cast<size_t>(first & 0x3f) << 8 | static_cast<unsigned char>(packet_[at + 1]);
            if (target >= lowest) return false;
            if (!jumped) at_ = at + 2;
            jumped = true;
            at = lowest = target;
            limit = packet_.size();
        } else if ((first & 0xc0) != 0 || !get_label(out, at, limit, length)) {
            return false;
        }
    }
}

struct Record {
    std::string owner;
    uint16_t type = 0;
    uint16_t rr_class = 0;
    uint32_t ttl = 0;
    size_t begin = 0;  // of the data in the packet
    size_t end = 0;
};

bool read_record(Reader& reader, Record& record) {
    uint16_t length = 0;
    if (!reader.get_name(record.owner) || !reader.get16(record.type) || !reader.get16(record.rr_class) ||
        !reader.get32(record.ttl) || !reader.get16(length))
        return false;
    if (record.ttl > 0x7fffffff) record.ttl = 0;  // RFC 2181 8
    record.ttl = std::min(record.ttl, kMaxTtl);
    record.begin = reader.at();
    record.end = record.begin + length;
    std::string_view data;
    return reader.get_bytes(length, data);
}

bool is_host(std::string_view name) {
    return !name.empty() && name.find('\\') == name.npos;
}

// ---- data of each type; false leaves the record out

bool take_address(std::string_view data, RecordType type, Answer& answer) {
    if (data.size() != (type == RecordType::a ? 4u : 16u)) return false;  // RFC 1035 3.4.1, RFC 3596 2.2
    char text[INET6_ADDRSTRLEN];
    if (inet_ntop(type == RecordType::a ? AF_INET : AF_INET6, data.data(), text, sizeof text) == nullptr) return false;
    answer.addresses.emplace_back(text);
    return true;
}

bool take_mx(Reader reader, Answer& answer) {
    proto::MxHost host;
    if (!reader.get16(host.preference) || !reader.get_name(host.host) || reader.left() != 0) return false;
    if (!host.host.empty() && !is_host(host.host)) return false;  // the root alone: null MX (RFC 7505 3)
    answer.hosts.push_back(std::move(host));
    return true;
}

bool take_txt(Reader reader, Answer& answer) {
    std::string text;
    do {
        uint8_t length = 0;
        std::string_view part;
        if (!reader.get8(length) || !reader.get_bytes(length, part)) return false;  // RFC 1035 3.3.14
        text += part;
    } while (reader.left() > 0);
    size_t kept = text.size();
    for (const auto& t : answer.texts) kept += t.size();
    if (kept > kMaxTextBytes) return false;
    answer.texts.push_back(std::move(text));
    return true;
}

bool take_ptr(Reader reader, Answer& answer) {
    std::string name;
    if (!reader.get_name(name) || reader.left() != 0 || !is_host(name)) return false;
    answer.names.push_back(std::move(name));
    return true;
}

bool take_tlsa(Reader reader, Answer& answer) {
    proto::TlsaRecord record;
    if (!reader.get8(record.usage) || !reader.get8(record.selector) || !reader.get8(record.matching_type)) return false;
    std::string_view data;
    if (reader.left() == 0 || !reader.get_bytes(reader.left(), data)) return false;  // RFC 6698 2.1
    record.data = data;
    answer.tlsa.push_back(std::move(record));
    return true;
}

bool take_data(std::string_view packet, const Record& record, RecordType type, Answer& answer) {
    Reader reader(packet, record.begin, record.end);
    switch (type) {
        case RecordType::a:
        case RecordType::aaaa:
            return take_address(packet.substr(record.begin, record.end - record.begin), type, answer);
        case RecordType::mx:
            return take_mx(reader, answer);
        case RecordType::txt:
            return take_txt(reader, answer);
        case RecordType::ptr:
            return take_ptr(reader, answer);
        case RecordType::tlsa:
            return take_tlsa(reader, answer);
        case RecordType::cname:
        case RecordType::soa:
            return false;
    }
    return false;
}

std::unexpected<Error> malformed() {
    return temporary(ErrorCode::unavailable, "malformed DNS answer");
}

/// Follows the aliases of the name that was asked for; RFC 1034 3.6.2. False when they lead in circles.
bool follow_aliases(std::string_view packet, const std::vector<Record>& records, proto::DnsAnswer& head) {
    for (size_t followed = 0;; followed++) {
        auto alias = std::ranges::find_if(records, [&](const Record& r) {
            return r.type == static_cast<uint16_t>(RecordType::cname) && r.rr_class == kClassIn &&
                   r.owner == head.canonical_name;
        });
        if (alias == records.end()) return true;
        if (followed == kMaxAliases) return false;
        Reader reader(packet, alias->begin, alias->end);
        if (!reader.get_name(head.canonical_name)) return false;
        head.ttl = std::min(head.ttl, alias->ttl);
    }
}

/// How long to remember that there is nothing: RFC 2308 5.
uint32_t negative_ttl(std::string_view packet, const std::vector<Record>& authority) {
    for (const Record& r : authority) {
        if (r.type != static_cast<uint16_t>(RecordType::soa) || r.end - r.begin < 4) continue;
        Reader reader(packet, r.end - 4, r.end);
        uint32_t minimum = 0;
        if (reader.get32(minimum)) return std::min({r.ttl, minimum, kMaxTtl});
    }
    return 0;
}

bool read_records(Reader& reader, uint16_t count, std::vector<Record>& records) {
    if (count > kMaxRecords) return false;
    for (; count > 0; count--) {
        if (!read_record(reader, records.emplace_back())) return false;
    }
    return true;
}

}  // namespace

Result<Answer> parse_answer(std::string_view packet, RecordType type) {
    Reader reader(packet, 0, packet.size());
    uint16_t id = 0, flags = 0, questions = 0, answers = 0, authorities = 0, additional = 0;
    if (!reader.get16(id) || !reader.get16(flags) || !reader.get16(questions) || !reader.get16(answers) ||
        !reader.get16(authorities) || !reader.get16(additional) || questions != 1)
        return malformed();
    static_assert(kHeaderSize == 6 * sizeof(uint16_t));
    unsigned code = flags & 15;  // RFC 1035 4.1.1
    if (code != 0 && code != 3) return temporary(ErrorCode::unavailable, fmt::format("DNS response code {}", code));
    Answer answer;
    answer.head.ttl = kMaxTtl;
    uint16_t asked_type = 0, asked_class = 0;
    std::vector<Record> records, authority;
    if (!reader.get_name(answer.head.canonical_name) || !reader.get16(asked_type) || !reader.get16(asked_class) ||
        asked_type != static_cast<uint16_t>(type) || !read_records(reader, answers, records) ||
        !read_records(reader, authorities, authority) || !follow_aliases(packet, records, answer.head))
        return malformed();
    size_t taken = 0;
    for (const Record& record : records) {
        if (record.type != asked_type || record.rr_class != kClassIn || record.owner != answer.head.canonical_name)
            continue;
        if (!take_data(packet, record, type, answer)) continue;
        answer.head.ttl = std::min(answer.head.ttl, record.ttl);
        taken++;
    }
    std::ranges::sort(answer.hosts, {}, &proto::MxHost::preference);
    answer.head.status = code == 3   ? proto::DnsStatus::no_domain
                         : taken > 0 ? proto::DnsStatus::found
                                     : proto::DnsStatus::no_data;  // RFC 2308 2.2
    if (taken == 0) answer.head.ttl = std::min(answer.head.ttl, negative_ttl(packet, authority));
    return answer;
}

}  // namespace mox::dnsd
