// What dnsd answers: typed records with their DNSSEC state. A temporary failure (SERVFAIL, timeout, bogus) is an Error.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/ipc/message.h"

namespace mox::proto {

using ipc::from;
using ipc::Role;

enum class DnsStatus : uint8_t { found, no_data, no_domain, kEnd };
enum class DnsSecurity : uint8_t { insecure, secure, kEnd };

/// Head of every answer. A bogus answer is never returned: it is a temporary Error that says why.
struct DnsAnswer {
    DnsStatus status;
    DnsSecurity security;
    std::string canonical_name;  // after CNAMEs, A-labels without trailing dot
    uint32_t ttl;                // seconds
};

struct Addresses {
    DnsAnswer v4;
    DnsAnswer v6;
    std::vector<std::string> addresses;  // textual, IPv6 first, in the order of the answers
};
/// A and AAAA records. Names are A-labels, absolute, with or without trailing dot.
struct LookupAddresses {
    MOX_MESSAGE(LookupAddresses, 0x0601, Addresses, from(Role::smtpd, Role::queued))
    std::string name;
};
struct MxHost {
    uint16_t preference;
    std::string host;  // empty: null MX (RFC 7505)
};
struct MxHosts {
    DnsAnswer answer;
    std::vector<MxHost> hosts;  // by preference
};
struct LookupMx {
    MOX_MESSAGE(LookupMx, 0x0602, MxHosts, from(Role::smtpd, Role::queued))
    std::string name;
};
struct TextRecords {
    DnsAnswer answer;
    std::vector<std::string> texts;  // the strings of a record joined
};
struct LookupTxt {
    MOX_MESSAGE(LookupTxt, 0x0603, TextRecords, from(Role::smtpd, Role::queued))
    std::string name;
};
struct Names {
    DnsAnswer answer;
    std::vector<std::string> names;
};
/// PTR records of an address in textual form.
struct LookupReverse {
    MOX_MESSAGE(LookupReverse, 0x0604, Names, from(Role::smtpd, Role::queued))
    std::string address;
};
struct TlsaRecord {
    uint8_t usage;
    uint8_t selector;
    uint8_t matching_type;
    std::string data;
};
struct TlsaRecords {
    DnsAnswer answer;
    std::vector<TlsaRecord> records;
};
struct LookupTlsa {
    MOX_MESSAGE(LookupTlsa, 0x0605, TlsaRecords, from(Role::queued))
    std::string name;  // _25._tcp.host
};

using DnsMessages = ipc::Messages<LookupAddresses, LookupMx, LookupTxt, LookupReverse, LookupTlsa>;

}  // namespace mox::proto
