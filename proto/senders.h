// Who a message is from, as far as that was found out, and what became of earlier messages of the same senders.
//
// A message has several senders at once, called facets here: the address it says it is from, the domains that signed
// it, the network it came from. Whoever brings a message says what it knows of them. storaged keeps that for a time,
// also of messages that are gone, with what the account's owner has said of each (Opinion), and answers for a message
// that is about to be delivered with the history of each of its facets. Deciding is for whoever asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mox::proto {

constexpr size_t kMaxSenderText = 255;      // bytes of an address, a domain or a name; longer ones are left out
constexpr size_t kMaxSignedBy = 8;          // domains of a message
constexpr size_t kMaxSenderMessages = 200;  // of a facet that are looked at, the newest
constexpr size_t kMaxSenderOutcomes = 50;   // of them that are listed in an answer

/// What of a message's senders was verified, as bits.
enum Verified : uint32_t {
    kFromVerified = 1,      // the domain of From: DMARC (RFC 7489), or an aligned signature or SPF
    kMailFromVerified = 2,  // the envelope sender's, by SPF (RFC 7208)
    kEhloVerified = 4,      // the name in EHLO, by SPF
    kIprevVerified = 8,     // the IP by its names (RFC 8601 2.7.3)
    kAllVerified = 15
};

/// Beside the envelope sender, the name in EHLO and the IP, which have places of their own. In lower case.
struct SenderFacts {
    std::string from;                    // the address in From; empty: there is none, or several
    std::string organization;            // its organizational domain (RFC 7489 3.2); empty: not known
    uint32_t verified = 0;               // Verified bits
    std::vector<std::string> signed_by;  // domains with a signature that verified (RFC 6376)
};

enum class SenderFacet : uint8_t {
    from,              // the address in From
    from_domain,       // its domain
    organization,      // its organizational domain
    mail_from,         // the envelope sender
    mail_from_domain,  // its domain
    ehlo,              // the name in EHLO or HELO
    signed_by,         // each of the domains
    address,           // the IP: IPv4 /32, IPv6 /64
    network,           // /26, /48
    wide_network,      // /21, /32
    kEnd
};

/// What the owner has said of a message, by $Junk and $NotJunk, else by where it was put; the last word counts.
enum class Opinion : uint8_t {
    none,
    not_junk,
    junk,
    filed_as_junk,  // it was delivered into a mailbox for junk, and nobody has said anything
    kEnd
};

struct SenderOutcome {
    int64_t stored;  // when it came in, Unix seconds
    Opinion opinion;
    uint32_t verified;  // Verified bits
    std::string from;
};
/// Of the newest kMaxSenderMessages messages that are known.
struct SenderHistory {
    SenderFacet facet;
    std::string value;      // what it was asked for by: an address, a domain, "192.0.2.64/26"
    uint64_t messages = 0;  // also those without an opinion
    uint64_t junk = 0;
    uint64_t not_junk = 0;
    uint64_t filed_as_junk = 0;
    int64_t last = 0;                   // when the newest came in, Unix seconds
    std::vector<SenderOutcome> latest;  // those with an opinion, newest first
};
struct SenderHistories {
    std::vector<SenderHistory> facets;  // those that the message has
    int64_t written_to = 0;         // when the account last wrote to the address in From, Unix seconds; 0: not known
    int64_t written_to_domain = 0;  // the same, to any address of its domain
};

/// What is known of an address that mail has come from.
struct KnownSender {
    std::string address;
    uint64_t messages;
    uint64_t junk;
    uint64_t not_junk;
    int64_t last;  // Unix seconds
};
struct KnownSenders {
    std::vector<KnownSender> senders;  // by address
};
constexpr size_t kMaxSendersAtOnce = 1000;

}  // namespace mox::proto
