// From the bytes of a DNS answer to typed records.
//
// A pure function over a packet that came from outside: every length is checked against what is there, compression
// pointers lead backwards only, the numbers of records, aliases and bytes are bounded. What the packet as a whole gets
// wrong is an error; a single record that does not parse, or names a host that cannot be one, is left out, so that one
// bad MX does not cost the others. RFCs: 1035 4, 2181 5, 2308 (no data), 3596, 6698 2.1, 7505 (null MX).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"
#include "proto/dns.h"

namespace mox::dnsd {

enum class RecordType : uint16_t { a = 1, cname = 5, soa = 6, ptr = 12, mx = 15, txt = 16, aaaa = 28, tlsa = 52 };

constexpr size_t kMaxRecords = 512;          // in a packet; more is an error
constexpr size_t kMaxAliases = 16;           // CNAMEs followed
constexpr size_t kMaxTextBytes = 64 * 1024;  // of TXT data kept

/// The records of the type that was asked for, behind the aliases of the name.
struct Answer {
    proto::DnsAnswer head;               // its security is the resolver's business
    std::vector<std::string> addresses;  // A, AAAA
    std::vector<proto::MxHost> hosts;    // MX, by preference
    std::vector<std::string> texts;      // TXT
    std::vector<std::string> names;      // PTR
    std::vector<proto::TlsaRecord> tlsa;
};

/// Takes a whole packet apart. Temporary errors: malformed, or a response code other than success and "no such name".
Result<Answer> parse_answer(std::string_view packet, RecordType type);

}  // namespace mox::dnsd
